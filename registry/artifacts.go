package registry

import (
	"context"
	"strconv"
)

// ArtifactFilter narrows and pages a list of artifacts.
type ArtifactFilter struct {
	Namespace string
	Type      string
	// Text is looked for in names and descriptions, whatever its case.
	Text string
	// Cursor is the Next of the page before; "" begins at the start.
	Cursor string
	// Limit is 1 to 500; 0 is 50.
	Limit int
}

// ArtifactPage is one page of a list of artifacts.
type ArtifactPage struct {
	Artifacts []Artifact `json:"artifacts"`
	Next      string     `json:"next_cursor,omitempty" doc:"Send as cursor for the next page; absent on the last."`
}

// Artifacts lists what the caller may read, in the order of the names. A caller without a token
// sees public artifacts.
func (s *Service) Artifacts(ctx context.Context, f ArtifactFilter) (ArtifactPage, error) {
	var p problems
	q := ArtifactQuery{Namespace: f.Namespace, Text: f.Text, Visible: PrincipalFrom(ctx).visibility(), Limit: pageLimit(&p, f.Limit)}
	if f.Namespace != "" {
		_, err := ParseNamespace(f.Namespace)
		p.check("namespace", err)
	}
	if f.Type != "" {
		typ, err := ParseType(f.Type)
		p.check("type", err)
		q.Type = typ
	}
	p.check("q", checkText(f.Text, 200, ""))
	if f.Cursor != "" {
		decodeCursor(&p, f.Cursor, func(position string) (err error) {
			q.After, err = ParseArtifactName(position)
			return err
		})
	}
	if err := p.err(); err != nil {
		return ArtifactPage{}, err
	}
	limit := q.Limit
	q.Limit++
	artifacts, err := s.store.Artifacts(ctx, q)
	if err != nil {
		return ArtifactPage{}, err
	}
	page := ArtifactPage{Artifacts: []Artifact{}}
	for _, a := range artifacts[:min(limit, len(artifacts))] {
		page.Artifacts = append(page.Artifacts, a.withLists())
	}
	if len(artifacts) > limit {
		page.Next = encodeCursor(string(artifacts[limit-1].Name))
	}
	return page, nil
}

// Artifact returns one artifact.
func (s *Service) Artifact(ctx context.Context, name string) (Artifact, error) {
	n, err := ParseArtifactName(name)
	if err != nil {
		return Artifact{}, BadField("artifact", err)
	}
	if err := s.readable(ctx, s.store, n); err != nil {
		return Artifact{}, err
	}
	a, err := s.store.Artifact(ctx, n)
	if err != nil {
		return Artifact{}, notFound(err, "artifact %s does not exist", n)
	}
	return a.withLists(), nil
}

// ArtifactSettings are what an administrator says of an artifact.
type ArtifactSettings struct {
	Description string `json:"description,omitempty" maxLength:"4096"`
	// Summary is one line, for lists; nil leaves it as it is.
	Summary *string `json:"summary,omitempty" maxLength:"255" doc:"One line that says what it is; stays as it is, if left out."`
	Public  bool    `json:"public,omitempty" doc:"Let everybody read it without a token."`
}

// PutArtifact sets an artifact's description, summary and visibility, and makes it if it is not there. It
// needs the role admin. Invalid: a text that is too long or has control characters. Conflict:
// a name that differs from an existing one in case alone.
func (s *Service) PutArtifact(ctx context.Context, name string, settings ArtifactSettings) (Artifact, error) {
	n, err := ParseArtifactName(name)
	if err != nil {
		return Artifact{}, BadField("artifact", err)
	}
	if err := requireRole(ctx, RoleAdmin, n); err != nil {
		return Artifact{}, err
	}
	var p problems
	p.check("description", checkDescription(&settings.Description))
	p.check("summary", checkSummary(settings.Summary))
	if err := p.err(); err != nil {
		return Artifact{}, err
	}
	var a Artifact
	err = s.store.Update(ctx, func(tx Tx) error {
		now := s.time()
		if _, err := s.lock(ctx, tx, n, now); err != nil {
			return err
		}
		if a, err = tx.Artifact(ctx, n); err != nil {
			return err
		}
		a.Description, a.Public, a.UpdatedAt = settings.Description, settings.Public, now
		if settings.Summary != nil {
			a.Summary = *settings.Summary
		}
		if err := tx.PutArtifact(ctx, a); err != nil {
			return err
		}
		return s.record(ctx, tx, Event{Action: ActionArtifactUpdate, Artifact: n, Detail: Metadata{"public": strconv.FormatBool(a.Public)}})
	})
	return a.withLists(), err
}

// ArtifactDetails are what a publisher may say of an artifact. Nil leaves a detail as it is.
type ArtifactDetails struct {
	Description, Summary *string
	// Public needs the role admin where it changes something.
	Public *bool
}

