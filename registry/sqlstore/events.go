package sqlstore

import (
	"context"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

const eventsQuery = `SELECT id, at, actor, action, artifact, number, detail FROM event WHERE id > $1 ORDER BY id LIMIT $2`

func (r reader) Events(ctx context.Context, after int64, limit int) ([]registry.Event, error) {
	var events []registry.Event
	err := r.each(ctx, eventsQuery, []any{after, atMost(limit)}, func(row row) error {
		var e registry.Event
		var at int64
		var detail string
		err := row.Scan(&e.ID, &at, &e.Actor, &e.Action, &e.Artifact, &e.Number, &detail)
		if err != nil {
			return err
		}
		e.At = timeOf(at)
		e.Detail, err = decode[registry.Metadata](detail)
		events = append(events, e)
		return err
	})
	return events, err
}

// AppendEvent implements [registry.Tx]. The row of the counter stays locked until the transaction
// ends; so a higher ID is not even given while a lower one is not visible.
func (t *tx) AppendEvent(ctx context.Context, e registry.Event) error {
	detail, err := encodeMap(e.Detail)
	if err != nil {
		return err
	}
	return t.do(ctx, func(q querier) error {
		id, err := next(ctx, q, "event")
		if err != nil {
			return err
		}
		_, err = q.ExecContext(ctx, `INSERT INTO event (id, at, actor, action, artifact, number, detail) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			id, micros(e.At), e.Actor, e.Action, string(e.Artifact), e.Number, detail)
		return err
	})
}

// next returns the next number of a counter. Others that want one wait until the transaction ends.
func next(ctx context.Context, q querier, counter string) (int64, error) {
	var value int64
	err := one(ctx, q, `UPDATE counter SET value = value + 1 WHERE name = $1 RETURNING value`, []any{counter}, &value)
	return value, err
}
