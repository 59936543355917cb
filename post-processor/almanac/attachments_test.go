package almanac_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

const cycloneDX = `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[{"type":"library","name":"openssl","version":"3.0.1"}]}`

// attached are the attachments of the one build, as "name kind format".
func attached(t *testing.T, s *servertest.Server) []string {
	t.Helper()
	v, err := s.Client(t, s.AdminToken).Version(t.Context(), "cargomedia/app", "1")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, a := range v.Builds[0].Attachments {
		list = append(list, strings.TrimSpace(a.Name+" "+string(a.Kind)+" "+a.Format))
	}
	return list
}

func TestDocumentsAreStoredWithTheBuild(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	write(t, cycloneDX, "out", "sbom.cdx.json")
	write(t, "no finding", "scan.txt")
	shown := record(t, options{"artifact": "cargomedia/app", "sbom": "out/sbom.cdx.json", "attach": []any{"scan.txt"}}, core("amazon-ebs", "app"), ami())
	if diff := cmp.Diff([]string{"sbom.cdx.json sbom CycloneDX 1.6", "scan.txt document"}, attached(t, s)); diff != "" {
		t.Errorf("attachments (-want +got):\n%s", diff)
	}
	if got := recorded(t, s); got != "amazon.image | aws/eu-west-1/ami-1<ami-0 |" {
		t.Errorf("recorded: got %q, want the AMI without files", got)
	}
	if !strings.Contains(shown, "scan.txt: 10 bytes, sha256 ") || !strings.Contains(shown, ", attached as sbom") {
		t.Errorf("shown:\n%s\nwant the documents", shown)
	}
}

// A build without a document that belongs to it is not recorded silently, and not lost.
func TestDocumentsThatCannotBeRecorded(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	p := newProxy(t, s)
	write(t, cycloneDX, "good.cdx.json")
	write(t, `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[{"type":"library"}]}`, "bad.cdx.json")
	if err := os.Mkdir("dir", 0o755); err != nil {
		t.Fatal(err)
	}
	shown := record(t, options{"artifact": "cargomedia/app", "sbom": []any{"good.cdx.json", "bad.cdx.json", "gone.json"}, "attach": []any{"dir"}}, core("amazon-ebs", "app"), ami())
	for _, want := range []string{"NOT RECORDED", "sbom[1]: bad.cdx.json ", "sbom[2]: ", "gone.json: no such file", "attach[0]: dir is a directory; attach the files in it", "It lacks these documents, and so will the recorded build: bad.cdx.json, gone.json, dir."} {
		if !strings.Contains(shown, want) {
			t.Errorf("shown:\n%s\nwant %q in it", shown, want)
		}
	}
	if strings.Contains(p.traffic(), "POST") {
		t.Errorf("something was sent:\n%s", p.traffic())
	}
	send(t, s, publishFile(t, cwd(t), shown))
	if diff := cmp.Diff([]string{"good.cdx.json sbom CycloneDX 1.6"}, attached(t, s)); diff != "" {
		t.Errorf("attachments (-want +got):\n%s", diff)
	}
}

func TestThePublishFileHasTheDocuments(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	write(t, cycloneDX, "sbom.cdx.json")
	p := newProxy(t, s)
	p.answer(away)
	shown := record(t, options{"artifact": "cargomedia/app", "sbom": "sbom.cdx.json", "retry_timeout": "10ms"}, core("amazon-ebs", "app"), ami())
	send(t, s, publishFile(t, cwd(t), shown))
	if diff := cmp.Diff([]string{"sbom.cdx.json sbom CycloneDX 1.6"}, attached(t, s)); diff != "" {
		t.Errorf("attachments (-want +got):\n%s", diff)
	}
}

func TestMistakesInTheNamesOfDocuments(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	for _, c := range []struct {
		sbom, attach []any
		want         string
	}{
		{[]any{""}, nil, "sbom[0]: is empty"},
		{[]any{"a.json", "./a.json"}, nil, `sbom[1]: "./a.json" is there twice, at sbom[0], too`},
		{[]any{"a.json"}, []any{"b", filepath.Join(cwd(t), "a.json")}, "is there twice, at sbom[0], too"},
		{nil, make([]any, 101), "attach: there are 101 documents"},
		{[]any{"made-later.json", "<unknown>.json"}, nil, ""},
	} {
		for i := range c.attach {
			if c.attach[i] == nil {
				c.attach[i] = strings.Repeat("x", i+1)
			}
		}
		got := configure(options{"artifact": "cargomedia/app", "sbom": c.sbom, "attach": c.attach}, core("x", "app"))
		if !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("got %q, want %q in it", got, c.want)
		}
	}
}

func TestNamesOfDocumentsHoldNoSecrets(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	sensitive := core("amazon-ebs", "app")
	sensitive["packer_user_variables"], sensitive["packer_sensitive_variables"] = decoded{"password": "hunter22"}, []any{"password"}
	got := configure(options{"artifact": "cargomedia/app", "attach": "hunter22.txt"}, sensitive)
	if !strings.Contains(got, `attach[0]: the file's name holds the value of the sensitive variable "password"`) || strings.Contains(got, "hunter22") {
		t.Errorf("got %q, want the name refused", got)
	}
	shown := recordHCL2(t, `artifact = "cargomedia/app"
		attach = ["<unknown>.txt"]`, `artifact = "cargomedia/app"
		attach = ["pw-secret-1.txt"]`, secretive())
	if !strings.Contains(shown, "attach[0]: holds the build's Password") || strings.Contains(shown, "secret-1") {
		t.Errorf("shown:\n%s\nwant the document refused without the secret", shown)
	}
	send(t, s, publishFile(t, cwd(t), shown))
}

// A file of the artifact may be a document about it, too.
func TestADocumentMayBeAFileOfTheBuild(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	path := write(t, "x", cwd(t), "notes.txt")
	record(t, options{"artifact": "cargomedia/app", "attach": path}, core("file", "app"), &product{builderID: "packer.file", files: []string{path}})
	if got := recorded(t, s); got != "archive | | notes.txt" {
		t.Errorf("recorded: got %q", got)
	}
	if diff := cmp.Diff([]string{"notes.txt " + string(registry.AttachmentDocument)}, attached(t, s)); diff != "" {
		t.Errorf("attachments (-want +got):\n%s", diff)
	}
}
