package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Answer is a [Resolution] as it is sent.
type Answer struct {
	// JSON is the resolution's JSON text and a newline.
	JSON []byte
	// Bare is the resolution's bare id, and BareErr why it has none; see [Resolution.Bare].
	Bare    string
	BareErr error
	// Revocation is nil unless it has taken effect.
	Revocation *Revocation
}

// ResolveJSON is [Service.Resolve] for those who pass the result on. Most lookups ask for the image in a
// region of a version that the store can find at once; what there is to say about the build was written down when
// it was recorded, so that one short statement answers them. All others go the long way: the answers
// are the same.
func (s *Service) ResolveJSON(ctx context.Context, name, ref string, q Question) (Answer, error) {
	n, r, typ, err := s.parseLookup(ctx, name, ref, q)
	if err != nil {
		return Answer{}, err
	}
	if found, ok := s.stored(ctx, n, r, typ, q); ok {
		return found, nil
	}
	found, err := s.resolve(ctx, n, r, typ, q)
	if err != nil {
		return Answer{}, err
	}
	text, err := encodeJSON(found)
	if err != nil {
		return Answer{}, err
	}
	a := Answer{JSON: text}
	a.Bare, a.BareErr = found.Bare()
	if found.Revoked {
		a.Revocation = found.Revocation
	}
	return a, nil
}

// stored answers from what was written down, if it is there and nothing speaks against it. Whatever is
// unusual, errors included, is left to the long way.
func (s *Service) stored(ctx context.Context, n ArtifactName, r Ref, typ Type, q Question) (Answer, bool) {
	if q.Region == "" || q.Provider != "" || q.Architecture != "" || q.Component != "" || len(q.Metadata) > 0 {
		return Answer{}, false
	}
	sel, ok := r.selector(typ)
	if !ok {
		return Answer{}, false
	}
	found, err := s.store.Answers(ctx, n, sel, typ)
	if err != nil || len(found) != 1 || found[0].Body == "" {
		return Answer{}, false
	}
	revocation := found[0].Revocation
	revoked := revocation != nil && !revocation.At.After(s.time())
	if revoked && r.Kind == RefLatest {
		return Answer{}, false
	}
	id, image, ok := findImageText(found[0].Images, q.Region)
	if !ok {
		return Answer{}, false
	}
	bare, err := textOf(id)
	if err != nil {
		return Answer{}, false
	}
	answer := Answer{Bare: bare}
	if revoked {
		answer.Revocation = revocation
	}
	answer.JSON, err = joinAnswer(r.Text, revoked, revocation, id, image, found[0].Body)
	return answer, err == nil
}

// joinAnswer puts a Resolution together whose id, image and second half are JSON already.
func joinAnswer(ref string, revoked bool, revocation *Revocation, id, image, body string) ([]byte, error) {
	b := bytes.NewBuffer(make([]byte, 0, len(ref)+len(id)+len(image)+len(body)+256))
	b.WriteString(`{"ref":`)
	quoted, err := jsonOf(ref)
	if err != nil {
		return nil, err
	}
	b.WriteString(quoted)
	b.WriteString(`,"revoked":`)
	b.WriteString(strconv.FormatBool(revoked))
	if revocation != nil {
		b.WriteString(`,"revocation":`)
		if err := appendJSON(b, revocation); err != nil {
			return nil, err
		}
	}
	b.WriteString(`,"id":`)
	b.WriteString(id)
	b.WriteString(`,"images":[`)
	b.WriteString(image)
	b.WriteString(`],`)
	b.WriteString(strings.TrimPrefix(body, "{"))
	return b.Bytes(), nil
}

// appendJSON encodes v without the newline that ends a document.
func appendJSON(b *bytes.Buffer, v any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	b.Truncate(max(0, b.Len()-1))
	return err
}

