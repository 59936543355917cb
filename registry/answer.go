package registry

import (
	"bytes"
	"context"
	"encoding/json"
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
	if err != nil || len(found) != 1 {
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
	var answer Answer
	if json.Unmarshal([]byte(id), &answer.Bare) != nil {
		return Answer{}, false
	}
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
	if err := appendJSON(b, ref); err != nil {
		return nil, err
	}
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

// imageTexts are the offered images of a build as findImageText finds them: a line for each region that has
// one image and no more, with region, id and image as JSON, in which there is neither a tab nor a newline.
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
		for _, part := range []struct {
			value any
			end   byte
		}{{i.Region, '\t'}, {i.ID, '\t'}, {i, '\n'}} {
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
	key := bytes.NewBufferString("\n")
	if err := appendJSON(key, region); err != nil {
		return "", "", false
	}
	key.WriteByte('\t')
	_, rest, ok := strings.Cut(texts, key.String())
	line, _, _ := strings.Cut(rest, "\n")
	id, image, found := strings.Cut(line, "\t")
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

// writeAnswers writes down what lookups of builds are answered, of all that are offered: a version has the
// answers of all its builds or, when it was recorded before there were answers, none.
func (p *publishing) writeAnswers(ctx context.Context) error {
	if p.version.Status != StatusComplete || len(p.events) == 0 {
		return nil
	}
	for _, b := range p.version.Builds {
		if !b.offered() {
			continue
		}
		body, err := encodeJSON(resolved(p.version, b))
		if err != nil {
			return err
		}
		images, err := imageTexts(b)
		if err != nil {
			return err
		}
		if err := p.tx.SetAnswer(ctx, p.name, p.version.Number, b.Component, string(body), images); err != nil {
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
