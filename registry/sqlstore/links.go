package sqlstore

import (
	"context"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

const (
	allLinksQuery = `
SELECT a.namespace, a.name, t.namespace, t.name, l.created_at, l.created_by
FROM link l JOIN artifact a ON a.id = l.application_id JOIN artifact t ON t.id = l.target_id` + linkOrder

	linksQuery = `
SELECT a.namespace, a.name, t.namespace, t.name, l.created_at, l.created_by
FROM link l JOIN artifact a ON a.id = l.application_id JOIN artifact t ON t.id = l.target_id
WHERE l.application_id = ` + artifactID + ` OR l.target_id = ` + artifactID + linkOrder

	linkOrder  = ` ORDER BY a.namespace, a.name, t.namespace, t.name`
	artifactID = `(SELECT id FROM artifact WHERE namespace = $1 AND name = $2 AND NOT deleted)`
)

// Links implements [registry.Reader].
func (r reader) Links(ctx context.Context, name registry.ArtifactName) ([]registry.Link, error) {
	query, values := allLinksQuery, []any(nil)
	if name != "" {
		namespace, base := splitName(name)
		query, values = linksQuery, []any{namespace, base}
	}
	var links []registry.Link
	err := r.each(ctx, query, values, func(row row) error {
		var l registry.Link
		var from, to [2]string
		var created int64
		if err := row.Scan(&from[0], &from[1], &to[0], &to[1], &created, &l.CreatedBy); err != nil {
			return err
		}
		l.Application, l.Target, l.CreatedAt = joinName(from[0], from[1]), joinName(to[0], to[1]), timeOf(created)
		links = append(links, l)
		return nil
	})
	return links, err
}

// onArtifacts runs fn with the ids of an application and a target.
func (t *tx) onArtifacts(ctx context.Context, application, target registry.ArtifactName, fn func(q querier, from, to int64) error) error {
	return t.onArtifact(ctx, application, func(_ querier, from int64) error {
		return t.onArtifact(ctx, target, func(q querier, to int64) error { return fn(q, from, to) })
	})
}

// PutLink implements [registry.Tx].
func (t *tx) PutLink(ctx context.Context, l registry.Link) error {
	return t.onArtifacts(ctx, l.Application, l.Target, func(q querier, from, to int64) error {
		_, err := q.ExecContext(ctx, `
INSERT INTO link (application_id, target_id, created_at, created_by) VALUES ($1, $2, $3, $4)
ON CONFLICT (application_id, target_id) DO NOTHING`, from, to, micros(l.CreatedAt), l.CreatedBy)
		return err
	})
}

// DeleteLink implements [registry.Tx].
func (t *tx) DeleteLink(ctx context.Context, application, target registry.ArtifactName) error {
	return t.onArtifacts(ctx, application, target, func(q querier, from, to int64) error {
		return execOne(ctx, q, `DELETE FROM link WHERE application_id = $1 AND target_id = $2`, from, to)
	})
}
