package box_test

import (
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/registry/box"
)

func TestArchitecture(t *testing.T) {
	for s, want := range map[string]string{
		"": "", "unknown": "", "x86_64": "amd64", "aarch64": "arm64", "i686": "i386", "x86": "i386", "amd64": "amd64", "s390x": "s390x",
	} {
		if got := box.Architecture(s); got != want {
			t.Errorf("Architecture(%q) = %q; want %q", s, got, want)
		}
	}
}
