package publishfile_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/internal/publishfile"
	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// example is a publication of a file, a directory and an attachment that lie in dir.
func example(t *testing.T, dir string) publishfile.File {
	t.Helper()
	write(t, filepath.Join(dir, "out/app.bin"), "the application")
	write(t, filepath.Join(dir, "site/index.html"), "<p>hello")
	write(t, filepath.Join(dir, "notes.txt"), "attached")
	return publishfile.File{
		Address: "https://almanac.example.com", Artifact: "cargomedia/app", WrittenAt: time.Now(), Reason: "the registry was away",
		Publication: registry.Publication{
			Fingerprint: "run-1", Version: "1.4.0",
			Build: registry.Build{Component: "file.app", Type: registry.Archive, Metadata: registry.Metadata{"git": "4f2a1c9"}},
		},
		Files: []publishfile.Content{
			{Path: filepath.Join(dir, "out/app.bin"), File: registry.File{Name: "app.bin"}},
			{Path: filepath.Join(dir, "site"), Dir: true, File: registry.File{Name: "site.tar.gz"}},
		},
		Attachments: []publishfile.Content{{Path: filepath.Join(dir, "notes.txt"), File: registry.File{Name: "notes.txt"}, Kind: registry.AttachmentDocument}},
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestSendRecordsOnceHoweverOftenItIsSent(t *testing.T) {
	s := servertest.New(t)
	c := s.Client(t, s.Token(t, "ci", "publish", "cargomedia/*"))
	dir := t.TempDir()
	path, err := publishfile.Write(t.Context(), dir, example(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	if pending, err := publishfile.Pending(dir); err != nil || !cmp.Equal(pending, []string{path}) {
		t.Fatalf("pending: %v, %v; want %s", pending, err, path)
	}
	// The workspace moves, as that of a CI can.
	moved := filepath.Join(t.TempDir(), "workspace")
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(moved, filepath.Base(path))
	for i := range 3 {
		f, err := publishfile.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		receipt, err := f.Send(t.Context(), c, nil)
		if err != nil || receipt.Number != 1 || receipt.Version != "1.4.0" {
			t.Fatalf("time %d: %+v, %v", i, receipt, err)
		}
		// The second time there is nothing to rename.
		if err := publishfile.MarkRecorded(path); err != nil {
			t.Fatal(err)
		}
	}
	if pending, err := publishfile.Pending(moved); err != nil || len(pending) != 0 {
		t.Errorf("pending after it was recorded: %v, %v", pending, err)
	}
	v, err := c.Version(t.Context(), "cargomedia/app", "1")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range v.Builds[0].Files {
		names = append(names, f.Name)
	}
	for _, a := range v.Builds[0].Attachments {
		names = append(names, a.Name)
	}
	if diff := cmp.Diff([]string{"app.bin", "site.tar.gz", "notes.txt"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestSendRefusesAFileThatChanged(t *testing.T) {
	s := servertest.New(t)
	dir := t.TempDir()
	path, err := publishfile.Write(t.Context(), dir, example(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "site/index.html"), "<p>bye")
	f, err := publishfile.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Send(t.Context(), s.Client(t, s.AdminToken), nil)
	if registry.KindOf(err) != registry.Conflict || !strings.Contains(err.Error(), "is not what was built any more") {
		t.Errorf("got %v", err)
	}
	if _, err := s.Client(t, s.AdminToken).Artifact(t.Context(), "cargomedia/app"); registry.KindOf(err) != registry.NotFound {
		t.Errorf("something was recorded: %v", err)
	}
}

// TestSendTellsNothingOfOtherFiles holds a publish file of somebody else, who chose its paths, to what its
// author knows already, and to an end.
func TestSendTellsNothingOfOtherFiles(t *testing.T) {
	s := servertest.New(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "secret"), "1234")
	guess := registry.SecretDigest("0000")
	for name, test := range map[string]struct {
		content publishfile.Content
		want    string
	}{
		"of another digest":        {publishfile.Content{Path: filepath.Join(dir, "secret"), File: registry.File{Name: "x", Size: 4, SHA256: guess}}, "is not what was built"},
		"that is longer":           {publishfile.Content{Path: filepath.Join(dir, "secret"), File: registry.File{Name: "x", Size: 1, SHA256: guess}}, "is not what was built"},
		"that is a directory":      {publishfile.Content{Path: dir, File: registry.File{Name: "x", Size: 4, SHA256: guess}}, "is not a regular file"},
		"that is packed and large": {publishfile.Content{Path: dir, Dir: true, File: registry.File{Name: "x", Size: 4, SHA256: guess}}, "is not what was built"},
	} {
		t.Run("of one "+name, func(t *testing.T) {
			f := publishfile.File{Artifact: "cargomedia/app", Publication: registry.Publication{Fingerprint: "run-1"}, Files: []publishfile.Content{test.content}}
			_, err := f.Send(t.Context(), s.Client(t, s.AdminToken), nil)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), string(registry.SecretDigest("1234"))) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestWriteLeavesNothingHalf(t *testing.T) {
	dir := t.TempDir()
	f := example(t, dir)
	f.Files[1].Path = filepath.Join(dir, "none")
	if _, err := publishfile.Write(t.Context(), dir, f); err == nil {
		t.Fatal("a content that is not there was accepted")
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(found) > 0 {
		t.Errorf("%v, %v", found, err)
	}
}

func TestNameIsThatOfTheBuild(t *testing.T) {
	name := publishfile.Name("http://one", "cargomedia/app", "run-1", "amazon-ebs.app")
	for _, other := range []string{
		publishfile.Name("http://two", "cargomedia/app", "run-1", "amazon-ebs.app"),
		publishfile.Name("http://one", "cargomedia/app2", "run-1", "amazon-ebs.app"),
		publishfile.Name("http://one", "cargomedia/app", "run-2", "amazon-ebs.app"),
		publishfile.Name("http://one", "cargomedia/app", "run-1", "amazon-ebs.app2"),
	} {
		if other == name {
			t.Errorf("two builds have the name %s", name)
		}
	}
	if got := publishfile.Name("http://one", "cargomedia/app", "run-1", "../../etc/"+strings.Repeat("ü", 200)); strings.ContainsAny(got, "/ü") || len(got) > 160 {
		t.Errorf("a name that is no file name: %s", got)
	}
	for _, device := range []string{"con.app", "NUL.x.y", "com1"} {
		if got := publishfile.Name("http://one", "cargomedia/app", "run-1", device); registry.CheckFileName(got) != nil || !strings.HasSuffix(got, publishfile.Suffix) {
			t.Errorf("%s: a name that is a device: %s", device, got)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"another document":        {`{"bomFormat":"CycloneDX"}`, "is no publish file"},
		"a half document":         {`{"almanac_publish_file":1,"artifact":"car`, "is no publish file"},
		"another format":          {`{"almanac_publish_file":2}`, "has the format 2"},
		"an unknown member":       {`{"almanac_publish_file":1,"artifact":"a/b","tokn":"x"}`, `unknown field "tokn"`},
		"a missing artifact":      {`{"almanac_publish_file":1}`, "artifact"},
		"a missing address":       {`{"almanac_publish_file":1,"artifact":"a/b"}`, "address: is missing"},
		"a digest without a path": {`{"almanac_publish_file":1,"address":"x","artifact":"a/b","publication":{"fingerprint":"f","build":{"component":"c","type":"archive","files":[{"name":"x","size":1,"sha256":"` + strings.Repeat("a", 64) + `"}]}}}`, "publication.build"},
		// Without a digest, the file of somebody else could make this machine send any file it has.
		"a content without digest": {`{"almanac_publish_file":1,"artifact":"a/b","files":[{"path":"/etc/passwd","name":"x","size":3}]}`, "files[0].sha256"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := publishfile.Decode(strings.NewReader(test.text), ".")
			if registry.KindOf(err) != registry.Invalid || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	dir := f.TempDir()
	text, err := publishfile.Encode(f.Context(), dir, publishfile.File{
		Address: "https://almanac.example.com", Artifact: "cargomedia/app", Publication: registry.Publication{Fingerprint: "run-1"},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"almanac_publish_file":1,"artifact":"a/b","files":[{"path":"x","name":"x","size":3,"sha256":"` + strings.Repeat("a", 64) + `"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		decoded, err := publishfile.Decode(bytes.NewReader(text), dir)
		if err != nil {
			return
		}
		for _, c := range append(decoded.Files, decoded.Attachments...) {
			if _, err := registry.ParseDigest(string(c.SHA256)); err != nil {
				t.Errorf("a content without a digest was accepted: %+v", c)
			}
		}
	})
}
