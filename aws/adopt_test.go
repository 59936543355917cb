package aws_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/aws"
	"github.com/cargomedia/packer-plugin-almanac/internal/ec2sim"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

const app = "cargomedia/app"

// day is a day of 2025.
func day(n int) time.Time { return time.Date(2025, 1, n, 12, 0, 0, 0, time.UTC) }

// adoption is what is adopted.
type adoption struct {
	regions  []string
	filters  []aws.Filter
	channels []string
}

func plan(t *testing.T, c aws.AdoptLookup, artifact string, a adoption) aws.Adoption {
	t.Helper()
	if a.regions == nil {
		a.regions = []string{eu, us, ap}
	}
	images, err := reader(t).Images(t.Context(), a.regions, nil, a.filters...)
	if err != nil {
		t.Fatal(err)
	}
	p, err := aws.PlanAdoption(t.Context(), c, artifact, images, a.channels)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func adopt(t *testing.T, c *client.Client, artifact string, a adoption) aws.Adoption {
	t.Helper()
	p := plan(t, c, artifact, a)
	if err := p.Record(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return p
}

// builds are those of a plan in words, and skipped what is left out.
func builds(p aws.Adoption) []string {
	list := []string{}
	for _, b := range p.Builds {
		text := fmt.Sprintf("%s %s %s:", b.Action, b.Name, b.Component)
		for _, a := range b.AMIs {
			text += " " + a.Region
			if slices.ContainsFunc(b.New, func(n aws.AMI) bool { return n.ID == a.ID }) {
				text += "+"
			}
		}
		list = append(list, text)
	}
	return list
}

func skipped(p aws.Adoption) []string {
	list := []string{}
	for _, s := range p.Skipped {
		text := s.Name + " " + s.Region + ": " + s.Reason
		if s.Conflict {
			text = "conflict " + text
		}
		list = append(list, text)
	}
	return list
}

func want(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// recorded is what a registry has of an artifact: for each version its number, fingerprint and images.
func recorded(t *testing.T, c *client.Client, artifact string) []string {
	t.Helper()
	page, err := c.Versions(t.Context(), artifact, registry.VersionFilter{})
	if registry.KindOf(err) == registry.NotFound {
		return []string{}
	}
	if err != nil {
		t.Fatal(err)
	}
	list := []string{}
	for _, listed := range slices.Backward(page.Versions) {
		v, err := c.Version(t.Context(), artifact, listed.Version)
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("%d %s %s %s", v.Number, v.Fingerprint, v.Status, v.CreatedAt.Format("01-02"))
		for _, b := range v.Builds {
			text += " " + b.Component
			for _, i := range b.Images {
				text += " " + i.Region
			}
		}
		list = append(list, text)
	}
	return list
}

func events(t *testing.T, c *client.Client) int64 {
	t.Helper()
	page, err := c.Events(t.Context(), 0, 500)
	if err != nil {
		t.Fatal(err)
	}
	return page.Last
}

// image is an AMI for a seed.
func image(region, name string, n int, more ...func(*ec2sim.SeedImage)) ec2sim.SeedImage {
	i := ec2sim.SeedImage{Region: region, Name: name, CreatedAt: day(n)}
	for _, change := range more {
		change(&i)
	}
	return i
}

func arm(i *ec2sim.SeedImage) { i.Arch = "arm64" }

func id(id string) func(*ec2sim.SeedImage) { return func(i *ec2sim.SeedImage) { i.ID = id } }

func images(i ...ec2sim.SeedImage) ec2sim.Seed { return ec2sim.Seed{Images: i} }

func TestAdopt(t *testing.T) {
	sim := simulate(t, ec2sim.WithPageSize(2))
	c := registryClient(t)
	tagged := func(i *ec2sim.SeedImage) {
		i.Description = "App server"
		i.Tags = map[string]string{"role": "app", strings.Repeat("k", 127): "too long"}
	}
	seed(t, sim, images(image(us, "app 2", 11), image(eu, "app 2", 10), image(eu, "app 2", 12, arm),
		image(eu, "app-1", 1, tagged), image(us, "app-1", 2), image(eu, "app-3", 20)))
	first := []string{"new app-1 adopted.x86_64: eu-west-1+ us-east-1+", "new app 2 adopted.arm64: eu-west-1+",
		"new app 2 adopted.x86_64: eu-west-1+ us-east-1+", "new app-3 adopted.x86_64: eu-west-1+"}
	const second = "aws:app-2:6d2f3b7a8c11"

	t.Run("a plan records nothing", func(t *testing.T) {
		before := events(t, c)
		want(t, "builds", builds(plan(t, c, app, adoption{channels: []string{"production"}})), first...)
		want(t, "recorded", recorded(t, c, app))
		if after := events(t, c); after != before {
			t.Errorf("got event %d after %d, want none", after, before)
		}
	})
	t.Run("versions tell the history", func(t *testing.T) {
		p := adopt(t, c, app, adoption{channels: []string{"production"}})
		want(t, "builds", builds(p), first...)
		want(t, "tags that are left out", p.Builds[0].LeftOut, strings.Repeat("k", 127))
		got := recorded(t, c, app)
		got[1] = strings.Replace(got[1], p.Builds[1].Receipt.Fingerprint, second, 1)
		want(t, "recorded", got, "1 aws:app-1 complete 01-01 adopted.x86_64 eu-west-1 us-east-1",
			"2 "+second+" complete 01-10 adopted.arm64 eu-west-1 adopted.x86_64 eu-west-1 us-east-1", "3 aws:app-3 complete 01-20 adopted.x86_64 eu-west-1")
		if f := p.Builds[1].Receipt.Fingerprint; !strings.HasPrefix(f, "aws:app-2:") || len(f) != len(second) {
			t.Errorf("got fingerprint %s for a name with a space", f)
		}
	})
	t.Run("the channel moves once", func(t *testing.T) {
		h, err := c.Channel(t.Context(), app, "production")
		if err != nil || h.Number != 3 || len(h.Moves) != 1 {
			t.Errorf("got %+v, %v; want one move, to 3", h, err)
		}
	})
	t.Run("what AMIs say of themselves is metadata", func(t *testing.T) {
		v, err := c.Version(t.Context(), app, "1")
		if err != nil {
			t.Fatal(err)
		}
		b := v.Builds[0]
		wanted := registry.Metadata{"name": "app-1", "description": "App server", "owner_id": ec2sim.AccountID, "creation_date": "2025-01-01T12:00:00Z", "tag.role": "app"}
		if diff := cmp.Diff(wanted, b.Metadata); diff != "" {
			t.Error(diff)
		}
		found := b.Images[0].Verification
		if found.Status != registry.ImageAvailable || found.Attributes["root_device_type"] != "ebs" || b.Architecture != "x86_64" || b.Images[0].SourceID != sim.BaseImage(eu).ID {
			t.Errorf("got %+v of %s", b.Images[0], b.Architecture)
		}
		p := plan(t, c, "cargomedia/none", adoption{})
		if len(p.Builds) != 0 || skipped(p)[0] != "app-1 eu-west-1: cargomedia/app 0.1.0 has it already" {
			t.Errorf("got %v and %v, want all of them skipped for another artifact", builds(p), skipped(p))
		}
	})
	t.Run("again changes nothing", func(t *testing.T) {
		before := events(t, c)
		p := adopt(t, c, app, adoption{channels: []string{"production"}})
		want(t, "builds", builds(p), "recorded app-1 adopted.x86_64: eu-west-1 us-east-1", "recorded app 2 adopted.arm64: eu-west-1",
			"recorded app 2 adopted.x86_64: eu-west-1 us-east-1", "recorded app-3 adopted.x86_64: eu-west-1")
		if after := events(t, c); after != before || p.Changes() != 0 {
			t.Errorf("got event %d after %d and %d changes, want none", after, before, p.Changes())
		}
	})
	t.Run("a copy in another region is added to its version", func(t *testing.T) {
		seed(t, sim, images(image(ap, "app-1", 25, func(i *ec2sim.SeedImage) { i.Tags = map[string]string{"role": "other"} }), image(us, "app 2", 26, arm)))
		// Where only the new region is looked at, too.
		want(t, "builds", builds(adopt(t, c, app, adoption{regions: []string{ap}})), "add app-1 adopted.x86_64: ap-southeast-2+")
		want(t, "builds", builds(adopt(t, c, app, adoption{filters: []aws.Filter{filter(t, "architecture=arm64")}})), "add app 2 adopted.arm64: eu-west-1 us-east-1+")
		if got := recorded(t, c, app); len(got) != 3 || !strings.HasSuffix(got[0], "ap-southeast-2 eu-west-1 us-east-1") || !strings.Contains(got[1], "arm64 eu-west-1 us-east-1") {
			t.Errorf("got %q", got)
		}
	})
	t.Run("a build of another architecture is added to its version", func(t *testing.T) {
		seed(t, sim, images(image(eu, "app-3", 27, arm)))
		want(t, "builds", builds(adopt(t, c, app, adoption{filters: []aws.Filter{filter(t, "name=app-3")}})),
			"add app-3 adopted.arm64: eu-west-1+", "recorded app-3 adopted.x86_64: eu-west-1")
	})
	t.Run("what is older than latest would be latest", func(t *testing.T) {
		seed(t, sim, images(image(eu, "app-0", 5), image(eu, "app-4", 28)))
		p := adopt(t, c, app, adoption{filters: []aws.Filter{filter(t, "name=app-0,app-4")}})
		want(t, "builds", builds(p), "new app-4 adopted.x86_64: eu-west-1+")
		want(t, "skipped", skipped(p), "app-0 eu-west-1: is older than cargomedia/app 0.3.0, and would be latest in its place; record it as another artifact")
	})
}

func TestAdoptConflicts(t *testing.T) {
	sim := simulate(t)
	c := registryClient(t)
	seed(t, sim, images(image(eu, "app-0", 1), image(eu, "app-1", 1, id("ami-0000000a")), image(eu, "app-1", 2, id("ami-0000000b")), image(us, "app-1", 3),
		image(eu, "app-2", 4, id("ami-0000000c")), image(us, "app-2", 4), image(eu, "app-3", 5), image(us, "app-3", 5, id("ami-0000000f"))))
	only := func(names string) adoption { return adoption{filters: []aws.Filter{filter(t, "name="+names)}} }
	t.Run("two of one name in a region hold it back, and what is newer", func(t *testing.T) {
		a := only("app-0,app-1,app-2")
		a.channels = []string{"production"}
		p := adopt(t, c, app, a)
		want(t, "builds", builds(p), "new app-0 adopted.x86_64: eu-west-1+")
		want(t, "skipped", skipped(p), "conflict app-1 eu-west-1: ami-0000000b has the same name, architecture and region",
			"conflict app-1 eu-west-1: ami-0000000a has the same name, architecture and region",
			"app-1 us-east-1: waits until the conflict of its name is settled",
			"app-2 eu-west-1: waits for app-1, which is older and comes first", "app-2 us-east-1: waits for app-1, which is older and comes first")
		if r := p.Conflicts()[0].Remedy; !strings.HasPrefix(r, "deregister the one of two AMIs") {
			t.Errorf("got remedy %q", r)
		}
	})
	t.Run("nothing comes too late for the remedy", func(t *testing.T) {
		found, err := reader(t).Images(t.Context(), []string{eu, us}, nil, only("app-1,app-2").filters...)
		if err != nil {
			t.Fatal(err)
		}
		found = slices.DeleteFunc(found, func(a aws.AMI) bool { return a.ID == "ami-0000000b" }) // deregistered
		p, err := aws.PlanAdoption(t.Context(), c, app, found, nil)
		if err == nil {
			err = p.Record(t.Context(), c)
		}
		if err != nil {
			t.Fatal(err)
		}
		want(t, "builds", builds(p), "new app-1 adopted.x86_64: eu-west-1+ us-east-1+", "new app-2 adopted.x86_64: eu-west-1+ us-east-1+")
		want(t, "skipped", skipped(p))
	})
	t.Run("one that was made again beside what is recorded", func(t *testing.T) {
		seed(t, sim, images(image(eu, "app-2", 6, id("ami-0000000d"))))
		copyOf(t, sim, eu, "ami-0000000d", ap, "app-2")
		p := adopt(t, c, app, only("app-2"))
		want(t, "builds", builds(p), "recorded app-2 adopted.x86_64: eu-west-1 us-east-1")
		want(t, "skipped", skipped(p), "conflict app-2 eu-west-1: cargomedia/app 0.3.0 has ami-0000000c of this name in eu-west-1, and what a version has stays",
			"conflict app-2 ap-southeast-2: is a copy of ami-0000000d in eu-west-1, which is in conflict")
		for _, s := range p.Conflicts() {
			if strings.Contains(s.Remedy, "deregister") || !strings.Contains(s.Remedy, "almanac publish cargomedia/app --type aws.ami") {
				t.Errorf("got remedy %q, want to copy or to publish it", s.Remedy)
			}
		}
	})
	t.Run("a name of which several versions have AMIs", func(t *testing.T) {
		images, err := reader(t).Images(t.Context(), []string{eu, us}, nil, filter(t, "name=app-3"))
		if err != nil {
			t.Fatal(err)
		}
		for n, i := range images {
			_, err := c.Publish(t.Context(), app, registry.Publication{Fingerprint: fmt.Sprintf("run-%d", n), Build: registry.Build{
				Component: "x", Type: registry.AmazonImage, Images: []registry.Image{ami(i.Region, i.ID)},
			}})
			if err != nil {
				t.Fatal(err)
			}
		}
		seed(t, sim, ec2sim.Seed{Images: []ec2sim.SeedImage{image(ap, "app-3", 6)}})
		p := adopt(t, c, app, adoption{filters: []aws.Filter{filter(t, "name=app-3")}})
		want(t, "builds", builds(p), "recorded app-3 x: eu-west-1", "recorded app-3 x: us-east-1")
		want(t, "skipped", skipped(p), "conflict app-3 ap-southeast-2: versions 0.4.0, 0.5.0 of cargomedia/app all have AMIs of this name, or what they are copies of")
	})
}

func TestAdoptJoinsWhatPackerRecorded(t *testing.T) {
	sim := simulate(t)
	c := registryClient(t)
	made := seed(t, sim, images(image(eu, "app-1", 1), image(us, "app-1", 2)))
	_, err := c.Publish(t.Context(), app, registry.Publication{Fingerprint: "run-1", Build: registry.Build{
		Component: "amazon-ebs.app", Type: registry.AmazonImage, Metadata: registry.Metadata{"git": "4f2a1c9"},
		Images: []registry.Image{{Provider: "aws", Region: eu, ID: made.Images[0], SourceID: "ami-0abc", Labels: registry.Metadata{"a": "b"}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "builds", builds(adopt(t, c, app, adoption{})), "add app-1 amazon-ebs.app: eu-west-1 us-east-1+")
	v, err := c.Version(t.Context(), app, "1")
	if err != nil {
		t.Fatal(err)
	}
	if b := v.Builds[0]; len(v.Builds) != 1 || len(b.Images) != 2 || b.Images[0].Labels["a"] != "b" || b.Metadata["git"] != "4f2a1c9" {
		t.Errorf("got builds %+v, want the recorded one with the copy", v.Builds)
	}
}

func TestAdoptSkipsWhatCannotBeUsed(t *testing.T) {
	sim := simulate(t)
	c := registryClient(t)
	seed(t, sim, images(image(eu, "app-2", 2), image(eu, "app-3", 3)))
	inject(t, sim, ec2sim.Fault{Image: "app-2", State: "disabled"})
	p := adopt(t, c, app, adoption{})
	want(t, "builds", builds(p), "new app-3 adopted.x86_64: eu-west-1+")
	want(t, "skipped", skipped(p), "app-2 eu-west-1: is disabled, so that nobody can start it")
	sim.ClearFaults()
	older := "app-2 eu-west-1: is older than cargomedia/app 0.1.0, and would be latest in its place; record it as another artifact"
	want(t, "what came to be available later", skipped(plan(t, c, app, adoption{})), older)
	if _, err := c.Revoke(t.Context(), app, "1", registry.RevokeRequest{Reason: "broken"}); err != nil {
		t.Fatal(err)
	}
	want(t, "what is older than a revoked version", skipped(plan(t, c, app, adoption{})), older)
}

// failing refuses one publication.
type failing struct {
	*client.Client
	at int
}

func (f *failing) Publish(ctx context.Context, artifact string, pub registry.Publication) (registry.Receipt, error) {
	if f.at--; f.at == 0 {
		return registry.Receipt{}, registry.Errorf(registry.Unavailable, "the registry is away")
	}
	return f.Client.Publish(ctx, artifact, pub)
}

func TestAdoptionGoesOnAfterAFailure(t *testing.T) {
	sim := simulate(t)
	c := registryClient(t)
	seed(t, sim, images(image(eu, "app-1", 1), image(eu, "app-2", 2), image(eu, "app-2", 2, arm), image(eu, "app-3", 3)))
	p := plan(t, c, app, adoption{})
	err := p.Record(t.Context(), &failing{c, 3}) // the second build of app-2
	wantError(t, err, registry.Unavailable, "AMIs named app-2: the registry is away")
	want(t, "recorded", recorded(t, c, app), "1 aws:app-1 complete 01-01 adopted.x86_64 eu-west-1", "2 aws:app-2 open 01-02 adopted.arm64 eu-west-1")
	want(t, "builds", builds(adopt(t, c, app, adoption{})), "recorded app-1 adopted.x86_64: eu-west-1", "recorded app-2 adopted.arm64: eu-west-1",
		"add app-2 adopted.x86_64: eu-west-1+", "new app-3 adopted.x86_64: eu-west-1+")
	want(t, "recorded", recorded(t, c, app), "1 aws:app-1 complete 01-01 adopted.x86_64 eu-west-1",
		"2 aws:app-2 complete 01-02 adopted.arm64 eu-west-1 adopted.x86_64 eu-west-1", "3 aws:app-3 complete 01-03 adopted.x86_64 eu-west-1")
}

func TestAdoptionSaysThatAVersionThatWasBegunGetsTheChannel(t *testing.T) {
	sim := simulate(t)
	c := registryClient(t)
	seed(t, sim, images(image(eu, "app-1", 1), image(eu, "app-1", 1, arm)))
	p := plan(t, c, app, adoption{channels: []string{"production"}})
	wantError(t, p.Record(t.Context(), &failing{c, 2}), registry.Unavailable, "AMIs named app-1")
	if ch := p.Channels[0]; ch.Points || ch.Version == nil || ch.Note == "" {
		t.Errorf("got %+v, want that it does not point to the version yet, and why", ch)
	}
	p = plan(t, c, app, adoption{channels: []string{"production", "other"}})
	if a, b := p.Channels[0], p.Channels[1]; a.To != "app-1" || b.To != "" {
		t.Errorf("got %+v, want production to move, and other to stay", p.Channels)
	}
	if err := p.Record(t.Context(), c); err != nil || !p.Channels[0].Points {
		t.Errorf("got %+v, %v; want production to point to the version", p.Channels, err)
	}
}
