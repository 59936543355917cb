package sqlstore

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// tx implements [registry.Tx]. A write that would break a rule of the tables is not tried where the
// contract has an answer for it: PostgreSQL would give up the whole transaction.
type tx struct {
	reader
	q querier
	// ids are those of the artifacts that were met.
	ids map[registry.ArtifactName]int64
	// gaveUp says that the database ended the transaction in favour of others.
	gaveUp bool
	// tokens says that tokens were written.
	tokens bool
}

var _ registry.Tx = (*tx)(nil)

// do runs fn in the transaction.
func (t *tx) do(ctx context.Context, fn func(querier) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := fn(t.q)
	if isContention(err) {
		t.gaveUp = true
	}
	return asError(ctx, err)
}

func (t *tx) exec(ctx context.Context, query string, args ...any) error {
	return t.do(ctx, func(q querier) error {
		_, err := q.ExecContext(ctx, query, args...)
		return err
	})
}

// execOne runs a statement that must change a row.
func execOne(ctx context.Context, q querier, query string, args ...any) error {
	result, err := q.ExecContext(ctx, query, args...)
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err == nil && n == 0 {
		err = sql.ErrNoRows
	}
	return err
}

// onArtifact runs fn with the id of an artifact.
func (t *tx) onArtifact(ctx context.Context, name registry.ArtifactName, fn func(q querier, id int64) error) error {
	return t.do(ctx, func(q querier) error {
		id, ok := t.ids[name]
		if !ok {
			namespace, base := splitName(name)
			if err := one(ctx, q, `SELECT id FROM artifact WHERE namespace = $1 AND name = $2 AND NOT deleted`, []any{namespace, base}, &id); err != nil {
				return err
			}
			t.ids[name] = id
		}
		return fn(q, id)
	})
}

// lockQuery writes what is there, because in SQL that is the lock that both engines have.
const lockQuery = `
UPDATE artifact SET last_number = last_number
WHERE lower(namespace) = $1 AND lower(name) = $2
RETURNING id, namespace, name, deleted, last_number, highest`

// LockArtifact implements [registry.Tx]. An artifact that was deleted holds its name no more: one
// whose name differs from it in case takes its row, and continues its counters.
func (t *tx) LockArtifact(ctx context.Context, name registry.ArtifactName, create bool, now time.Time) (registry.Counters, error) {
	var (
		c       registry.Counters
		id      int64
		found   registry.ArtifactName
		deleted bool
	)
	lockRow := func(q querier) error {
		namespace, base := splitName(registry.ArtifactName(strings.ToLower(string(name))))
		var foundNamespace, foundName string
		err := one(ctx, q, lockQuery, []any{namespace, base}, &id, &foundNamespace, &foundName, &deleted, &c.LastNumber, &c.Highest)
		found = joinName(foundNamespace, foundName)
		return err
	}
	err := t.do(ctx, func(q querier) error {
		err := lockRow(q)
		if err == sql.ErrNoRows && create {
			if err = insertArtifact(ctx, q, name, now); err == nil {
				err = lockRow(q)
			}
		}
		switch {
		case err != nil:
			return err
		case !create && (deleted || found != name):
			return sql.ErrNoRows
		case deleted:
			return revive(ctx, q, id, name, now)
		case found != name:
			return registry.Errorf(registry.Conflict, "artifact %q differs from an existing one in upper and lower case alone", name)
		}
		return nil
	})
	if err != nil {
		return registry.Counters{}, err
	}
	t.ids[name] = id
	return c, nil
}

// insertArtifact leaves the row alone that somebody else has inserted in the meantime.
func insertArtifact(ctx context.Context, q querier, name registry.ArtifactName, now time.Time) error {
	id, err := next(ctx, q, "artifact")
	if err != nil {
		return err
	}
	namespace, base := splitName(name)
	_, err = q.ExecContext(ctx, `
INSERT INTO artifact (id, namespace, name, description, search, public, last_number, highest, created_at, updated_at, deleted)
VALUES ($1, $2, $3, '', $4, $5, 0, '', $6, $6, $5)
ON CONFLICT (lower(namespace), lower(name)) DO NOTHING`,
		id, namespace, base, searchText(name, ""), false, micros(now))
	return err
}

