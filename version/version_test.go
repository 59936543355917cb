package version_test

import (
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/version"
)

func TestString(t *testing.T) {
	v, pre := version.Version, version.VersionPrerelease
	t.Cleanup(func() { version.Version, version.VersionPrerelease = v, pre })
	for want, pre := range map[string]string{"1.2.3": "", "1.2.3-dev": "dev"} {
		version.Version, version.VersionPrerelease = "1.2.3", pre
		if got := version.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
