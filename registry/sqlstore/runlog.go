package sqlstore

import (
	"context"
	"database/sql"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// runLogQuery has a row for a run without such parts too. A part that begins at $2 + $3 or later has enough before it.
const runLogQuery = `
SELECT l.start, l.text FROM run r LEFT JOIN run_log l ON l.run_id = r.id AND l.start < CAST($2 AS BIGINT) + CAST($3 AS BIGINT)
	AND l.start >= (SELECT COALESCE(MAX(b.start), 0) FROM run_log b WHERE b.run_id = $1 AND b.start <= CAST($2 AS BIGINT))
WHERE r.id = $1 ORDER BY l.start`

// RunLog implements [registry.Reader].
func (r reader) RunLog(ctx context.Context, id, offset int64, limit int) (string, error) {
	var text strings.Builder
	found := false
	err := r.each(ctx, runLogQuery, []any{id, offset, atMost(limit)}, func(row row) error {
		found = true
		var start sql.NullInt64
		var part sql.NullString
		if err := row.Scan(&start, &part); err != nil {
			return err
		}
		skip := max(0, offset-start.Int64)
		if limit > 0 && skip < int64(len(part.String)) {
			text.WriteString(part.String[skip:])
		}
		return nil
	})
	if err == nil && !found {
		err = errNotFound()
	}
	return text.String(), err
}

// DeleteRunLog implements [registry.Tx].
func (t *tx) DeleteRunLog(ctx context.Context, id int64) error {
	return t.do(ctx, func(q querier) error {
		if err := execOne(ctx, q, `UPDATE run SET log_size = 0 WHERE id = $1`, id); err != nil {
			return err
		}
		_, err := q.ExecContext(ctx, `DELETE FROM run_log WHERE run_id = $1`, id)
		return err
	})
}

// AppendRunLog implements [registry.Tx].
func (t *tx) AppendRunLog(ctx context.Context, id, offset int64, text string) error {
	return t.do(ctx, func(q querier) error {
		err := execOne(ctx, q, `UPDATE run SET log_size = log_size + $3 WHERE id = $1 AND log_size = $2`, id, offset, int64(len(text)))
		if err == sql.ErrNoRows {
			var size int64
			if err := one(ctx, q, `SELECT log_size FROM run WHERE id = $1`, []any{id}, &size); err != nil {
				return orGone(err, id)
			}
			return registry.Errorf(registry.Conflict, "the log has %d bytes, not %d", size, offset)
		}
		if err != nil || text == "" {
			return err
		}
		_, err = q.ExecContext(ctx, `INSERT INTO run_log (run_id, start, text) VALUES ($1, $2, $3)`, id, offset, text)
		return err
	})
}
