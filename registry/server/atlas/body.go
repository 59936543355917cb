package atlas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// object is what a client says of one thing. Members that nobody knows are not looked at, and null is as good as left
// out.
type object struct {
	// at is the path of the object in the body.
	at      string
	members map[string]json.RawMessage
	// wrong is shared with the objects that it is in.
	wrong *[]registry.FieldError
}

// readObject reads a body that is {"NAME": {…}}. Its Content-Type does not matter: atlas-go does not always send one.
func (d *door) readObject(w http.ResponseWriter, r *http.Request, name string) (object, error) {
	body, err := d.host.ReadBody(w, r, maxBody)
	if err != nil {
		return object{}, err
	}
	return parseObject(body, name)
}

// parseObject reads a body. One that is empty, or has no such member, is an object without members.
func parseObject(body []byte, name string) (object, error) {
	o := object{at: name, wrong: new([]registry.FieldError)}
	if len(bytes.TrimSpace(body)) == 0 {
		return o, nil
	}
	if !utf8.Valid(body) {
		return o, registry.Errorf(registry.Invalid, "the body is not valid UTF-8")
	}
	var outer map[string]json.RawMessage
	if err := json.Unmarshal(body, &outer); err != nil {
		return o, registry.Errorf(registry.Invalid, `the body must be a JSON object such as {"%s": {…}}: %s`, name, strings.TrimPrefix(err.Error(), "json: "))
	}
	if given(outer[name]) && json.Unmarshal(outer[name], &o.members) != nil {
		return o, registry.BadField(name, registry.Errorf(registry.Invalid, "must be an object"))
	}
	return o, nil
}

func given(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

// field is the path of a member.
func (o object) field(key string) string { return o.at + "." + key }

// entry is the path of an entry of a member that is an object.
func (o object) entry(key, of string) string { return fmt.Sprintf("%s[%q]", o.field(key), clip(of)) }

// add records a mistake. More than the registry tells of one request are left out.
func (o object) add(field, format string, args ...any) {
	if len(*o.wrong) < registry.MaxProblems {
		*o.wrong = append(*o.wrong, registry.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
	}
}

// err is all that is wrong with the body, or nil.
func (o object) err() error {
	if len(*o.wrong) == 0 {
		return nil
	}
	return &registry.Error{Kind: registry.Invalid, Msg: "the request has mistakes", Fields: *o.wrong}
}

// text returns a string; "" for one that is left out.
func (o object) text(key string) string {
	var s string
	if raw := o.members[key]; given(raw) && json.Unmarshal(raw, &s) != nil {
		o.add(o.field(key), "must be a string")
	}
	return s
}

// required is text for a member that must be there.
func (o object) required(key, example string) string {
	wrong := len(*o.wrong)
	s := o.text(key)
	if s == "" && len(*o.wrong) == wrong {
		o.add(o.field(key), "is missing; it must be such as %q", example)
	}
	return s
}

// flag returns true or false; false for what is left out.
func (o object) flag(key string) bool {
	var b bool
	if raw := o.members[key]; given(raw) && json.Unmarshal(raw, &b) != nil {
		o.add(o.field(key), "must be true or false")
	}
	return b
}

// whole returns a whole number; 0 for one that is left out.
func (o object) whole(key string) int64 {
	raw := o.members[key]
	if !given(raw) {
		return 0
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		o.add(o.field(key), "must be a whole number")
	}
	return n
}

// texts returns an object whose values are strings. Of another value, its key is named.
func (o object) texts(key string) registry.Metadata {
	values := registry.Metadata{}
	var members map[string]json.RawMessage
	if raw := o.members[key]; given(raw) && json.Unmarshal(raw, &members) != nil {
		o.add(o.field(key), "must be an object whose values are strings")
		return values
	}
	for _, of := range slices.Sorted(maps.Keys(members)) {
		var value *string
		if json.Unmarshal(members[of], &value) != nil || value == nil {
			o.add(o.entry(key, of), "must be a string; put quotes around %s", clip(string(members[of])))
			continue
		}
		values[of] = *value
	}
	return values
}

// list returns the objects of a list.
func (o object) list(key string) []object {
	var entries []map[string]json.RawMessage
	if raw := o.members[key]; given(raw) && json.Unmarshal(raw, &entries) != nil {
		o.add(o.field(key), "must be a list of objects")
		return nil
	}
	objects := make([]object, len(entries))
	for i, members := range entries {
		objects[i] = object{fmt.Sprintf("%s[%d]", o.field(key), i), members, o.wrong}
	}
	return objects
}
