package registry

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"
)

// Secret returns a value that a registry makes once and keeps, such as a key. All servers of a registry get the same one:
// create makes it where there is none, and what another server made meanwhile goes before. name is a constant of the
// program. It asks for no right: the value is for the server itself, and never for a caller.
func (s *Service) Secret(ctx context.Context, name string, create func() ([]byte, error)) ([]byte, error) {
	s.secretsLock.Lock() // what is expensive to make is made once
	defer s.secretsLock.Unlock()
	if known, ok := s.secrets[name]; ok {
		return known, nil
	}
	value, err := s.store.Secret(ctx, name)
	if KindOf(err) == NotFound {
		made, createErr := create()
		if createErr != nil {
			return nil, createErr
		}
		if err := s.store.Update(ctx, func(tx Tx) error { return tx.AddSecret(ctx, name, made) }); err != nil {
			return nil, err
		}
		value, err = s.store.Secret(ctx, name)
	}
	if err != nil {
		return nil, err
	}
	s.secrets[name] = value
	return value, nil
}

// sealKeyName names the key of [Service.Seal].
const sealKeyName = "seal"

// sealPrefix begins every sealed text, as it begins tokens, so that what hides these hides it, too.
const sealPrefix = "alm_"

// maxSeal is longer than any text is good. One that says more was sealed by a clock that was ahead.
const maxSeal = time.Hour

// sealHead is the length of what comes before the payload: a time in seconds, and a mac.
const sealHead = 8 + sha256.Size

// Seal returns text that carries payload for ttl, rounded up to a second and at most an hour, and can stand in a URL. Nobody can make such text
// without the registry; whoever has it can read it. A text is good for its purpose alone, a constant of the program.
func (s *Service) Seal(ctx context.Context, purpose, payload string, ttl time.Duration) (text string, until time.Time, err error) {
	key, err := s.sealKey(ctx)
	if err != nil {
		return "", time.Time{}, err
	}
	until = s.time().Add(ttl + time.Second - 1).Truncate(time.Second)
	sealed := make([]byte, sealHead, sealHead+len(payload))
	binary.BigEndian.PutUint64(sealed, uint64(until.Unix()))
	copy(sealed[8:], sealMAC(key, purpose, sealed[:8], payload))
	return sealPrefix + base64.RawURLEncoding.EncodeToString(append(sealed, payload...)), until, nil
}

// Unseal returns the payload of a text of [Service.Seal]. NotFound: it is too old, for another purpose, or not the
// registry's.
func (s *Service) Unseal(ctx context.Context, purpose, text string) (payload string, err error) {
	key, err := s.sealKey(ctx)
	if err != nil {
		return "", err
	}
	encoded, ok := strings.CutPrefix(text, sealPrefix)
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if !ok || err != nil || len(sealed) < sealHead || strings.ContainsAny(encoded, "\r\n") { // which the decoder skips
		return "", errSeal()
	}
	payload = string(sealed[sealHead:])
	left := int64(binary.BigEndian.Uint64(sealed)) - s.time().Unix()
	if !hmac.Equal(sealed[8:sealHead], sealMAC(key, purpose, sealed[:8], payload)) || left <= 0 || left > int64(maxSeal/time.Second)+1 {
		return "", errSeal()
	}
	return payload, nil
}

func errSeal() error {
	return Errorf(NotFound, "this address is too old, or was never given; ask for a new one")
}

func (s *Service) sealKey(ctx context.Context) ([]byte, error) {
	return s.Secret(ctx, sealKeyName, func() ([]byte, error) {
		key := make([]byte, sha256.Size)
		_, _ = rand.Read(key) // never fails (crypto/rand)
		return key, nil
	})
}

// sealMAC covers all that a sealed text says. A NUL ends the purpose, which has none.
func sealMAC(key []byte, purpose string, until []byte, payload string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(purpose + "\x00"))
	mac.Write(until)
	mac.Write([]byte(payload))
	return mac.Sum(nil)
}
