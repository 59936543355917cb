package sqlstore

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// artifactsQuery returns the statement for the artifacts that fit where, in order. It has one row for
// each channel of an artifact, or one if there is none. Types hold no comma.
func artifactsQuery(where, limit string) string {
	return `
WITH page AS MATERIALIZED (
	SELECT a.id, a.namespace, a.name, a.description, a.summary, a.public, a.created_at, a.updated_at
	FROM artifact a
	WHERE NOT a.deleted` + where + `
	ORDER BY a.namespace, a.name LIMIT ` + limit + `
)
SELECT p.namespace, p.name, p.description, p.summary, p.public, p.created_at, p.updated_at,
	(SELECT string_agg(t.type, ',') FROM head t WHERE t.artifact_id = p.id AND t.type <> ''),
	lv.number, lv.version, c.name, c.number, cv.version, c.moved_at, c.moved_by
FROM page p
LEFT JOIN head l ON l.artifact_id = p.id AND l.type = ''
LEFT JOIN version lv ON lv.artifact_id = l.artifact_id AND lv.number = l.number
LEFT JOIN channel c ON c.artifact_id = p.id
LEFT JOIN version cv ON cv.artifact_id = c.artifact_id AND cv.number = c.number
ORDER BY p.namespace, p.name, c.name`
}

var artifactQuery = artifactsQuery(` AND a.namespace = $1 AND a.name = $2`, `1`)

func (r reader) Artifact(ctx context.Context, name registry.ArtifactName) (registry.Artifact, error) {
	namespace, base := splitName(name)
	artifacts, err := r.artifacts(ctx, artifactQuery, []any{namespace, base})
	if err != nil {
		return registry.Artifact{}, err
	}
	if len(artifacts) == 0 {
		return registry.Artifact{}, errNotFound()
	}
	return artifacts[0], nil
}

func (r reader) Artifacts(ctx context.Context, q registry.ArtifactQuery) ([]registry.Artifact, error) {
	where, limit, values := artifactConditions(q)
	return r.artifacts(ctx, artifactsQuery(where, limit), values)
}

func artifactConditions(q registry.ArtifactQuery) (where, limit string, values []any) {
	var a args
	var b strings.Builder
	if q.Namespace != "" {
		b.WriteString(` AND a.namespace = ` + a.add(q.Namespace))
	}
	if q.After != "" {
		namespace, name := splitName(q.After)
		b.WriteString(` AND (a.namespace, a.name) > (` + a.add(namespace) + `, ` + a.add(name) + `)`)
	}
	if q.Text != "" {
		b.WriteString(` AND a.search LIKE ` + a.add(likePattern(q.Text)) + ` ESCAPE '!'`)
	}
	if q.Type != "" {
		b.WriteString(` AND EXISTS (SELECT 1 FROM head h WHERE h.artifact_id = a.id AND h.type = ` + a.add(string(q.Type)) + `)`)
	}
	b.WriteString(` AND ` + visibleTo(&a, q.Visible, `a`, `a.public`))
	limit = a.add(atMost(q.Limit))
	return b.String(), limit, a.values
}

// visibleTo is the condition that an artifact is public or in v; alias has its namespace and its name.
func visibleTo(a *args, v registry.Visibility, alias, public string) string {
	if v.All {
		return `1 = 1`
	}
	condition := `(` + public
	if len(v.Namespaces) > 0 {
		var list []string
		for _, namespace := range v.Namespaces {
			list = append(list, a.add(namespace))
		}
		condition += ` OR ` + alias + `.namespace IN (` + strings.Join(list, `, `) + `)`
	}
	for _, artifact := range v.Artifacts {
		namespace, name := splitName(artifact)
		condition += ` OR (` + alias + `.namespace = ` + a.add(namespace) + ` AND ` + alias + `.name = ` + a.add(name) + `)`
	}
	return condition + `)`
}

const foldedQuery = `SELECT namespace, name FROM artifact WHERE lower(namespace) = $1 AND lower(name) = $2 AND NOT deleted`

func (r reader) Folded(ctx context.Context, name registry.ArtifactName) (registry.ArtifactName, error) {
	namespace, base := splitName(registry.ArtifactName(strings.ToLower(string(name))))
	var found registry.ArtifactName
	err := r.each(ctx, foldedQuery, []any{namespace, base}, func(row row) error {
		var namespace, name string
		if err := row.Scan(&namespace, &name); err != nil {
			return err
		}
		found = joinName(namespace, name)
		return nil
	})
	if err == nil && found == "" {
		err = errNotFound()
	}
	return found, err
}

// searchText is what a search for text looks at. The name and the description are kept apart by a
// character that no request can contain.
func searchText(name registry.ArtifactName, description string) string {
	return strings.ToLower(string(name) + "\x1f" + description)
}

var likeEscapes = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")

// likePattern fits what searchText made of a text that contains text. The case is folded here and not
// by the databases, which do it for ASCII alone.
func likePattern(text string) string {
	return "%" + likeEscapes.Replace(strings.ToLower(text)) + "%"
}

func (r reader) artifacts(ctx context.Context, query string, values []any) ([]registry.Artifact, error) {
	var list []registry.Artifact
	err := r.each(ctx, query, values, func(row row) error {
		var (
			a                                       registry.Artifact
			namespace, name                         string
			created, updated                        int64
			types, latestVersion                    sql.NullString
			latest, channelNumber, movedAt          sql.NullInt64
			channelName, channelVersion, channelsBy sql.NullString
		)
		if err := row.Scan(&namespace, &name, &a.Description, &a.Summary, &a.Public, &created, &updated, &types, &latest, &latestVersion,
			&channelName, &channelNumber, &channelVersion, &movedAt, &channelsBy); err != nil {
			return err
		}
		a.Name = joinName(namespace, name)
		if len(list) == 0 || list[len(list)-1].Name != a.Name {
			a.CreatedAt, a.UpdatedAt = timeOf(created), timeOf(updated)
			if types.String != "" {
				for t := range strings.SplitSeq(types.String, ",") {
					a.Types = append(a.Types, registry.Type(t))
				}
				slices.Sort(a.Types)
			}
			if latest.Valid {
				a.Latest = &registry.VersionID{Number: latest.Int64, Version: latestVersion.String}
			}
			list = append(list, a)
		}
		if channelName.Valid {
			last := &list[len(list)-1]
			last.Channels = append(last.Channels, registry.Channel{
				Name:      channelName.String,
				VersionID: registry.VersionID{Number: channelNumber.Int64, Version: channelVersion.String},
				MovedAt:   timeOf(movedAt.Int64),
				MovedBy:   channelsBy.String,
			})
		}
		return nil
	})
	return list, err
}
