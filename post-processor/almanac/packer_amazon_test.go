package almanac_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/internal/ec2sim"
	"github.com/cargomedia/packer-plugin-almanac/internal/packertest"
	"github.com/cargomedia/packer-plugin-almanac/internal/publishfile"
	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// amazonTemplate has blanks for the AMI's name, for a post-processor before ours, and for more of our block.
const amazonTemplate = `
	packer {
	  required_plugins {
	    amazon  = { source = "github.com/hashicorp/amazon", version = ">= 1.3.0" }
	    almanac = { source = "github.com/cargomedia/almanac", version = ">= 0.1.0" }
	  }
	}
	source "amazon-ebs" "app" {
	  access_key                 = "AKIAFAKEFAKEFAKEFAKE"
	  secret_key                 = "fakefakefakefakefakefakefakefakefakefake"
	  region                     = "us-east-1"
	  ami_regions                = ["eu-west-1", "ap-southeast-2"]
	  skip_credential_validation = true
	  skip_metadata_api_check    = true
	  instance_type              = "t3.micro"
	  ami_name                   = "%s"
	  communicator               = "none"
	  source_ami_filter {
	    filters     = { name = "debian-12-*", virtualization-type = "hvm", root-device-type = "ebs" }
	    owners      = ["136693071363"]
	    most_recent = true
	  }
	}
	build {
	  sources = ["source.amazon-ebs.app"]
	  %s
	  post-processor "almanac" {
	    artifact      = "cargomedia/app"
	    architecture  = "x86_64"
	    metadata      = { base = build.SourceAMIName }
	    channels      = ["staging"]
	    retry_timeout = "1s"
	    terraform {
	      path = "app.tf"
	    }
	    keep_input_artifact = false
	    %s
	  }
	}`

func amazon(t *testing.T, p *packertest.Packer) *ec2sim.Server {
	t.Helper()
	p.WithAmazon(t)
	sim := ec2sim.New()
	endpoint := httptest.NewServer(sim)
	t.Cleanup(endpoint.Close)
	p.Env = append(p.Env, "AWS_ENDPOINT_URL="+endpoint.URL, "AWS_ACCESS_KEY_ID=AKIAFAKEFAKEFAKEFAKE", "AWS_SECRET_ACCESS_KEY=fake")
	return sim
}

var threeRegions = []string{"ap-southeast-2", "eu-west-1", "us-east-1"}

func TestPackerRecordsAnAMIOfThreeRegions(t *testing.T) {
	p, s := connected(t, "promote")
	sim := amazon(t, p)
	p.Write(t, "ami.pkr.hcl", fmt.Sprintf(amazonTemplate, "app-1", "", ""))
	r := build(t, p, "ami.pkr.hcl")
	v := version(t, s, "cargomedia/app", "staging")
	if len(v.Builds) != 1 || len(v.Builds[0].Images) != 3 {
		t.Fatalf("got %+v, want one build with three images", v)
	}
	b := v.Builds[0]
	if b.Component != "amazon-ebs.app" || b.Type != registry.AmazonImage || b.Architecture != "x86_64" {
		t.Errorf("got %s of type %s for %s", b.Component, b.Type, b.Architecture)
	}
	tf, err := os.ReadFile(filepath.Join(p.Dir, "app.tf"))
	if err != nil {
		t.Fatal(err)
	}
	for i, region := range threeRegions {
		images := sim.Images(region)
		if len(images) != 1 {
			t.Fatalf("%s: got %d images, want the one that was built, in spite of keep_input_artifact = false", region, len(images))
		}
		got := b.Images[i]
		if got.String() != "aws/"+region+"/"+images[0].ID || !strings.HasPrefix(got.SourceID, "ami-") {
			t.Errorf("got %+v, want aws/%s/%s", got, region, images[0].ID)
		}
		wantText(t, r.Output, region+": "+images[0].ID)
		wantText(t, string(tf), images[0].ID)
	}
	if !strings.HasPrefix(b.Metadata["base"], "debian-12-") || b.Provenance["build_region"] != "us-east-1" || b.Provenance["source_ami"] != b.Images[0].SourceID {
		t.Errorf("metadata %v, provenance %v", b.Metadata, b.Provenance)
	}
}

