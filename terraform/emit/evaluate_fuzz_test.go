package emit_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/terraform/emit"
)

// FuzzWholeFile writes resolutions of three types with any text in every place, evaluates everything that is in the
// file, and compares: the object to its last member, and what the data and check blocks ask of the images.
func FuzzWholeFile(f *testing.F) {
	add := func(id, name, fingerprint, architecture, key, value, reason string, size int64) {
		for form := range uint8(len(forms)) {
			f.Add(form, id, name, fingerprint, architecture, key, value, reason, size)
		}
	}
	add("ami-0abc", "app.box", "run-1", "x86_64", "git", "abc", "CVE-2026-1", 734003200)
	for key, value := range hostile().Metadata {
		add(value, key, "run-1", "arm64", key, value, value, -1)
	}
	add("${local.x}", "%{ if true }", "$${a}", "x86_64\"\n}", "metadata", "\x00", "\r\n}\nlocals {}", 9007199254740993)
	add("e\u0301", "\u00e9", "\u2028", "\\u0041", "\ufeff", "\U000e0001", "\u0301", 9223372036854775807)
	add("\xff", "x", "x", "", "", "", "", 0)
	f.Fuzz(func(t *testing.T, form uint8, id, name, fingerprint, architecture, key, value, reason string, size int64) {
		chosen := forms[int(form)%len(forms)]
		r := chosen.resolution()
		switch r.Type {
		case registry.AmazonImage:
			r.AMIs = map[string]string{"eu-west-1": id, "us-gov-east-1": id + "x"}
		case registry.VagrantBox:
			r.Provider, r.Files = id, []registry.File{{Name: name, Size: size, SHA256: r.Files[0].SHA256}, {Name: name + "x"}}
		default:
			r.Images = []registry.Image{{Provider: name, Region: value, ID: id}, {Provider: "gce", ID: id}}
		}
		r.Fingerprint, r.Architecture = fingerprint, architecture
		r.Metadata = registry.Metadata{key: value}
		if reason != "" {
			r.Revocation = &registry.Revocation{At: time.Date(2026, 4, 2, 8, 0, 0, 0, time.UTC), Reason: reason}
		}
		checkWholeFile(t, r, chosen.options)
	})
}

// forms are the kinds of files.
var forms = []struct {
	resolution func() registry.Resolution
	options    emit.Options
}{
	{ami, emit.Options{Style: emit.StyleData, AWSProvider: 6}}, {ami, emit.Options{Style: emit.StyleData, AWSProvider: 5}},
	{ami, emit.Options{Style: emit.StyleLocals}}, {ami, emit.Options{Style: emit.StyleTfvars}},
	{google, emit.Options{Style: emit.StyleLocals}}, {google, emit.Options{Style: emit.StyleTfvars}},
	{box, emit.Options{Style: emit.StyleLocals}}, {box, emit.Options{Style: emit.StyleTfvars}},
}

