package tfe2e

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/tftest"
)

// state2015 is the state of a configuration whose provider was that of Atlas, in the format of Terraform 0.12 and newer.
const state2015 = `{
  "version": 4,
  "terraform_version": "0.13.7",
  "serial": 7,
  "lineage": "5b0a4c1e-0000-4000-8000-000000000001",
  "outputs": {},
  "resources": [{
    "mode": "managed",
    "type": "atlas_artifact",
    "name": "app",
    "provider": %s,
    "instances": [{
      "schema_version": 0,
      "attributes": {
        "id": "eu-west-1:ami-0e100,us-east-1:ami-0f100", "name": "cargomedia/my-ami-artifact", "type": "aws.ami",
        "build": null, "version": null, "metadata": null, "metadata_keys": null, "file_url": "", "slug": "cargomedia/my-ami-artifact/aws.ami/1",
        "metadata_full": {"region-eu-west-1": "ami-0e100", "region-us-east-1": "ami-0f100"}, "version_real": "1"
      }
    }]
  }]
}
`

// state011 is one in the format of Terraform 0.11.
const state011 = `{
  "version": 3,
  "terraform_version": "0.11.14",
  "serial": 7,
  "lineage": "5b0a4c1e-0000-4000-8000-000000000002",
  "modules": [{
    "path": ["root"],
    "outputs": {},
    "resources": {
      "atlas_artifact.app": {
        "type": "atlas_artifact",
        "depends_on": [],
        "primary": {
          "id": "eu-west-1:ami-0e100",
          "attributes": {
            "id": "eu-west-1:ami-0e100", "name": "cargomedia/my-ami-artifact", "type": "aws.ami", "file_url": "",
            "metadata_full.%": "1", "metadata_full.region-eu-west-1": "ami-0e100", "version_real": "1"
          },
          "meta": {},
          "tainted": false
        },
        "deposed": [],
        "provider": "provider.atlas"
      }
    },
    "depends_on": []
  }]
}
`

func TestStateOf2015IsTakenOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish(t, "cargomedia/my-ami-artifact", "1.0.0")
	tftest.Each(t, func(t *testing.T, c tftest.Client) {
		t.Parallel()
		workspace := func(t *testing.T, state string) *tftest.Workspace {
			m := w.withProvider(t, c, 6, "atlas")
			m.Write("main.tf", text2015)
			m.Write("terraform.tfstate", state)
			return m
		}
		host := map[string]string{"terraform": "registry.terraform.io", "tofu": "registry.opentofu.org"}[c.Name]
		for name, from := range map[string]string{"hashicorp/atlas": fmt.Sprintf(`provider["%s/hashicorp/atlas"]`, host), host + "/-/atlas": "provider.atlas"} {
			t.Run("of "+from, func(t *testing.T) {
				m := workspace(t, fmt.Sprintf(state2015, strconv.Quote(from)))
				m.MustRun("state", "replace-provider", "-auto-approve", name, tftest.ProviderSource)
				m.MustRun("init")
				p := planOf(t, m)
				p.want(t, "atlas_artifact.app", "no-op")
				p.want(t, "aws_instance.app", "create")
			})
		}
		t.Run("of 0.11 has to forget the resource", func(t *testing.T) {
			m := workspace(t, state011)
			m.MustRun("state", "replace-provider", "-auto-approve", host+"/-/atlas", tftest.ProviderSource)
			m.MustRun("init")
			says(t, m.MustFail("plan"), "only states written by Terraform 0.12 and higher can be unmarshaled")
			m = workspace(t, state011)
			m.MustRun("state", "rm", "atlas_artifact.app")
			m.MustRun("init")
			planOf(t, m).want(t, "atlas_artifact.app", "create")
		})
	})
}
