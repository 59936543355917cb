package sqlstore

import (
	"context"
	"database/sql"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// answersQuery returns the statement for the answers of a version that join finds by the third parameter.
func answersQuery(join string) string {
	return `
SELECT v.number, v.status, v.revoked_at, v.revoked_by, v.revoked_reason, s.body,
	i.provider, i.region, i.id, i.source_id, i.labels, i.status, i.verification
FROM artifact a ` + join + `
	JOIN answer s ON s.artifact_id = v.artifact_id AND s.number = v.number
	JOIN image i ON i.artifact_id = s.artifact_id AND i.number = s.number AND i.ordinal = s.ordinal
WHERE a.namespace = $1 AND a.name = $2 AND NOT a.deleted
	AND ($4 = '' OR s.type = $4) AND i.region = $5 AND i.status IN ('', 'available')
LIMIT 2`
}

// Answers implements [registry.Reader].
func (r reader) Answers(ctx context.Context, name registry.ArtifactName, sel registry.Selector, q registry.AnswerQuery) ([]registry.StoredAnswer, error) {
	namespace, base := splitName(name)
	by, key := find(sel)
	var answers []registry.StoredAnswer
	err := r.each(ctx, by.answers, []any{namespace, base, key, string(q.Type), q.Region}, func(row row) error {
		var a registry.StoredAnswer
		var revokedAt sql.NullInt64
		var by, reason, labels, status, verification string
		err := row.Scan(&a.Number, &a.Status, &revokedAt, &by, &reason, &a.Body,
			&a.Image.Provider, &a.Image.Region, &a.Image.ID, &a.Image.SourceID, &labels, &status, &verification)
		if err != nil {
			return err
		}
		a.Revocation = revocation(revokedAt, by, reason)
		if a.Image.Labels, err = decode[registry.Metadata](labels); err != nil {
			return err
		}
		a.Image.Verification, err = decodeVerification(status, verification)
		answers = append(answers, a)
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
func (t *tx) SetAnswer(ctx context.Context, name registry.ArtifactName, number int64, component string, body []byte) error {
	return t.onArtifact(ctx, name, func(q querier, id int64) error {
		return execOne(ctx, q, setAnswer, id, number, component, string(body))
	})
}