func checkWholeFile(t *testing.T, r registry.Resolution, o emit.Options) {
	t.Helper()
	content, err := emit.File(r, o)
	want, representable := expectedObject(r)
	if !representable {
		if e, ok := errors.AsType[*registry.Error](err); !ok || e.Kind != registry.Invalid || len(e.Fields) == 0 {
			t.Fatalf("what Terraform cannot hold gives %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	ident := emit.Ident(r.Artifact.Name())
	var value cty.Value
	if o.Style == emit.StyleTfvars {
		value = evaluateTfvars(t, content, ident)
	} else {
		value = evaluateLocals(t, content, ident)
	}
	got := plain(t, value).(map[string]any)
	if o.Style == emit.StyleTfvars { // the header of a file that has no comments
		delete(got, "almanac")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("(-want +got):\n%s\n%s", diff, content)
	}
	if o.Style != emit.StyleTfvars {
		checkBlocks(t, content, r, o, value)
	}
}

// expectedObject is what a file says of a resolution; false where Terraform cannot hold it.
func expectedObject(r registry.Resolution) (map[string]any, bool) {
	ok := true
	text := func(s string) any {
		normal := cty.StringVal(s).AsString()
		ok = ok && strings.ToValidUTF8(s, "") == s
		return normal
	}
	texts := func(m map[string]string) any {
		object := map[string]any{}
		for key, value := range m {
			object[text(key).(string)] = text(value)
		}
		return object
	}
	want := map[string]any{
		"name": text(string(r.Artifact)), "type": text(string(r.Type)), "version": text(r.Version), "number": r.Number,
		"fingerprint": text(r.Fingerprint), "component": text(r.Component), "metadata": texts(r.Metadata),
	}
	for name, s := range map[string]string{"provider": r.Provider, "architecture": r.Architecture} {
		if s != "" {
			want[name] = text(s)
		}
	}
	if r.Revocation != nil {
		want["revoked_at"], want["revocation_message"] = "2026-04-02T08:00:00Z", text(r.Revocation.Reason)
	}
	if r.Type == registry.AmazonImage {
		want["ami_ids"] = texts(r.AMIs)
		return want, ok
	}
	images, files := []any{}, []any{}
	for _, i := range r.Images {
		images = append(images, map[string]any{"provider": text(i.Provider), "region": text(i.Region), "id": text(i.ID)})
	}
	for _, f := range r.Files {
		files = append(files, map[string]any{"name": text(f.Name), "size": f.Size, "sha256": text(string(f.SHA256))})
	}
	want["images"], want["files"] = images, files
	return want, ok
}

// plain turns a value of Terraform into maps, lists, strings and int64.
func plain(t *testing.T, v cty.Value) any {
	t.Helper()
	switch {
	case v.IsNull() || !v.IsWhollyKnown():
		t.Fatalf("a value is %#v", v)
	case v.Type() == cty.String:
		return v.AsString()
	case v.Type() == cty.Number:
		n, exact := v.AsBigFloat().Int64()
		if exact != 0 {
			t.Fatalf("%#v is no whole number of 64 bits", v)
		}
		return n
	case v.Type() == cty.Bool:
		return v.True()
	case v.Type().IsObjectType():
		object := map[string]any{}
		for key, member := range v.AsValueMap() {
			object[key] = plain(t, member)
		}
		return object
	}
	list := []any{}
	for _, element := range v.AsValueSlice() {
		list = append(list, plain(t, element))
	}
	return list
}

// checkBlocks evaluates the data and check blocks for images that are as recorded, and for others.
func checkBlocks(t *testing.T, content []byte, r registry.Resolution, o emit.Options, local cty.Value) {
	t.Helper()
	f, diags := hclsyntax.ParseConfig(content, "app.tf", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	ident := emit.Ident(r.Artifact.Name())
	e := evaluator{t, cty.ObjectVal(map[string]cty.Value{ident: local})}
	read, checks := 0, map[string]*hclsyntax.Body{}
	for _, block := range f.Body.(*hclsyntax.Body).Blocks {
		switch block.Type {
		case "data":
			for region, id := range r.AMIs {
				switch label := block.Labels[1]; {
				case o.AWSProvider == 6 && label == ident, label == ident+"_"+strings.ReplaceAll(region, "-", "_"):
					e.checkData(block.Body, r, o, region, cty.StringVal(id))
					read++
				}
			}
		case "check":
			checks[block.Labels[0]] = block.Body
		}
	}
	wantRead, wantChecks := 0, 0
	if o.Style == emit.StyleData {
		wantRead, wantChecks = len(r.AMIs), 1
		e.checkDeprecation(checks[ident+"_not_deprecated"], r, o, ident)
	}
	if r.Revocation != nil {
		wantChecks++
		e.checkRevocation(checks[ident+"_not_revoked"], r)
	}
	if read != wantRead || len(checks) != wantChecks {
		t.Errorf("%d images are read back and %d checks made, want %d and %d:\n%s", read, len(checks), wantRead, wantChecks, content)
	}
}
