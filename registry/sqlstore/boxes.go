package sqlstore

import (
	"context"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// boxesQuery returns the statement for a page of an artifact's versions with their boxes. As versionsQuery, it has a row
// for an artifact without versions. A list needs no metadata of the builds.
func boxesQuery(where, limit string) string {
	return `
WITH ` + versionPage(where, limit) + `, box AS MATERIALIZED (
	SELECT b.artifact_id, b.number, b.ordinal, b.created_at, b.is_default, b.component, b.type, b.provider, b.architecture,
		'' AS metadata, '' AS provenance, b.created_by
	FROM page p CROSS JOIN build b WHERE b.artifact_id = p.artifact_id AND b.number = p.number AND b.type = '` + string(registry.VagrantBox) + `'
)` + versionRow + `
FROM art LEFT JOIN page v ON v.artifact_id = art.id
UNION ALL` + buildRow(`box`) + `
FROM box
UNION ALL` + imageRow + `
FROM box CROSS JOIN image i WHERE i.artifact_id = box.artifact_id AND i.number = box.number AND i.ordinal = box.ordinal
UNION ALL` + fileRow + `
FROM box CROSS JOIN file f WHERE f.artifact_id = box.artifact_id AND f.number = box.number AND f.ordinal = box.ordinal
UNION ALL` + pendingRow + `
FROM page v CROSS JOIN pending_box p WHERE p.artifact_id = v.artifact_id AND p.number = v.number`
}

func (r reader) boxes(ctx context.Context, name registry.ArtifactName, where, limit string, values []any) ([]registry.Version, error) {
	var parts versionParts
	err := r.each(ctx, boxesQuery(where, limit), values, parts.scan)
	switch {
	case err != nil:
		return nil, err
	case !parts.found:
		return nil, errNotFound()
	}
	return parts.assemble(name), nil
}

// putPending finds no row where the version does not exist.
const putPending = `
INSERT INTO pending_box (artifact_id, number, component, provider, architecture, is_default, checksum, checksum_type, created_at, created_by)
SELECT v.artifact_id, v.number, $3, $4, $5, CAST($6 AS BOOLEAN), $7, $8, CAST($9 AS BIGINT), $10
FROM version v WHERE v.artifact_id = $1 AND v.number = $2
ON CONFLICT (artifact_id, number, component) DO UPDATE SET provider = excluded.provider, architecture = excluded.architecture,
	is_default = excluded.is_default, checksum = excluded.checksum, checksum_type = excluded.checksum_type,
	created_at = excluded.created_at, created_by = excluded.created_by`

// PutPending implements [registry.Tx].
func (t *tx) PutPending(ctx context.Context, name registry.ArtifactName, number int64, p registry.PendingBox) error {
	return t.onArtifact(ctx, name, func(q querier, id int64) error {
		return execOne(ctx, q, putPending, id, number, p.Component, p.Provider, p.Architecture, p.Default, p.Checksum, p.ChecksumType, micros(p.CreatedAt), p.CreatedBy)
	})
}

const deletePending = `DELETE FROM pending_box WHERE artifact_id = $1 AND number = $2 AND component = $3`

// DeletePending implements [registry.Tx].
func (t *tx) DeletePending(ctx context.Context, name registry.ArtifactName, number int64, component string) error {
	return t.onArtifact(ctx, name, func(q querier, id int64) error {
		_, err := q.ExecContext(ctx, deletePending, id, number, component)
		return err
	})
}

const setDefault = `UPDATE build SET is_default = $4 WHERE artifact_id = $1 AND number = $2 AND component = $3`

// SetDefault implements [registry.Tx].
func (t *tx) SetDefault(ctx context.Context, name registry.ArtifactName, number int64, component string, on bool) error {
	return t.onArtifact(ctx, name, func(q querier, id int64) error {
		return execOne(ctx, q, setDefault, id, number, component, on)
	})
}
