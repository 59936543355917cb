package almanac_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/internal/publishfile"
	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/post-processor/almanac"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// An interrupt makes Packer destroy what was built, so that nothing may be recorded then, or kept to be
// recorded later; or the build is recorded, and kept.
func TestAnInterruptRecordsNothingOrAll(t *testing.T) {
	at := func(path string, cancel func()) func(http.ResponseWriter, *http.Request) bool {
		return func(_ http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, path) {
				cancel()
				time.Sleep(100 * time.Millisecond)
			}
			return false
		}
	}
	file := func(t *testing.T) *product {
		return &product{builderID: "packer.file", files: []string{write(t, "x", t.TempDir(), "x")}}
	}
	for _, c := range []struct {
		name     string
		product  func(*testing.T) *product
		begin    func(cancel func(), p *proxy, pp *almanac.PostProcessor, a *product)
		block    options
		recorded bool
	}{
		{name: "before anything is asked", begin: func(cancel func(), _ *proxy, _ *almanac.PostProcessor, _ *product) { cancel() }},
		{name: "while the artifact is asked for a state", begin: func(cancel func(), _ *proxy, _ *almanac.PostProcessor, a *product) {
			a.state[stateGenerated] = func() { cancel(); time.Sleep(50 * time.Millisecond) }
		}},
		{name: "while AMIs are waited for", block: options{"aws_verify": true}, begin: func(cancel func(), _ *proxy, pp *almanac.PostProcessor, _ *product) {
			almanac.SetVerifier(pp, func(ctx context.Context, images []registry.Image) ([]registry.Image, error) {
				cancel()
				<-ctx.Done()
				return images, ctx.Err()
			})
		}},
		{name: "at an upload", product: file, begin: func(cancel func(), p *proxy, _ *almanac.PostProcessor, _ *product) {
			p.answer(at("/uploads", cancel))
		}},
		{name: "at an upload to a registry that is away", product: file, begin: func(cancel func(), p *proxy, _ *almanac.PostProcessor, _ *product) {
			p.answer(func(w http.ResponseWriter, r *http.Request) bool {
				time.AfterFunc(200*time.Millisecond, cancel)
				return away(w, r)
			})
		}},
		{name: "at the publication", recorded: true, begin: func(cancel func(), p *proxy, _ *almanac.PostProcessor, _ *product) {
			p.answer(at("/publish", cancel))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := servertest.New(t)
			environment(t, s, s.Token(t, "packer", "publish"))
			p := newProxy(t, s)
			a := ami()
			if c.product != nil {
				a = c.product(t)
			}
			block := options{"artifact": "cargomedia/app"}
			for key, value := range c.block {
				block[key] = value
			}
			pp := new(almanac.PostProcessor)
			if err := pp.Configure(block, core("x", "app")); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c.begin(cancel, p, pp, a)
			u, shown := ui()
			_, keep, _, err := pp.PostProcess(ctx, u, a)
			if c.recorded {
				if err != nil || !keep || recorded(t, s) == "" {
					t.Errorf("got keep %t, error %v, recorded %q; want it kept and recorded; shown:\n%s", keep, err, recorded(t, s), shown)
				}
				return
			}
			if !errorIs(err, context.Canceled, "interrupted; the build is not recorded") {
				t.Errorf("got %v, want that it was interrupted", err)
			}
			if got := recorded(t, s); got != "" || strings.Contains(p.traffic(), "/publish ") {
				t.Errorf("recorded: %q; sent:\n%s", got, p.traffic())
			}
			if paths, err := publishfile.Pending("."); err != nil || len(paths) > 0 {
				t.Errorf("got the publish files %v, %v; want none, because Packer destroys the build", paths, err)
			}
		})
	}
}

func errorIs(err, target error, text string) bool {
	return errors.Is(err, target) && strings.Contains(err.Error(), text)
}

// What is sent may be recorded, so that the image is kept, and there is a publish file when it is not.
func TestAnInterruptWhileTheRegistryDoesNotAnswerKeepsTheBuild(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	p := newProxy(t, s)
	pp := new(almanac.PostProcessor)
	if err := pp.Configure(options{"artifact": "cargomedia/app", "retry_timeout": "1s"}, core("x", "app")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p.answer(func(w http.ResponseWriter, r *http.Request) bool {
		cancel()
		return away(w, r)
	})
	u, shown := ui()
	if _, keep, _, err := pp.PostProcess(ctx, u, ami()); err != nil || !keep {
		t.Errorf("got keep %t, error %v; want it kept", keep, err)
	}
	send(t, s, publishFile(t, cwd(t), shown.String()))
}

func TestOnRegistryErrorFail(t *testing.T) {
	for _, c := range []struct {
		name   string
		refuse func(http.ResponseWriter, *http.Request) bool
		unsure bool // whether the build is recorded
	}{
		{"away", away, true},
		{"not allowed", problem(http.StatusForbidden, `{"kind":"forbidden","status":403,"detail":"the token was revoked"}`), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := servertest.New(t)
			environment(t, s, s.Token(t, "packer", "publish"))
			p := newProxy(t, s)
			pp := new(almanac.PostProcessor)
			if err := pp.Configure(options{"artifact": "cargomedia/app", "retry_timeout": "10ms", "on_registry_error": "fail"}, core("x", "app")); err != nil {
				t.Fatal(err)
			}
			p.answer(c.refuse)
			u, shown := ui()
			_, keep, _, err := pp.PostProcess(t.Context(), u, ami())
			if err == nil || keep {
				t.Fatalf("got keep %t, error %v; want an error; shown:\n%s", keep, err, shown)
			}
			for _, want := range []string{`on_registry_error is "fail"`, "AMIs are deregistered and their snapshots deleted, files are removed"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want %q in it", err, want)
				}
			}
			lost := "look with `almanac show cargomedia/app fingerprint:11111111-2222-3333-4444-555555555555 --address " + p.URL
			if strings.Contains(err.Error(), lost) != c.unsure {
				t.Errorf("got %q; whether it says %q should be %t", err, lost, c.unsure)
			}
			if paths, err := publishfile.Pending("."); err != nil || len(paths) > 0 {
				t.Errorf("got the publish files %v, %v; want none", paths, err)
			}
		})
	}
	t.Run("has no other values than two", func(t *testing.T) {
		s := servertest.New(t)
		environment(t, s, s.Token(t, "packer", "publish"))
		got := configure(options{"artifact": "cargomedia/app", "on_registry_error": "abort"}, core("x", "app"))
		if !strings.Contains(got, `on_registry_error: is "abort"; it must be "keep", which`) || !strings.Contains(got, `or "fail", with which Packer destroys`) {
			t.Errorf("got %q, want both values", got)
		}
	})
}
