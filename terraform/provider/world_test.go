package provider_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-testing/echoprovider"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/internal/tftest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
	"github.com/cargomedia/packer-plugin-almanac/terraform/provider"
)

// world is a registry, the real client, and the provider, which runs in the test's own process.
type world struct {
	*servertest.Server
	t     *testing.T
	with  tftest.Client
	admin *client.Client
}

// eachWorld runs a test with terraform and with tofu, each in a world of its own.
func eachWorld(t *testing.T, test func(t *testing.T, w *world), needs ...tftest.Feature) {
	t.Helper()
	tftest.Each(t, func(t *testing.T, c tftest.Client) { test(t, newWorld(t, c)) }, needs...)
}

func newWorld(t *testing.T, c tftest.Client) *world {
	t.Helper()
	t.Setenv("TF_ACC_TERRAFORM_PATH", c.Path)
	if c.Name == "tofu" {
		t.Setenv("TF_ACC_PROVIDER_HOST", "registry.opentofu.org")
	}
	for _, name := range []string{client.EnvAddress, client.EnvToken, "ATLAS_ADDRESS", "ATLAS_TOKEN", "TF_APPEND_USER_AGENT", "TF_CLI_CONFIG_FILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("CHECKPOINT_DISABLE", "1")
	s := servertest.New(t)
	return &world{Server: s, t: t, with: c, admin: s.Client(t, s.AdminToken)}
}

// useEnvironment gives the address and the admin's token by the environment.
func (w *world) useEnvironment() {
	w.t.Setenv(client.EnvAddress, w.URL)
	w.t.Setenv(client.EnvToken, w.AdminToken)
}

// publish records a build, and fails the test when that does not work.
func (w *world) publish(name string, pub registry.Publication) registry.Receipt {
	w.t.Helper()
	receipt, err := w.admin.Publish(w.t.Context(), name, pub)
	if err != nil {
		w.t.Fatal(err)
	}
	return receipt
}

// app publishes a version of cargomedia/app with an AMI in each region: ami-VERSIONREGION without what is not a letter or
// digit.
func (w *world) app(version string, regions ...string) registry.Receipt {
	w.t.Helper()
	return w.publish("cargomedia/app", ami(version, regions...))
}

func ami(version string, regions ...string) registry.Publication {
	b := registry.Build{Component: "amazon-ebs.app", Type: registry.AmazonImage, Architecture: "x86_64", Metadata: registry.Metadata{"os": "ubuntu"}}
	for _, region := range regions {
		b.Images = append(b.Images, registry.Image{Provider: "aws", Region: region, ID: amiID(version, region)})
	}
	return registry.Publication{Fingerprint: "run-" + version, Version: version, Build: b}
}

func amiID(version, region string) string {
	return "ami-" + regexp.MustCompile(`[^0-9a-z]`).ReplaceAllString(version+region, "")
}

// upload stores a file for an artifact.
func (w *world) upload(artifact, name, content string) registry.File {
	w.t.Helper()
	f, err := w.admin.Upload(w.t.Context(), artifact, name, strings.NewReader(content), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

func (w *world) revoke(artifact, ref, reason string) {
	w.t.Helper()
	if _, err := w.admin.Revoke(w.t.Context(), artifact, ref, registry.RevokeRequest{Reason: reason}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) channel(artifact, name, ref string) {
	w.t.Helper()
	if _, err := w.admin.SetChannel(w.t.Context(), artifact, name, registry.ChannelChange{Ref: ref}); err != nil {
		w.t.Fatal(err)
	}
}

// run runs steps with the real client. The provider has the local names almanac and atlas.
func (w *world) run(steps ...resource.TestStep) {
	w.t.Helper()
	serve := providerserver.NewProtocol6WithError(provider.New("1.2.3").Impatient())
	factories := factory(serve)
	if n := len(steps); n > 1 && steps[n-1].ExpectError != nil {
		// The destroy at the end takes the last configuration, which must be a good one.
		steps = append(steps, resource.TestStep{Config: "# nothing"})
	}
	factories["almanac"], factories["atlas"], factories["echo"] = serve, serve, echoprovider.NewProviderServer()
	resource.UnitTest(w.t, resource.TestCase{ProtoV6ProviderFactories: factories, Steps: steps})
}

// factory is an empty map for serve, whose type is of a module that is not imported here.
func factory[F any](F) map[string]F { return map[string]F{} }

// refuse is a step that must fail in the plan with texts, in their order.
func refuse(config string, texts ...string) resource.TestStep {
	return resource.TestStep{Config: config, PlanOnly: true, ExpectError: says(texts...)}
}

// says finds texts in their order, however Terraform breaks its lines.
func says(texts ...string) *regexp.Regexp {
	patterns := make([]string, len(texts))
	for i, text := range texts {
		patterns[i] = strings.Join(strings.Fields(regexp.QuoteMeta(text)), `\s+`)
	}
	return regexp.MustCompile(strings.Join(patterns, `[\s\S]*`))
}

// look is data "almanac_artifact" "app" for cargomedia/app with arguments.
func look(arguments ...string) string {
	return fmt.Sprintf("data \"almanac_artifact\" \"app\" {\n  name = \"cargomedia/app\"\n  type = \"aws.ami\"\n  %s\n}\n", strings.Join(arguments, "\n  "))
}
