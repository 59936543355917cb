package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestPublishIsRepeatable(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	body := publication("run-1", "amazon-ebs.app", `"channels":["staging"],`)
	first := c.send(t, "POST", appPath+"/publish", body).ok(t)
	again := c.send(t, "POST", appPath+"/publish", body).ok(t)
	if first.body != again.body || first.status != again.status {
		t.Errorf("first %d %s, again %d %s", first.status, first.body, again.status, again.body)
	}
	other := strings.NewReplacer("ami-0e1", "ami-0e2", "x86_64", "arm64").Replace(body)
	p := c.send(t, "POST", appPath+"/publish", other).problem(t, 409)
	if got := fields(p); p.Kind != registry.Conflict || !slices.Equal(got, []string{"build.architecture", "build.images[0].id"}) {
		t.Errorf("got the fields %q: %+v", got, p)
	}
}

func TestLookups(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	c.send(t, "POST", appPath+"/publish", publication("run-1", "amazon-ebs.app", `"version_metadata":{"git":"4f2a91c"},`)).ok(t)
	resolve := "/v1/resolve/cargomedia/app/"
	t.Run("a region that is not there lists those that are", func(t *testing.T) {
		p := c.get(t, resolve+"latest?region=eu-west-9").problem(t, 404)
		if !slices.Equal(p.Choices, []string{"eu-west-1", "us-east-1"}) {
			t.Errorf("got %+v", p)
		}
	})
	t.Run("plain text is the bare id", func(t *testing.T) {
		got := c.get(t, resolve+"latest?type=aws.ami&region=us-east-1", "Accept", "text/plain").ok(t)
		if got.body != "ami-0u1\n" || got.header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("got %q %v", got.body, got.header)
		}
	})
	t.Run("plain text without a region is a conflict that lists them", func(t *testing.T) {
		p := c.get(t, resolve+"latest", "Accept", "text/plain").problem(t, 409)
		if !slices.Equal(p.Choices, []string{"eu-west-1", "us-east-1"}) {
			t.Errorf("got %+v", p)
		}
	})
	t.Run("Accept decides", func(t *testing.T) {
		for accept, want := range map[string]string{
			"": "application/json", "*/*": "application/json", "text/*": "text/plain; charset=utf-8", "text/html": "application/json",
			"text/plain;q=0.5, application/json": "application/json", "application/json;q=0.1, text/plain": "text/plain; charset=utf-8",
			"text/plain, */*": "application/json", "application/json;q=0, text/plain;q=0.1": "text/plain; charset=utf-8",
		} {
			if got := c.get(t, resolve+"latest?region=us-east-1", "Accept", accept).ok(t).header.Get("Content-Type"); got != want {
				t.Errorf("%q: got %s, want %s", accept, got, want)
			}
		}
	})
	t.Run("metadata narrows", func(t *testing.T) {
		c.get(t, resolve+"latest?metadata.git=4f2a91c&metadata.region=eu-west-1").ok(t)
		c.get(t, resolve+"latest?metadata.git=other").problem(t, 404)
		c.get(t, resolve+"latest?metadata.git=").problem(t, 404)
	})
	t.Run("a ref with any character can be written", func(t *testing.T) {
		for _, ref := range []string{"1", "0.1.0", "~%3E%200.1", "%3E=%200.1,%20%3C%201.0", "fingerprint:run-1", "run-1", "latest"} {
			if got := decode[registry.Resolution](t, c.get(t, resolve+ref).ok(t)); got.Number != 1 {
				t.Errorf("%s: got %+v", ref, got)
			}
		}
	})
	t.Run("a revoked version warns", func(t *testing.T) {
		c.send(t, "POST", appPath+"/versions/1/revoke", `{"reason":"say \"no\"\nto it"}`).ok(t)
		got := c.get(t, resolve+"1?region=eu-west-1", "Accept", "text/plain").ok(t)
		if want := `299 almanac "revoked: say \"no\" to it"`; got.header.Get("Warning") != want || got.body != "ami-0e1\n" {
			t.Errorf("got %q %q, want %q", got.body, got.header.Get("Warning"), want)
		}
		c.get(t, resolve+"latest").problem(t, 404)
		c.send(t, "POST", appPath+"/versions/1/restore", "").ok(t)
		if got := c.get(t, resolve+"1").ok(t); got.header.Get("Warning") != "" {
			t.Errorf("restored: %v", got.header)
		}
	})
}

func TestListsArePaged(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	for i := range 5 {
		c.send(t, "POST", fmt.Sprintf("/v1/artifacts/cargomedia/app%d/publish", i), publication("run-1", "x")).ok(t)
		c.send(t, "POST", appPath+"/publish", publication(fmt.Sprint("run-", i), "x")).ok(t)
	}
	var names []string
	for path := "/v1/artifacts?limit=2"; path != ""; {
		p := decode[registry.ArtifactPage](t, c.get(t, path).ok(t))
		for _, a := range p.Artifacts {
			names = append(names, a.Name.Name())
		}
		if path = ""; p.Next != "" {
			path = "/v1/artifacts?limit=2&cursor=" + p.Next
		}
	}
	if got := strings.Join(names, " "); got != "app app0 app1 app2 app3 app4" {
		t.Errorf("artifacts: %s", got)
	}
	var numbers []int64
	for path := appPath + "/versions?limit=2"; path != ""; {
		p := decode[registry.VersionPage](t, c.get(t, path).ok(t))
		for _, v := range p.Versions {
			numbers = append(numbers, v.Number)
		}
		if path = ""; p.Next != "" {
			path = appPath + "/versions?limit=2&cursor=" + p.Next
		}
	}
	if !slices.Equal(numbers, []int64{5, 4, 3, 2, 1}) {
		t.Errorf("versions: %v", numbers)
	}
}

func TestParallelPublicationsGetConsecutiveNumbers(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	const n = 24
	numbers := make([]int64, n)
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() {
			got := c.send(t, "POST", appPath+"/publish", publication(fmt.Sprint("run-", i), "x"))
			if got.status != http.StatusOK {
				t.Errorf("got %d %s", got.status, got.body)
				return
			}
			numbers[i] = decode[registry.Receipt](t, got).Number
		})
	}
	wait.Wait()
	slices.Sort(numbers)
	for i, number := range numbers {
		if number != int64(i+1) {
			t.Fatalf("got the numbers %v", numbers)
		}
	}
}
