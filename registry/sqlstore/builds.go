package sqlstore

import (
	"context"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// InsertVersion implements [registry.Tx].
func (t *tx) InsertVersion(ctx context.Context, v registry.Version, highest string) error {
	c, err := versionColumns(v)
	if err != nil {
		return err
	}
	return t.onArtifact(ctx, v.Artifact, func(q querier, id int64) error {
		if _, err := q.ExecContext(ctx, `
INSERT INTO version (artifact_id, number, version, fingerprint, created_at, created_by,
	status, held, description, expect, requested, metadata, completed_at, revoked_at, revoked_by, revoked_reason)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
			append([]any{id, v.Number, v.VersionID.Version, v.Fingerprint, micros(v.CreatedAt), v.CreatedBy}, c...)...); err != nil {
			return err
		}
		return execOne(ctx, q, `
UPDATE artifact SET last_number = $2, highest = $3, updated_at = CASE WHEN updated_at < $4 THEN $4 ELSE updated_at END WHERE id = $1`, id, v.Number, highest, micros(v.CreatedAt))
	})
}

// UpdateVersion implements [registry.Tx].
func (t *tx) UpdateVersion(ctx context.Context, v registry.Version) error {
	c, err := versionColumns(v)
	if err != nil {
		return err
	}
	return t.onArtifact(ctx, v.Artifact, func(q querier, id int64) error {
		if err := execOne(ctx, q, `
UPDATE version SET status = $3, held = $4, description = $5, expect = $6, requested = $7, metadata = $8,
	completed_at = $9, revoked_at = $10, revoked_by = $11, revoked_reason = $12
WHERE artifact_id = $1 AND number = $2`,
			append([]any{id, v.Number}, c...)...); err != nil {
			return err
		}
		for _, query := range revokeAnswers {
			if _, err := q.ExecContext(ctx, query, append([]any{id, v.Number}, c[7:]...)...); err != nil {
				return err
			}
		}
		return nil
	})
}

// versionColumns are the values that a version can change.
func versionColumns(v registry.Version) ([]any, error) {
	expect, err := encode(v.Expect)
	if err != nil {
		return nil, err
	}
	requested, err := encode(v.Requested)
	if err != nil {
		return nil, err
	}
	metadata, err := encodeMap(v.Metadata)
	if err != nil {
		return nil, err
	}
	var revokedAt any
	var revokedBy, reason string
	if r := v.Revocation; r != nil {
		revokedAt, revokedBy, reason = micros(r.At), r.By, r.Reason
	}
	return []any{string(v.Status), v.Held, v.Description, expect, requested, metadata, optionalMicros(v.Completed), revokedAt, revokedBy, reason}, nil
}

// insertBuild finds no row where the version does not exist.
const insertBuild = `
INSERT INTO build (artifact_id, number, ordinal, component, type, provider, architecture, metadata, provenance, created_at, created_by, is_default)
SELECT v.artifact_id, v.number,
	(SELECT COALESCE(MAX(b.ordinal), 0) + 1 FROM build b WHERE b.artifact_id = v.artifact_id AND b.number = v.number),
	$3, $4, $5, $6, $7, $8, CAST($9 AS BIGINT), $10, CAST($11 AS BOOLEAN)
FROM version v WHERE v.artifact_id = $1 AND v.number = $2
RETURNING ordinal`

// InsertBuild implements [registry.Tx].
func (t *tx) InsertBuild(ctx context.Context, name registry.ArtifactName, number int64, b registry.Build) error {
	metadata, err := encodeMap(b.Metadata)
	if err != nil {
		return err
	}
	provenance, err := encodeMap(b.Provenance)
	if err != nil {
		return err
	}
	return t.onArtifact(ctx, name, func(q querier, id int64) error {
		key := buildKey{artifact: id, number: number}
		if err := one(ctx, q, insertBuild, []any{id, number, b.Component, string(b.Type), b.Provider, b.Architecture, metadata, provenance, micros(b.CreatedAt), b.CreatedBy, b.Default}, &key.ordinal); err != nil {
			return err
		}
		if err := insertImages(ctx, q, key, b.Images); err != nil {
			return err
		}
		if err := insertFiles(ctx, q, key, b.Files); err != nil {
			return err
		}
		return insertAttachments(ctx, q, key, b.Attachments)
	})
}

// buildKey is the key of a build, and the first part of the keys of all that it has.
type buildKey struct{ artifact, number, ordinal int64 }

func (k buildKey) columns() []any { return []any{k.artifact, k.number, k.ordinal} }

const buildOrdinal = `SELECT ordinal FROM build WHERE artifact_id = $1 AND number = $2 AND component = $3`

// onBuild runs fn with the key of a build.
func (t *tx) onBuild(ctx context.Context, name registry.ArtifactName, number int64, component string, fn func(q querier, key buildKey) error) error {
	return t.onArtifact(ctx, name, func(q querier, id int64) error {
		key := buildKey{artifact: id, number: number}
		if err := one(ctx, q, buildOrdinal, []any{id, number, component}, &key.ordinal); err != nil {
			return err
		}
		return fn(q, key)
	})
}

var fileInserts = multiInserts(`INSERT INTO file (artifact_id, number, ordinal, name, size, sha256)`, 3, 3)

func insertFiles(ctx context.Context, q querier, key buildKey, files []registry.File) error {
	values := make([]any, 0, fileInserts.columns*len(files))
	for _, file := range files {
		values = append(values, file.Name, file.Size, string(file.SHA256))
	}
	return fileInserts.run(ctx, q, key.columns(), values)
}
