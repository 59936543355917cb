package sqlstore

import (
	"context"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// What belongs to an artifact, a version and a build, each table before those that it refers to.
var (
	artifactTables = append(append([]string{"channel_move"}, versionTables...), "version")
	versionTables  = append([]string{"channel", "head", "answer", "pending_box"}, buildTables...)
	buildTables    = []string{"image", "file", "attachment", "build"}
)

// deleteRows deletes the rows of tables that have a key, in their order.
func deleteRows(ctx context.Context, q querier, tables []string, where string, key ...any) error {
	for _, table := range tables {
		if _, err := q.ExecContext(ctx, `DELETE FROM `+table+where, key...); err != nil {
			return err
		}
	}
	return nil
}

const (
	whereArtifact = ` WHERE artifact_id = $1`
	whereVersion  = whereArtifact + ` AND number = $2`
	whereBuild    = whereVersion + ` AND ordinal = $3`
)

// DeleteArtifact implements [registry.Tx].
func (t *tx) DeleteArtifact(ctx context.Context, name registry.ArtifactName) error {
	return t.onArtifact(ctx, name, func(q querier, id int64) error {
		if err := deleteRows(ctx, q, artifactTables, whereArtifact, id); err != nil {
			return err
		}
		namespace, base := splitName(name)
		if _, err := q.ExecContext(ctx, `DELETE FROM blob_grant WHERE namespace = $1 AND name = $2`, namespace, base); err != nil {
			return err
		}
		for _, statement := range forgetLinks {
			if _, err := q.ExecContext(ctx, statement, id); err != nil {
				return err
			}
		}
		delete(t.ids, name)
		return execOne(ctx, q, `UPDATE artifact SET description = '', summary = '', search = '', public = $2, deleted = $3 WHERE id = $1`, id, false, true)
	})
}

// forgetLinks remove the links and the runs from and to an artifact. The runs are locked before their logs are deleted: a
// runner may be adding to one, and has locked no more than the other artifact.
var forgetLinks = []string{
	`DELETE FROM link WHERE application_id = $1 OR target_id = $1`,
	`UPDATE run SET log_size = log_size WHERE application_id = $1 OR target_id = $1`,
	`DELETE FROM run_log WHERE run_id IN (SELECT id FROM run WHERE application_id = $1 OR target_id = $1)`,
	`DELETE FROM run WHERE application_id = $1 OR target_id = $1`,
}

// DeleteVersion implements [registry.Tx].
func (t *tx) DeleteVersion(ctx context.Context, name registry.ArtifactName, number int64) error {
	return t.onArtifact(ctx, name, func(q querier, id int64) error {
		if err := deleteRows(ctx, q, versionTables, whereVersion, id, number); err != nil {
			return err
		}
		for _, statement := range forgetMoves {
			if _, err := q.ExecContext(ctx, statement, id, number); err != nil {
				return err
			}
		}
		return execOne(ctx, q, `DELETE FROM version`+whereVersion, id, number)
	})
}

// moveBefore is where the channel of the move m pointed before, as far as its history knows.
const moveBefore = `(SELECT b.to_number FROM channel_move b
	WHERE b.artifact_id = m.artifact_id AND b.channel = m.channel AND b.seq < m.seq ORDER BY b.seq DESC LIMIT 1)`

// forgetMoves take a version out of the history of channels, one after the other: the moves to it, the moves from it that
// lead back to where the channel was before, and the version as the place from which the others come. Otherwise a rollback would
// go to a version further back than the one before.
var forgetMoves = []string{
	`DELETE FROM channel_move WHERE artifact_id = $1 AND to_number = $2`,
	`DELETE FROM channel_move AS m WHERE m.artifact_id = $1 AND m.from_number = $2 AND m.to_number = ` + moveBefore,
	`UPDATE channel_move AS m SET from_number = ` + moveBefore + ` WHERE m.artifact_id = $1 AND m.from_number = $2`,
}

// DeleteBuild implements [registry.Tx].
func (t *tx) DeleteBuild(ctx context.Context, name registry.ArtifactName, number int64, component string) error {
	return t.onBuild(ctx, name, number, component, func(q querier, key buildKey) error {
		return deleteRows(ctx, q, buildTables, whereBuild, key.columns()...)
	})
}
