package provider_test

import (
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// configured is a provider block with arguments.
func configured(arguments ...string) string {
	return "provider \"almanac\" {\n  " + strings.Join(arguments, "\n  ") + "\n}\n"
}

func quoted(name, value string) string { return fmt.Sprintf("%s = %q", name, value) }

func TestProviderThatCannotAskSaysWhy(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.app("1.0.0", "eu-west-1")
		question := look(`version = "1.0.0"`)
		closed, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		away := "http://" + closed.Addr().String()
		if err := closed.Close(); err != nil {
			t.Fatal(err)
		}
		stranger := w.Token(t, "stranger", "read", "other/*")
		w.run(
			refuse(question, "Set address in the provider block, or the environment variable ALMANAC_ADDR (or ATLAS_ADDRESS), such as https://almanac.example.com."),
			refuse(configured(quoted("address", "almanac.example.com"))+question, "address must begin with http:// or https://"),
			refuse(configured(quoted("address", w.URL), quoted("token", "two words"))+question, "token has a space"),
			refuse(configured(quoted("address", w.URL), quoted("ca_certificate_pem", "ca.pem"))+question, "ca_certificate_pem has no certificate"),
			refuse(configured(quoted("address", w.URL))+question, "The registry asks for a token (401)", "Set token in the provider block, or the environment variable ALMANAC_TOKEN (or ATLAS_TOKEN)."),
			refuse(configured(quoted("address", w.URL), quoted("token", "alm_wrong"))+question, "The registry does not accept the token (401)", "The token is not valid: it is unknown, expired or revoked."),
			refuse(configured(quoted("address", w.URL), quoted("token", stranger))+question, "Artifact cargomedia/app does not exist, or this token may not read it.", "This token can read nothing in the namespace cargomedia."),
			refuse(configured(quoted("address", away))+question, "The registry at "+away+" does not answer: connection refused (tried 2 times).", away+"/healthz answer?"),
		)
		t.Setenv("ATLAS_ADDRESS", "ftp://almanac.example.com")
		w.run(refuse(question, "ATLAS_ADDRESS must begin with http:// or https://"))
	})
}

func TestProviderWithATokenThatExpiredSaysSo(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.app("1.0.0", "eu-west-1")
		token, err := w.admin.CreateToken(t.Context(), registry.TokenRequest{
			Name: "ci", Role: "read", Scopes: []string{"*"}, ExpiresAt: new(time.Now().Add(time.Hour)),
		})
		if err != nil {
			t.Fatal(err)
		}
		secret := quoted("token", token.Secret)
		w.run(resource.TestStep{Config: configured(quoted("address", w.URL), secret) + look(`version = "1"`)})
		w.Stop(t)
		later := servertest.New(t, servertest.InDir(w.Dir, w.AdminToken), servertest.WithClock(func() time.Time { return time.Now().Add(2 * time.Hour) }))
		w.run(refuse(configured(quoted("address", later.URL), secret)+look(`version = "1"`), "The registry does not accept the token (401)",
			"The token is not valid: it is unknown, expired or revoked.", "Replace the token in the provider block, or in the environment variable ALMANAC_TOKEN"))
	})
}

func TestPlanOutlivesARegistryThatIsAwayForAMoment(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.app("1.0.0", "eu-west-1")
		target, err := url.Parse(w.URL)
		if err != nil {
			t.Fatal(err)
		}
		proxy := httputil.NewSingleHostReverseProxy(target)
		var refused atomic.Bool
		front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if !refused.Swap(true) {
				http.Error(rw, "the registry is being started", http.StatusServiceUnavailable)
				return
			}
			proxy.ServeHTTP(rw, r)
		}))
		defer front.Close()
		w.run(resource.TestStep{
			Config:             configured(quoted("address", front.URL), quoted("token", w.AdminToken)) + look(`version = "1"`) + `output "ami" { value = data.almanac_artifact.app.ami_id }`,
			PlanOnly:           true,
			ExpectNonEmptyPlan: true,
		})
		if !refused.Load() {
			t.Error("nothing was asked")
		}
	})
}

