package tftest

import (
	"testing"

	"github.com/hashicorp/go-version"
)

func TestVersionIsRead(t *testing.T) {
	for text, want := range map[string]string{
		`{"terraform_version":"1.11.4","platform":"linux_amd64"}`: "1.11.4",
		`{"terraform_version":"1.12.6-dev"}`:                      "1.12.6",
	} {
		v, err := parseVersion([]byte(text))
		if err != nil || v.String() != want {
			t.Errorf("%s is read as %v, %v; want %s", text, v, err, want)
		}
	}
	for _, text := range []string{"", "{}", `{"terraform_version":"new"}`, "Terraform v1.11.4"} {
		if v, err := parseVersion([]byte(text)); err == nil {
			t.Errorf("%q is read as %v", text, v)
		}
	}
}

func TestClientSupports(t *testing.T) {
	for _, tc := range []struct {
		name, version string
		feature       Feature
		want          bool
	}{
		{"terraform", "1.5.7", ProviderFunctions, false},
		{"terraform", "1.8.0", ProviderFunctions, true},
		{"tofu", "1.7.0", ProviderFunctions, true},
		{"terraform", "1.9.8", EphemeralResources, false},
		{"terraform", "1.11.4", EphemeralResources, true},
		{"tofu", "1.10.9", EphemeralResources, false},
		{"tofu", "1.12.6", EphemeralResources, true},
		{"tofu", "1.12.6", "something unknown", false},
		{"other", "9.0.0", ProviderFunctions, false},
	} {
		c := Client{Name: tc.name, Version: version.Must(version.NewVersion(tc.version))}
		if got := c.Supports(tc.feature); got != tc.want {
			t.Errorf("%s %s and %s: %v", tc.name, tc.version, tc.feature, got)
		}
	}
}
