package registry_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// tiny is the artifact of the tests of boxes.
const tiny = "acme/tiny"

// boxWith is a box whose metadata.json is given, with a disk beside it.
func boxWith(t *testing.T, metadata, disk string) []byte {
	t.Helper()
	var b bytes.Buffer
	zipped := gzip.NewWriter(&b)
	archive := tar.NewWriter(zipped)
	for _, member := range [][2]string{{"metadata.json", metadata}, {"disk.vmdk", disk}} {
		if member[1] == "" {
			continue
		}
		if err := archive.WriteHeader(&tar.Header{Name: member[0], Mode: 0o600, Size: int64(len(member[1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(member[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func virtualbox(t *testing.T, disk string) []byte {
	t.Helper()
	return boxWith(t, `{"provider":"virtualbox"}`, disk)
}

// open makes the artifact and a version of it that is held.
func (w *world) open(ctx context.Context, version string) registry.Version {
	w.t.Helper()
	if _, _, err := w.DescribeArtifact(ctx, tiny, registry.ArtifactDetails{}); err != nil {
		w.t.Fatal(err)
	}
	v, err := w.OpenVersion(ctx, tiny, registry.VersionRequest{Version: version})
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

func pendingBox(provider, architecture string) registry.PendingBox {
	return registry.PendingBox{Component: registry.BoxComponent(provider, architecture), Provider: provider, Architecture: architecture}
}

func (w *world) announce(ctx context.Context, version string, box registry.PendingBox) registry.Version {
	w.t.Helper()
	v, err := w.AnnounceBox(ctx, tiny, version, box)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

func (w *world) grant(ctx context.Context, version, component string) string {
	w.t.Helper()
	secret, err := w.GrantBoxUpload(ctx, tiny, version, component)
	if err != nil {
		w.t.Fatal(err)
	}
	return secret
}

// receive sends bytes as somebody who has nothing but the secret.
func (w *world) receive(secret string, content []byte) registry.Arrival {
	w.t.Helper()
	receipt, err := w.Receive(w.t.Context(), secret, int64(len(content)), bytes.NewReader(content))
	if err != nil {
		w.t.Fatal(err)
	}
	return receipt
}

// sendBox announces a box and sends its bytes.
func (w *world) sendBox(ctx context.Context, version string, box registry.PendingBox, content []byte) registry.Arrival {
	w.t.Helper()
	w.announce(ctx, version, box)
	return w.receive(w.grant(ctx, version, box.Component), content)
}

func (w *world) release(ctx context.Context, version string) registry.Version {
	w.t.Helper()
	v, err := w.ReleaseVersion(ctx, tiny, version)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

func (w *world) version(ctx context.Context, ref string) registry.Version {
	w.t.Helper()
	v, err := w.Version(ctx, tiny, ref)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// elsewhere is a box whose bytes another server has.
func elsewhere(provider, architecture, url string) registry.Build {
	return registry.Build{
		Component: registry.BoxComponent(provider, architecture), Type: registry.VagrantBox, Provider: provider, Architecture: architecture,
		Images: []registry.Image{{Provider: "url", ID: url}},
	}
}

// amiFor is a publication of an AMI into a version.
func amiFor(v registry.Version) registry.Publication {
	pub := amis("run", "amazon-ebs.app", "us-east-1")
	pub.Fingerprint = v.Fingerprint
	return pub
}

func (w *world) addBox(ctx context.Context, version string, b registry.Build) registry.Version {
	w.t.Helper()
	v, err := w.AddBox(ctx, tiny, version, b)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// actions are those of all events about an artifact, in their order.
func (w *world) actions(ctx context.Context) []string {
	w.t.Helper()
	page, err := w.Events(ctx, 0, 500)
	if err != nil {
		w.t.Fatal(err)
	}
	var actions []string
	for _, e := range page.Events {
		text := e.Action + " by " + e.Actor
		if e.Number > 0 {
			text += " of " + strconv.FormatInt(e.Number, 10) + " " + e.Detail["version"] + " " + e.Detail["component"]
		}
		actions = append(actions, strings.TrimSpace(text))
	}
	return actions
}

func components(v registry.Version) (built, pending []string) {
	for _, b := range v.Builds {
		built = append(built, b.Component)
	}
	for _, b := range v.Pending {
		pending = append(pending, b.Component)
	}
	return built, pending
}

func wantBoxes(t *testing.T, v registry.Version, built, pending []string) {
	t.Helper()
	gotBuilt, gotPending := components(v)
	if diff := cmp.Diff([][]string{built, pending}, [][]string{gotBuilt, gotPending}, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("builds and pending boxes (-want +got):\n%s", diff)
	}
}
