package e2e

import (
	"fmt"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/vagranttest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// steps are where a publication can break off: the server got what is named here, or half of it, and nothing after it.
var steps = []struct {
	name    string
	trouble trouble
}{
	{"when the version was made", trouble{method: "POST", path: "/versions"}},
	{"when the provider was made", trouble{method: "POST", path: "/providers"}},
	{"when an upload was granted", trouble{method: "GET", path: "/upload/direct"}},
	{"amid the bytes", trouble{method: "PUT", path: "/box-uploads/", half: true}},
	{"when the bytes were sent", trouble{method: "PUT", path: "/box-uploads/"}},
	{"when the upload was confirmed", trouble{method: "PUT", path: "/complete"}},
	{"when it was released", trouble{method: "PUT", path: "/release"}},
}

func TestAPublicationThatBreaksOffIsRepeated(t *testing.T) {
	t.Parallel()
	w := newBoxWorld(t)
	for client, publish := range map[string]func(t *testing.T, front *window, artifact string, b vagranttest.Box) vagranttest.Result{
		"vagrant": func(t *testing.T, front *window, artifact string, b vagranttest.Box) vagranttest.Result {
			v := vagranttest.New(t, front.URL, "VAGRANT_CLOUD_TOKEN="+w.publisher)
			return v.Run(t, "cloud", "publish", artifact, "1.0.0", "virtualbox", b.Path, "--force", "--release")
		},
		"packer": func(t *testing.T, front *window, artifact string, b vagranttest.Box) vagranttest.Result {
			return publishThrough(t, front, w, artifact, b)
		},
	} {
		for i, step := range steps {
			if client == "packer" && step.trouble.path == "/box-uploads/" {
				continue // it tries for half a minute; TestOldPackerSendsABoxAgain has it succeed
			}
			t.Run("by "+client+", "+step.name, func(t *testing.T) {
				t.Parallel()
				artifact := fmt.Sprintf("acme/%s-%d", client, i)
				w.artifact(t, artifact, false)
				front := newWindow(t, w.server.URL)
				b := vagranttest.NewBox(t, `{"provider":"virtualbox","architecture":"amd64"}`, 1<<16)
				trouble := step.trouble
				front.set(&trouble)
				first := publish(t, front, artifact, b)
				if met := front.set(nil); !met || first.Code == 0 {
					t.Fatalf("trouble was met: %v; exit code %d\n%s", met, first.Code, first.Output)
				}
				offered, err := w.admin.Versions(t.Context(), artifact, registry.VersionFilter{Offered: true})
				if err != nil || len(offered.Versions) > 0 && step.trouble.path != "/release" {
					t.Errorf("offered: %+v, %v", offered.Versions, err)
				}
				if again := publish(t, front, artifact, b); again.Code != 0 {
					t.Fatalf("exit code %d\n%s", again.Code, again.Output)
				}
				w.has(t, artifact, "1.0.0", b)
			})
		}
	}
}

func TestOldPackerSendsABoxAgain(t *testing.T) {
	t.Parallel()
	w := newBoxWorld(t)
	for name, half := range map[string]bool{"that was cut off": true, "whose arrival was not confirmed": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			artifact := fmt.Sprintf("acme/again-%v", half)
			w.artifact(t, artifact, false)
			front := newWindow(t, w.server.URL)
			front.set(&trouble{method: "PUT", path: "/box-uploads/", half: half, once: true})
			b := vagranttest.NewBox(t, `{"provider":"virtualbox","architecture":"amd64"}`, 1<<16)
			if r := publishThrough(t, front, w, artifact, b); !front.set(nil) || r.Code != 0 {
				t.Fatalf("exit code %d\n%s", r.Code, r.Output)
			}
			w.has(t, artifact, "1.0.0", b)
		})
	}
}

// publishThrough publishes a box as version 1.0.0 with Packer 1.6.
func publishThrough(t *testing.T, front *window, w *boxWorld, artifact string, b vagranttest.Box) vagranttest.Result {
	t.Helper()
	p := vagranttest.NewPacker(t)
	p.Write(t, "there.box", readAll(t, b.Path))
	p.Write(t, "box.json", fmt.Sprintf(fileTemplate, front.URL+"/api/v1", artifact, "1.0.0", w.publisher, ""))
	return p.Run(t, "build", "box.json")
}
