package registry

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Role says what a token may do within its scope. Each role may do all that the ones before it may.
type Role string

// The roles, from the least to the most.
const (
	RoleRead    Role = "read"    // look up, download
	RolePublish Role = "publish" // record builds, upload
	RolePromote Role = "promote" // move channels, revoke, restore
	RoleAdmin   Role = "admin"   // artifacts' settings, deletion, tokens
)

var roles = []Role{RoleRead, RolePublish, RolePromote, RoleAdmin}

// ParseRole accepts read, publish, promote and admin.
func ParseRole(s string) (Role, error) {
	if !slices.Contains(roles, Role(s)) {
		return "", Errorf(Invalid, "role %q is unknown; use read, publish, promote or admin", clip(s))
	}
	return Role(s), nil
}

// Allows says whether the role includes another.
func (r Role) Allows(needed Role) bool {
	have := slices.Index(roles, r)
	return have >= 0 && have >= slices.Index(roles, needed)
}

// Scope is what a token is good for: "*" (everything), "namespace/*" or "namespace/name".
type Scope string

// ScopeAll covers every artifact.
const ScopeAll Scope = "*"

// ParseScope accepts "*", "namespace/*" and "namespace/name".
func ParseScope(s string) (Scope, error) {
	if s == string(ScopeAll) {
		return ScopeAll, nil
	}
	if ns, ok := strings.CutSuffix(s, "/*"); ok {
		if _, err := ParseNamespace(ns); err != nil {
			return "", err
		}
		return Scope(s), nil
	}
	if _, err := ParseArtifactName(s); err != nil {
		return "", Errorf(Invalid, "scope %q must be *, namespace/* or namespace/name", clip(s))
	}
	return Scope(s), nil
}

// Covers says whether the scope includes an artifact.
func (s Scope) Covers(name ArtifactName) bool {
	return s == ScopeAll || string(s) == string(name) || string(s) == name.Namespace()+"/*"
}

// within says whether everything in s is also in one of the others.
func (s Scope) within(others []Scope) bool {
	return slices.ContainsFunc(others, func(o Scope) bool {
		if o == ScopeAll || o == s {
			return true
		}
		return s != ScopeAll && string(o) == ArtifactName(s).Namespace()+"/*"
	})
}

// Token lets its bearer act on the registry. The secret itself is not kept.
type Token struct {
	ID        string     `json:"id"`
	Name      string     `json:"name" doc:"Who or what uses it; unique among the tokens that are in force."`
	Role      Role       `json:"role" enum:"read,publish,promote,admin"`
	Scopes    []Scope    `json:"scopes" doc:"*, namespace/* or namespace/name"`
	Digest    Digest     `json:"-"`
	CreatedAt time.Time  `json:"created_at"`
	CreatedBy string     `json:"created_by"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
}

// ValidAt says whether the token is in force at a time.
func (t Token) ValidAt(now time.Time) bool {
	return (t.RevokedAt == nil || t.RevokedAt.After(now)) && (t.ExpiresAt == nil || t.ExpiresAt.After(now))
}

// secretPrefix lets people and scanners of leaked secrets recognise a token.
const secretPrefix = "alm_"

// NewSecret makes the secret of a token: "alm_" and 43 characters, 256 bits of randomness.
func NewSecret() string {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never fails (crypto/rand)
	return secretPrefix + base64.RawURLEncoding.EncodeToString(raw[:])
}

// SecretDigest is the form in which a secret is kept and looked up. The secret has 256 bits of
// randomness, so a plain sha256 cannot be reversed, and a lookup by it leaks nothing by its timing.
func SecretDigest(secret string) Digest {
	sum := sha256.Sum256([]byte(secret))
	return Digest(hex.EncodeToString(sum[:]))
}

// Principal is who makes a call. The zero value is a caller without a token.
type Principal struct {
	TokenID string
	Name    string
	Role    Role
	Scopes  []Scope
}

// Anonymous says whether the caller brought no token.
func (p Principal) Anonymous() bool { return p.TokenID == "" }

func (p Principal) may(role Role, name ArtifactName) bool {
	return p.Role.Allows(role) && slices.ContainsFunc(p.Scopes, func(s Scope) bool { return s.Covers(name) })
}

// visibility is the set of artifacts that the caller may read because of its scopes.
func (p Principal) visibility() Visibility {
	var v Visibility
	if !p.Role.Allows(RoleRead) {
		return v
	}
	for _, s := range p.Scopes {
		if s == ScopeAll {
			return Visibility{All: true}
		}
		if ns, ok := strings.CutSuffix(string(s), "/*"); ok {
			v.Namespaces = append(v.Namespaces, ns)
		} else {
			v.Artifacts = append(v.Artifacts, ArtifactName(s))
		}
	}
	return v
}

type principalKey struct{}

// WithPrincipal returns a context in which p makes the calls.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// PrincipalFrom returns who makes the call; the zero Principal when nobody was set.
func PrincipalFrom(ctx context.Context) Principal {
	p, _ := ctx.Value(principalKey{}).(Principal)
	return p
}

// requireRole checks a right on one artifact that is to be written. Whether the artifact exists plays no part,
// so the answer tells a stranger nothing.
func requireRole(ctx context.Context, role Role, name ArtifactName) error {
	p := PrincipalFrom(ctx)
	switch {
	case p.may(role, name):
		return nil
	case p.Anonymous():
		return NoToken()
	case !p.Role.Allows(role):
		return Errorf(Forbidden, "token %q has the role %s; this needs the role %s", p.Name, p.Role, role)
	default:
		return Errorf(Forbidden, "token %q is for %s, not for %s", p.Name, joinScopes(p.Scopes), name)
	}
}

// requireEverywhere checks a right that is about no artifact, or about all of them.
func requireEverywhere(ctx context.Context, role Role) error {
	p := PrincipalFrom(ctx)
	switch {
	case p.Anonymous():
		return NoToken()
	case !p.Role.Allows(role):
		return Errorf(Forbidden, "token %q has the role %s; this needs the role %s", p.Name, p.Role, role)
	}
	return nil
}

// NoToken is the answer to a caller without a token that needs one.
func NoToken() error {
	return Errorf(Unauthorized, "a token is needed; send it as Authorization: Bearer TOKEN")
}

// errHidden is the answer for what does not exist and for what the caller may not know of.
func errHidden(ctx context.Context, format string, args ...any) error {
	if PrincipalFrom(ctx).Anonymous() {
		return NoToken()
	}
	return Errorf(NotFound, format, args...)
}

func joinScopes(scopes []Scope) string {
	texts := make([]string, len(scopes))
	for i, s := range scopes {
		texts[i] = string(s)
	}
	return fmt.Sprintf("%q", strings.Join(texts, ", "))
}
