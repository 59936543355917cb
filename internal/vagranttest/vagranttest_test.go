package vagranttest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

func TestVagrant(t *testing.T) {
	t.Setenv("VAGRANT_CLOUD_TOKEN", "of the one who runs the tests")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	box := TinyBox(t, `{"provider":"virtualbox"}`)
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	defer server.Close()
	mux.HandleFunc("GET /acme/tiny", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("a token of this machine was sent")
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"name":"acme/tiny","versions":[{"version":"1.0.0","providers":[{"name":"virtualbox","url":%q}]}]}`, server.URL+"/tiny.box")
	})
	mux.HandleFunc("GET /tiny.box", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, box.Path) })
	v := New(t, server.URL)
	v.Vagrantfile(t, "acme/tiny", "~> 1.0")

	t.Run("a machine that runs nowhere gets its box", func(t *testing.T) {
		v.MustRun(t, "up")
		if got := v.Installed(t, "acme/tiny", "1.0.0", "virtualbox", "disk.vmdk"); got != string(box.Disk) {
			t.Error("another box is installed than was served")
		}
	})

	t.Run("what fails says so", func(t *testing.T) {
		if said := v.MustFail(t, "box", "add", "acme/none"); !strings.Contains(said, "could not be found") {
			t.Errorf("got %s", said)
		}
	})
}

func TestPacker(t *testing.T) {
	p := NewPacker(t)
	p.Write(t, "none.json", `{"builders":[{"type":"null","communicator":"none"}],
		"post-processors":[[{"type":"shell-local","inline":["echo made > made.txt"]}]]}`)
	p.MustRun(t, "build", "none.json")
	if _, err := os.Stat(p.Dir + "/made.txt"); err != nil {
		t.Error(err)
	}
}
