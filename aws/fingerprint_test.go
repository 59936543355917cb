package aws

import (
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestAdoptedFingerprints(t *testing.T) {
	if got := adoptedFingerprint("app-1.4.2_x"); got != "aws:app-1.4.2_x" {
		t.Errorf("got %s for a name that is fit as it is", got)
	}
	long := strings.Repeat("x", 127)
	seen := map[string]string{}
	for _, name := range []string{"app 1", "app-1", "app/1", "(app) [1]", "app@1'", "日本", long + "1", long + "2", " ", "-"} {
		got := adoptedFingerprint(name)
		if err := registry.CheckFingerprint(got); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if _, err := registry.ParseRef("fingerprint:" + got); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if other, taken := seen[got]; taken {
			t.Errorf("%q and %q both have %s", name, other, got)
		}
		seen[got] = name
	}
}
