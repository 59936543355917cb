package sqlstore

import (
	"context"
	"database/sql"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// imageUsesQuery has one row for each channel that points to the version of a use, or one if none
// does. Versions of several artifacts have no common number, so the newest is the one made last.
const imageUsesQuery = `
WITH u AS MATERIALIZED (
	SELECT i.artifact_id, i.number, i.ordinal, a.namespace, a.name, v.version, v.created_at,
		v.revoked_at, v.revoked_by, v.revoked_reason, b.component, b.type
	FROM image i
	JOIN build b ON b.artifact_id = i.artifact_id AND b.number = i.number AND b.ordinal = i.ordinal
	JOIN version v ON v.artifact_id = i.artifact_id AND v.number = i.number
	JOIN artifact a ON a.id = i.artifact_id
	WHERE i.provider = $1 AND i.region = $2 AND i.id = $3
	ORDER BY v.created_at DESC, v.number DESC, a.namespace, a.name, b.component LIMIT $4
)
SELECT u.artifact_id, u.number, u.ordinal, u.namespace, u.name, u.version,
	u.revoked_at, u.revoked_by, u.revoked_reason, u.component, u.type, c.name
FROM u
LEFT JOIN channel c ON c.artifact_id = u.artifact_id AND c.number = u.number
ORDER BY u.created_at DESC, u.number DESC, u.namespace, u.name, u.component, c.name`

func (r reader) ImageUses(ctx context.Context, provider, region, id string, limit int) ([]registry.ImageUse, error) {
	type buildKey struct{ artifact, number, ordinal int64 }
	var uses []registry.ImageUse
	var last buildKey
	err := r.each(ctx, imageUsesQuery, []any{provider, region, id, atMost(limit)}, func(row row) error {
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

const blobUsersQuery = `
SELECT namespace || '/' || name FROM artifact WHERE id IN (SELECT artifact_id FROM file WHERE sha256 = $1)
UNION
SELECT artifact FROM blob_grant WHERE digest = $1`

func (r reader) BlobUsers(ctx context.Context, digest registry.Digest) ([]registry.ArtifactName, error) {
	var names []registry.ArtifactName
	err := r.each(ctx, blobUsersQuery, []any{string(digest)}, func(row row) error {
		var name string
		if err := row.Scan(&name); err != nil {
			return err
		}
		names = append(names, registry.ArtifactName(name))
		return nil
	})
	return names, err
}
