package vagrant

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// maxBody is the most that a JSON body may have. Descriptions are the longest that a client sends.
const maxBody = 1 << 20

// object is what a client says of one thing. It is read leniently, for clients differ: members that nobody knows are
// not looked at, null is as good as left out, and a number or a boolean may be written as a string and the other way
// round.
type object struct {
	name    string
	members map[string]json.RawMessage
	wrong   []registry.FieldError
}

// readObject reads a body that is {"NAME": {…}}, as Vagrant 2.4 and Packer send it, or {…}, as Vagrant 2.3 does for
// some. No body is an empty object.
func (d *door) readObject(w http.ResponseWriter, r *http.Request, name string) (*object, error) {
	body, err := d.host.ReadBody(w, r, maxBody)
	if err != nil {
		return nil, err
	}
	return parseObject(body, name)
}

func parseObject(body []byte, name string) (*object, error) {
	o := &object{name: name}
	if len(bytes.TrimSpace(body)) == 0 {
		return o, nil
	}
	if !utf8.Valid(body) {
		return nil, registry.Errorf(registry.Invalid, "the body is not valid UTF-8")
	}
	if err := json.Unmarshal(body, &o.members); err != nil {
		return nil, registry.Errorf(registry.Invalid, "the body is not a JSON object: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if inner := bytes.TrimSpace(o.members[name]); bytes.HasPrefix(inner, []byte("{")) {
		o.members = nil
		return o, json.Unmarshal(inner, &o.members)
	}
	return o, nil
}

// text returns a member as it was sent; nil for one that was left out.
func (o *object) text(key string) *string {
	raw := bytes.TrimSpace(o.members[key])
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	s := string(raw)
	switch raw[0] {
	case '"':
		if err := json.Unmarshal(raw, &s); err != nil {
			o.add(key, "is not a string")
			return nil
		}
	case '{', '[':
		o.add(key, "must be a string")
		return nil
	}
	return &s
}

// word returns a member that is a name or a number, without spaces around it; "" for one that was left out.
func (o *object) word(key string) string {
	if s := o.text(key); s != nil {
		return strings.TrimSpace(*s)
	}
	return ""
}

// required is word for a member that must be there.
func (o *object) required(key, example string) string {
	s := o.word(key)
	if s == "" {
		o.add(key, "is missing; it must be such as %s", example)
	}
	return s
}

// flag returns a member that is true or false; nil for one that was left out.
func (o *object) flag(key string) *bool {
	s := o.word(key)
	value, ok := parseFlag(s)
	switch {
	case s == "":
		return nil
	case !ok:
		o.add(key, "%q must be true or false", clip(s))
		return nil
	}
	return &value
}

func parseFlag(s string) (value, ok bool) {
	switch strings.ToLower(s) {
	case "true", "1":
		return true, true
	case "false", "0":
		return false, true
	}
	return false, false
}

func (o *object) add(key, format string, args ...any) {
	o.wrong = append(o.wrong, registry.FieldError{Field: o.name + "." + key, Message: fmt.Sprintf(format, args...)})
}

// same refuses a member that would rename what the path names.
func (o *object) same(key, have string, equal func(said string) bool) {
	if said := o.word(key); said != "" && !equal(said) {
		o.add(key, "%q is not %q, and nothing can be renamed; make a new one", clip(said), clip(have))
	}
}

// err is all that is wrong with the object, or nil.
func (o *object) err() error {
	if len(o.wrong) == 0 {
		return nil
	}
	return &registry.Error{Kind: registry.Invalid, Msg: fmt.Sprintf("the request has %d mistakes", len(o.wrong)), Fields: o.wrong}
}
