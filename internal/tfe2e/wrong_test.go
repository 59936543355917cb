package tfe2e

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/tftest"
)

// asking is a data source almanac_artifact, and what a client has to say of it.
type asking struct {
	label, arguments string
	want             []string
}

// writeAll puts data sources into the file main.tf.
func writeAll(m *tftest.Workspace, all []asking) {
	var b strings.Builder
	for _, a := range all {
		fmt.Fprintf(&b, "data \"almanac_artifact\" %q {\n  type = \"aws.ami\"\n  %s\n}\n", a.label, a.arguments)
	}
	m.Write("main.tf", b.String())
}

// messages are the errors and warnings of an output, by the data source that they are about.
func messages(out string) map[string]string {
	found := map[string]string{}
	for _, text := range strings.Split(strings.ReplaceAll(out, "\nWarning: ", "\nError: "), "\nError: ") {
		text = tftest.Flat(text)
		if _, at, ok := strings.Cut(text, "with data.almanac_artifact."); ok {
			label, _, _ := strings.Cut(at, ",")
			found[label] += text
		}
	}
	return found
}

// wrongInPlan can be told before the registry is asked, wrongInRegistry after it.
var (
	wrongInPlan = []asking{
		{"version_and_channel", `name = "cargomedia/app"
  version = "1.0.0"
  channel = "production"`, []string{"More than one of version, channel and ref", "given are version and channel."}},
		{"neither", `name = "cargomedia/app"`, []string{"One of version, channel and ref must be given, and none is."}},
		{"constraint", `name = "cargomedia/app"
  version = "~> 1.0"`, []string{`"~> 1.0" can mean another version tomorrow`, "a constraint into ref."}},
		{"no_name", `name = "app"
  version = "1.0.0"`, []string{`"app" must be namespace/name`}},
	}
	wrongInRegistry = []asking{
		{"unknown_artifact", `name = "cargomedia/ap"
  version = "1.0.0"`, []string{"Not found in the registry (404)", "Artifact cargomedia/ap does not exist", "In the namespace cargomedia there is cargomedia/app."}},
		{"unknown_version", `name = "cargomedia/app"
  version = "1.9.0"`, []string{"cargomedia/app has no version 1.9.0; the latest is 1.2.0 (number 3).", "Its channels are production -> 1.0.0 (number 1)."}},
		{"unknown_channel", `name = "cargomedia/app"
  channel = "staging"`, []string{`channel = "staging"`, "its channels are: production; the latest is 1.2.0 (number 3)."}},
		{"unknown_region", `name = "cargomedia/app"
  version = "1.0.0"
  region  = "mars-1"`, []string{`region = "mars-1"`, `cargomedia/app 1.0.0 (number 1) has no image in region "mars-1"; it has: eu-west-1, us-east-1.`}},
		{"required_region", `name = "cargomedia/app"
  version = "1.0.0"
  require_regions = ["eu-west-1", "mars-1"]`, []string{"Required regions are missing", "has no image in mars-1; it has: eu-west-1, us-east-1."}},
		{"revoked", `name = "cargomedia/app"
  version    = "1.1.0"
  on_revoked = "error"`, []string{"cargomedia/app 1.1.0 is revoked", "CVE-2026-1", "`almanac versions --offered cargomedia/app` lists what to use instead."}},
	}
)

var pinnedApp = []asking{{label: "app", arguments: "name = \"cargomedia/app\"\n  version = \"1.0.0\""}}

func TestWrongInputs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish(t, "cargomedia/app", "1.0.0", "production")
	w.publish(t, "cargomedia/app", "1.1.0")
	w.publish(t, "cargomedia/app", "1.2.0")
	w.revoke(t, "cargomedia/app", "1.1.0", "CVE-2026-1")
	other := w.Token(t, "other", "read", "somebody/*")

	tftest.Each(t, func(t *testing.T, c tftest.Client) {
		t.Parallel()
		m := w.withProvider(t, c, tftest.NoAWS, "almanac")
		m.MustRun("init")
		for _, all := range [][]asking{wrongInPlan, wrongInRegistry} {
			writeAll(m, all)
			out := m.MustFail("plan")
			said := messages(out)
			for _, wrong := range all {
				t.Run(wrong.label, func(t *testing.T) {
					if said[wrong.label] == "" {
						t.Errorf("nothing is said of it:\n%s", out)
					}
					says(t, said[wrong.label], wrong.want...)
				})
			}
		}

		writeAll(m, pinnedApp)
		for _, wrong := range []struct {
			name, variable, value string
			want                  []string
		}{
			{"no_token", "ALMANAC_TOKEN", "", []string{"The registry asks for a token (401)", "the environment variable ALMANAC_TOKEN"}},
			{"bad_token", "ALMANAC_TOKEN", "alm_wrong", []string{"The registry does not accept the token (401)", "it is unknown, expired or revoked."}},
			{"token_for_something_else", "ALMANAC_TOKEN", other, []string{"Artifact cargomedia/app does not exist, or this token may not read it."}},
			{"no_address", "ALMANAC_ADDR", "", []string{"The address of the registry is missing", "the environment variable ALMANAC_ADDR"}},
		} {
			t.Run(wrong.name, func(t *testing.T) {
				m.Setenv("ALMANAC_ADDR", w.URL)
				m.Setenv("ALMANAC_TOKEN", w.reader)
				m.Setenv(wrong.variable, wrong.value)
				says(t, m.MustFail("plan"), wrong.want...)
			})
		}
		t.Run("server_away", func(t *testing.T) {
			t.Parallel() // the provider tries for a while
			address := "http://" + unusedAddress(t)
			m := w.withProvider(t, c, tftest.NoAWS, "almanac")
			m.Setenv("ALMANAC_ADDR", address)
			writeAll(m, pinnedApp)
			m.MustRun("init")
			says(t, m.MustFail("plan"), "The registry at "+address+" does not answer: connection refused", address+"/healthz")
		})
	})
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish(t, "cargomedia/app", "1.0.0")
	w.publish(t, "cargomedia/app", "1.1.0")
	w.revoke(t, "cargomedia/app", "1.1.0", "CVE-2026-1")
	all := []asking{
		{"pinned", `name = "cargomedia/app"
  version = "1.0.0"`, nil},
		{"latest", `name = "cargomedia/app"
  version = "latest"`, []string{`version = "latest" floats`, "It names version 1.0.0 (number 1) of cargomedia/app now"}},
		{"revoked", `name = "cargomedia/app"
  version = "1.1.0"`, []string{"cargomedia/app 1.1.0 is revoked", "CVE-2026-1"}},
		{"revoked_and_ignored", `name = "cargomedia/app"
  version    = "1.1.0"
  on_revoked = "ignore"`, nil},
	}

	tftest.Each(t, func(t *testing.T, c tftest.Client) {
		t.Parallel()
		m := w.withProvider(t, c, tftest.NoAWS, "almanac")
		m.MustRun("init")
		writeAll(m, all)
		said := messages(m.MustRun("plan"))
		for _, a := range all {
			t.Run(a.label, func(t *testing.T) {
				if (said[a.label] != "") != (len(a.want) > 0) {
					t.Errorf("it said %q", said[a.label])
				}
				says(t, said[a.label], a.want...)
			})
		}
	})
}

// unusedAddress is one at which nobody listens.
func unusedAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}
