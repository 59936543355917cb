package sqlstore

import (
	"context"
	"encoding/json"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

const (
	uploadColumns      = `SELECT id, artifact, size, sha256, created_at, number, component, created_by, draft FROM upload`
	uploadQuery        = uploadColumns + ` WHERE id = $1`
	uploadsBeforeQuery = uploadColumns + ` WHERE created_at < $1 ORDER BY created_at, id LIMIT $2`
)

func (r reader) Upload(ctx context.Context, id string) (registry.Upload, error) {
	uploads, err := r.uploads(ctx, uploadQuery, id)
	if err != nil {
		return registry.Upload{}, err
	}
	if len(uploads) == 0 {
		return registry.Upload{}, errNotFound()
	}
	return uploads[0], nil
}

func (r reader) UploadsBefore(ctx context.Context, t time.Time, limit int) ([]registry.Upload, error) {
	return r.uploads(ctx, uploadsBeforeQuery, micros(t), atMost(limit))
}

func (r reader) uploads(ctx context.Context, query string, args ...any) ([]registry.Upload, error) {
	var uploads []registry.Upload
	err := r.each(ctx, query, args, func(row row) error {
		var u registry.Upload
		var created int64
		var draft string
		err := row.Scan(&u.ID, &u.Artifact, &u.Size, &u.SHA256, &created, &u.Number, &u.Component, &u.CreatedBy, &draft)
		if err != nil {
			return err
		}
		u.CreatedAt = timeOf(created)
		u.Draft, err = decode[*registry.Draft](draft)
		uploads = append(uploads, u)
		return err
	})
	return uploads, err
}

// PutUpload implements [registry.Tx].
func (t *tx) PutUpload(ctx context.Context, u registry.Upload) error {
	draft := ""
	if u.Draft != nil {
		text, err := json.Marshal(u.Draft)
		if err != nil {
			return err
		}
		draft = string(text)
	}
	return t.exec(ctx, `
INSERT INTO upload (id, artifact, size, sha256, created_at, number, component, created_by, draft) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (id) DO UPDATE SET artifact = excluded.artifact, size = excluded.size, sha256 = excluded.sha256,
	created_at = excluded.created_at, number = excluded.number, component = excluded.component, created_by = excluded.created_by,
	draft = excluded.draft`,
		u.ID, string(u.Artifact), u.Size, string(u.SHA256), micros(u.CreatedAt), u.Number, u.Component, u.CreatedBy, draft)
}

// DeleteUpload implements [registry.Tx].
func (t *tx) DeleteUpload(ctx context.Context, id string) error {
	return t.exec(ctx, `DELETE FROM upload WHERE id = $1`, id)
}
