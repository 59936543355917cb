package sqlstore

import (
	"context"
	"database/sql"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// reader implements [registry.Reader] on what run lends it: a connection of the store, or a
// transaction. run returns errors of the domain.
type reader struct {
	run func(ctx context.Context, fn func(querier) error) error
}

// row is the current row of a result.
type row interface{ Scan(dest ...any) error }

// each runs a statement and calls fn for each row of its result.
func each(ctx context.Context, q querier, query string, args []any, fn func(row) error) (err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := rows.Close(); err == nil {
			err = closeErr
		}
	}()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// one runs a statement and scans the first row of its result; without a row it returns
// [sql.ErrNoRows].
func one(ctx context.Context, q querier, query string, args []any, dest ...any) error {
	found := false
	err := each(ctx, q, query, args, func(r row) error {
		found = true
		return r.Scan(dest...)
	})
	if err == nil && !found {
		return sql.ErrNoRows
	}
	return err
}

// each is the function each in a read of its own.
func (r reader) each(ctx context.Context, query string, args []any, fn func(row) error) error {
	return r.run(ctx, func(q querier) error { return each(ctx, q, query, args, fn) })
}

// atMost is a limit as a LIMIT takes it: a negative one is an error in PostgreSQL and none in SQLite.
func atMost(limit int) int64 { return int64(max(0, limit)) }

// splitName returns the columns of an artifact's name.
func splitName(n registry.ArtifactName) (namespace, name string) { return n.Namespace(), n.Name() }

func joinName(namespace, name string) registry.ArtifactName {
	return registry.ArtifactName(namespace + "/" + name)
}
