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

// answersOfHead needs no row of the artifact: its name is in the head, whose index has all that is asked for.
const answersOfHead = `FROM head h JOIN answer s ON s.artifact_id = h.artifact_id AND s.number = h.number
WHERE h.namespace = $1 AND h.name = $2 AND h.type = $3`

// Answers implements [registry.Reader].
func (r reader) Answers(ctx context.Context, name registry.ArtifactName, sel registry.Selector, typ registry.Type) ([]registry.StoredAnswer, error) {
	namespace, base := splitName(name)
	by, key := find(sel)
	query, values := by.answers, []any{namespace, base, key}
	if typ != "" {
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
		return execOne(ctx, q, setAnswer, id, number, string(typ), body, images)
	})
}

// revokeAnswers lets the answers of a version follow its revocation.
const revokeAnswers = `UPDATE answer SET revoked_at = $3, revoked_by = $4, revoked_reason = $5 WHERE artifact_id = $1 AND number = $2`
