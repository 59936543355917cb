package sqlstore

import (
	"context"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// answersQueries returns the statements for the answers s of a version: for the one of a type, and for those of all
// types. from finds the version by namespace, name and a third parameter.
func answersQueries(from string) (one, all string) {
	query := "SELECT s.revoked_at, s.revoked_by, s.revoked_reason, s.body, s.images\n" + from
	return query + " AND s.type = $4\nLIMIT 1", query + "\nLIMIT 2"
}

// answersOf finds the answers of a version whose number is in the tables that join adds to the artifact.
func answersOf(join, number string) string {
	return `FROM artifact a ` + join + ` JOIN answer s ON s.artifact_id = a.id AND s.number = ` + number + `
WHERE a.namespace = $1 AND a.name = $2 AND NOT a.deleted`
}

// A head has the artifact's name, and a copy of the answer for its type: the latest version of a type is asked for most,
// and this is one row, in a table that does not grow with the versions. The head of any type ("") has none.
const (
	answersOfHead = `FROM head h JOIN answer s ON s.artifact_id = h.artifact_id AND s.number = h.number
WHERE h.namespace = $1 AND h.name = $2 AND h.type = $3`

	answerOfHead = `SELECT revoked_at, revoked_by, revoked_reason, body, images
FROM head WHERE namespace = $1 AND name = $2 AND type = $3 AND body <> ''
LIMIT 1`

	setHead = `
INSERT INTO head (artifact_id, type, number, namespace, name, revoked_at, revoked_by, revoked_reason, body, images)
SELECT a.id, CAST($3 AS TEXT), v.number, a.namespace, a.name,
	s.revoked_at, COALESCE(s.revoked_by, ''), COALESCE(s.revoked_reason, ''), COALESCE(s.body, ''), COALESCE(s.images, '')
FROM version v JOIN artifact a ON a.id = v.artifact_id
LEFT JOIN answer s ON s.artifact_id = v.artifact_id AND s.number = v.number AND s.type = CAST($3 AS TEXT)
WHERE v.artifact_id = $1 AND v.number = $2
ON CONFLICT (artifact_id, type) DO UPDATE SET number = excluded.number, revoked_at = excluded.revoked_at,
	revoked_by = excluded.revoked_by, revoked_reason = excluded.revoked_reason, body = excluded.body, images = excluded.images`

	setHeadAnswer = `
UPDATE head SET (revoked_at, revoked_by, revoked_reason, body, images) =
	(SELECT s.revoked_at, s.revoked_by, s.revoked_reason, s.body, s.images FROM answer s WHERE s.artifact_id = $1 AND s.number = $2 AND s.type = $3)
WHERE artifact_id = $1 AND type = $3 AND number = $2`
)

// Answers implements [registry.Reader].
func (r reader) Answers(ctx context.Context, name registry.ArtifactName, sel registry.Selector, typ registry.Type) ([]registry.StoredAnswer, error) {
	namespace, base := splitName(name)
	by, key := find(sel)
	query, values := by.answers, []any{namespace, base, key}
	switch {
	case sel.Latest && typ != "" && sel.Type == typ:
		query = answerOfHead
	case typ != "":
		query, values = by.answer, append(values, string(typ))
	}
	var answers []registry.StoredAnswer
	err := r.each(ctx, query, values, func(row row) error {
		// As in versionParts.scan: no conversion, and no copy of the texts.
		var c [5]any
		if err := row.Scan(&c[0], &c[1], &c[2], &c[3], &c[4]); err != nil {
			return err
		}
		text := func(i int) string { s, _ := c[i].(string); return s }
		answers = append(answers, registry.StoredAnswer{
			Revocation: revocation(nullable(c[0]), text(1), text(2)), Body: text(3), Images: text(4),
		})
		return nil
	})
	return answers, err
}

// setAnswer finds no row where the version does not exist.
const setAnswer = `
INSERT INTO answer (artifact_id, number, type, revoked_at, revoked_by, revoked_reason, body, images)
SELECT v.artifact_id, v.number, $3, v.revoked_at, v.revoked_by, v.revoked_reason, $4, $5
FROM version v WHERE v.artifact_id = $1 AND v.number = $2
ON CONFLICT (artifact_id, number, type) DO UPDATE SET body = excluded.body, images = excluded.images`

// SetAnswer implements [registry.Tx].
func (t *tx) SetAnswer(ctx context.Context, name registry.ArtifactName, number int64, typ registry.Type, body, images string) error {
	return t.onArtifact(ctx, name, func(q querier, id int64) error {
		if err := execOne(ctx, q, setAnswer, id, number, string(typ), body, images); err != nil {
			return err
		}
		_, err := q.ExecContext(ctx, setHeadAnswer, id, number, string(typ))
		return err
	})
}

// revokeAnswers let the answers of a version, and their copies, follow its revocation.
var revokeAnswers = []string{
	`UPDATE answer SET revoked_at = $3, revoked_by = $4, revoked_reason = $5 WHERE artifact_id = $1 AND number = $2`,
	`UPDATE head SET revoked_at = $3, revoked_by = $4, revoked_reason = $5 WHERE artifact_id = $1 AND number = $2`,
}
