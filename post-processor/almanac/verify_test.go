package almanac_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/publishfile"
	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/post-processor/almanac"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func twoAMIs() *product {
	return &product{builderID: "mitchellh.amazonebs", id: "eu-west-1:ami-1,us-east-1:ami-2", state: map[string]any{
		stateImages: []any{image("aws", "eu-west-1", "ami-1", "", nil), image("aws", "us-east-1", "ami-2", "", nil)},
	}}
}

// found is a verifier that finds what it is told of each region.
func found(by map[string]registry.Verification, err error) almanac.Verify {
	return func(_ context.Context, images []registry.Image) ([]registry.Image, error) {
		images = slices.Clone(images)
		for i := range images {
			if v, ok := by[images[i].Region]; ok {
				images[i].Verification = &v
			}
		}
		return images, err
	}
}

func TestAWSVerify(t *testing.T) {
	available := registry.Verification{Status: registry.ImageAvailable, Attributes: registry.Metadata{"name": "app-1", "owner_id": "123456789012"}}
	pending := registry.Verification{Status: registry.ImagePending, Reason: "AMI ami-2 in us-east-1 is still pending after 10m0s of waiting"}
	missing := registry.Verification{Status: registry.ImageFailed, Reason: "AMI ami-2 in us-east-1 is missing"}
	for _, c := range []struct {
		name   string
		verify almanac.Verify
		status registry.Status
		second registry.ImageStatus // of the AMI in us-east-1
		first  registry.ImageStatus // of the AMI in eu-west-1
		shows  []string
		fails  []string
	}{
		{"all are available", found(map[string]registry.Verification{"eu-west-1": available, "us-east-1": available}, nil),
			registry.StatusComplete, registry.ImageAvailable, registry.ImageAvailable, []string{"Reading 2 AMIs back from EC2", "us-east-1: ami-2, available", "wrote app.tf"}, nil},
		{"one is pending", found(map[string]registry.Verification{"eu-west-1": available, "us-east-1": pending}, nil),
			registry.StatusOpen, registry.ImagePending, registry.ImageAvailable,
			[]string{"us-east-1: ami-2, pending: AMI ami-2 in us-east-1 is still pending", "not offered until this finds it available: almanac aws verify cargomedia/app 1 --address http://", "app.tf is not written: the version waits for images"}, nil},
		{"one could not be looked at", found(map[string]registry.Verification{"eu-west-1": available}, &registry.Error{Kind: registry.Invalid, Msg: "no credentials\nand no \x1b[31mcolour", Err: errors.New("SECRET")}),
			registry.StatusOpen, registry.ImagePending, registry.ImageAvailable, []string{"Not all AMIs could be read back from EC2: no credentials", "almanac aws verify cargomedia/app 1"}, nil},
		{"one is missing", found(map[string]registry.Verification{"eu-west-1": available, "us-east-1": missing}, nil),
			registry.StatusFailed, registry.ImageFailed, registry.ImagePending, []string{"never offered: the version failed", "app.tf is not written: the version failed"},
			[]string{"aws_verify: AMI ami-2 in us-east-1 is missing. ", "recorded with that in version 0.1.0 (number 1) of cargomedia/app, and none of its images is offered", "another AWS account, or at another endpoint: check AWS_PROFILE, AWS_ENDPOINT_URL", "Packer now destroys what was built"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := servertest.New(t)
			environment(t, s, s.Token(t, "packer", "publish"))
			pp := new(almanac.PostProcessor)
			almanac.SetVerifier(pp, c.verify)
			block := options{"artifact": "cargomedia/app", "aws_verify": true, "terraform": decoded{"path": "app.tf"}}
			if err := pp.Configure(block, core("amazon-ebs", "app")); err != nil {
				t.Fatal(err)
			}
			u, shown := ui()
			_, keep, _, err := pp.PostProcess(t.Context(), u, twoAMIs())
			if keep != (c.fails == nil) || (err == nil) != keep {
				t.Errorf("got keep %t, error %v", keep, err)
			}
			for _, want := range c.fails {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
			for _, want := range c.shows {
				if !strings.Contains(shown.String(), want) {
					t.Errorf("shown:\n%s\nwant %q in it", shown, want)
				}
			}
			v, err := s.Client(t, s.AdminToken).Version(t.Context(), "cargomedia/app", "1")
			if err != nil {
				t.Fatal(err)
			}
			images := v.Builds[0].Images
			if strings.Contains(shown.String()+images[1].Verification.Reason, "SECRET") {
				t.Errorf("the cause was told: %s\n%s", shown, images[1].Verification.Reason)
			}
			if v.Status != c.status || images[0].Verification.Status != c.first || images[1].Verification.Status != c.second {
				t.Errorf("got %s with %+v and %+v; want %s, %s and %s", v.Status, images[0].Verification, images[1].Verification, c.status, c.first, c.second)
			}
			if images[0].Verification.Attributes["owner_id"] != "123456789012" {
				t.Errorf("attributes: got %v", images[0].Verification.Attributes)
			}
		})
	}
}

// A build with an AMI that cannot be used is added to a version that is complete already: Packer
// destroys the AMIs that can be, so that they must not be offered either.
func TestAFailedBuildIsNotOfferedInACompleteVersion(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	record(t, options{"artifact": "cargomedia/app"}, core("amazon-ebs", "other"), ami())
	pp := new(almanac.PostProcessor)
	almanac.SetVerifier(pp, found(map[string]registry.Verification{
		"eu-west-1": {Status: registry.ImageAvailable}, "us-east-1": {Status: registry.ImageFailed, Reason: "AMI ami-2 in us-east-1 is owned by account 1"},
	}, nil))
	if err := pp.Configure(options{"artifact": "cargomedia/app", "aws_verify": "true", "on_registry_error": "keep"}, core("amazon-ebs", "app")); err != nil {
		t.Fatal(err)
	}
	u, _ := ui()
	if _, _, _, err := pp.PostProcess(t.Context(), u, twoAMIs()); err == nil || !strings.Contains(err.Error(), "is owned by account 1") {
		t.Fatalf("got %v, want the owner", err)
	}
	c := s.Client(t, s.AdminToken)
	if v, err := c.Version(t.Context(), "cargomedia/app", "latest"); err != nil || len(v.Builds) != 2 {
		t.Fatalf("got %+v, %v; want a complete version with two builds", v, err)
	}
	if r, err := c.Resolve(t.Context(), "cargomedia/app", "1", registry.Question{Component: "amazon-ebs.app"}); err == nil {
		t.Errorf("got %+v; want that nothing of the failed build is offered", r)
	}
}

func TestAWSVerifyIsForAMIs(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	got := configure(options{"artifact": "cargomedia/app", "aws_verify": true, "aws_verify_timeout": "-1s", "type": "vagrant.box"}, core("x", "app"))
	for _, want := range []string{"aws_verify: is true, and the type is vagrant.box", "aws_verify_timeout: is -1s"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %q, want %q in it", got, want)
		}
	}
	shown := record(t, options{"artifact": "cargomedia/app", "aws_verify": true}, core("file", "app"), &product{builderID: "packer.file", files: []string{write(t, "x", t.TempDir(), "x")}})
	if !strings.Contains(shown, "aws_verify does nothing here: this is of type archive") || recorded(t, s) == "" {
		t.Errorf("shown:\n%s\nwant it recorded, and that aws_verify does nothing", shown)
	}
}

