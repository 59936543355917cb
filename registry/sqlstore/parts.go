package sqlstore

import (
	"cmp"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// The rows of a statement that brings versions with all that belongs to them are of several sorts, told apart by the first
// column. The second is the number of the version, the third the ordinal of the build. Those that a sort does not use are NULL.
const (
	versionRow = `
SELECT 0, v.number, CASE WHEN v.held THEN 1 ELSE 0 END, v.created_at, v.completed_at, v.revoked_at,
	v.version, v.fingerprint, v.status, v.expect, v.requested, v.metadata, v.created_by, v.revoked_by, v.revoked_reason, v.description`
	imageRow = `
SELECT 2, i.number, i.ordinal, NULL, NULL, NULL,
	i.provider, i.region, i.id, i.source_id, i.labels, i.status, i.verification, NULL, NULL, NULL`
	fileRow = `
SELECT 3, f.number, f.ordinal, f.size, NULL, NULL,
	f.name, f.sha256, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL`
	attachmentRow = `
SELECT 4, t.number, t.ordinal, t.size, NULL, NULL,
	t.name, t.sha256, t.kind, t.format, NULL, NULL, NULL, NULL, NULL, NULL`
	pendingRow = `
SELECT 5, p.number, NULL, p.created_at, CASE WHEN p.is_default THEN 1 ELSE 0 END, NULL,
	p.component, p.provider, p.architecture, p.checksum, p.checksum_type, p.created_by, NULL, NULL, NULL, NULL`
)

// buildRow takes the name under which the build is found.
func buildRow(b string) string {
	return strings.ReplaceAll(`
SELECT 1, b.number, b.ordinal, b.created_at, CASE WHEN b.is_default THEN 1 ELSE 0 END, NULL,
	b.component, b.type, b.provider, b.architecture, b.metadata, b.provenance, b.created_by, NULL, NULL, NULL`, `b.`, b+`.`)
}

// partKey names a build among the versions of an artifact.
type partKey struct{ number, ordinal int64 }

// versionParts collects the rows, in whatever order they come.
type versionParts struct {
	found       bool // whether there was a row, be it one without a version
	versions    []registry.Version
	builds      []registry.Build
	keys        []partKey // of builds
	images      map[partKey][]registry.Image
	files       map[partKey][]registry.File
	attachments map[partKey][]registry.Attachment
	pending     map[int64][]registry.PendingBox
	err         error
}

// partRow is a row as it is scanned: into interfaces, which needs no conversion, and most columns of most rows are NULL.
type partRow [16]any

func (c *partRow) number(i int) int64 { n, _ := c[i].(int64); return n }
func (c *partRow) text(i int) string  { s, _ := c[i].(string); return s }
func (c *partRow) key() partKey       { return partKey{c.number(1), c.number(2)} }
func (c *partRow) scan(row row) error {
	return row.Scan(&c[0], &c[1], &c[2], &c[3], &c[4], &c[5], &c[6], &c[7], &c[8], &c[9], &c[10], &c[11], &c[12], &c[13], &c[14], &c[15])
}

func (p *versionParts) scan(row row) error {
	var c partRow
	if err := c.scan(row); err != nil {
		return err
	}
	p.found = true
	part, ok := asInt(c[0])
	if !ok {
		return fmt.Errorf("a row of a version is of the sort %v (%T)", c[0], c[0])
	}
	switch part {
	case 0:
		if c[1] != nil {
			p.versions = append(p.versions, p.version(&c))
		}
	case 1:
		p.keys = append(p.keys, c.key())
		p.builds = append(p.builds, registry.Build{
			CreatedAt: timeOf(c.number(3)), Default: c.number(4) != 0,
			Component: c.text(6), Type: registry.Type(c.text(7)), Provider: c.text(8), Architecture: c.text(9),
			Metadata: parse[registry.Metadata](p, c.text(10)), Provenance: parse[registry.Metadata](p, c.text(11)), CreatedBy: c.text(12),
		})
	case 2:
		verification, err := decodeVerification(c.text(11), c.text(12))
		if err != nil {
			return err
		}
		add(&p.images, c.key(), registry.Image{
			Provider: c.text(6), Region: c.text(7), ID: c.text(8), SourceID: c.text(9), Labels: parse[registry.Metadata](p, c.text(10)),
			Verification: verification,
		})
	case 3:
		add(&p.files, c.key(), registry.File{Size: c.number(3), Name: c.text(6), SHA256: registry.Digest(c.text(7))})
	case 4:
		add(&p.attachments, c.key(), registry.Attachment{
			File: registry.File{Size: c.number(3), Name: c.text(6), SHA256: registry.Digest(c.text(7))},
			Kind: registry.AttachmentKind(c.text(8)), Format: c.text(9),
		})
	case 5:
		add(&p.pending, c.number(1), registry.PendingBox{
			CreatedAt: timeOf(c.number(3)), Default: c.number(4) != 0,
			Component: c.text(6), Provider: c.text(7), Architecture: c.text(8), Checksum: c.text(9), ChecksumType: c.text(10), CreatedBy: c.text(11),
		})
	}
	return p.err
}

func (p *versionParts) version(c *partRow) registry.Version {
	return registry.Version{
		VersionID:   registry.VersionID{Number: c.number(1), Version: c.text(6)},
		Fingerprint: c.text(7),
		Status:      registry.Status(c.text(8)),
		Held:        c.number(2) != 0,
		Description: c.text(15),
		Expect:      parse[[]string](p, c.text(9)),
		Requested:   parse[[]string](p, c.text(10)),
		Metadata:    parse[registry.Metadata](p, c.text(11)),
		CreatedAt:   timeOf(c.number(3)),
		CreatedBy:   c.text(12),
		Completed:   optionalTime(nullable(c[4])),
		Revocation:  revocation(nullable(c[5]), c.text(13), c.text(14)),
	}
}

// add makes the map where there is none: most versions have no rows of most sorts.
func add[K comparable, V any](m *map[K][]V, key K, value V) {
	if *m == nil {
		*m = map[K][]V{}
	}
	(*m)[key] = append((*m)[key], value)
}

// parse decodes a value and keeps the error for the end of the row.
func parse[T any](p *versionParts, text string) T {
	v, err := decode[T](text)
	if err != nil && p.err == nil {
		p.err = err
	}
	return v
}

// asInt reads a literal number, which is an int4 to PostgreSQL.
func asInt(v any) (int64, bool) {
	switch n := v.(type) {
	case int64:
		return n, true
	case int32:
		return int64(n), true
	}
	return 0, false
}

func nullable(v any) sql.NullInt64 {
	n, ok := v.(int64)
	return sql.NullInt64{Int64: n, Valid: ok}
}

func revocation(at sql.NullInt64, by, reason string) *registry.Revocation {
	if !at.Valid {
		return nil
	}
	return &registry.Revocation{At: timeOf(at.Int64), By: by, Reason: reason}
}

// assemble returns the versions, the highest number first.
func (p *versionParts) assemble(name registry.ArtifactName) []registry.Version {
	slices.SortFunc(p.versions, func(a, b registry.Version) int { return cmp.Compare(b.Number, a.Number) })
	byNumber := make(map[int64]*registry.Version, len(p.versions))
	for i := range p.versions {
		v := &p.versions[i]
		byNumber[v.Number] = v
		v.Artifact, v.Pending = name, p.pending[v.Number]
		slices.SortFunc(v.Pending, func(a, b registry.PendingBox) int { return strings.Compare(a.Component, b.Component) })
	}
	for i, key := range p.keys {
		b := p.builds[i]
		b.Images, b.Files, b.Attachments = p.images[key], p.files[key], p.attachments[key]
		slices.SortFunc(b.Images, registry.CompareImages)
		slices.SortFunc(b.Files, func(a, b registry.File) int { return strings.Compare(a.Name, b.Name) })
		slices.SortFunc(b.Attachments, func(a, b registry.Attachment) int { return strings.Compare(a.Name, b.Name) })
		v := byNumber[key.number]
		v.Builds = append(v.Builds, b)
	}
	for i := range p.versions {
		slices.SortFunc(p.versions[i].Builds, func(a, b registry.Build) int { return strings.Compare(a.Component, b.Component) })
	}
	return p.versions
}
