// Package tfe2e runs the real Terraform and the real OpenTofu against a whole server: each way to read the registry,
// as a user has it. The AWS provider is a stub.
package tfe2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/internal/tftest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

// world is a server and somebody who publishes to it.
type world struct {
	*servertest.Server
	ci *client.Client
	// reader is the secret of a token that may read cargomedia/*.
	reader string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s := servertest.New(t)
	return &world{Server: s, ci: s.Client(t, s.Token(t, "ci", "promote", "cargomedia/*")), reader: s.Token(t, "reader", "read", "cargomedia/*")}
}

// amis are the AMI ids of a version, by region.
func amis(version string) map[string]string {
	id := strings.ReplaceAll(version, ".", "")
	return map[string]string{"eu-west-1": "ami-0e" + id, "us-east-1": "ami-0f" + id}
}

// publish records a version with [amis], and moves channels to it.
func (w *world) publish(t *testing.T, artifact, version string, channels ...string) {
	t.Helper()
	build := registry.Build{
		Type: registry.AmazonImage, Component: "amazon-ebs.app", Architecture: "x86_64", Metadata: registry.Metadata{"os": "debian-12"},
	}
	for region, id := range amis(version) {
		build.Images = append(build.Images, registry.Image{Provider: "aws", Region: region, ID: id})
	}
	w.publishBuild(t, artifact, version, build, channels...)
}

// publishFile records a version with one file.
func (w *world) publishFile(t *testing.T, artifact, version, name, content string) {
	t.Helper()
	file, err := w.ci.Upload(t.Context(), artifact, name, strings.NewReader(content), nil)
	if err != nil {
		t.Fatal(err)
	}
	w.publishBuild(t, artifact, version, registry.Build{
		Type: "archive", Component: "file.app", Files: []registry.File{file},
	})
}

func (w *world) publishBuild(t *testing.T, artifact, version string, build registry.Build, channels ...string) {
	t.Helper()
	_, err := w.ci.Publish(t.Context(), artifact, registry.Publication{
		Fingerprint: "run-" + version, Version: version, Channels: channels, Build: build,
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) revoke(t *testing.T, artifact, version, reason string) {
	t.Helper()
	if _, err := w.ci.Revoke(t.Context(), artifact, version, registry.RevokeRequest{Reason: reason}); err != nil {
		t.Fatal(err)
	}
}

// says checks that a client said all texts, wherever it broke its lines.
func says(t *testing.T, out string, texts ...string) {
	t.Helper()
	flat := tftest.Flat(out)
	for _, text := range texts {
		if !strings.Contains(flat, tftest.Flat(text)) {
			t.Errorf("it did not say %q:\n%s", text, out)
		}
	}
}

// plan is what a client would do.
type plan struct {
	// Text is what it shows to a person.
	Text string
	// Actions are "no-op", "create", "update", "delete create" …, by the address of a resource.
	Actions map[string]string
}

// planOf plans, which has to succeed.
func planOf(t *testing.T, w *tftest.Workspace) plan {
	t.Helper()
	p := plan{Text: w.MustRun("plan", "-out=plan.bin"), Actions: map[string]string{}}
	var shown struct {
		Changes []struct {
			Address string `json:"address"`
			Change  struct {
				Actions []string `json:"actions"`
			} `json:"change"`
		} `json:"resource_changes"`
	}
	out := w.MustRun("show", "-json", "plan.bin")
	if err := json.Unmarshal([]byte(out), &shown); err != nil {
		t.Fatalf("show -json: %v\n%s", err, out)
	}
	for _, c := range shown.Changes {
		p.Actions[c.Address] = strings.Join(c.Change.Actions, " ")
	}
	return p
}

// want checks what the plan does with a resource.
func (p plan) want(t *testing.T, address, actions string) {
	t.Helper()
	if got := p.Actions[address]; got != actions {
		t.Errorf("the plan of %s is %q, want %q:\n%s", address, got, actions, p.Text)
	}
}

// instance is a machine with an image. guarded ones ignore changes of it.
func instance(label, ami string, guarded bool) string {
	var lifecycle string
	if guarded {
		lifecycle = "\n  lifecycle {\n    ignore_changes = [ami]\n  }"
	}
	return fmt.Sprintf("resource \"aws_instance\" %q {\n  ami           = %s\n  instance_type = \"t3.micro\"%s\n}\n", label, ami, lifecycle)
}
