package sqlstore

import (
	"context"
	"fmt"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// answersQuery returns the statement for the answers of a version that join finds by the third parameter.
// provider is a condition on that of the images where it is known: the key of images begins with it.
func answersQuery(join, provider string) string {
	return `
SELECT v.number, v.status, v.revoked_at, v.revoked_by, v.revoked_reason, s.body,
	i.provider, i.region, i.id, i.source_id, i.labels, i.status, i.verification
FROM artifact a ` + join + `
	JOIN answer s ON s.artifact_id = v.artifact_id AND s.number = v.number
	JOIN image i ON i.artifact_id = s.artifact_id AND i.number = s.number AND i.ordinal = s.ordinal` + provider + `
WHERE a.namespace = $1 AND a.name = $2 AND NOT a.deleted
	AND ($4 = '' OR s.type = $4) AND i.region = $5 AND i.status IN ('', 'available')
LIMIT 2`
}

// Answers implements [registry.Reader].
func (r reader) Answers(ctx context.Context, name registry.ArtifactName, sel registry.Selector, q registry.AnswerQuery) ([]registry.StoredAnswer, error) {
	namespace, base := splitName(name)
	by, key := find(sel)
	query := by.answers
	if q.Type == registry.AmazonImage {
		query = by.amis
	}
	var answers []registry.StoredAnswer
	err := r.each(ctx, query, []any{namespace, base, key, string(q.Type), q.Region}, func(row row) error {
		// As in versionParts.scan: no conversion, and no copy of the body.
		var c [13]any
		if err := row.Scan(&c[0], &c[1], &c[2], &c[3], &c[4], &c[5], &c[6], &c[7], &c[8], &c[9], &c[10], &c[11], &c[12]); err != nil {
			return err
		}
		text := func(i int) string { s, _ := c[i].(string); return s }
		number, ok := c[0].(int64)
		if !ok {
			return fmt.Errorf("the number of a version is %v (%T)", c[0], c[0])
		}
		labels, err := decode[registry.Metadata](text(10))
		if err != nil {
			return err
		}
		verification, err := decodeVerification(text(11), text(12))
		answers = append(answers, registry.StoredAnswer{
			Number: number, Status: registry.Status(text(1)), Revocation: revocation(nullable(c[2]), text(3), text(4)), Body: text(5),
			Image: registry.Image{Provider: text(6), Region: text(7), ID: text(8), SourceID: text(9), Labels: labels, Verification: verification},
		})
		return err
	})
	return answers, err
}

// setAnswer finds no row where the build does not exist.
const setAnswer = `
INSERT INTO answer (artifact_id, number, ordinal, type, body)
SELECT b.artifact_id, b.number, b.ordinal, b.type, $4 FROM build b
WHERE b.artifact_id = $1 AND b.number = $2 AND b.component = $3
ON CONFLICT (artifact_id, number, ordinal) DO UPDATE SET body = excluded.body`

// SetAnswer implements [registry.Tx].
func (t *tx) SetAnswer(ctx context.Context, name registry.ArtifactName, number int64, component, body string) error {
	return t.onArtifact(ctx, name, func(q querier, id int64) error {
		return execOne(ctx, q, setAnswer, id, number, component, body)
	})
}
