package tftest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStubKeepsInstances(t *testing.T) {
	Each(t, func(t *testing.T, c Client) {
		for _, major := range majors() {
			t.Run(fmt.Sprintf("hashicorp/aws %d", major), func(t *testing.T) {
				t.Parallel()
				w := c.Workspace(t, major)
				w.Setenv("AWS_REGION", "eu-west-1")
				app := func(ami, size string) {
					w.Write("main.tf", fmt.Sprintf("resource \"aws_instance\" \"app\" {\n  ami           = %q\n  instance_type = %q\n  tags          = { Name = \"app\" }\n}\n", ami, size))
				}
				app("ami-1", "t3.micro")
				w.MustRun("init")
				w.MustRun("apply", "-auto-approve")
				id := onlyInstance(t, w, "eu-west-1")
				want := Instances{"eu-west-1": {id: {AMI: "ami-1", InstanceType: "t3.micro", AvailabilityZone: "eu-west-1a", Tags: map[string]string{"Name": "app"}}}}
				if diff := cmp.Diff(want, w.Instances()); diff != "" {
					t.Error(diff)
				}
				wantText(t, w.MustRun("plan"), "No changes.")

				app("ami-1", "t3.large")
				wantText(t, w.MustRun("plan"), "will be updated in-place", "0 to add, 1 to change, 0 to destroy")
				app("ami-2", "t3.micro")
				wantText(t, w.MustRun("plan"), `"ami-1" -> "ami-2" # forces replacement`, "1 to add, 0 to change, 1 to destroy")
				w.MustRun("apply", "-auto-approve")
				if next := onlyInstance(t, w, "eu-west-1"); next == id || w.Instances()["eu-west-1"][next].AMI != "ami-2" {
					t.Errorf("%s became %v", id, w.Instances())
				}
				w.MustRun("destroy", "-auto-approve")
				if len(w.Instances()["eu-west-1"]) != 0 {
					t.Errorf("left are %v", w.Instances())
				}
			})
		}
	})
}

func onlyInstance(t *testing.T, w *Workspace, region string) string {
	t.Helper()
	var ids []string
	for id := range w.Instances()[region] {
		ids = append(ids, id)
	}
	if len(ids) != 1 {
		t.Fatalf("%s has %v", region, ids)
	}
	return ids[0]
}

func TestStubImportsInstances(t *testing.T) {
	there := Instances{
		"eu-west-1": {"i-0a": {AMI: "ami-1", InstanceType: "t3.micro", AvailabilityZone: "eu-west-1b", Tags: map[string]string{"Name": "db"}}},
		"us-east-1": {"i-0b": {AMI: "ami-2", InstanceType: "t3.micro", AvailabilityZone: "us-east-1c"}},
	}
	const blocks = "import {\n  to = aws_instance.db\n  id = %q\n}\nresource \"aws_instance\" \"db\" {\n  ami = %q\n}\n"
	for _, tc := range []struct {
		name    string
		major   int
		id, ami string
		want    []string
	}{
		{"version 6 of the provider's region", 6, "i-0a", "ami-1", []string{"1 to import, 0 to add, 1 to change, 0 to destroy", `- "Name" = "db"`}},
		{"version 6 of the region in the id", 6, "i-0b@us-east-1", "ami-2", []string{"1 to import, 0 to add, 0 to change, 0 to destroy"}},
		{"version 5 of the provider's region", 5, "i-0a", "ami-1", []string{"1 to import, 0 to add, 1 to change, 0 to destroy"}},
		{"version 6 of another image", 6, "i-0b@us-east-1", "ami-3", []string{"# forces replacement"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := New(t, tc.major)
			w.Setenv("AWS_REGION", "eu-west-1")
			w.SetInstances(there)
			w.Write("main.tf", fmt.Sprintf(blocks, tc.id, tc.ami))
			w.MustRun("init")
			wantText(t, w.MustRun("plan"), tc.want...)
		})
	}
	t.Run("not what is not there", func(t *testing.T) {
		t.Parallel()
		w := New(t, 6)
		w.Setenv("AWS_REGION", "eu-west-1")
		w.SetInstances(there)
		w.Write("main.tf", fmt.Sprintf(blocks, "i-0b", "ami-2"))
		w.MustRun("init")
		wantText(t, w.MustFail("plan"), "Cannot import non-existent remote object")
	})
	t.Run("and writes their configuration", func(t *testing.T) {
		t.Parallel()
		w := New(t, 6)
		w.Setenv("AWS_REGION", "eu-west-1")
		w.SetInstances(there)
		w.Write("main.tf", "import {\n  to = aws_instance.db\n  id = \"i-0a\"\n}\n")
		w.MustRun("init")
		wantText(t, w.MustRun("plan", "-generate-config-out=db.tf"), "1 to import, 0 to add, 0 to change, 0 to destroy")
	})
}

func wantText(t *testing.T, out string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if flat := Flat(out); !strings.Contains(flat, Flat(text)) {
			t.Errorf("no %q in\n%s", text, out)
		}
	}
}
