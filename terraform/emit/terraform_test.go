package emit_test

import (
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/ec2sim"
	"github.com/cargomedia/packer-plugin-almanac/internal/tftest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/terraform/emit"
)

// workspace makes a module with a generated file and, for AWS provider 5, its aliases.
func workspace(t *testing.T, c tftest.Client, r registry.Resolution, o emit.Options, name string) *tftest.Workspace {
	t.Helper()
	aws := o.AWSProvider
	if aws == 0 {
		aws = 6
	}
	w := c.Workspace(t, aws)
	w.Write(name, string(file(t, r, o)))
	var providers strings.Builder
	providers.WriteString("provider \"aws\" {\n  region = \"eu-central-1\"\n}\n")
	if aws == 5 {
		for _, region := range slices.Sorted(maps.Keys(r.AMIs)) {
			providers.WriteString("provider \"aws\" {\n  alias  = \"" + strings.ReplaceAll(region, "-", "_") + "\"\n  region = \"" + region + "\"\n}\n")
		}
	}
	w.Write("providers.tf", providers.String())
	return w
}

// there are the images of a resolution, as the stub finds them.
func there(r registry.Resolution) tftest.Images {
	images := tftest.Images{}
	for region, id := range r.AMIs {
		images[region] = []tftest.Image{{ID: id}, {ID: "ami-0other"}}
	}
	return images
}

func ready(t *testing.T, w *tftest.Workspace) {
	t.Helper()
	w.MustRun("fmt", "-check", "-diff")
	w.MustRun("init")
	w.MustRun("validate")
}

func wantIn(t *testing.T, out string, texts ...string) {
	t.Helper()
	// Terraform breaks long lines of a message and draws a bar beside them.
	flat := strings.Join(strings.Fields(strings.NewReplacer("│", " ", "╷", " ", "╵", " ").Replace(out)), " ")
	for _, text := range texts {
		if !strings.Contains(flat, text) {
			t.Errorf("terraform did not say %q:\n%s", text, out)
		}
	}
}

func TestTerraformPlansDataBlocks(t *testing.T) { tftest.Each(t, planDataBlocks) }

func planDataBlocks(t *testing.T, c tftest.Client) {
	for _, tc := range []struct {
		name  string
		o     emit.Options
		block string // the data block of eu-west-1
		label string
	}{
		{"AWS provider 6", emit.Options{Address: address}, `data.aws_ami.my_app["eu-west-1"]`, "my_app"},
		{"AWS provider 5", emit.Options{Address: address, AWSProvider: 5}, `data.aws_ami.my_app_eu_west_1`, "my_app_eu_west_1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := ami()
			w := workspace(t, c, r, tc.o, "app.tf")
			w.Write("outputs.tf", "output \"ami\" {\n  value = local.my_app.ami_ids[\"eu-west-1\"]\n}\noutput \"os\" {\n  value = local.my_app.metadata[\"os\"]\n}\n")
			ready(t, w)

			change := func(f func(*tftest.Image)) {
				images := there(r)
				f(&images["eu-west-1"][0])
				w.SetImages(images)
			}

			t.Run("images that are there", func(t *testing.T) {
				w.SetImages(there(r))
				out := w.MustRun("plan")
				wantIn(t, out, `+ ami = "ami-0aaa1111bbbb2222c"`, `+ os = "debian-12"`, tc.block+": Read complete")
				if strings.Contains(out, "Warning") {
					t.Errorf("a plan without a problem warns:\n%s", out)
				}
			})
			t.Run("a deregistered image stops the plan at its block", func(t *testing.T) {
				images := there(r)
				images["eu-west-1"] = nil
				w.SetImages(images)
				wantFailure(t, w, "Your query returned no results", "with "+tc.block+",")
			})
			t.Run("an image that is not available stops the plan with the record", func(t *testing.T) {
				change(func(i *tftest.Image) { i.State = "pending" })
				wantFailure(t, w, "Resource postcondition failed", `in data "aws_ami" "`+tc.label+`":`,
					"ami-0aaa1111bbbb2222c of cargomedia/my-app 1.4.0 in eu-west-1 is pending, x86_64; the registry recorded it as available, x86_64.")
			})
			t.Run("an image of another architecture stops the plan with the record", func(t *testing.T) {
				change(func(i *tftest.Image) { i.Architecture = "arm64" })
				wantFailure(t, w, "Resource postcondition failed",
					"ami-0aaa1111bbbb2222c of cargomedia/my-app 1.4.0 in eu-west-1 is available, arm64; the registry recorded it as available, x86_64.")
			})
			t.Run("an image of another account is not found", func(t *testing.T) {
				change(func(i *tftest.Image) { i.OwnerID = "210987654321" })
				wantFailure(t, w, "Your query returned no results", "with "+tc.block+",")
			})
			t.Run("an image past its deprecation time warns", func(t *testing.T) {
				change(func(i *tftest.Image) { i.DeprecationTime = "2020-01-02T03:04:05.000Z" })
				out := w.MustRun("plan")
				wantIn(t, out, "Warning: Check block assertion failed",
					"cargomedia/my-app 1.4.0 is past its deprecation time in eu-west-1; move to a newer version.")
			})
			t.Run("an image that will be deprecated does not warn", func(t *testing.T) {
				change(func(i *tftest.Image) { i.DeprecationTime = "2999-01-02T03:04:05.000Z" })
				if out := w.MustRun("plan"); strings.Contains(out, "Warning") {
					t.Errorf("it warns:\n%s", out)
				}
			})
		})
	}

	t.Run("a shared image that is deprecated is found and warned of", func(t *testing.T) {
		r := ami()
		r.Architecture = "" // nobody said it
		w := workspace(t, c, r, emit.Options{Owners: []string{"210987654321"}}, "app.tf")
		ready(t, w)
		images := tftest.Images{}
		for region, id := range r.AMIs {
			images[region] = []tftest.Image{{ID: id, OwnerID: "210987654321", Architecture: "arm64", DeprecationTime: "2020-01-02T03:04:05.000Z"}}
		}
		w.SetImages(images)
		wantIn(t, w.MustRun("plan"), "past its deprecation time in ap-southeast-2, eu-west-1, us-east-1; move")
	})
}

