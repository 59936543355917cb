package provider_test

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/cargomedia/packer-plugin-almanac/internal/tftest"
)

func TestAMIOfARegion(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		// the function needs no address
		call := func(metadata, region string) string {
			return "output \"ami\" { value = provider::almanac::ami(" + metadata + ", \"" + region + "\") }"
		}
		w.run(
			resource.TestStep{
				Config:           call(`{ "region.eu-west-1" = "ami-1", "region.us-east-1" = "ami-2", os = "ubuntu" }`, "us-east-1"),
				ConfigPlanChecks: planned(map[string]knownvalue.Check{"ami": text("ami-2")}),
			},
			resource.TestStep{
				Config:           call(`{ region-eu-west-1 = "ami-1", region = "eu-west-1" }`, "eu-west-1"),
				ConfigPlanChecks: planned(map[string]knownvalue.Check{"ami": text("ami-1")}),
			},
			resource.TestStep{
				Config: `
				resource "terraform_data" "ami" { input = "ami-3" }
				` + call(`{ region-eu-west-1 = terraform_data.ami.output }`, "eu-west-1"),
				ConfigStateChecks: []statecheck.StateCheck{statecheck.ExpectKnownOutputValue("ami", text("ami-3"))},
			},
			refuse(call(`{ region-us-east-1 = "ami-2", "region.eu-west-1" = "ami-1" }`, "ap-south-1"),
				`the artifact has no AMI in region "ap-south-1"; it has: eu-west-1, us-east-1`),
			refuse(call(`{ os = "ubuntu" }`, "eu-west-1"), `it has no keys such as "region.eu-west-1"`),
		)
	}, tftest.ProviderFunctions)
}