// whenAway builds an AMI whose registry stops when the image is there and not yet recorded. The template is
// in a directory of its own. It returns the error of Packer and what it wrote.
func whenAway(t *testing.T, p *packertest.Packer, s *servertest.Server) (string, error) {
	t.Helper()
	p.Write(t, "images/ami.pkr.hcl", fmt.Sprintf(amazonTemplate, "app-2", `
	  post-processor "shell-local" {
	    inline = ["touch built; i=0; while [ ! -e stopped ] && [ $i -lt 300 ]; do sleep 0.1; i=$((i+1)); done"]
	  }`, ""))
	cmd, output := p.Start(t, "build", "images/ami.pkr.hcl")
	waitFor(t, filepath.Join(p.Dir, "built"))
	s.Stop(t)
	p.Write(t, "stopped", "")
	err := cmd.Wait()
	if strings.Contains(output.String(), "alm_") {
		t.Errorf("the token is in the output:\n%s", output)
	}
	return output.String(), err
}

func TestPackerKeepsTheAMIWhenTheRegistryIsAway(t *testing.T) {
	p, s := connected(t, "promote")
	sim := amazon(t, p)
	output, err := whenAway(t, p, s)
	if err != nil {
		t.Fatalf("packer build: %v\n%s", err, output)
	}
	if regexp.MustCompile(`(?i)errored after`).MatchString(output) {
		t.Errorf("the build failed:\n%s", output)
	}
	paths, err := publishfile.Pending(filepath.Join(p.Dir, "images"))
	if err != nil || len(paths) != 1 {
		t.Fatalf("got the publish files %v, %v; want one beside the template\n%s", paths, err, output)
	}
	wantText(t, output, "THIS BUILD IS NOT RECORDED", "does not answer", "almanac publish --from "+paths[0]+" --address "+s.URL, "almanac publish --pending "+filepath.Dir(paths[0]))
	f, err := publishfile.Read(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	later := servertest.New(t)
	for range 2 {
		if _, err := f.Send(t.Context(), later.Client(t, later.AdminToken), nil); err != nil {
			t.Fatal(err)
		}
	}
	v := version(t, later, "cargomedia/app", "staging")
	if v.Number != 1 || len(v.Builds) != 1 || !strings.HasPrefix(v.Builds[0].Metadata["base"], "debian-12-") || v.Builds[0].Provenance["template_sha256"] == "" {
		t.Errorf("got %+v, want the one build", v)
	}
	for i, region := range threeRegions {
		images := sim.Images(region)
		if len(images) != 1 || v.Builds[0].Images[i].ID != images[0].ID {
			t.Errorf("%s: got %d images, want the one that was built, recorded", region, len(images))
		}
	}
}

func TestPackerDestroysTheAMIWhenItIsToFail(t *testing.T) {
	p, s := connected(t, "promote")
	sim := amazon(t, p)
	between := newProxy(t, s)
	between.answer(away)
	p.Env = append(p.Env, "ALMANAC_ADDR="+between.URL)
	p.Write(t, "ami.pkr.hcl", fmt.Sprintf(amazonTemplate, "app-4", "", `on_registry_error = "fail"`))
	r := p.Run(t, "build", "ami.pkr.hcl")
	if r.Code != 1 {
		t.Errorf("got the exit code %d, want 1\n%s", r.Code, r.Output)
	}
	wantText(t, r.Output, "the build is not recorded in the registry", "AMIs are deregistered and their snapshots deleted", "The registry may have recorded it")
	for _, region := range threeRegions {
		if images := sim.Images(region); len(images) != 0 {
			t.Errorf("%s: got %d images, want that Packer destroyed the one that was built\n%s", region, len(images), r.Output)
		}
	}
	if paths, err := publishfile.Pending(p.Dir); err != nil || len(paths) > 0 {
		t.Errorf("got the publish files %v, %v; want none", paths, err)
	}
}

func TestPackerReadsTheAMIsBack(t *testing.T) {
	const block = `
	    aws_verify         = true
	    aws_verify_timeout = "1m"
	    sbom               = ["sbom.cdx.json"]`
	t.Run("and records what EC2 says of them", func(t *testing.T) {
		p, s := connected(t, "promote")
		sim := amazon(t, p)
		if err := sim.Inject(ec2sim.Fault{Client: "almanac", Region: "eu-west-1", State: "pending", Count: 1}); err != nil {
			t.Fatal(err)
		}
		p.Write(t, "sbom.cdx.json", cycloneDX)
		p.Write(t, "ami.pkr.hcl", fmt.Sprintf(amazonTemplate, "app-5", "", block))
		r := build(t, p, "ami.pkr.hcl")
		wantText(t, r.Output, "Reading 3 AMIs back from EC2", ", available")
		b := version(t, s, "cargomedia/app", "staging").Builds[0]
		for _, i := range b.Images {
			if i.Verification == nil || i.Verification.Status != registry.ImageAvailable || i.Verification.Attributes["name"] != "app-5" || i.Verification.Attributes["owner_id"] != ec2sim.AccountID {
				t.Errorf("%s: got %+v, want what EC2 says of it", i.Region, i.Verification)
			}
		}
		if len(b.Attachments) != 1 || b.Attachments[0].Format != "CycloneDX 1.6" {
			t.Errorf("got the attachments %+v, want the SBOM", b.Attachments)
		}
	})
	t.Run("and fails when one is missing", func(t *testing.T) {
		p, s := connected(t, "promote")
		sim := amazon(t, p)
		if err := sim.Inject(ec2sim.Fault{Client: "almanac", Region: "eu-west-1", Missing: true}); err != nil {
			t.Fatal(err)
		}
		p.Write(t, "sbom.cdx.json", cycloneDX)
		p.Write(t, "ami.pkr.hcl", fmt.Sprintf(amazonTemplate, "app-6", "", block))
		r := p.Run(t, "build", "ami.pkr.hcl")
		if r.Code != 1 {
			t.Errorf("got the exit code %d, want 1\n%s", r.Code, r.Output)
		}
		wantText(t, r.Output, "in eu-west-1 is missing", "Packer now destroys what was built")
		v := version(t, s, "cargomedia/app", "1")
		if v.Status != registry.StatusFailed || len(v.Builds) != 1 {
			t.Errorf("got %+v, want that it failed", v)
		}
		for _, region := range threeRegions {
			if images := sim.Images(region); len(images) != 0 {
				t.Errorf("%s: got %d images, want that Packer destroyed them", region, len(images))
			}
		}
	})
}

// Packer destroys what an interrupted build made, unless a post-processor ended well. It may start one
// after the interrupt and does not always tell it, so that the build is recorded and kept. Either way
// the images are there and recorded, or neither.
func TestPackerInterrupted(t *testing.T) {
	for _, c := range []struct {
		name     string
		before   string // post-processor that runs before ours
		recorded bool   // for sure
	}{
		{"before the build is recorded", `
	  post-processor "shell-local" {
	    inline = ["touch reached; sleep 3"]
	  }`, false},
		{"while the build is recorded", "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, s := connected(t, "promote")
			sim := amazon(t, p)
			reached := filepath.Join(p.Dir, "reached")
			interrupted := make(chan struct{})
			between := newProxy(t, s)
			between.refuse = func(_ http.ResponseWriter, r *http.Request) bool {
				if strings.HasSuffix(r.URL.Path, "/publish") {
					p.Write(t, "reached", "")
					<-interrupted
					time.Sleep(500 * time.Millisecond) // until the plugin has heard of it
				}
				return false
			}
			p.Env = append(p.Env, "ALMANAC_ADDR="+between.URL)
			p.Write(t, "ami.pkr.hcl", fmt.Sprintf(amazonTemplate, "app-3", c.before, ""))
			cmd, output := p.Start(t, "build", "ami.pkr.hcl")
			waitFor(t, reached)
			packertest.Interrupt(t, cmd)
			close(interrupted)
			if err := cmd.Wait(); err == nil {
				t.Errorf("packer build ended well although it was interrupted:\n%s", output)
			}
			_, err := s.Client(t, s.AdminToken).Artifact(t.Context(), "cargomedia/app")
			recorded := err == nil
			if c.recorded && !recorded {
				t.Errorf("the call was begun and the build is not recorded\n%s", output)
			}
			for _, region := range threeRegions {
				if there := len(sim.Images(region)) > 0; there != recorded {
					t.Errorf("%s: the image is there: %t; it is recorded: %t; both must agree\n%s", region, there, recorded, output)
				}
			}
		})
	}
}

// waitFor returns when a file is there.
func waitFor(t *testing.T, path string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s did not appear in a minute", path)
		}
	}
}
