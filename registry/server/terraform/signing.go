package terraform

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

const (
	// signingKeyName names the key in the store.
	signingKeyName = "provider signing key"
	signingUser    = "Almanac registry"
	// signingBits is what all releases of Terraform and OpenTofu can verify: RSA, which is not true of younger kinds of keys.
	signingBits = 4096
	// clockSkew is how far a client's clock may be behind ours: it would not believe a key of the future.
	clockSkew = 24 * time.Hour
)

// signingKey is the OpenPGP key with which a registry signs the checksums of providers.
type signingKey struct{ entity *openpgp.Entity }

// signingKey returns the key of the registry, which is made when it is needed first. That takes a second or several.
func (d *door) signingKey(ctx context.Context) (*signingKey, error) {
	if key := d.key.Load(); key != nil {
		return key, nil
	}
	key, _, err := ensureSigningKey(ctx, d.svc)
	if err != nil {
		return nil, err
	}
	d.key.Store(&key)
	return &key, nil
}

// EnsureSigningKey makes the key with which a registry signs the checksums of providers, if there is none, and returns its
// id, as Terraform shows it. made says whether it was made by this call.
func EnsureSigningKey(ctx context.Context, svc *registry.Service) (id string, made bool, err error) {
	key, made, err := ensureSigningKey(ctx, svc)
	if err != nil {
		return "", false, err
	}
	return key.id(), made, nil
}

func ensureSigningKey(ctx context.Context, svc *registry.Service) (key signingKey, made bool, err error) {
	var ours []byte
	stored, err := svc.Secret(ctx, signingKeyName, func() (key []byte, err error) {
		ours, err = newSigningKey(signingBits)
		return ours, err
	})
	if err != nil {
		return signingKey{}, false, err
	}
	made = ours != nil && bytes.Equal(ours, stored) // another server may have been faster
	entity, err := openpgp.ReadEntity(packet.NewReader(bytes.NewReader(stored)))
	if err != nil {
		return signingKey{}, false, fmt.Errorf("the key that signs providers cannot be read: %w", err)
	}
	return signingKey{entity}, made, nil
}

// newSigningKey makes a key that can do nothing but sign.
func newSigningKey(bits int) ([]byte, error) {
	secret, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return nil, err
	}
	config := signingConfig(time.Now().Add(-clockSkew))
	private := packet.NewRSAPrivateKey(config.Now(), secret)
	entity := &openpgp.Entity{PrimaryKey: &private.PublicKey, PrivateKey: private, Identities: map[string]*openpgp.Identity{}}
	if err := entity.AddUserId(signingUser, "", "", config); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = entity.SerializePrivateWithoutSigning(&out, nil)
	return out.Bytes(), err
}

// signingConfig signs as of a time. Salt is for algorithms that are weak without; RSA is not, and signs the same bytes alike.
func signingConfig(at time.Time) *packet.Config {
	noSalt := false
	return &packet.Config{
		DefaultHash: crypto.SHA512, Time: func() time.Time { return at }, NonDeterministicSignaturesViaNotation: &noSalt,
	}
}

// id is the last 64 bits of the fingerprint, in hexadecimal digits.
func (k signingKey) id() string { return k.entity.PrimaryKey.KeyIdString() }

// public is the key without its secret, as text.
func (k signingKey) public() (string, error) {
	var out bytes.Buffer
	armored, err := armor.Encode(&out, openpgp.PublicKeyType, nil)
	if err != nil {
		return "", err
	}
	if err := k.entity.Serialize(armored); err != nil {
		return "", err
	}
	err = armored.Close()
	return out.String() + "\n", err
}

// sign returns a detached signature. It is of the time of the key: a client whose clock is behind would not believe one of now.
func (k signingKey) sign(content []byte) ([]byte, error) {
	var out bytes.Buffer
	err := openpgp.DetachSign(&out, k.entity, bytes.NewReader(content), signingConfig(k.entity.PrimaryKey.CreationTime))
	return out.Bytes(), err
}
