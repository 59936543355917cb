package sqlstore

import (
	"context"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// answersQuery returns the statement for the answers of a version, whose number join finds by the third
// parameter.
func answersQuery(join, number string) string {
	return `
SELECT s.revoked_at, s.revoked_by, s.revoked_reason, s.body, s.images
FROM artifact a ` + join + `
	JOIN answer s ON s.artifact_id = a.id AND s.number = ` + number + `
WHERE a.namespace = $1 AND a.name = $2 AND NOT a.deleted AND ($4 = '' OR s.type = $4)
LIMIT 2`
}

// Answers implements [registry.Reader].
func (r reader) Answers(ctx context.Context, name registry.ArtifactName, sel registry.Selector, typ registry.Type) ([]registry.StoredAnswer, error) {
	namespace, base := splitName(name)
	by, key := find(sel)
	var answers []registry.StoredAnswer
	err := r.each(ctx, by.answers, []any{namespace, base, key, string(typ)}, func(row row) error {
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

// setAnswer finds no row where the build does not exist.
const setAnswer = `
INSERT INTO answer (artifact_id, number, ordinal, type, revoked_at, revoked_by, revoked_reason, body, images)
SELECT b.artifact_id, b.number, b.ordinal, b.type, v.revoked_at, v.revoked_by, v.revoked_reason, $4, $5
FROM build b JOIN version v ON v.artifact_id = b.artifact_id AND v.number = b.number
WHERE b.artifact_id = $1 AND b.number = $2 AND b.component = $3
ON CONFLICT (artifact_id, number, ordinal) DO UPDATE SET body = excluded.body, images = excluded.images`

// SetAnswer implements [registry.Tx].
func (t *tx) SetAnswer(ctx context.Context, name registry.ArtifactName, number int64, component, body, images string) error {
	return t.onArtifact(ctx, name, func(q querier, id int64) error {
		return execOne(ctx, q, setAnswer, id, number, component, body, images)
	})
}

// revokeAnswers lets the answers of a version follow its revocation.
const revokeAnswers = `UPDATE answer SET revoked_at = $3, revoked_by = $4, revoked_reason = $5 WHERE artifact_id = $1 AND number = $2`
