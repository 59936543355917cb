package aws_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/aws"
	"github.com/cargomedia/packer-plugin-almanac/internal/ec2sim"
	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

// counting counts the questions to a registry, by what they ask for.
type counting struct {
	*client.Client
	lock  sync.Mutex
	asked map[string]int
}

func (c *counting) count(question string) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.asked == nil {
		c.asked = map[string]int{}
	}
	c.asked[question]++
}

func (c *counting) ImageUses(ctx context.Context, provider, region, id string) ([]registry.ImageUse, error) {
	c.count(region + "/" + id)
	return c.Client.ImageUses(ctx, provider, region, id)
}

func (c *counting) Resolve(ctx context.Context, artifact, ref string, q registry.Question) (registry.Resolution, error) {
	c.count(fmt.Sprintf("%s %s %s %s", artifact, ref, q.Component, q.Architecture))
	return c.Client.Resolve(ctx, artifact, ref, q)
}

// registryClient is a client of a registry of the test's own.
func registryClient(t *testing.T) *client.Client {
	t.Helper()
	s := servertest.New(t)
	return s.Client(t, s.AdminToken)
}

// publish records a version of AMIs in eu-west-1, one for each component.
func publish(t *testing.T, c *client.Client, artifact, fingerprint string, amis map[string]string) {
	t.Helper()
	for component, id := range amis {
		_, err := c.Publish(t.Context(), artifact, registry.Publication{Fingerprint: fingerprint, Build: registry.Build{
			Component: component, Type: registry.AmazonImage, Architecture: map[string]string{"arm": "arm64", "intel": "x86_64", "adopted.x86_64": "x86_64", "amazon-ebs.app": "x86_64"}[component],
			Images: []registry.Image{ami(eu, id)},
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// running is an instance of an AMI in eu-west-1.
func running(image string) aws.Instance {
	return aws.Instance{ID: "i-0a", Region: eu, ImageID: image, State: "running", Architecture: "x86_64"}
}

func match(t *testing.T, lookup aws.Lookup, channel string, instances ...aws.Instance) []aws.Machine {
	t.Helper()
	machines, err := aws.Match(t.Context(), lookup, instances, channel)
	if err != nil {
		t.Fatal(err)
	}
	return machines
}

// verdict is what a machine runs, what is current, and what that means.
func verdict(m aws.Machine) string {
	if m.Use == nil {
		return "not recorded"
	}
	text := fmt.Sprintf("%s %s", m.Use.Artifact, m.Use.Version)
	if m.Current != nil {
		text += fmt.Sprintf(" of %s (%s)", m.Current.Version, m.CurrentID)
	}
	if m.Behind {
		text += " behind"
	}
	if m.Revoked {
		text += " revoked"
	}
	return text
}

func TestMatch(t *testing.T) {
	c := registryClient(t)
	publish(t, c, "cargomedia/app", "run-1", map[string]string{"adopted.x86_64": "ami-01"})
	publish(t, c, "cargomedia/app", "run-2", map[string]string{"adopted.x86_64": "ami-02"})
	publish(t, c, "cargomedia/app", "run-3", map[string]string{"amazon-ebs.app": "ami-03"})
	publish(t, c, "cargomedia/two", "run-1", map[string]string{"one": "ami-11"})
	publish(t, c, "cargomedia/two", "run-2", map[string]string{"arm": "ami-12", "intel": "ami-13"})
	publish(t, c, "cargomedia/copy", "run-1", map[string]string{"one": "ami-01"})
	for channel, ref := range map[string]string{"production": "2", "old": "1"} {
		if _, err := c.SetChannel(t.Context(), "cargomedia/app", channel, registry.ChannelChange{Ref: ref}); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name, image, channel, want string
	}{
		{"behind latest, whose component has another name", "ami-02", "", "cargomedia/app 0.2.0 of 0.3.0 (ami-03) behind"},
		{"latest", "ami-03", "", "cargomedia/app 0.3.0 of 0.3.0 (ami-03)"},
		{"what the channel has", "ami-02", "production", "cargomedia/app 0.2.0 of 0.2.0 (ami-02)"},
		{"ahead of the channel", "ami-03", "production", "cargomedia/app 0.3.0 of 0.2.0 (ami-02)"},
		{"no such channel", "ami-03", "staging", "cargomedia/app 0.3.0"},
		{"current build by its architecture", "ami-11", "", "cargomedia/two 0.1.0 of 0.2.0 (ami-13) behind"},
		{"current build by its component", "ami-13", "", "cargomedia/two 0.2.0 of 0.2.0 (ami-13)"},
		{"not recorded", "ami-99", "", "not recorded"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := verdict(match(t, c, test.channel, running(test.image))[0]); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
	t.Run("an AMI of two artifacts", func(t *testing.T) {
		m := match(t, c, "", running("ami-01"))[0]
		if got := verdict(m); got != "cargomedia/app 0.1.0 of 0.3.0 (ami-03) behind" || len(m.Others) != 1 || m.Others[0].Artifact != "cargomedia/copy" {
			t.Errorf("got %s and others %v, want that which was first, and cargomedia/copy", got, m.Others)
		}
		m = match(t, aws.Within(c, "cargomedia/app"), "", running("ami-01"))[0]
		if got := verdict(m); got != "cargomedia/app 0.1.0 of 0.3.0 (ami-03) behind" || len(m.Others) != 0 {
			t.Errorf("got %s and others %v, want that of the one artifact", got, m.Others)
		}
		if got := verdict(match(t, aws.Within(c, "cargomedia/app"), "", running("ami-11"))[0]); got != "not recorded" {
			t.Errorf("got %s, want another artifact's left out", got)
		}
	})
	t.Run("a current version that lacks the region", func(t *testing.T) {
		there := aws.Instance{ID: "i-0a", Region: us, ImageID: "ami-01", Architecture: "x86_64"}
		_, err := c.Publish(t.Context(), "cargomedia/app", registry.Publication{Fingerprint: "run-1", Build: registry.Build{
			Component: "adopted.x86_64", Type: registry.AmazonImage, Architecture: "x86_64", Images: []registry.Image{ami(eu, "ami-01"), ami(us, "ami-01")},
		}})
		if err != nil {
			t.Fatal(err)
		}
		if got := verdict(match(t, c, "", there)[0]); got != "cargomedia/app 0.1.0 of 0.3.0 () behind" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("a revoked version is told, and is not offered", func(t *testing.T) {
		for _, ref := range []string{"2", "3"} {
			if _, err := c.Revoke(t.Context(), "cargomedia/app", ref, registry.RevokeRequest{Reason: "broken"}); err != nil {
				t.Fatal(err)
			}
		}
		if got := verdict(match(t, c, "", running("ami-02"))[0]); got != "cargomedia/app 0.2.0 of 0.1.0 (ami-01) revoked" {
			t.Errorf("latest: got %s", got)
		}
		if got := verdict(match(t, c, "production", running("ami-03"))[0]); got != "cargomedia/app 0.3.0 revoked" {
			t.Errorf("channel: got %s", got)
		}
	})
	t.Run("a registry that does not allow it", func(t *testing.T) {
		stranger := servertest.New(t).Client(t, "alm_0000000000000000000000000000000000000000000")
		_, err := aws.Match(t.Context(), stranger, []aws.Instance{running("ami-01"), running("ami-02")}, "")
		wantError(t, err, registry.Unauthorized)
	})
}

func TestMatchOffersWhatCanStart(t *testing.T) {
	c := registryClient(t)
	set := func(fingerprint, component, architecture, id string, found registry.Metadata) {
		t.Helper()
		image := ami(eu, id)
		if found != nil {
			image.Verification = &registry.Verification{Status: registry.ImageAvailable, At: day(1), Attributes: found}
		}
		_, err := c.Publish(t.Context(), app, registry.Publication{Fingerprint: fingerprint, Build: registry.Build{
			Component: component, Type: registry.AmazonImage, Architecture: architecture, Images: []registry.Image{image},
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	is := func(image, wanted string) {
		t.Helper()
		if got := verdict(match(t, c, "", running(image))[0]); got != wanted {
			t.Errorf("got %s, want %s", got, wanted)
		}
	}
	set("run-1", "old", "x86_64", "ami-01", nil)
	set("run-2", "other", "arm64", "ami-02", nil)
	t.Run("the only build is of another architecture", func(*testing.T) { is("ami-01", "cargomedia/app 0.1.0") })
	set("run-3", "old", "arm64", "ami-03", nil)
	t.Run("the component has another architecture now", func(*testing.T) { is("ami-01", "cargomedia/app 0.1.0") })
	set("run-3", "new", "x86_64", "ami-04", nil)
	t.Run("another component has the architecture", func(*testing.T) { is("ami-01", "cargomedia/app 0.1.0 of 0.3.0 (ami-04) behind") })
	set("run-4", "new", "", "ami-05", nil)
	t.Run("nobody knows the architecture", func(*testing.T) { is("ami-01", "cargomedia/app 0.1.0") })
	t.Run("the component is the same", func(*testing.T) { is("ami-04", "cargomedia/app 0.3.0 of 0.4.0 (ami-05) behind") })
	set("run-5", "newer", "", "ami-06", registry.Metadata{"architecture": "x86_64"})
	t.Run("EC2 told the architecture", func(*testing.T) { is("ami-01", "cargomedia/app 0.1.0 of 0.5.0 (ami-06) behind") })
	set("run-6", "newest", "", "ami-07", registry.Metadata{"architecture": "arm64"})
	t.Run("EC2 told another architecture", func(*testing.T) { is("ami-01", "cargomedia/app 0.1.0") })
}

func TestMatchOfAnAMIThatIsRecordedElsewhere(t *testing.T) {
	c := registryClient(t)
	publish(t, c, app, "run-1", map[string]string{"adopted.x86_64": "ami-01"})
	publish(t, c, app, "run-2", map[string]string{"adopted.x86_64": "ami-02"})
	publish(t, c, "cargomedia/copy", "run-1", map[string]string{"adopted.x86_64": "ami-02"})
	publish(t, c, "cargomedia/copy", "run-2", map[string]string{"adopted.x86_64": "ami-03"})
	if _, err := c.SetChannel(t.Context(), "cargomedia/copy", "stable", registry.ChannelChange{Ref: "1"}); err != nil {
		t.Fatal(err)
	}
	others := func(m aws.Machine) string { return fmt.Sprint(m.BehindIn, m.RevokedIn, len(m.Others)) }
	t.Run("it is behind in the other", func(t *testing.T) {
		m := match(t, c, "", running("ami-02"))[0]
		if verdict(m) != "cargomedia/app 0.2.0 of 0.2.0 (ami-02) behind" || others(m) != "[cargomedia/copy] [] 1" {
			t.Errorf("got %s, %s", verdict(m), others(m))
		}
	})
	t.Run("the other has the channel", func(t *testing.T) {
		m := match(t, c, "stable", running("ami-02"))[0]
		if verdict(m) != "cargomedia/copy 0.1.0 of 0.1.0 (ami-02)" || m.Others[0].Artifact != app {
			t.Errorf("got %s, others %v", verdict(m), m.Others)
		}
	})
	t.Run("it is revoked in the first", func(t *testing.T) {
		if _, err := c.Revoke(t.Context(), app, "2", registry.RevokeRequest{Reason: "broken"}); err != nil {
			t.Fatal(err)
		}
		m := match(t, c, "stable", running("ami-02"))[0]
		if verdict(m) != "cargomedia/copy 0.1.0 of 0.1.0 (ami-02) revoked" || others(m) != "[] [cargomedia/app] 1" {
			t.Errorf("got %s, %s", verdict(m), others(m))
		}
	})
	t.Run("the current version has it again", func(t *testing.T) {
		publish(t, c, app, "run-3", map[string]string{"adopted.x86_64": "ami-01"})
		m := match(t, c, "", running("ami-01"))[0]
		if verdict(m) != "cargomedia/app 0.3.0 of 0.3.0 (ami-01)" || len(m.Others) != 1 {
			t.Errorf("got %s, %s", verdict(m), others(m))
		}
	})
}

// TestFleet finds 1,000 instances in 10 regions, of AMIs that it adopts, though EC2 answers in small pages and
// throttles.
func TestFleet(t *testing.T) {
	const versions, perVersion = 5, 20
	sim := simulate(t, ec2sim.WithPageSize(7))
	regions := sim.Regions()[:10]
	var account ec2sim.Seed
	for _, region := range regions {
		for v := range versions {
			name := fmt.Sprintf("app-%d", v+1)
			account.Images = append(account.Images, ec2sim.SeedImage{Region: region, Name: name, CreatedAt: day(v + 1)})
			account.Instances = append(account.Instances, ec2sim.SeedInstances{Region: region, Image: name, Count: perVersion, Name: fmt.Sprintf("web-%d", v+1)})
		}
		inject(t, sim, ec2sim.Fault{Region: region, Action: "DescribeInstances", Error: "RequestLimitExceeded", Count: 2})
		inject(t, sim, ec2sim.Fault{Region: region, Action: "DescribeImages", Error: "Throttling", Count: 2})
	}
	made := seed(t, sim, account)
	c := &counting{Client: registryClient(t)}
	adopt(t, c.Client, "cargomedia/app", adoption{regions: regions})
	found := instances(t, regions)
	ids := map[string]int{}
	for _, i := range found {
		ids[i.ID]++
	}
	for _, group := range made.Instances {
		for _, id := range group {
			if ids[id] != 1 {
				t.Fatalf("got %s %d times, want it once", id, ids[id])
			}
		}
	}
	if len(found) != len(regions)*versions*perVersion {
		t.Fatalf("got %d instances, want %d", len(found), len(regions)*versions*perVersion)
	}
	behind := 0
	for _, m := range match(t, c, "", found...) {
		if m.Use == nil || m.Current == nil || m.Current.Number != versions || m.CurrentID == "" {
			t.Fatalf("got %s for %+v", verdict(m), m.Instance)
		}
		if m.Behind {
			behind++
		}
	}
	if want := len(found) / versions * (versions - 1); behind != want {
		t.Errorf("got %d behind, want %d", behind, want)
	}
	if len(c.asked) != len(regions)*versions+1 {
		t.Errorf("got %d questions, want one for each AMI and one for the artifact", len(c.asked))
	}
	for question, times := range c.asked {
		if times != 1 {
			t.Errorf("got %q %d times, want it once", question, times)
		}
	}
	if left := sim.Faults(); len(left) != 0 {
		t.Errorf("got faults %v left, want all to have acted", left)
	}
}
