package almanac_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/publishfile"
	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/post-processor/almanac"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// amiCalled is an AMI of eu-west-1 with another id.
func amiCalled(id string) *product {
	a := ami()
	a.state[stateImages] = image("aws", "eu-west-1", id, "ami-0", nil)
	return a
}

// pendingFiles reads the publish files in a directory.
func pendingFiles(t *testing.T, dir string, want int) []publishfile.File {
	t.Helper()
	paths, err := publishfile.Pending(dir)
	if err != nil || len(paths) != want {
		t.Fatalf("got the publish files %v, %v; want %d", paths, err, want)
	}
	var files []publishfile.File
	for _, path := range paths {
		f, err := publishfile.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// A pipeline with two components that is run twice while the registry is away.
func TestASecondRunWhileTheRegistryIsAwayMakesAWholeVersion(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "promote"))
	p := newProxy(t, s)
	p.answer(away)
	for run := range 2 {
		t.Setenv("PACKER_RUN_UUID", fmt.Sprintf("11111111-2222-3333-4444-%012d", run))
		for _, name := range []string{"a", "b"} {
			record(t, options{
				"artifact": "cargomedia/app", "fingerprint": "pipeline-7", "version": "1.4.0", "expect": []any{"x.a", "x.b"}, "retry_timeout": "10ms",
			}, core("x", name), amiCalled(fmt.Sprintf("ami-%d%s", run, name)))
		}
	}
	for i, f := range pendingFiles(t, ".", 4) {
		receipt, err := f.Send(t.Context(), s.Client(t, s.AdminToken), nil)
		wantNumber, wantStatus := int64(i/2+1), []registry.Status{registry.StatusOpen, registry.StatusComplete}[i%2]
		if err != nil || receipt.Number != wantNumber || receipt.Status != wantStatus {
			t.Errorf("file %d: got %+v, %v; want number %d, %s", i, receipt, err, wantNumber, wantStatus)
		}
	}
}

// The registry has the first run already when the second is refused.
func TestASecondRunThatIsRefusedMakesAWholeVersion(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "promote"))
	block := options{"artifact": "cargomedia/app", "fingerprint": "pipeline-7", "expect": []any{"x.a", "x.b"}}
	second := map[string]*almanac.PostProcessor{}
	t.Setenv("PACKER_RUN_UUID", "11111111-2222-3333-4444-000000000002")
	for _, name := range []string{"a", "b"} {
		second[name] = new(almanac.PostProcessor)
		if err := second[name].Configure(block, core("x", name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PACKER_RUN_UUID", "11111111-2222-3333-4444-000000000001")
	for _, name := range []string{"a", "b"} {
		record(t, block, core("x", name), amiCalled("ami-1"+name))
	}
	t.Setenv("PACKER_RUN_UUID", "11111111-2222-3333-4444-000000000002")
	for _, name := range []string{"a", "b"} {
		u, shown := ui()
		if _, _, _, err := second[name].PostProcess(t.Context(), u, amiCalled("ami-2"+name)); err != nil || !strings.Contains(shown.String(), "makes a new version. Other builds of this run that have to be moved go there, too.") {
			t.Errorf("%v; shown:\n%s", err, shown)
		}
	}
	for _, f := range pendingFiles(t, ".", 2) {
		if _, err := f.Send(t.Context(), s.Client(t, s.AdminToken), nil); err != nil {
			t.Error(err)
		}
	}
	if v := version(t, s, "cargomedia/app", "2"); v.Status != registry.StatusComplete || len(v.Builds) != 2 {
		t.Errorf("got %+v, want the whole second run", v)
	}
}

// A template that uses one source twice: nothing else of the run comes to the second one's version.
func TestTheSecondOfOneComponentExpectsNothing(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "promote"))
	p := newProxy(t, s)
	p.answer(away)
	for _, fingerprint := range []string{"", "pipeline-7"} {
		t.Run("with the fingerprint "+fingerprint, func(t *testing.T) {
			t.Chdir(t.TempDir())
			block := options{"artifact": "cargomedia/app", "fingerprint": fingerprint, "expect": []any{"x.app", "x.b"}, "retry_timeout": "10ms"}
			record(t, block, core("x", "app"), amiCalled("ami-1"))
			shown := record(t, block, core("x", "app"), amiCalled("ami-2"))
			if !strings.Contains(shown, "is for another build. It leaves out expect, because no other build goes there.") {
				t.Errorf("shown:\n%s", shown)
			}
			files := pendingFiles(t, ".", 2)
			if first, second := files[0].Publication, files[1].Publication; len(first.Expect) != 2 || len(second.Expect) != 0 || first.Fingerprint == second.Fingerprint {
				t.Errorf("got %+v and %+v", first, second)
			}
		})
	}
}

func TestBuildsThatFailAtOnceHaveAFileEach(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	for range 5 {
		dir := t.TempDir()
		t.Chdir(dir)
		p := newProxy(t, s)
		var pps []*almanac.PostProcessor
		for range 2 {
			pp := new(almanac.PostProcessor)
			if err := pp.Configure(options{"artifact": "cargomedia/app", "retry_timeout": "10ms"}, core("x", "app")); err != nil {
				t.Fatal(err)
			}
			pps = append(pps, pp)
		}
		var both sync.WaitGroup
		both.Add(2)
		p.answer(func(w http.ResponseWriter, _ *http.Request) bool {
			both.Done()
			both.Wait()
			return problem(http.StatusForbidden, `{"kind":"forbidden","status":403,"detail":"no"}`)(w, &http.Request{})
		})
		var group sync.WaitGroup
		for i, pp := range pps {
			group.Go(func() {
				u, _ := ui()
				if _, _, _, err := pp.PostProcess(context.Background(), u, amiCalled(fmt.Sprint("ami-", i))); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		pendingFiles(t, dir, 2)
	}
}

func TestTwoRegistriesHaveAFileEach(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	var addresses []string
	for range 2 {
		p := newProxy(t, s)
		p.answer(away)
		shown := record(t, options{"artifact": "cargomedia/app", "address": p.URL, "retry_timeout": "10ms"}, core("x", "app"), ami())
		if strings.Contains(shown, "new fingerprint") {
			t.Errorf("shown:\n%s", shown)
		}
		addresses = append(addresses, p.URL)
	}
	for i, f := range pendingFiles(t, ".", 2) {
		if f.Address != addresses[i] {
			t.Errorf("got %s, want %s", f.Address, addresses[i])
		}
	}
}

func TestAFileThatCannotBeReadIsNotOverwritten(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	p := newProxy(t, s)
	p.answer(away)
	const later = `{"almanac_publish_file":2,"x":"another build of a later plugin"}`
	name := publishfile.Name(p.URL, "cargomedia/app", "11111111-2222-3333-4444-555555555555", "x.app")
	write(t, later, name)
	shown := record(t, options{"artifact": "cargomedia/app", "retry_timeout": "10ms"}, core("x", "app"), ami())
	if content, err := os.ReadFile(name); err != nil || string(content) != later {
		t.Errorf("got %q, %v; want it left alone", content, err)
	}
	paths, err := publishfile.Pending(".")
	if err != nil || len(paths) != 2 || !strings.Contains(shown, name+" is for another build") {
		t.Errorf("got %v, %v; shown:\n%s", paths, err, shown)
	}
}
