package sqlstore

import (
	"context"
	"database/sql"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

const (
	tokenColumns       = `SELECT id, name, role, scopes, digest, created_at, created_by, expires_at, revoked_at FROM token`
	tokenByDigestQuery = tokenColumns + ` WHERE digest = $1`
	tokensQuery        = tokenColumns + ` ORDER BY created_at, id`
)

func (r reader) TokenByDigest(ctx context.Context, digest registry.Digest) (registry.Token, error) {
	tokens, err := r.tokens(ctx, tokenByDigestQuery, string(digest))
	if err != nil {
		return registry.Token{}, err
	}
	if len(tokens) == 0 {
		return registry.Token{}, errNotFound()
	}
	return tokens[0], nil
}

func (r reader) Tokens(ctx context.Context) ([]registry.Token, error) {
	return r.tokens(ctx, tokensQuery)
}

func (r reader) tokens(ctx context.Context, query string, args ...any) ([]registry.Token, error) {
	var tokens []registry.Token
	err := r.each(ctx, query, args, func(row row) error {
		var t registry.Token
		var scopes string
		var created int64
		var expires, revoked sql.NullInt64
		err := row.Scan(&t.ID, &t.Name, &t.Role, &scopes, &t.Digest, &created, &t.CreatedBy, &expires, &revoked)
		if err != nil {
			return err
		}
		t.CreatedAt, t.ExpiresAt, t.RevokedAt = timeOf(created), optionalTime(expires), optionalTime(revoked)
		t.Scopes, err = decode[[]registry.Scope](scopes)
		tokens = append(tokens, t)
		return err
	})
	return tokens, err
}

// LockTokens implements [registry.Tx].
func (t *tx) LockTokens(ctx context.Context) error {
	return t.exec(ctx, `UPDATE counter SET value = value + 1 WHERE name = 'token'`)
}

// PutToken implements [registry.Tx].
func (t *tx) PutToken(ctx context.Context, token registry.Token) error {
	scopes, err := encode(token.Scopes)
	if err != nil {
		return err
	}
	t.tokens = true
	return t.exec(ctx, `
INSERT INTO token (id, name, role, scopes, digest, created_at, created_by, expires_at, revoked_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, role = excluded.role, scopes = excluded.scopes,
	digest = excluded.digest, created_at = excluded.created_at, created_by = excluded.created_by,
	expires_at = excluded.expires_at, revoked_at = excluded.revoked_at`,
		token.ID, token.Name, string(token.Role), scopes, string(token.Digest), micros(token.CreatedAt), token.CreatedBy,
		optionalMicros(token.ExpiresAt), optionalMicros(token.RevokedAt))
}
