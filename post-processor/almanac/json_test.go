package almanac_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/post-processor/almanac"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// For JSON templates Packer configures once, with placeholders for the build's values.
func TestJSONTemplatesGetTheBuildsValues(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	const message = "To set this dynamically in the Packer template, you must use the `build` function"
	placeholders := decoded{"PackerRunUUID": "Build_PackerRunUUID. " + message, "SourceAMI": "Build_SourceAMI. " + message}
	pp := new(almanac.PostProcessor)
	if err := pp.Configure(options{
		"artifact": "cargomedia/{{build_name}}",
		"metadata": decoded{"base": "from {{build `SourceAMI`}}", "name": "{{.BuildName}} by {{.BuilderType}}"},
	}, core("amazon-ebs", "app"), placeholders); err != nil {
		t.Fatal(err)
	}
	a := ami()
	a.state[stateGenerated] = decoded{"SourceAMI": "ami-0"}
	u, shown := ui()
	if _, _, _, err := pp.PostProcess(t.Context(), u, a); err != nil {
		t.Fatal(err)
	}
	v, err := s.Client(t, s.AdminToken).Version(t.Context(), "cargomedia/app", "1")
	if err != nil {
		t.Fatalf("%v; shown:\n%s", err, shown)
	}
	want := registry.Metadata{"base": "from ami-0", "name": "app by amazon-ebs"}
	if diff := cmp.Diff(want, v.Builds[0].Metadata); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
}
