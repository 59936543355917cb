package e2e

import (
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/ec2sim"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// inject has EC2 tell this project's programs something else of AMIs than it tells Packer.
func (w *world) inject(t *testing.T, f ec2sim.Fault) {
	t.Helper()
	f.Client = "almanac"
	if err := w.ec2.Inject(f); err != nil {
		t.Fatal(err)
	}
}

func TestAnUnusableAMIFailsTheBuild(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault  ec2sim.Fault
		reason string
	}{
		"when it is missing":         {ec2sim.Fault{Region: "eu-west-1", Missing: true}, "missing"},
		"when somebody else owns it": {ec2sim.Fault{Region: "eu-west-1", Owner: "999999999999"}, "999999999999"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := alone(t)
			w.write(t, amiTemplate, artifact, "aws_verify = true", `aws_verify_timeout = "2s"`)
			w.inject(t, c.fault)
			r := w.packer.Run(t, "build", "images/app.pkr.hcl")
			if r.Code != 1 {
				t.Errorf("packer build: exit code %d, want 1\n%s", r.Code, r.Output)
			}
			want(t, r.Output, "aws_verify: ", "eu-west-1", c.reason, "Packer now destroys what was built")
			if left := w.amis(t); len(left) > 0 {
				t.Errorf("AMIs are left: %v\n%s", left, r.Output)
			}
			versions := w.versions(t, artifact)
			if len(versions) != 1 || versions[0].Status != registry.StatusFailed || len(versions[0].Builds) != 1 {
				t.Fatalf("recorded is %+v, want one version that failed", versions)
			}
			for _, i := range versions[0].Builds[0].Images {
				v := i.Verification
				if v == nil || (i.Region == "eu-west-1") != (v.Status == registry.ImageFailed) || i.Offered() {
					t.Errorf("%s: recorded is %+v", i.Region, v)
				} else if i.Region == "eu-west-1" && (!strings.Contains(v.Reason, c.reason) || !strings.Contains(v.Reason, i.ID)) {
					t.Errorf("%s: the reason is %q", i.Region, v.Reason)
				}
			}
			w.notOffered(t)
			if paths := w.pending(t); len(paths) > 0 {
				t.Errorf("publish files are left: %v", paths)
			}
			if shown := w.cli.Run(t, "show", artifact, "1"); shown.Code != 0 {
				t.Errorf("almanac show: %+v", shown)
			} else {
				want(t, shown.Output, "failed", c.reason)
			}
		})
	}
}

// notOffered checks that a lookup of the artifact's latest version finds none.
func (w *world) notOffered(t *testing.T) {
	t.Helper()
	got, err := w.admin.Resolve(t.Context(), artifact, "latest", registry.Question{Type: "amazon.image", Region: "us-east-1"})
	if registry.KindOf(err) != registry.NotFound {
		t.Errorf("latest is %+v, %v; want that there is none", got, err)
	}
	if r := w.cli.Run(t, "resolve", artifact, "latest", "--region", "us-east-1"); r.Code != 3 {
		t.Errorf("almanac resolve: exit code %d, want 3\n%s", r.Code, r.Output)
	}
}

func TestAPendingAMIIsOfferedOnceItIsFoundAvailable(t *testing.T) {
	t.Parallel()
	w := alone(t)
	w.write(t, amiTemplate, artifact, "aws_verify = true", `aws_verify_timeout = "2s"`)
	w.inject(t, ec2sim.Fault{Region: "ap-southeast-2", State: "pending"})
	r := w.packer.Run(t, "build", "images/app.pkr.hcl")
	if r.Code != 0 {
		t.Fatalf("packer build: exit code %d\n%s", r.Code, r.Output)
	}
	want(t, r.Output, "pending", "almanac aws verify "+artifact+" 1")
	versions := w.versions(t, artifact)
	if len(versions) != 1 || versions[0].Status != registry.StatusOpen {
		t.Fatalf("recorded is %+v, want one version that is open", versions)
	}
	w.notOffered(t)
	if r := w.cli.Run(t, "aws", "verify", artifact); r.Code != 8 {
		t.Errorf("almanac aws verify: exit code %d while one is pending, want 8\n%s", r.Code, r.Output)
	}
	w.notOffered(t)

	w.ec2.ClearFaults()
	if r := w.cli.Run(t, "aws", "verify", artifact); r.Code != 0 {
		t.Fatalf("almanac aws verify: exit code %d\n%s", r.Code, r.Output)
	}
	b := w.recordedOnce(t, artifact)
	built := w.amis(t)
	for _, i := range b.Images {
		v := i.Verification
		if v == nil || v.Status != registry.ImageAvailable || v.Attributes["name"] != "app" || v.Attributes["owner_id"] != ec2sim.AccountID {
			t.Errorf("%s: recorded is %+v", i.Region, v)
		}
		r := w.cli.Run(t, "resolve", artifact, "latest", "--region", i.Region)
		if r.Code != 0 || strings.TrimSpace(r.Output) != built[i.Region] {
			t.Errorf("almanac resolve in %s: %+v, want %s", i.Region, r, built[i.Region])
		}
	}
	shown := w.cli.Run(t, "show", artifact, "latest")
	unbroken := strings.Join(strings.Fields(shown.Output), " ")
	for _, attribute := range []string{
		"name", "architecture", "root_device_type", "root_device_name", "virtualization_type", "ena_support", "boot_mode", "owner_id", "creation_date", "deprecation_time", "snapshot_ids",
	} {
		for _, i := range b.Images {
			// What is not the same in all regions has the region before it.
			value := i.Verification.Attributes[attribute]
			if value == "" || !strings.Contains(unbroken, attribute+" "+value) && !strings.Contains(unbroken, attribute+" "+i.Region+" "+value) {
				t.Errorf("%s: %s is %q, recorded as %v and shown as\n%s", i.Region, attribute, value, i.Verification.Attributes, shown.Output)
			}
		}
	}
}
