package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// imageUsesQuery has one row for each channel that points to the version of a use, or one if none
// does. Versions of several artifacts have no common number, so the newest is the one made last.
func imageUsesQuery(visible, limit string) string {
	return `
WITH u AS MATERIALIZED (
	SELECT i.artifact_id, i.number, i.ordinal, a.namespace, a.name, v.version, v.created_at,
		v.revoked_at, v.revoked_by, v.revoked_reason, b.component, b.type
	FROM image i
	JOIN build b ON b.artifact_id = i.artifact_id AND b.number = i.number AND b.ordinal = i.ordinal
	JOIN version v ON v.artifact_id = i.artifact_id AND v.number = i.number
	JOIN artifact a ON a.id = i.artifact_id
	WHERE i.provider = $1 AND i.region = $2 AND i.id = $3 AND ` + visible + `
	ORDER BY v.created_at DESC, v.number DESC, a.namespace, a.name, b.component LIMIT ` + limit + `
)
SELECT u.artifact_id, u.number, u.ordinal, u.namespace, u.name, u.version,
	u.revoked_at, u.revoked_by, u.revoked_reason, u.component, u.type, c.name
FROM u
LEFT JOIN channel c ON c.artifact_id = u.artifact_id AND c.number = u.number
ORDER BY u.created_at DESC, u.number DESC, u.namespace, u.name, u.component, c.name`
}

func (r reader) ImageUses(ctx context.Context, provider, region, id string, visible registry.Visibility, limit int) ([]registry.ImageUse, error) {
	var a args
	a.add(provider)
	a.add(region)
	a.add(id)
	condition := visibleTo(&a, visible, `a`, `a.public`)
	query := imageUsesQuery(condition, a.add(atMost(limit)))
	var uses []registry.ImageUse
	var last buildKey
	err := r.each(ctx, query, a.values, func(row row) error {
		var (
			key                         buildKey
			use                         registry.ImageUse
			namespace, name, by, reason string
			revokedAt                   sql.NullInt64
			channel                     sql.NullString
		)
		if err := row.Scan(&key.artifact, &key.number, &key.ordinal, &namespace, &name, &use.Version,
			&revokedAt, &by, &reason, &use.Component, &use.Type, &channel); err != nil {
			return err
		}
		if key != last {
			last = key
			use.Artifact, use.Number = joinName(namespace, name), key.number
			use.Revocation = revocation(revokedAt, by, reason)
			uses = append(uses, use)
		}
		if channel.Valid {
			use := &uses[len(uses)-1]
			use.Channels = append(use.Channels, channel.String)
		}
		return nil
	})
	return uses, err
}

// blobVisibleQuery looks at grants last: an artifact that was granted a blob need not exist.
func blobVisibleQuery(a *args, visible registry.Visibility) string {
	condition := visibleTo(a, visible, `a`, `a.public`)
	return `
SELECT 1 FROM file f JOIN artifact a ON a.id = f.artifact_id
WHERE f.sha256 = $1 AND ` + condition + `
UNION ALL
SELECT 1 FROM attachment t JOIN artifact a ON a.id = t.artifact_id
WHERE t.sha256 = $1 AND ` + condition + `
UNION ALL
SELECT 1 FROM blob_grant g LEFT JOIN artifact a ON a.namespace = g.namespace AND a.name = g.name AND NOT a.deleted
WHERE g.digest = $1 AND ` + visibleTo(a, visible, `g`, `COALESCE(a.public, FALSE)`) + `
LIMIT 1`
}

func (r reader) BlobVisible(ctx context.Context, digest registry.Digest, visible registry.Visibility) (bool, error) {
	var a args
	a.add(string(digest))
	query := blobVisibleQuery(&a, visible)
	found := false
	err := r.each(ctx, query, a.values, func(row) error {
		found = true
		return nil
	})
	return found, err
}

const revokedLatestQuery = `
SELECT DISTINCT a.namespace, a.name, v.number
FROM version v
JOIN head h ON h.artifact_id = v.artifact_id AND h.number = v.number
JOIN artifact a ON a.id = v.artifact_id
WHERE v.revoked_at <= $1
ORDER BY a.namespace, a.name, v.number LIMIT $2`

func (r reader) RevokedLatest(ctx context.Context, at time.Time, limit int) ([]registry.VersionKey, error) {
	var keys []registry.VersionKey
	err := r.each(ctx, revokedLatestQuery, []any{micros(at), atMost(limit)}, func(row row) error {
		var namespace, name string
		var key registry.VersionKey
		if err := row.Scan(&namespace, &name, &key.Number); err != nil {
			return err
		}
		key.Artifact = joinName(namespace, name)
		keys = append(keys, key)
		return nil
	})
	return keys, err
}
