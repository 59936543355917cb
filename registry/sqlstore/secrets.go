package sqlstore

import (
	"context"
	"encoding/base64"
)

func (r reader) Secret(ctx context.Context, name string) ([]byte, error) {
	var value []byte
	found := false
	err := r.each(ctx, `SELECT value FROM secret WHERE name = $1`, []any{name}, func(row row) error {
		var text string
		err := row.Scan(&text)
		if err == nil {
			found = true
			value, err = base64.StdEncoding.DecodeString(text)
		}
		return err
	})
	if err == nil && !found {
		err = errNotFound()
	}
	return value, err
}

// AddSecret implements [registry.Tx].
func (t *tx) AddSecret(ctx context.Context, name string, value []byte) error {
	return t.exec(ctx, `INSERT INTO secret (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`,
		name, base64.StdEncoding.EncodeToString(value))
}