// Without credentials the AMI is none the worse, and the real verifier says so.
func TestAWSVerifyWithoutCredentials(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	none := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none, "AWS_CONTAINER_CREDENTIALS_FULL_URI": "", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "", "AWS_WEB_IDENTITY_TOKEN_FILE": "",
	} {
		t.Setenv(name, value)
	}
	shown := record(t, options{"artifact": "cargomedia/app", "aws_verify": true}, core("amazon-ebs", "app"), ami())
	v, err := s.Client(t, s.AdminToken).Version(t.Context(), "cargomedia/app", "1")
	if err != nil {
		t.Fatalf("%v; shown:\n%s", err, shown)
	}
	got := v.Builds[0].Images[0].Verification
	if got == nil || got.Status != registry.ImagePending || !strings.Contains(got.Reason, "could not be verified: there are no AWS credentials") || v.Status != registry.StatusOpen {
		t.Errorf("got %+v in a version that is %s; want it pending", got, v.Status)
	}
}

// What nobody looked at is not offered from a publish file either, and what failed stays failed.
func TestThePublishFileOfAMIs(t *testing.T) {
	for _, c := range []struct {
		name   string
		block  options
		verify almanac.Verify
		want   registry.ImageStatus
		fails  bool
	}{
		{"that were not looked at", nil, func(context.Context, []registry.Image) ([]registry.Image, error) {
			panic("the verifier broke")
		}, registry.ImagePending, false},
		{"that are missing", nil, found(map[string]registry.Verification{"eu-west-1": {Status: registry.ImageFailed, Reason: "AMI ami-1 in eu-west-1 is missing"}}, nil), registry.ImageFailed, true},
		{"with documents that cannot be recorded", options{"sbom": []any{"gone.json"}}, found(map[string]registry.Verification{"eu-west-1": {Status: registry.ImageAvailable}}, nil), registry.ImageAvailable, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := servertest.New(t)
			environment(t, s, s.Token(t, "packer", "publish"))
			p := newProxy(t, s)
			pp := new(almanac.PostProcessor)
			almanac.SetVerifier(pp, c.verify)
			block := options{"artifact": "cargomedia/app", "aws_verify": true, "retry_timeout": "10ms"}
			for key, value := range c.block {
				block[key] = value
			}
			if err := pp.Configure(block, core("amazon-ebs", "app")); err != nil {
				t.Fatal(err)
			}
			p.answer(away)
			u, shown := ui()
			if _, _, _, err := pp.PostProcess(t.Context(), u, ami()); (err != nil) != c.fails {
				t.Errorf("got error %v, want one: %t", err, c.fails)
			}
			path := publishFile(t, cwd(t), shown.String())
			f, err := publishfile.Read(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := f.Publication.Build.Images[0].Verification; got == nil || got.Status != c.want {
				content, _ := os.ReadFile(path)
				t.Errorf("got %+v, want %s in\n%s", got, c.want, content)
			}
			send(t, s, path)
		})
	}
}