func TestProviderThatCannotListWhatThereIsSaysSo(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.app("1.0.0", "eu-west-1")
		target, err := url.Parse(w.URL)
		if err != nil {
			t.Fatal(err)
		}
		proxy := httputil.NewSingleHostReverseProxy(target)
		front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if !strings.HasPrefix(r.URL.Path, "/v1/resolve/") {
				http.NotFound(rw, r)
				return
			}
			proxy.ServeHTTP(rw, r)
		}))
		defer front.Close()
		w.run(refuse(configured(quoted("address", front.URL), quoted("token", w.AdminToken))+`data "almanac_artifact" "app" {
			name    = "cargomedia/wep"
			type    = "aws.ami"
			version = "1.0.0"
		}`, "Artifact cargomedia/wep does not exist", "What there is in the namespace cargomedia cannot be read, either:", "Is the provider's address right? It is "+front.URL+"."))
	})
}

func TestProviderBlockGoesBeforeTheEnvironmentAndAlmanacBeforeAtlas(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.app("1.0.0", "eu-west-1")
		t.Setenv("ATLAS_ADDRESS", "http://127.0.0.1:1")
		t.Setenv("ATLAS_TOKEN", "alm_wrong")
		t.Setenv("ALMANAC_ADDR", w.URL)
		t.Setenv("ALMANAC_TOKEN", w.AdminToken)
		found := attributes("data.almanac_artifact.app", map[string]knownvalue.Check{"number": knownvalue.Int64Exact(1)})
		w.run(resource.TestStep{Config: look(`version = "1"`), ConfigStateChecks: found})
		t.Setenv("ALMANAC_ADDR", "http://127.0.0.1:1")
		t.Setenv("ALMANAC_TOKEN", "alm_wrong")
		w.run(resource.TestStep{Config: configured(quoted("address", w.URL), quoted("token", w.AdminToken)) + look(`version = "1"`), ConfigStateChecks: found})
	})
}

func TestProviderSaysWhoItIsAsksOnceAndTrustsAnOwnAuthority(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.app("1.0.0", "eu-west-1", "us-east-1")
		t.Setenv("TF_APPEND_USER_AGENT", "ci/7")
		target, err := url.Parse(w.URL)
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		asked, agent := map[string]int{}, ""
		proxy := httputil.NewSingleHostReverseProxy(target)
		front := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			mu.Lock()
			asked[r.URL.Path]++
			agent = r.UserAgent()
			mu.Unlock()
			proxy.ServeHTTP(rw, r)
		}))
		defer front.Close()
		ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw}))
		settings := []string{quoted("address", front.URL), quoted("token", w.AdminToken)}
		question := look(`version = "1.0.0"`, `region = "us-east-1"`)
		w.run(refuse(configured(settings...)+question, "No trusted connection to the registry"))
		w.run(resource.TestStep{
			Config:             configured(append(settings, quoted("ca_certificate_pem", ca))...) + question + `output "ami" { value = data.almanac_artifact.app.ami_id }`,
			PlanOnly:           true,
			ConfigPlanChecks:   resource.ConfigPlanChecks{},
			ExpectNonEmptyPlan: true,
		})
		if !strings.HasPrefix(agent, "terraform-provider-almanac/1.2.3 terraform/1.") || !strings.HasSuffix(agent, " ci/7") {
			t.Errorf("user agent %q", agent)
		}
		// The plan is made twice by the test: once for itself, and once with a refresh.
		if len(asked) != 1 || asked["/v1/resolve/cargomedia/app/1.0.0"] > 2 {
			t.Errorf("asked %v", asked)
		}
	})
}

func TestProviderWhoseAddressIsUnknown(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.app("1.0.0", "eu-west-1")
		const unknown = `resource "terraform_data" "address" { input = "%s" }
provider "almanac" {
  address = terraform_data.address.output
  token   = "%s"
}
`
		provider := fmt.Sprintf(unknown, w.URL, w.AdminToken)
		w.run(refuse(provider+look(`version = "1"`), "The provider's address comes from something that this run has yet to make"))
		w.run(resource.TestStep{
			Config: provider + `resource "atlas_artifact" "app" {
			provider = almanac
			name     = "cargomedia/app"
			type     = "aws.ami"
		}` + "\n" + production("1"),
			Check:             w.pointsTo("production", 1),
			ConfigStateChecks: attributes("atlas_artifact.app", map[string]knownvalue.Check{"version_real": text("1")}),
		})
	})
}
