package main

import (
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cargomedia/packer-plugin-almanac/internal/ec2sim"
	"github.com/cargomedia/packer-plugin-almanac/internal/publishfile"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// simKey has a script's EC2.
type simKey struct{}

// simulateEC2 gives a script an EC2 of its own, to which its AWS environment points.
func simulateEC2(env *testscript.Env) {
	sim := ec2sim.New()
	ts := httptest.NewServer(sim)
	env.Defer(ts.Close)
	env.Values[simKey{}] = sim
	env.Setenv("AWS_ENDPOINT_URL", ts.URL)
	env.Setenv("AWS_ACCESS_KEY_ID", "test")
	env.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	env.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

// ami makes an AMI of the account, and sets a variable to its id.
func ami(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: ami REGION NAME VARIABLE")
	}
	id, err := ts.Value(simKey{}).(*ec2sim.Server).AddImage(args[0], args[1])
	ts.Check(err)
	ts.Setenv(args[2], id)
}

// seed gives the account what a file says; its AMIs and instances have the ids that the file gives them.
func seed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: seed FILE")
	}
	s, err := ec2sim.ParseSeed(strings.NewReader(ts.ReadFile(args[0])))
	ts.Check(err)
	_, err = ts.Value(simKey{}).(*ec2sim.Server).Seed(s)
	ts.Check(err)
}

// fault lets something go wrong in EC2; without arguments all is well again.
func fault(ts *testscript.TestScript, neg bool, args []string) {
	sim := ts.Value(simKey{}).(*ec2sim.Server)
	if neg || len(args) > 1 {
		ts.Fatalf("usage: fault [JSON]")
	}
	if len(args) == 0 {
		sim.ClearFaults()
		return
	}
	f, err := ec2sim.ParseFault([]byte(args[0]))
	ts.Check(err)
	ts.Check(sim.Inject(f))
}

// kept writes a publish file into a directory, as the post-processor does, and sets KEPT to its path
// relative to the script's directory.
func kept(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: kept DIR ADDRESS ARTIFACT FINGERPRINT [FILE...]")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o777))
	path := keep(ts, dir, args[1], args[2], args[3], args[4:], ts.MkAbs)
	ts.Setenv("KEPT", args[0]+"/"+filepath.Base(path))
}

type checker interface{ Check(error) }

// keptFiles counts publish files, so that each is later than the one before.
var keptFiles atomic.Int64

// keep writes a publish file for a build of files, or of an AMI where there are none.
func keep(c checker, dir, address, artifact, fingerprint string, files []string, at func(string) string) string {
	f := publishfile.File{
		Address: address, Artifact: registry.ArtifactName(artifact), WrittenAt: time.Date(2026, 1, 1, 0, 0, 0, int(keptFiles.Add(1)), time.UTC),
		Reason: "the registry was away", Publication: registry.Publication{Fingerprint: fingerprint},
	}
	build := &f.Publication.Build
	build.Component, build.Type = "amazon-ebs.app", registry.AmazonImage
	if len(files) > 0 {
		build.Component, build.Type = "file.app", registry.Archive
	} else {
		build.Images = []registry.Image{{Provider: "aws", Region: "eu-west-1", ID: "ami-0abc1234"}}
	}
	for _, name := range files {
		content := publishfile.Content{Path: at(name), File: registry.File{Name: filepath.Base(name)}}
		if strings.HasSuffix(name, ".md") {
			content.Kind = registry.AttachmentDocument
			f.Attachments = append(f.Attachments, content)
			continue
		}
		f.Files = append(f.Files, content)
	}
	path, err := publishfile.Write(context.Background(), dir, f)
	c.Check(err)
	return path
}

// checkT lets a test use what scripts use.
type checkT struct{ testing.TB }

func (t checkT) Check(err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
