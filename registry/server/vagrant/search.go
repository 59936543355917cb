package vagrant

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// Limits of a search. One that looks for a provider reads the versions of each box that it looks at.
const (
	defaultResults = 10
	maxResults     = 100
	maxFound       = 2000
	maxRead        = 500
)

// query is what is looked for.
type query struct {
	text, provider, architecture string
	// by is created or updated; downloads, which are not counted, are as good as updated.
	by          string
	ascending   bool
	limit, page int
}

type searchJSON struct {
	Boxes []boxJSON `json:"boxes"`
}

// search lists boxes that can be installed.
func (d *door) search(w http.ResponseWriter, r *http.Request) error {
	q, err := parseQuery(r)
	if err != nil {
		return err
	}
	artifacts, err := d.found(r, q)
	if err != nil {
		return err
	}
	slices.SortStableFunc(artifacts, q.compare)
	boxes, err := d.results(r, q, artifacts)
	if err != nil {
		return err
	}
	return d.host.SendJSON(w, r, http.StatusOK, searchJSON{boxes})
}

func parseQuery(r *http.Request) (query, error) {
	values := r.URL.Query()
	q := query{
		text: values.Get("q"), provider: values.Get("provider"), architecture: values.Get("architecture"),
		by: values.Get("sort"), ascending: values.Get("order") == "asc", limit: defaultResults, page: 1,
	}
	var wrong []registry.FieldError
	for _, choice := range []struct {
		name    string
		choices []string
	}{{"sort", []string{"", "downloads", "created", "updated"}}, {"order", []string{"", "asc", "desc"}}} {
		if !slices.Contains(choice.choices, values.Get(choice.name)) {
			wrong = append(wrong, registry.FieldError{Field: choice.name, Message: "must be one of " + quoted(choice.choices[1:])})
		}
	}
	for _, number := range []struct {
		name string
		to   *int
		most int
	}{{"limit", &q.limit, maxResults}, {"page", &q.page, maxFound}} {
		text := values.Get(number.name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > number.most {
			wrong = append(wrong, registry.FieldError{Field: number.name, Message: "must be 1 to " + strconv.Itoa(number.most)})
			continue
		}
		*number.to = n
	}
	if len(wrong) > 0 {
		return q, &registry.Error{Kind: registry.Invalid, Msg: "the request has " + strconv.Itoa(len(wrong)) + " mistakes", Fields: wrong}
	}
	return q, nil
}

func quoted(words []string) string {
	text := words[0]
	for _, word := range words[1:] {
		text += ", " + word
	}
	return text
}

func (q query) compare(a, b registry.Artifact) int {
	if !q.ascending {
		a, b = b, a
	}
	if q.by == "created" {
		return a.CreatedAt.Compare(b.CreatedAt)
	}
	return cmp.Or(a.UpdatedAt.Compare(b.UpdatedAt), a.CreatedAt.Compare(b.CreatedAt))
}

// found are the boxes with the text, in the order of their names, at most maxFound.
func (d *door) found(r *http.Request, q query) ([]registry.Artifact, error) {
	var all []registry.Artifact
	filter := registry.ArtifactFilter{Type: string(registry.VagrantBox), Text: q.text, Limit: pageOfArtifacts}
	for len(all) < maxFound {
		page, err := d.svc.Artifacts(r.Context(), filter)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Artifacts...)
		if filter.Cursor = page.Next; filter.Cursor == "" {
			break
		}
	}
	return all, nil
}

// results are one page of what fits the provider and the architecture, too.
func (d *door) results(r *http.Request, q query, artifacts []registry.Artifact) ([]boxJSON, error) {
	boxes := []boxJSON{}
	skip := (q.page - 1) * q.limit
	if q.provider == "" && q.architecture == "" {
		artifacts, skip = artifacts[min(skip, len(artifacts)):min(skip+q.limit, len(artifacts))], 0
	}
	for _, a := range artifacts[:min(maxRead, len(artifacts))] {
		newest, err := d.newest(r, a)
		if err != nil {
			return nil, err
		}
		if newest == nil || !q.fits(*newest) {
			continue
		}
		if skip--; skip >= 0 {
			continue
		}
		if boxes = append(boxes, d.listedBox(r, a, newest)); len(boxes) == q.limit {
			break
		}
	}
	return boxes, nil
}

// newest is the newest version that can be installed, of an artifact in a list; nil is none. It mostly is the latest of
// the artifact, and then no other is read.
func (d *door) newest(r *http.Request, a registry.Artifact) (*registry.Version, error) {
	if a.Latest == nil || !slices.Contains(a.Types, registry.VagrantBox) {
		return nil, nil
	}
	latest, err := d.svc.Version(r.Context(), string(a.Name), a.Latest.Version)
	if found := current([]registry.Version{latest}, time.Now()); err == nil && found != nil {
		found.Pending = nil
		return found, nil
	}
	_, versions, err := d.svc.Boxes(r.Context(), string(a.Name))
	if registry.KindOf(err) == registry.NotFound {
		return nil, nil // it was deleted meanwhile
	}
	return current(versions, time.Now()), err
}

func (q query) fits(v registry.Version) bool {
	return slices.ContainsFunc(providersOf(v, false), func(p provider) bool {
		return (q.provider == "" || q.provider == p.name) && (q.architecture == "" || shownArchitecture(q.architecture) == p.architecture)
	})
}