// isPlain says whether a text is its own JSON but for the quotes.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// jsonOf is the JSON of a text, and textOf takes it back; the encoder is for texts that need it.
func jsonOf(s string) (string, error) {
	if isPlain(s) {
		return `"` + s + `"`, nil
	}
	var b bytes.Buffer
	err := appendJSON(&b, s)
	return b.String(), err
}

func textOf(quoted string) (s string, err error) {
	if len(quoted) >= 2 && isPlain(quoted[1:len(quoted)-1]) {
		return quoted[1 : len(quoted)-1], nil
	}
	err = json.Unmarshal([]byte(quoted), &s)
	return s, err
}

// imageTexts are the offered images of a build as findImageText finds them: a line for each region that has
// one image and no more, with region, id and image as JSON, in which there is neither a tab nor a newline. Of an image of
// which nothing else is known the third is the provider alone, because short lines are read faster.
func imageTexts(b Build) (string, error) {
	images := b.offeredImages()
	regions := map[string]int{}
	for _, i := range images {
		regions[i.Region]++
	}
	text := bytes.NewBufferString("\n")
	for _, i := range images {
		if regions[i.Region] > 1 {
			continue
		}
		var rest any = i
		if i.SourceID == "" && len(i.Labels) == 0 && i.Verification == nil {
			rest = i.Provider
		}
		for _, part := range []struct {
			value any
			end   byte
		}{{i.Region, '\t'}, {i.ID, '\t'}, {rest, '\n'}} {
			if err := appendJSON(text, part.value); err != nil {
				return "", err
			}
			text.WriteByte(part.end)
		}
	}
	return text.String(), nil
}

// findImageText returns id and image of a region, as JSON.
func findImageText(texts, region string) (id, image string, ok bool) {
	quoted, err := jsonOf(region)
	if err != nil {
		return "", "", false
	}
	_, rest, ok := strings.Cut(texts, "\n"+quoted+"\t")
	line, _, _ := strings.Cut(rest, "\n")
	id, image, found := strings.Cut(line, "\t")
	if strings.HasPrefix(image, `"`) {
		image = `{"provider":` + image + `,"region":` + quoted + `,"id":` + id + `}`
	}
	return id, image, ok && found
}

// selector is what a store needs to find the version of a ref that does not need to be compared with others. A
// name can be a fingerprint, too, which is left to [Service.find].
func (r Ref) selector(typ Type) (Selector, bool) {
	switch r.Kind {
	case RefLatest:
		return Selector{Latest: true, Type: typ}, true
	case RefNumber:
		return Selector{Number: r.Number}, true
	case RefVersion:
		return Selector{Version: r.Name}, true
	case RefName:
		return Selector{Channel: r.Name}, true
	}
	return Selector{}, false
}

// writeAnswers writes down what lookups are answered, for each type of which a complete version has or had builds. Where
// there is not one build that is offered, the answer is empty, and lookups go the long way. A version that was
// recorded before there were answers has none.
func (p *publishing) writeAnswers(ctx context.Context) error {
	if p.version.Status != StatusComplete || len(p.events) == 0 {
		return nil
	}
	offered := map[Type][]Build{}
	for _, typ := range p.removed {
		offered[typ] = nil
	}
	for _, b := range p.version.Builds {
		if b.offered() {
			offered[b.Type] = append(offered[b.Type], b)
		} else if _, known := offered[b.Type]; !known {
			offered[b.Type] = nil
		}
	}
	for _, typ := range slices.Sorted(maps.Keys(offered)) {
		var body []byte
		var images string
		if builds := offered[typ]; len(builds) == 1 {
			var err error
			if body, err = encodeJSON(resolved(p.version, builds[0])); err != nil {
				return err
			}
			if images, err = imageTexts(builds[0]); err != nil {
				return err
			}
		}
		if err := p.tx.SetAnswer(ctx, p.name, p.version.Number, typ, string(body), images); err != nil {
			return err
		}
	}
	return nil
}

// encodeJSON is the JSON of all answers: with < and > as they are, and a newline at the end.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	err := appendJSON(&b, v)
	b.WriteByte('\n')
	return b.Bytes(), err
}