// DescribeArtifact sets what is given, and makes the artifact, private, if it is not there. made says so. It needs the
// role publish. Invalid: texts that are too long or have control characters; a summary of several lines. Conflict: a
// name that differs from an existing one in case alone.
func (s *Service) DescribeArtifact(ctx context.Context, name string, d ArtifactDetails) (a Artifact, made bool, err error) {
	n, err := ParseArtifactName(name)
	if err != nil {
		return Artifact{}, false, BadField("artifact", err)
	}
	if err := requireRole(ctx, RolePublish, n); err != nil {
		return Artifact{}, false, err
	}
	var p problems
	p.check("description", checkDescription(d.Description))
	p.check("summary", checkSummary(d.Summary))
	if err := p.err(); err != nil {
		return Artifact{}, false, err
	}
	err = s.store.Update(ctx, func(tx Tx) error {
		a, made, err = s.describe(ctx, tx, n, d)
		return err
	})
	if err != nil {
		return Artifact{}, false, err
	}
	return a.withLists(), made, nil
}

func (s *Service) describe(ctx context.Context, tx Tx, name ArtifactName, d ArtifactDetails) (a Artifact, made bool, err error) {
	now := s.time()
	if _, err = tx.LockArtifact(ctx, name, false, now); KindOf(err) == NotFound {
		made = true
		_, err = s.lock(ctx, tx, name, now)
	}
	if err != nil {
		return Artifact{}, false, err
	}
	if a, err = tx.Artifact(ctx, name); err != nil {
		return Artifact{}, false, err
	}
	made = made && a.CreatedAt.Equal(now) // somebody else may have come first
	description, summary, public := a.Description, a.Summary, a.Public
	for _, text := range []struct{ from, to *string }{{d.Description, &a.Description}, {d.Summary, &a.Summary}} {
		if text.from != nil {
			*text.to = *text.from
		}
	}
	if d.Public != nil {
		a.Public = *d.Public
	}
	if a.Public != public {
		if err := requireRole(ctx, RoleAdmin, name); err != nil {
			return Artifact{}, false, err
		}
	}
	if !made && a.Description == description && a.Summary == summary && a.Public == public {
		return a, false, nil
	}
	a.UpdatedAt = now
	if err := tx.PutArtifact(ctx, a); err != nil {
		return Artifact{}, false, err
	}
	return a, made, s.record(ctx, tx, Event{Action: ActionArtifactUpdate, Artifact: name, Detail: Metadata{"public": strconv.FormatBool(a.Public)}})
}

// checkDescription and checkSummary accept nil, which says nothing.
func checkDescription(text *string) error {
	if text == nil {
		return nil
	}
	return checkText(*text, 4096, "\t\n\r")
}

func checkSummary(text *string) error {
	if text == nil {
		return nil
	}
	return checkText(*text, 255, "")
}

// DeleteArtifact removes an artifact with all its versions and channels. It needs the role admin.
// Numbers are not given again should the artifact be made anew.
func (s *Service) DeleteArtifact(ctx context.Context, name string) error {
	n, err := ParseArtifactName(name)
	if err != nil {
		return BadField("artifact", err)
	}
	if err := requireRole(ctx, RoleAdmin, n); err != nil {
		return err
	}
	return s.store.Update(ctx, func(tx Tx) error {
		if _, err := tx.LockArtifact(ctx, n, false, s.time()); err != nil {
			return notFound(err, "artifact %s does not exist", n)
		}
		if err := tx.DeleteArtifact(ctx, n); err != nil {
			return err
		}
		return s.record(ctx, tx, Event{Action: ActionArtifactDelete, Artifact: n})
	})
}

// Access is what the caller may do with one artifact.
type Access struct {
	Artifact ArtifactName `json:"artifact"`
	// Exists is false for an artifact that the first publish will make.
	Exists  bool   `json:"exists" doc:"False for an artifact that the first publish will make."`
	Token   string `json:"token" doc:"Name of the caller's token."`
	Role    Role   `json:"role"`
	Read    bool   `json:"read"`
	Publish bool   `json:"publish"`
	Promote bool   `json:"promote"`
	Admin   bool   `json:"admin"`
}

// Access tells a caller with a token what it may do with an artifact, which need not exist. A build
// asks before it starts, rather than after forty minutes. Conflict: the name differs from an existing
// one in case alone.
func (s *Service) Access(ctx context.Context, name string) (Access, error) {
	n, err := ParseArtifactName(name)
	if err != nil {
		return Access{}, BadField("artifact", err)
	}
	p := PrincipalFrom(ctx)
	if p.Anonymous() {
		return Access{}, NoToken()
	}
	if err := s.checkCase(ctx, s.store, n); err != nil {
		return Access{}, err
	}
	access := Access{
		Artifact: n, Token: p.Name, Role: p.Role,
		Publish: p.may(RolePublish, n), Promote: p.may(RolePromote, n), Admin: p.may(RoleAdmin, n),
	}
	if access.Read, err = s.visible(ctx, s.store, n); err != nil || !access.Read {
		return access, err
	}
	switch _, err := s.store.Artifact(ctx, n); KindOf(err) {
	case "":
		access.Exists = true
	case NotFound:
	default:
		return Access{}, err
	}
	return access, nil
}
