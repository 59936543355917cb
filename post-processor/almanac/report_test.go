package almanac_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/post-processor/almanac"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestHintsCanBeFollowed(t *testing.T) {
	const secret = "hunter2222"
	invalid := problem(http.StatusUnprocessableEntity, `{"kind":"invalid","status":422,"detail":"no good","fields":[{"field":"build.metadata","message":"x"}]}`)
	for _, c := range []struct {
		name      string
		refuse    func(http.ResponseWriter, *http.Request) bool
		dir       string
		want, not []string
	}{
		{"with a command", away, "out", []string{"start the registry again, then run the command below", "    almanac publish --from "}, []string{"refuses it again"}},
		{"without one", away, secret, []string{"only the answer was lost; if it was not, record what was built with `almanac publish`", "There is no publish file"}, []string{"command below"}},
		{"of what is invalid", invalid, "out", []string{"As it is, the registry refuses it again: mend what is said above first."}, nil},
		{"of what is too large", problem(http.StatusRequestEntityTooLarge, `{"kind":"too_large","status":413,"detail":"at most 1 byte"}`), "out",
			[]string{"As it is, the registry refuses it again"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := servertest.New(t)
			environment(t, s, s.Token(t, "packer", "publish"))
			p := newProxy(t, s)
			p.answer(func(w http.ResponseWriter, r *http.Request) bool {
				return (strings.HasSuffix(r.URL.Path, "/publish") || strings.Contains(c.name, "large")) && c.refuse(w, r)
			})
			from := core("file", "app")
			from["packer_user_variables"], from["packer_sensitive_variables"] = decoded{"password": secret}, []any{"password"}
			file := write(t, "x", t.TempDir(), c.dir, "x")
			shown := record(t, options{"artifact": "cargomedia/app", "retry_timeout": "10ms"}, from, &product{builderID: "packer.file", files: []string{file}})
			for _, want := range c.want {
				if !strings.Contains(shown, want) {
					t.Errorf("shown:\n%s\nwant %q in it", shown, want)
				}
			}
			for _, not := range c.not {
				if strings.Contains(shown, not) {
					t.Errorf("shown:\n%s\nwant no %q in it", shown, not)
				}
			}
		})
	}
}

func TestOriginIsNotWaitedForForEver(t *testing.T) {
	never := make(chan struct{})
	defer close(never)
	begin := time.Now()
	template, values := almanac.OriginAfter(t.Context(), 50*time.Millisecond, "/a/b.json", func() registry.Metadata {
		<-never
		return nil
	})
	if template != "/a/b.json" || values != nil || time.Since(begin) > 5*time.Second {
		t.Errorf("got %q, %v after %s; want the template alone, soon", template, values, time.Since(begin))
	}
	template, values = almanac.OriginAfter(t.Context(), time.Minute, "/a/b.json", func() registry.Metadata { return registry.Metadata{"ci": "x"} })
	if template != "/a/b.json" || values["ci"] != "x" {
		t.Errorf("got %q, %v; want all of it", template, values)
	}
}

func TestCommandsOfWindowsAreInDoubleQuotes(t *testing.T) {
	got := almanac.WindowsCommand([]string{"almanac", "publish", "--from", `C:\Users\Ada L\it's.json`, "--address", "https://almanac.example.com"})
	if want := `almanac publish --from "C:\Users\Ada L\it's.json" --address https://almanac.example.com`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
