package emit_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/terraform/emit"
)

func TestReadPinFindsWhatFileWrote(t *testing.T) {
	for _, style := range []emit.Style{emit.StyleData, emit.StyleLocals, emit.StyleTfvars} {
		t.Run(string(style), func(t *testing.T) {
			r := hostile()
			o := emit.Options{Address: address + "/base", Ref: "~> 1.2", Style: style, Ident: "x"}
			if style == emit.StyleData {
				o.AWSProvider, o.Owners = 5, []string{"self", "123456789012"}
			}
			content := file(t, r, o)
			want := emit.Pin{
				Artifact: r.Artifact, VersionID: r.VersionID, Ref: "~> 1.2", Type: r.Type, Component: r.Component, Architecture: r.Architecture,
				Style: style, AWSProvider: o.AWSProvider, Owners: o.Owners, Ident: "x", Address: o.Address,
			}
			for name, content := range map[string][]byte{"as written": content, "with line ends of Windows": bytes.ReplaceAll(content, []byte("\n"), []byte("\r\n"))} {
				got, ok := emit.ReadPin(content)
				if diff := cmp.Diff(want, got); !ok || diff != "" {
					t.Errorf("%s: %v (-want +got):\n%s", name, ok, diff)
				}
			}
			if diff := cmp.Diff(o, want.Options()); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(registry.Question{Type: "amazon.image", Component: r.Component, Architecture: "x86_64"}, want.Question()); diff != "" {
				t.Errorf("question (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadPinRefusesOtherFiles(t *testing.T) {
	generated := string(file(t, ami(), emit.Options{}))
	for name, content := range map[string]string{
		"empty": "", "own HCL": "locals {}\n", "own JSON": `{"app": {"name": "cargomedia/app"}}`, "an array": "[]", "broken JSON": "{",
		"the marker alone":         "# " + emit.Marker + "\n",
		"the marker further down":  "\n" + generated,
		"a header without version": strings.Replace(generated, "# version", "# vers", 1),
		"a line twice":             strings.Replace(generated, "# type ", "# type          archive\n# type ", 1),
		"another style":            strings.Replace(generated, "# style         data", "# style         yaml", 1),
	} {
		if pin, ok := emit.ReadPin([]byte(content)); ok {
			t.Errorf("%s: %+v", name, pin)
		}
	}
}

func TestTheRefIsWrittenWithoutSpaceAndDefaultsToTheNumber(t *testing.T) {
	r := ami()
	r.Ref = ""
	for ref, want := range map[string]string{"": "4", " staging ": "staging"} {
		if pin, ok := emit.ReadPin(file(t, r, emit.Options{Ref: ref})); !ok || pin.Ref != want {
			t.Errorf("%q: %q, %v", ref, pin.Ref, ok)
		}
	}
}

func FuzzReadPin(f *testing.F) {
	f.Add(file(f, hostile(), emit.Options{Address: address}))
	f.Add(file(f, hostile(), emit.Options{Style: emit.StyleTfvars}))
	f.Fuzz(func(t *testing.T, content []byte) {
		pin, ok := emit.ReadPin(content)
		if !ok {
			return
		}
		if _, err := registry.ParseArtifactName(string(pin.Artifact)); err != nil {
			t.Error(err)
		}
		if err := pin.Options().Validate(pin.Type); err != nil {
			t.Error(err)
		}
	})
}

func TestCheck(t *testing.T) {
	moved := func(r registry.Resolution) registry.Resolution {
		r.VersionID = registry.VersionID{Number: 5, Version: "1.5.0"}
		return r
	}
	other := box()
	other.Ref = "production"
	for _, style := range []emit.Style{emit.StyleData, emit.StyleLocals, emit.StyleTfvars} {
		t.Run(string(style), func(t *testing.T) {
			o := emit.Options{Address: address, Style: style}
			content := file(t, ami(), o)
			check := func(t *testing.T, content []byte, now registry.Resolution, o emit.Options, want ...string) {
				t.Helper()
				err := emit.Check(content, now, o)
				if len(want) == 0 {
					if err != nil {
						t.Error(err)
					}
					return
				}
				if registry.KindOf(err) != registry.Conflict {
					t.Fatalf("got %v", err)
				}
				for _, text := range want {
					if !strings.Contains(err.Error(), text) {
						t.Errorf("got %v\nwant %q in it", err, text)
					}
				}
			}

			t.Run("what would be written now is fine", func(t *testing.T) { check(t, content, ami(), o) })
			t.Run("so is another address of the registry, and none", func(t *testing.T) {
				check(t, content, ami(), emit.Options{Style: style, Address: "http://127.0.0.1:7480"})
				check(t, content, ami(), emit.Options{Style: style})
			})
			t.Run("so are line ends of Windows", func(t *testing.T) {
				check(t, bytes.ReplaceAll(content, []byte("\n"), []byte("\r\n")), ami(), o)
			})
			t.Run("a channel that has moved on", func(t *testing.T) {
				check(t, content, moved(ami()), o,
					"the file pins cargomedia/my-app 1.4.0 (number 4); the channel production points to 1.5.0 (number 5); write it anew with: almanac terraform cargomedia/my-app --ref production")
			})
			t.Run("latest and a constraint that have moved on", func(t *testing.T) {
				for ref, want := range map[string]string{"latest": "; the latest is 1.5.0 (number 5)", "~> 1.2": "; the newest that fits ~> 1.2 is 1.5.0 (number 5)"} {
					o := o
					o.Ref = ref
					check(t, file(t, ami(), o), moved(ami()), o, want)
				}
			})
			t.Run("a change by hand", func(t *testing.T) {
				edited := bytes.Replace(content, []byte("ami-0aaa1111bbbb2222c"), []byte("ami-0fff1111bbbb2222c"), 1)
				check(t, edited, ami(), o, "edited by hand")
				check(t, edited, moved(ami()), o, "edited by hand", "points to 1.5.0")
			})
			t.Run("other options", func(t *testing.T) {
				check(t, content, ami(), emit.Options{Style: style, Ident: "base", Ref: "staging"},
					"generated with other options: ref production, now staging, identifier my_app, now base;")
			})
			t.Run("an image in one more region", func(t *testing.T) {
				r := ami()
				r.AMIs["eu-north-1"] = "ami-0bbb"
				check(t, content, r, o, "has changed since the file was written")
			})
			t.Run("a revocation", func(t *testing.T) {
				r := ami()
				r.Revocation = &registry.Revocation{At: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), Reason: "leak"}
				check(t, content, r, o, "1.4.0 (number 4) is revoked")
			})
			t.Run("a file that is not ours", func(t *testing.T) {
				check(t, []byte("locals {}\n"), ami(), o, "was not generated by almanac")
			})
			if style != emit.StyleData {
				t.Run("another build", func(t *testing.T) {
					check(t, content, other, o, "the file is for cargomedia/my-app (type amazon.image, component amazon-ebs.app), not for cargomedia/my-app (type vagrant.box, component virtualbox-iso.app)")
				})
			}
		})
	}

	t.Run("another style and AWS provider", func(t *testing.T) {
		content := file(t, ami(), emit.Options{})
		err := emit.Check(content, ami(), emit.Options{AWSProvider: 5})
		if registry.KindOf(err) != registry.Conflict || !strings.Contains(err.Error(), "other options: AWS provider 6, now 5;") {
			t.Errorf("got %v", err)
		}
		err = emit.Check(content, ami(), emit.Options{Style: emit.StyleLocals})
		if registry.KindOf(err) != registry.Conflict || !strings.Contains(err.Error(), "other options: style data, now locals;") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("options that are wrong", func(t *testing.T) {
		if err := emit.Check(file(t, ami(), emit.Options{}), ami(), emit.Options{AWSProvider: 3}); registry.KindOf(err) != registry.Invalid {
			t.Errorf("got %v", err)
		}
	})
}
