package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
)

// Answer is a [Resolution] as it is sent.
type Answer struct {
	// JSON is the resolution's JSON text and a newline.
	JSON []byte
	// ID is that of the resolution; "" when no single image was meant.
	ID string
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
	a := Answer{JSON: text, ID: found.ID}
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
	found, err := s.store.Answers(ctx, n, sel, AnswerQuery{Type: typ, Region: q.Region})
	if err != nil || len(found) != 1 || found[0].Status != StatusComplete {
		return Answer{}, false
	}
	a := found[0]
	revoked := a.Revocation != nil && !a.Revocation.At.After(s.time())
	if revoked && r.Kind == RefLatest {
		return Answer{}, false
	}
	head, err := encodeJSON(Lookup{Ref: r.Text, Revoked: revoked, Revocation: a.Revocation, ID: a.Image.ID, Images: []Image{a.Image}})
	if err != nil {
		return Answer{}, false
	}
	answer := Answer{JSON: joinObjects(head, a.Body), ID: a.Image.ID}
	if revoked {
		answer.Revocation = a.Revocation
	}
	return answer, true
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

// writeAnswers writes down what lookups of builds are answered: of all builds when the version became
// complete, and of one that changed later.
func (p *publishing) writeAnswers(ctx context.Context, completed bool, component string) error {
	if p.version.Status != StatusComplete || len(p.events) == 0 {
		return nil
	}
	for _, b := range p.version.Builds {
		if !b.offered() || !completed && b.Component != component {
			continue
		}
		body, err := encodeJSON(resolved(p.version, b))
		if err != nil {
			return err
		}
		if err := p.tx.SetAnswer(ctx, p.name, p.version.Number, b.Component, string(body)); err != nil {
			return err
		}
	}
	return nil
}

// encodeJSON is the JSON of all answers: with < and > as they are, and a newline at the end.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}

// joinObjects makes one JSON object of two that are not empty and have no member in common; head ends
// with a newline.
func joinObjects(head []byte, body string) []byte {
	head = bytes.TrimSuffix(head, []byte("}\n"))
	joined := make([]byte, 0, len(head)+len(body))
	joined = append(append(joined, head...), ',')
	return append(joined, strings.TrimPrefix(body, "{")...)
}
