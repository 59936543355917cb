package registry

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// TokenRequest describes a token that is to be made.
type TokenRequest struct {
	Name      string     `json:"name" doc:"Who or what will use it; unique among the tokens in force."`
	Role      string     `json:"role" doc:"read, publish, promote or admin; each may do what the ones before it may."`
	Scopes    []string   `json:"scopes" doc:"*, namespace/* or namespace/name"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// NewToken is a token that was just made, with its secret, which is shown this one time.
type NewToken struct {
	Token
	Secret string `json:"secret" doc:"Send as Authorization: Bearer; it is not kept and cannot be shown again."`
}

const maxScopes = 100

// Authenticate returns who bears a secret. Unauthorized: nobody, or the token expired or was
// revoked; the three look the same.
func (s *Service) Authenticate(ctx context.Context, secret string) (Principal, error) {
	digest := SecretDigest(secret)
	token, err := s.store.TokenByDigest(ctx, digest)
	if err != nil && KindOf(err) != NotFound {
		return Principal{}, err
	}
	if err != nil || subtle.ConstantTimeCompare([]byte(token.Digest), []byte(digest)) != 1 || !token.ValidAt(s.time()) {
		return Principal{}, Errorf(Unauthorized, "the token is not valid: it is unknown, expired or revoked")
	}
	return Principal{TokenID: token.ID, Name: token.Name, Role: token.Role, Scopes: token.Scopes}, nil
}

// CreateToken makes a token. It needs the role admin for all that the new token covers. All problems
// of the request are reported at once. Conflict: a token in force has that name.
func (s *Service) CreateToken(ctx context.Context, req TokenRequest) (NewToken, error) {
	if err := requireEverywhere(ctx, RoleAdmin); err != nil {
		return NewToken{}, err
	}
	token, err := s.checkTokenRequest(PrincipalFrom(ctx), req)
	if err != nil {
		return NewToken{}, err
	}
	secret := NewSecret()
	token.ID, token.Digest, token.CreatedBy = newTokenID(), SecretDigest(secret), PrincipalFrom(ctx).Name
	if err := s.addToken(ctx, token); err != nil {
		return NewToken{}, err
	}
	return NewToken{Token: token, Secret: secret}, nil
}

func (s *Service) checkTokenRequest(caller Principal, req TokenRequest) (Token, error) {
	var p problems
	token := Token{Name: req.Name, ExpiresAt: req.ExpiresAt, CreatedAt: s.time()}
	if strings.TrimSpace(req.Name) != req.Name || req.Name == "" {
		p.add("name", "is empty or has spaces around it; say who or what will use the token")
	}
	p.check("name", checkText(req.Name, 100, ""))
	role, err := ParseRole(req.Role)
	p.check("role", err)
	token.Role = role
	if len(req.Scopes) == 0 {
		p.add("scopes", "is empty; give *, namespace/* or namespace/name")
	}
	if len(req.Scopes) > maxScopes {
		p.add("scopes", "has %d entries; at most %d are allowed", len(req.Scopes), maxScopes)
		return token, p.err()
	}
	for i, text := range req.Scopes {
		field := fmt.Sprintf("scopes[%d]", i)
		scope, err := ParseScope(text)
		switch {
		case err != nil:
			p.check(field, err)
		case !scope.within(caller.Scopes):
			p.add(field, "%q is more than your own token covers", clip(text))
		case !slices.Contains(token.Scopes, scope):
			token.Scopes = append(token.Scopes, scope)
		}
	}
	if req.ExpiresAt != nil {
		at := req.ExpiresAt.UTC().Truncate(time.Microsecond)
		token.ExpiresAt = &at
		if !at.After(token.CreatedAt) {
			p.add("expires_at", "%s is in the past", at.Format(time.RFC3339))
		}
	}
	return token, p.err()
}

func (s *Service) addToken(ctx context.Context, token Token) error {
	return s.store.Update(ctx, func(tx Tx) error {
		tokens, err := lockedTokens(ctx, tx)
		if err != nil {
			return err
		}
		for _, other := range tokens {
			switch {
			case other.Name != token.Name || !other.ValidAt(token.CreatedAt):
			case tokenWithin(other, PrincipalFrom(ctx)):
				return Errorf(Conflict, "a token named %q is in force; revoke it first, or choose another name", clip(token.Name))
			default:
				return Errorf(Conflict, "the name %q is taken; choose another", clip(token.Name))
			}
		}
		if err := tx.PutToken(ctx, token); err != nil {
			return err
		}
		return s.record(ctx, tx, Event{Action: ActionTokenCreate, Detail: Metadata{"token": token.Name, "role": string(token.Role), "scopes": joinScopes(token.Scopes)}})
	})
}

// lockedTokens reads the tokens for a decision that must still hold when this transaction ends.
func lockedTokens(ctx context.Context, tx Tx) ([]Token, error) {
	if err := tx.LockTokens(ctx); err != nil {
		return nil, err
	}
	return tx.Tokens(ctx)
}

func newTokenID() string {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	return hex.EncodeToString(id[:])
}

// EnsureAdmin makes a token named "admin", with all rights and the given secret, if the registry has
// no token at all, and says whether it did. The first start of a server calls it.
func (s *Service) EnsureAdmin(ctx context.Context, secret string) (bool, error) {
	created := false
	err := s.store.Update(ctx, func(tx Tx) error {
		created = false
		tokens, err := lockedTokens(ctx, tx)
		if err != nil || len(tokens) > 0 {
			return err
		}
		created = true
		return tx.PutToken(ctx, Token{
			ID: newTokenID(), Name: "admin", Role: RoleAdmin, Scopes: []Scope{ScopeAll},
			Digest: SecretDigest(secret), CreatedAt: s.time(), CreatedBy: "first start",
		})
	})
	return created, err
}

// Tokens lists the tokens, in force or not, that cover nothing beyond what the caller's covers. It
// needs the role admin.
func (s *Service) Tokens(ctx context.Context) ([]Token, error) {
	if err := requireEverywhere(ctx, RoleAdmin); err != nil {
		return nil, err
	}
	tokens, err := s.store.Tokens(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(tokens, func(t Token) bool { return !tokenWithin(t, PrincipalFrom(ctx)) }), nil
}

func tokenWithin(t Token, p Principal) bool {
	return !slices.ContainsFunc(t.Scopes, func(scope Scope) bool { return !scope.within(p.Scopes) })
}

// RevokeToken ends a token, named by its id or by its name, at once. It needs the role admin for all
// that the token covers. Revoking a revoked token changes nothing. Conflict: it is the last token
// that may administer everything and does not expire.
func (s *Service) RevokeToken(ctx context.Context, idOrName string) (Token, error) {
	if err := requireEverywhere(ctx, RoleAdmin); err != nil {
		return Token{}, err
	}
	var token Token
	err := s.store.Update(ctx, func(tx Tx) error {
		tokens, err := lockedTokens(ctx, tx)
		if err != nil {
			return err
		}
		now := s.time()
		mine := slices.DeleteFunc(slices.Clone(tokens), func(t Token) bool { return !tokenWithin(t, PrincipalFrom(ctx)) })
		at := findToken(mine, idOrName, now)
		if at < 0 {
			return Errorf(NotFound, "no token has the id or name %q", clip(idOrName))
		}
		token = mine[at]
		if !token.ValidAt(now) {
			return nil
		}
		if token.lastsForEver() && !slices.ContainsFunc(tokens, func(t Token) bool { return t.ID != token.ID && t.ValidAt(now) && t.lastsForEver() }) {
			return Errorf(Conflict, "%q is the last token that may administer everything and does not expire; create another one first", token.Name)
		}
		token.RevokedAt = &now
		if err := tx.PutToken(ctx, token); err != nil {
			return err
		}
		return s.record(ctx, tx, Event{Action: ActionTokenRevoke, Detail: Metadata{"token": token.Name}})
	})
	return token, err
}

// lastsForEver says whether the token, while it is in force, saves the registry from being locked.
func (t Token) lastsForEver() bool {
	return t.Role == RoleAdmin && t.ExpiresAt == nil && slices.Contains(t.Scopes, ScopeAll)
}

// findToken prefers an id to a name, and a token in force to one that is not; -1 is none.
func findToken(tokens []Token, idOrName string, now time.Time) int {
	found := -1
	for i, t := range tokens {
		if t.ID == idOrName {
			return i
		}
		if t.Name == idOrName && (found < 0 || t.ValidAt(now)) {
			found = i
		}
	}
	return found
}