// The images of ec2sim are read by calls to it, as the quickstart's are.
func TestTerraformReadsImagesOfTheSimulator(t *testing.T) { tftest.Each(t, readImagesOfTheSimulator) }

func readImagesOfTheSimulator(t *testing.T, c tftest.Client) {
	sim := ec2sim.New()
	ts := httptest.NewServer(sim)
	defer ts.Close()
	r := ami()
	for region := range r.AMIs {
		r.AMIs[region] = sim.BaseImage(region).ID
	}
	w := workspace(t, c, r, emit.Options{Owners: []string{ec2sim.BaseImageOwner}}, "app.tf")
	w.Setenv("STUB_AWS_IMAGES", "")
	w.Setenv("AWS_ENDPOINT_URL", ts.URL)
	ready(t, w)
	w.MustRun("plan")

	r.AMIs["eu-west-1"] = "ami-0123456789abcdef0"
	w.Write("app.tf", string(file(t, r, emit.Options{Owners: []string{ec2sim.BaseImageOwner}})))
	wantFailure(t, w, "Your query returned no results", `with data.aws_ami.my_app["eu-west-1"],`)
}

func wantFailure(t *testing.T, w *tftest.Workspace, texts ...string) {
	t.Helper()
	out, err := w.Run("plan")
	if err == nil {
		t.Errorf("the plan succeeded:\n%s", out)
	}
	wantIn(t, out, texts...)
}

func TestTerraformWarnsOfARevokedVersion(t *testing.T) { tftest.Each(t, warnOfARevokedVersion) }

func warnOfARevokedVersion(t *testing.T, c tftest.Client) {
	for _, style := range []emit.Style{emit.StyleData, emit.StyleLocals} {
		t.Run(string(style), func(t *testing.T) {
			r := hostile()
			w := workspace(t, c, r, emit.Options{Style: style}, "app.tf")
			w.SetImages(there(r))
			ready(t, w)
			wantIn(t, w.MustRun("plan"), "Warning: Check block assertion failed", "cargomedia/0.for-ever 1.4.0 is revoked: CVE-2026-1 } locals {")

			r.Revocation.At = r.Revocation.At.AddDate(900, 0, 0)
			w.Write("app.tf", string(file(t, r, emit.Options{Style: style})))
			if out := w.MustRun("plan"); strings.Contains(out, "Warning") {
				t.Errorf("it warns before the time of the revocation:\n%s", out)
			}
		})
	}
}

func TestTerraformReadsHostileMetadataBack(t *testing.T) { tftest.Each(t, readHostileMetadataBack) }

func readHostileMetadataBack(t *testing.T, c tftest.Client) {
	r := hostile()
	for _, tc := range []struct {
		style        emit.Style
		name, module string
		value        string
	}{
		{emit.StyleLocals, "app.tf", "", "local._0_for_ever"},
		{emit.StyleTfvars, "app.auto.tfvars.json", "variable \"_0_for_ever\" {\n  type = any\n}\n", "var._0_for_ever"},
	} {
		t.Run(string(tc.style), func(t *testing.T) {
			w := workspace(t, c, r, emit.Options{Style: tc.style}, tc.name)
			w.Write("main.tf", tc.module+"output \"metadata\" {\n  value = "+tc.value+".metadata\n}\n")
			ready(t, w)
			w.MustRun("apply", "-auto-approve")
			got := evaluateTfvars(t, []byte(w.MustRun("output", "-json")), "metadata").GetAttr("value")
			for name, want := range r.Metadata {
				if got := got.AsValueMap()[name].AsString(); got != want {
					t.Errorf("%q is %q, want %q", name, got, want)
				}
			}
			if len(got.AsValueMap()) != len(r.Metadata) {
				t.Errorf("%d names, want %d", len(got.AsValueMap()), len(r.Metadata))
			}
		})
	}
}

func TestTerraformPlansOtherTypes(t *testing.T) { tftest.Each(t, planOtherTypes) }

func planOtherTypes(t *testing.T, c tftest.Client) {
	for _, tc := range []struct {
		r          registry.Resolution
		expr, want string
	}{
		{box(), "local.my_app.files[0].sha256", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
		{google(), `local.my_app.images[1].id`, "projects/p/global/images/app-4"},
	} {
		t.Run(string(tc.r.Type), func(t *testing.T) {
			w := c.Workspace(t, tftest.NoAWS)
			w.Write("app.tf", string(file(t, tc.r, emit.Options{})))
			w.Write("outputs.tf", "output \"value\" {\n  value = "+tc.expr+"\n}\n")
			ready(t, w)
			wantIn(t, w.MustRun("plan"), `+ value = "`+tc.want+`"`)
		})
	}
}
