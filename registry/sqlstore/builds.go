package sqlstore

import (
	"context"
	"fmt"
	"strings"

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
	status, expect, requested, metadata, completed_at, revoked_at, revoked_by, revoked_reason)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
			append([]any{id, v.Number, v.VersionID.Version, v.Fingerprint, micros(v.CreatedAt), v.CreatedBy}, c...)...); err != nil {
			return err
		}
		return execOne(ctx, q, `UPDATE artifact SET last_number = $2, highest = $3, updated_at = $4 WHERE id = $1`, id, v.Number, highest, micros(v.CreatedAt))
	})
}

// UpdateVersion implements [registry.Tx].
func (t *tx) UpdateVersion(ctx context.Context, v registry.Version) error {
	c, err := versionColumns(v)
	if err != nil {
		return err
	}
	return t.onArtifact(ctx, v.Artifact, func(q querier, id int64) error {
		return execOne(ctx, q, `
UPDATE version SET status = $3, expect = $4, requested = $5, metadata = $6, completed_at = $7, revoked_at = $8, revoked_by = $9, revoked_reason = $10
WHERE artifact_id = $1 AND number = $2`,
			append([]any{id, v.Number}, c...)...)
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
	return []any{string(v.Status), expect, requested, metadata, optionalMicros(v.Completed), revokedAt, revokedBy, reason}, nil
}

// insertBuild finds no row where the version does not exist.
const insertBuild = `
INSERT INTO build (artifact_id, number, ordinal, component, type, provider, architecture, metadata, provenance, created_at, created_by)
SELECT v.artifact_id, v.number,
	(SELECT COALESCE(MAX(b.ordinal), 0) + 1 FROM build b WHERE b.artifact_id = v.artifact_id AND b.number = v.number),
	$3, $4, $5, $6, $7, $8, CAST($9 AS BIGINT), $10
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
		var ordinal int64
		if err := one(ctx, q, insertBuild, []any{id, number, b.Component, string(b.Type), b.Provider, b.Architecture, metadata, provenance, micros(b.CreatedAt), b.CreatedBy}, &ordinal); err != nil {
			return err
		}
		if err := insertImages(ctx, q, id, number, ordinal, b.Images); err != nil {
			return err
		}
		return insertFiles(ctx, q, id, number, ordinal, b.Files)
	})
}

// InsertImages implements [registry.Tx].
func (t *tx) InsertImages(ctx context.Context, name registry.ArtifactName, number int64, component string, images []registry.Image) error {
	return t.onArtifact(ctx, name, func(q querier, id int64) error {
		var ordinal int64
		if err := one(ctx, q, `SELECT ordinal FROM build WHERE artifact_id = $1 AND number = $2 AND component = $3`, []any{id, number, component}, &ordinal); err != nil {
			return err
		}
		return insertImages(ctx, q, id, number, ordinal, images)
	})
}

var (
	imageInserts = multiInserts(`INSERT INTO image (artifact_id, number, ordinal, provider, region, id, source_id, labels)`, 3, 5)
	fileInserts  = multiInserts(`INSERT INTO file (artifact_id, number, ordinal, name, size, sha256)`, 3, 3)
)

func insertImages(ctx context.Context, q querier, id, number, ordinal int64, images []registry.Image) error {
	values := make([]any, 0, 5*len(images))
	for _, image := range images {
		labels, err := encodeMap(image.Labels)
		if err != nil {
			return err
		}
		values = append(values, image.Provider, image.Region, image.ID, image.SourceID, labels)
	}
	return imageInserts.run(ctx, q, []any{id, number, ordinal}, values)
}

func insertFiles(ctx context.Context, q querier, id, number, ordinal int64, files []registry.File) error {
	values := make([]any, 0, 3*len(files))
	for _, file := range files {
		values = append(values, file.Name, file.Size, string(file.SHA256))
	}
	return fileInserts.run(ctx, q, []any{id, number, ordinal}, values)
}

// inserts are statements that insert several rows of a table at once.
type inserts struct {
	columns    int // that differ from row to row
	statements map[int]string
}

// insertSizes are the numbers of rows for which there is a statement, so that few are enough for all
// lists, and all stay prepared. The largest keeps far below the databases' limits of parameters.
var insertSizes = []int{64, 16, 4, 1}

// multiInserts makes the statements for rows whose first columns are common to all.
func multiInserts(into string, common, columns int) inserts {
	in := inserts{columns: columns, statements: map[int]string{}}
	for _, size := range insertSizes {
		var b strings.Builder
		b.WriteString(into + " VALUES ")
		for i := range size {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString("(")
			for c := range common + columns {
				n := c + 1
				if c >= common {
					n += i * columns
				}
				if c > 0 {
					b.WriteString(", ")
				}
				fmt.Fprintf(&b, "$%d", n)
			}
			b.WriteString(")")
		}
		in.statements[size] = b.String()
	}
	return in
}

func (in inserts) run(ctx context.Context, q querier, common, values []any) error {
	for _, size := range insertSizes {
		for n := size * in.columns; len(values) >= n && n > 0; values = values[n:] {
			args := append(append(make([]any, 0, len(common)+n), common...), values[:n]...)
			if _, err := q.ExecContext(ctx, in.statements[size], args...); err != nil {
				return err
			}
		}
	}
	return nil
}
