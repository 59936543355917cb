package almanac_test

import (
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/publishfile"
	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// A pipeline that is run again has the same fingerprint, and builds another AMI.
func TestAnotherBuildOfTheSameRunHasAPublishFileOfItsOwn(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	p := newProxy(t, s)
	p.answer(away)
	block := options{"artifact": "cargomedia/app", "fingerprint": "pipeline-7", "version": "1.4.0", "retry_timeout": "10ms"}
	again := func() *product {
		a := ami()
		a.state[stateImages] = image("aws", "eu-west-1", "ami-2", "ami-0", nil)
		return a
	}
	record(t, block, core("x", "app"), ami())
	if shown := record(t, block, core("x", "app"), ami()); strings.Contains(shown, "new fingerprint") {
		t.Errorf("the same build again: shown:\n%s", shown)
	}
	shown := record(t, block, core("x", "app"), again())
	if !strings.Contains(shown, "It has a new fingerprint and no version") {
		t.Errorf("shown:\n%s\nwant that it has a new fingerprint", shown)
	}
	paths, err := publishfile.Pending(".")
	if err != nil || len(paths) != 2 {
		t.Fatalf("got the publish files %v, %v; want two", paths, err)
	}
	for _, path := range paths {
		send(t, s, path)
	}
	for _, id := range []string{"ami-1", "ami-2"} {
		uses, err := s.Client(t, s.AdminToken).ImageUses(t.Context(), "aws", "eu-west-1", id)
		if err != nil || len(uses) != 1 {
			t.Errorf("%s: got %v, %v; want it recorded once", id, uses, err)
		}
	}
	if v := version(t, s, "cargomedia/app", "fingerprint:pipeline-7"); v.Status != registry.StatusComplete || v.Version != "1.4.0" {
		t.Errorf("got %+v", v)
	}
}