func revive(ctx context.Context, q querier, id int64, name registry.ArtifactName, now time.Time) error {
	namespace, base := splitName(name)
	return execOne(ctx, q, `
UPDATE artifact SET namespace = $2, name = $3, description = '', summary = '', search = $4, public = $5, created_at = $6, updated_at = $6, deleted = $5
WHERE id = $1`,
		id, namespace, base, searchText(name, ""), false, micros(now))
}

// PutArtifact implements [registry.Tx].
func (t *tx) PutArtifact(ctx context.Context, a registry.Artifact) error {
	return t.onArtifact(ctx, a.Name, func(q querier, id int64) error {
		return execOne(ctx, q, `UPDATE artifact SET description = $2, summary = $3, search = $4, public = $5, updated_at = $6 WHERE id = $1`,
			id, a.Description, a.Summary, searchText(a.Name, a.Description), a.Public, micros(a.UpdatedAt))
	})
}

// SetLatest implements [registry.Tx].
func (t *tx) SetLatest(ctx context.Context, name registry.ArtifactName, typ registry.Type, number int64) error {
	return t.onArtifact(ctx, name, func(q querier, id int64) error {
		if number == 0 {
			_, err := q.ExecContext(ctx, `DELETE FROM head WHERE artifact_id = $1 AND type = $2`, id, string(typ))
			return err
		}
		return execOne(ctx, q, setHead, id, number, string(typ))
	})
}

// MoveChannel implements [registry.Tx].
func (t *tx) MoveChannel(ctx context.Context, name registry.ArtifactName, channel string, move registry.ChannelMove) error {
	return t.onArtifact(ctx, name, func(q querier, id int64) error {
		if err := execOne(ctx, q, `
INSERT INTO channel (artifact_id, name, number, moved_at, moved_by)
SELECT artifact_id, $3, number, CAST($4 AS BIGINT), $5 FROM version WHERE artifact_id = $1 AND number = $2
ON CONFLICT (artifact_id, name) DO UPDATE SET number = excluded.number, moved_at = excluded.moved_at, moved_by = excluded.moved_by`,
			id, move.To.Number, channel, micros(move.At), move.By); err != nil {
			return err
		}
		var from any
		if move.From != nil {
			from = move.From.Number
		}
		// The casts are for PostgreSQL, to which $2 would be a ctext in one place and a text in the other.
		_, err := q.ExecContext(ctx, `
INSERT INTO channel_move (artifact_id, channel, seq, from_number, to_number, at, actor, reason)
VALUES ($1, CAST($2 AS TEXT),
	(SELECT COALESCE(MAX(seq), 0) + 1 FROM channel_move WHERE artifact_id = $1 AND channel = CAST($2 AS TEXT)),
	$3, $4, $5, $6, $7)`,
			id, channel, from, move.To.Number, micros(move.At), move.By, move.Reason)
		return err
	})
}

// DeleteChannel implements [registry.Tx].
func (t *tx) DeleteChannel(ctx context.Context, name registry.ArtifactName, channel string) error {
	return t.onArtifact(ctx, name, func(q querier, id int64) error {
		return execOne(ctx, q, `DELETE FROM channel WHERE artifact_id = $1 AND name = $2`, id, channel)
	})
}

// GrantBlob implements [registry.Tx].
func (t *tx) GrantBlob(ctx context.Context, name registry.ArtifactName, digest registry.Digest) error {
	namespace, base := splitName(name)
	return t.exec(ctx, `INSERT INTO blob_grant (namespace, name, digest) VALUES ($1, $2, $3) ON CONFLICT (digest, namespace, name) DO NOTHING`, namespace, base, string(digest))
}
