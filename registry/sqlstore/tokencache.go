package sqlstore

import (
	"context"
	"sync"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// maxCachedTokens bounds the memory. A registry has fewer tokens in use.
const maxCachedTokens = 4096

// tokenCache keeps the tokens of a SQLite file, because every request looks one up. It is exact: the file
// belongs to one [Store], which clears the cache between the commit that changed a token and the end of
// its Update. Where other servers write the same tables, on PostgreSQL, there is none.
type tokenCache struct {
	mu sync.Mutex
	// generation tells a lookup that began before a change from one that began after it.
	generation uint64
	tokens     map[registry.Digest]registry.Token
}

func (c *tokenCache) get(digest registry.Digest) (t registry.Token, ok bool, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, ok = c.tokens[digest]
	return t, ok, c.generation
}

func (c *tokenCache) put(t registry.Token, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation != c.generation {
		return
	}
	if c.tokens == nil || len(c.tokens) >= maxCachedTokens {
		c.tokens = map[registry.Digest]registry.Token{}
	}
	c.tokens[t.Digest] = t
}

func (c *tokenCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.tokens = nil
}

// TokenByDigest implements [registry.Reader]. A token that is not there is looked for each time: guesses
// must not fill the memory.
func (s *Store) TokenByDigest(ctx context.Context, digest registry.Digest) (registry.Token, error) {
	if s.tokens == nil {
		return s.reader.TokenByDigest(ctx, digest)
	}
	if err := s.gate.enter(ctx); err != nil {
		return registry.Token{}, err
	}
	defer s.gate.leave()
	t, ok, generation := s.tokens.get(digest)
	if ok {
		return t, nil
	}
	t, err := s.reader.TokenByDigest(ctx, digest)
	if err == nil {
		s.tokens.put(t, generation)
	}
	return t, err
}
