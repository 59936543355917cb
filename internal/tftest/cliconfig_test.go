package tftest

import "testing"

func TestConfigIsWritten(t *testing.T) {
	got := Config{
		Mirrors:      []string{"/m/one", "/m/two"},
		Direct:       []string{"127.0.0.1:8443/*/*"},
		DevOverrides: map[string]string{"almanac.example.com/cargomedia/almanac": "/bin dir"},
		Services:     map[string]map[string]string{"a.example.com": {"modules.v1": "https://127.0.0.1:1/m/"}},
		Tokens:       map[string]string{"a.example.com": "alm_secret"},
	}.String()
	want := `provider_installation {
  dev_overrides {
    "almanac.example.com/cargomedia/almanac" = "/bin dir"
  }
  filesystem_mirror {
    path = "/m/one"
  }
  filesystem_mirror {
    path = "/m/two"
  }
  direct {
    include = ["127.0.0.1:8443/*/*"]
  }
}
host "a.example.com" {
  services = {
    "modules.v1" = "https://127.0.0.1:1/m/"
  }
}
credentials "a.example.com" {
  token = "alm_secret"
}
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
