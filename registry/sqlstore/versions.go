package sqlstore

import (
	"context"
	"database/sql"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// versionQuery returns the statement for a version with all that belongs to it; join finds it by the
// third parameter. One statement, and so one view and one round trip, brings the rows of all sorts (parts.go). A version is
// small in its rows, so the columns that a sort does not use cost less than more statements would. CROSS JOIN tells SQLite,
// which does not know that v is one row, to begin there and not to scan the other table.
func versionQuery(join string) string {
	return `
WITH v AS MATERIALIZED (
	SELECT v.* FROM artifact a ` + join + `
	WHERE a.namespace = $1 AND a.name = $2 AND NOT a.deleted
)` + versionRow + `
FROM v
UNION ALL` + buildRow(`b`) + `
FROM v CROSS JOIN build b WHERE b.artifact_id = v.artifact_id AND b.number = v.number
UNION ALL` + imageRow + `
FROM v CROSS JOIN image i WHERE i.artifact_id = v.artifact_id AND i.number = v.number
UNION ALL` + fileRow + `
FROM v CROSS JOIN file f WHERE f.artifact_id = v.artifact_id AND f.number = v.number
UNION ALL` + attachmentRow + `
FROM v CROSS JOIN attachment t WHERE t.artifact_id = v.artifact_id AND t.number = v.number
UNION ALL` + pendingRow + `
FROM v CROSS JOIN pending_box p WHERE p.artifact_id = v.artifact_id AND p.number = v.number`
}

// finder is a way to find a version: the statements for it.
type finder struct{ version, answer, answers string }

// newFinder takes the join of an artifact that finds the version v, and how its answers are found.
func newFinder(version, answersFrom string) finder {
	answer, answers := answersQueries(answersFrom)
	return finder{versionQuery(version), answer, answers}
}

// In all of them the third parameter is what the version is found by.
var (
	byNumber      = newFinder(`JOIN version v ON v.artifact_id = a.id AND v.number = $3`, answersOf(``, `$3`))
	bySemver      = newFinder(joinSemver, answersOf(joinSemver, `v.number`))
	byFingerprint = newFinder(joinFingerprint, answersOf(joinFingerprint, `v.number`))
	byChannel     = newFinder(joinChannel+` JOIN version v ON v.artifact_id = c.artifact_id AND v.number = c.number`, answersOf(joinChannel, `c.number`))
	byHead        = newFinder(`JOIN head h ON h.artifact_id = a.id AND h.type = $3 JOIN version v ON v.artifact_id = h.artifact_id AND v.number = h.number`, answersOfHead)
)

const (
	joinSemver      = `JOIN version v ON v.artifact_id = a.id AND v.version = $3`
	joinFingerprint = `JOIN version v ON v.artifact_id = a.id AND v.fingerprint = $3`
	joinChannel     = `JOIN channel c ON c.artifact_id = a.id AND c.name = $3`
)

func find(sel registry.Selector) (by finder, key any) {
	switch {
	case sel.Latest:
		return byHead, string(sel.Type)
	case sel.Channel != "":
		return byChannel, sel.Channel
	case sel.Version != "":
		return bySemver, sel.Version
	case sel.Fingerprint != "":
		return byFingerprint, sel.Fingerprint
	default:
		return byNumber, sel.Number
	}
}

func (r reader) Version(ctx context.Context, name registry.ArtifactName, sel registry.Selector) (registry.Version, error) {
	namespace, base := splitName(name)
	by, key := find(sel)
	var parts versionParts
	err := r.each(ctx, by.version, []any{namespace, base, key}, parts.scan)
	if err != nil {
		return registry.Version{}, err
	}
	if len(parts.versions) == 0 {
		return registry.Version{}, errNotFound()
	}
	return parts.assemble(name)[0], nil
}

// versionPage is the artifact and the page of its versions, for the statements that begin with them.
func versionPage(where, limit string) string {
	return `art AS MATERIALIZED (
	SELECT id FROM artifact WHERE namespace = $1 AND name = $2 AND NOT deleted
), page AS MATERIALIZED (
	SELECT v.* FROM version v
	WHERE v.artifact_id = (SELECT id FROM art)` + where + `
	ORDER BY v.number DESC LIMIT ` + limit + `
)`
}

// versionsQuery returns the statement for a page of an artifact's versions. It has one row for each
// build of a version, or one if there is none, and one for an artifact without versions, so that it
// differs from an artifact that does not exist.
func versionsQuery(where, limit string) string {
	return `
WITH ` + versionPage(where, limit) + `
SELECT p.number, p.version, p.fingerprint, p.status, p.held, p.description, p.expect, p.requested, p.metadata, p.created_at, p.created_by,
	p.completed_at, p.revoked_at, p.revoked_by, p.revoked_reason,
	b.component, b.type, b.provider, b.architecture, b.created_at, b.created_by
FROM art
LEFT JOIN page p ON p.artifact_id = art.id
LEFT JOIN build b ON b.artifact_id = p.artifact_id AND b.number = p.number
ORDER BY p.number DESC, b.component`
}

func versionConditions(name registry.ArtifactName, q registry.VersionQuery) (where, limit string, values []any) {
	namespace, base := splitName(name)
	a := args{values: []any{namespace, base}}
	var b strings.Builder
	if q.Before > 0 {
		b.WriteString(` AND v.number < ` + a.add(q.Before))
	}
	if q.Status != "" {
		b.WriteString(` AND v.status = ` + a.add(string(q.Status)))
	}
	if q.Type != "" {
		b.WriteString(` AND ` + typeCondition(a.add(string(q.Type)), !q.OfferedAt.IsZero()))
	}
	if !q.OfferedAt.IsZero() {
		b.WriteString(` AND v.status = ` + a.add(string(registry.StatusComplete)) + ` AND (v.revoked_at IS NULL OR v.revoked_at > ` + a.add(micros(q.OfferedAt)) + `)`)
	}
	limit = a.add(atMost(q.Limit))
	return b.String(), limit, a.values
}

// typeCondition says that the version v has a build of a type, with offered one that has no image or one
// that is offered. A scalar subquery is run for one version after the other until the page is full; for an
// EXISTS, PostgreSQL joins the builds and images of all the artifact's versions first.
func typeCondition(typ string, offered bool) string {
	var images, status string
	if offered {
		images = ` LEFT JOIN image i ON i.artifact_id = t.artifact_id AND i.number = t.number AND i.ordinal = t.ordinal`
		status = ` AND COALESCE(i.status, '') IN ('', '` + string(registry.ImageAvailable) + `')` // NULL: no image
	}
	return `(SELECT 1 FROM build t` + images + `
		WHERE t.artifact_id = v.artifact_id AND t.number = v.number AND t.type = ` + typ + status + ` LIMIT 1) IS NOT NULL`
}

// VersionIDs implements [registry.Reader].
func (r reader) VersionIDs(ctx context.Context, name registry.ArtifactName, q registry.VersionQuery) ([]registry.VersionID, error) {
	where, limit, values := versionConditions(name, q)
	var list []registry.VersionID
	err := r.each(ctx, versionIDsQuery(where, limit), values, func(row row) error {
		var id registry.VersionID
		err := row.Scan(&id.Number, &id.Version)
		list = append(list, id)
		return err
	})
	return list, err
}

func versionIDsQuery(where, limit string) string {
	return `
SELECT v.number, v.version FROM artifact a JOIN version v ON v.artifact_id = a.id
WHERE a.namespace = $1 AND a.name = $2 AND NOT a.deleted` + where + `
ORDER BY v.number DESC LIMIT ` + limit
}

func (r reader) Versions(ctx context.Context, name registry.ArtifactName, q registry.VersionQuery) ([]registry.Version, error) {
	where, limit, values := versionConditions(name, q)
	if q.Boxes {
		return r.boxes(ctx, name, where, limit, values)
	}
	var list []registry.Version
	exists := false
	err := r.each(ctx, versionsQuery(where, limit), values, func(row row) error {
		exists = true
		var (
			number, created, completed, revoked, built                      sql.NullInt64
			version, fingerprint, status, text, expect, requested, metadata sql.NullString
			held                                                            sql.NullBool
			by, revokedBy, reason                                           sql.NullString
			component, buildType, buildProvider, buildArchitecture, builtBy sql.NullString
		)
		if err := row.Scan(&number, &version, &fingerprint, &status, &held, &text, &expect, &requested, &metadata, &created, &by, &completed, &revoked, &revokedBy, &reason,
			&component, &buildType, &buildProvider, &buildArchitecture, &built, &builtBy); err != nil {
			return err
		}
		if !number.Valid {
			return nil
		}
		if len(list) == 0 || list[len(list)-1].Number != number.Int64 {
			p := versionParts{}
			list = append(list, registry.Version{
				Artifact:    name,
				VersionID:   registry.VersionID{Number: number.Int64, Version: version.String},
				Fingerprint: fingerprint.String,
				Status:      registry.Status(status.String),
				Held:        held.Bool,
				Description: text.String,
				Expect:      parse[[]string](&p, expect.String),
				Requested:   parse[[]string](&p, requested.String),
				Metadata:    parse[registry.Metadata](&p, metadata.String),
				CreatedAt:   timeOf(created.Int64),
				CreatedBy:   by.String,
				Completed:   optionalTime(completed),
				Revocation:  revocation(revoked, revokedBy.String, reason.String),
			})
			if p.err != nil {
				return p.err
			}
		}
		if component.Valid {
			last := &list[len(list)-1]
			last.Builds = append(last.Builds, registry.Build{
				Component: component.String, Type: registry.Type(buildType.String), Provider: buildProvider.String,
				Architecture: buildArchitecture.String, CreatedAt: timeOf(built.Int64), CreatedBy: builtBy.String,
			})
		}
		return nil
	})
	if err == nil && !exists {
		return nil, errNotFound()
	}
	return list, err
}
