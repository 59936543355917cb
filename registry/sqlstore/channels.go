package sqlstore

import (
	"context"
	"database/sql"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// channelQuery has one row for each move, or one if none is asked for.
const channelQuery = `
WITH c AS MATERIALIZED (
	SELECT c.* FROM artifact a
	JOIN channel c ON c.artifact_id = a.id AND c.name = $3
	WHERE a.namespace = $1 AND a.name = $2 AND NOT a.deleted
), m AS MATERIALIZED (
	SELECT m.* FROM channel_move m
	WHERE m.artifact_id = (SELECT artifact_id FROM c) AND m.channel = $3
	ORDER BY m.seq DESC LIMIT $4
)
SELECT c.number, cv.version, c.moved_at, c.moved_by,
	m.from_number, fv.version, m.to_number, tv.version, m.at, m.actor, m.reason
FROM c
JOIN version cv ON cv.artifact_id = c.artifact_id AND cv.number = c.number
LEFT JOIN m ON m.artifact_id = c.artifact_id
LEFT JOIN version fv ON fv.artifact_id = m.artifact_id AND fv.number = m.from_number
LEFT JOIN version tv ON tv.artifact_id = m.artifact_id AND tv.number = m.to_number
ORDER BY m.seq DESC`

func (r reader) Channel(ctx context.Context, name registry.ArtifactName, channel string, limit int) (registry.Channel, []registry.ChannelMove, error) {
	namespace, base := splitName(name)
	c := registry.Channel{Name: channel}
	var moves []registry.ChannelMove
	found := false
	err := r.each(ctx, channelQuery, []any{namespace, base, channel, atMost(limit)}, func(row row) error {
		found = true
		var (
			movedAt                              int64
			from, to, at                         sql.NullInt64
			fromVersion, toVersion, actor, cause sql.NullString
		)
		if err := row.Scan(&c.Number, &c.Version, &movedAt, &c.MovedBy, &from, &fromVersion, &to, &toVersion, &at, &actor, &cause); err != nil {
			return err
		}
		c.MovedAt = timeOf(movedAt)
		if !to.Valid {
			return nil
		}
		move := registry.ChannelMove{
			To:     registry.VersionID{Number: to.Int64, Version: toVersion.String},
			At:     timeOf(at.Int64),
			By:     actor.String,
			Reason: cause.String,
		}
		if from.Valid {
			move.From = &registry.VersionID{Number: from.Int64, Version: fromVersion.String}
		}
		moves = append(moves, move)
		return nil
	})
	if err == nil && !found {
		err = errNotFound()
	}
	if err != nil {
		return registry.Channel{}, nil, err
	}
	return c, moves, nil
}
