package provider_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/cargomedia/packer-plugin-almanac/internal/tftest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestDownloadGivesAnAddressThatNeedsNoToken(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.useEnvironment()
		one, two := w.upload("cargomedia/web", "web.tar.gz", "content"), w.upload("cargomedia/web", "web.sig", "signature")
		archive := func(version string, files ...registry.File) {
			w.publish("cargomedia/web", registry.Publication{Fingerprint: version, Version: version, Build: registry.Build{
				Component: "file.web", Type: registry.Archive, Files: files,
			}})
		}
		archive("1.0.0", one)
		archive("1.1.0", one, two)
		ask := func(arguments string) string {
			return `
			ephemeral "almanac_download" "web" {
				name = "cargomedia/web"
				type = "archive"
				` + arguments + `
			}
			provider "echo" { data = ephemeral.almanac_download.web }
			resource "echo" "web" {}`
		}
		var address string
		remember := knownvalue.StringFunc(func(url string) error { address = url; return nil })
		at := func(name string, check knownvalue.Check) statecheck.StateCheck {
			return statecheck.ExpectKnownValue("echo.web", tfjsonpath.New("data").AtMapKey(name), check)
		}
		w.run(resource.TestStep{
			Config: ask(`version = "1"`),
			ConfigStateChecks: []statecheck.StateCheck{
				at("url", remember), at("sha256", text(string(one.SHA256))), at("size", knownvalue.Int64Exact(7)), at("file", text("web.tar.gz")),
				at("number", knownvalue.Int64Exact(1)), at("expires_at", knownvalue.NotNull()),
			},
		})
		resp, err := http.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "content" {
			t.Errorf("got %q, %v", body, err)
		}
		w.run(resource.TestStep{
			Config:            ask("channel = \"latest\"\n file = \"web.sig\""),
			ConfigStateChecks: []statecheck.StateCheck{at("sha256", text(string(two.SHA256)))},
		})
		refusal := map[string]string{"terraform": "Ephemeral value not allowed", "tofu": "Output does not allow ephemeral value"}[w.with.Name]
		w.run(
			refuse(ask(`version = "1.1.0"`), "has 2 files; say which: web.sig, web.tar.gz"),
			refuse(ask("version = \"1.1.0\"\n file = \"web.zip\""), `has no file "web.zip"; it has: web.sig, web.tar.gz`),
			refuse(ask("version = \"1.1.0\"\n metadata = { os = null }"), "metadata = { os = null }", "contains a null value"),
			refuse(ask(``), "One of version, channel and ref must be given, and none is."),
			refuse(`
			ephemeral "almanac_download" "web" {
				name    = "cargomedia/web"
				version = "1"
			}
			output "url" { value = ephemeral.almanac_download.web.url }`, refusal),
		)
	}, tftest.EphemeralResources)
}
