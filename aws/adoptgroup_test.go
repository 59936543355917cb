package aws_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/cargomedia/packer-plugin-almanac/aws"
	"github.com/cargomedia/packer-plugin-almanac/internal/ec2sim"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

// copyOf copies an AMI to another region, as CopyImage does, and returns the id of the copy.
func copyOf(t *testing.T, sim *ec2sim.Server, from, image, to, name string) string {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion(to))
	if err != nil {
		t.Fatal(err)
	}
	made, err := ec2.NewFromConfig(cfg).CopyImage(t.Context(), &ec2.CopyImageInput{Name: &name, SourceImageId: &image, SourceRegion: &from})
	if err != nil {
		t.Fatal(err)
	}
	return *made.ImageId
}

// packed records AMIs in eu-west-1 as Packer does, each as a version of its own.
func packed(t *testing.T, c *client.Client, ids ...string) {
	t.Helper()
	for n, id := range ids {
		_, err := c.Publish(t.Context(), app, registry.Publication{Fingerprint: fmt.Sprintf("run-%d", n+1), Channels: []string{"production"}, Build: registry.Build{
			Component: "amazon-ebs.app", Type: registry.AmazonImage, Images: []registry.Image{ami(eu, id)},
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestAdoptKnowsCopiesByTheirSource(t *testing.T) {
	sim := simulate(t)
	c := registryClient(t)
	made := seed(t, sim, images(image(eu, "p-1", 1), image(eu, "p-2", 2), image(eu, "p-3", 3)))
	packed(t, c, made.Images[:2]...)
	copyOf(t, sim, eu, made.Images[0], ap, "p-1")
	t.Run("where only their region is asked", func(t *testing.T) {
		p := adopt(t, c, app, adoption{regions: []string{ap}, channels: []string{"production"}})
		want(t, "builds", builds(p), "add p-1 amazon-ebs.app: ap-southeast-2+")
		want(t, "recorded", versionsOf(t, c), "1 amazon-ebs.app ap-southeast-2 eu-west-1", "2 amazon-ebs.app eu-west-1")
		h, err := c.Channel(t.Context(), app, "production")
		if err != nil || h.Number != 2 {
			t.Errorf("got production at %d, %v; want it to stay at 2", h.Number, err)
		}
		if ch := p.Channels[0]; ch.To != "" || ch.From == nil || ch.From.Number != 2 || !strings.Contains(ch.Note, "almanac channel set cargomedia/app production VERSION") {
			t.Errorf("got %+v, want it to stay, and why", ch)
		}
	})
	t.Run("whatever their names are", func(t *testing.T) {
		copyOf(t, sim, eu, made.Images[1], ap, "p-2 copied")
		second := copyOf(t, sim, eu, made.Images[1], us, "p-2 copied again")
		copyOf(t, sim, us, second, "eu-west-2", "p-2 copied from a copy")
		copyOf(t, sim, eu, made.Images[0], us, "p-1")
		want(t, "builds", builds(adopt(t, c, app, adoption{regions: []string{ap, "eu-west-2", us}})),
			"add p-1 amazon-ebs.app: ap-southeast-2 us-east-1+", "add p-2 copied amazon-ebs.app: ap-southeast-2+ eu-west-2+ us-east-1+")
		want(t, "recorded", versionsOf(t, c), "1 amazon-ebs.app ap-southeast-2 eu-west-1 us-east-1", "2 amazon-ebs.app ap-southeast-2 eu-west-1 eu-west-2 us-east-1")
	})
	t.Run("where EC2 does not say the region of the source", func(t *testing.T) {
		lost := aws.AMI{Region: ap, ID: "ami-0abc", Name: "p-1", SourceID: made.Images[1]}
		found := altered(t, ap, lost)
		found.Description = "[Copied " + made.Images[0] + " from " + eu + "] p-1"
		p, err := aws.PlanAdoption(t.Context(), c, app, []aws.AMI{found}, nil)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "skipped", skipped(p), "conflict p-1 ap-southeast-2: cargomedia/app 0.2.0 has "+copyIn(t, c, "2", ap)+" of this name in ap-southeast-2, and what a version has stays")
	})
	t.Run("what was built from a recorded AMI is something else", func(t *testing.T) {
		derived := altered(t, eu, aws.AMI{ID: "ami-0abd", Name: "p-4", SourceID: made.Images[1], SourceRegion: eu})
		p, err := aws.PlanAdoption(t.Context(), c, app, []aws.AMI{derived}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Builds) != 1 || p.Builds[0].Action != aws.AdoptNew {
			t.Errorf("got %v and %v, want a new version", builds(p), skipped(p))
		}
	})
	t.Run("two that are new are one version", func(t *testing.T) {
		copyOf(t, sim, eu, made.Images[2], us, "p-3 copied")
		p := plan(t, c, "cargomedia/other", adoption{regions: []string{eu, us}, filters: []aws.Filter{filter(t, "name=p-3*")}})
		want(t, "builds", builds(p), "new p-3 adopted.x86_64: eu-west-1+ us-east-1+")
	})
}

// altered is an AMI of EC2 with another id, name and source.
func altered(t *testing.T, region string, as aws.AMI) aws.AMI {
	t.Helper()
	found, err := reader(t).Images(t.Context(), []string{region}, nil)
	if err != nil || len(found) == 0 {
		t.Fatalf("got %v, %v", found, err)
	}
	a := found[len(found)-1]
	a.ID, a.Name, a.SourceID, a.SourceRegion, a.CreatedAt = as.ID, as.Name, as.SourceID, as.SourceRegion, time.Now()
	return a
}

// copyIn is the AMI of a version in a region.
func copyIn(t *testing.T, c *client.Client, ref, region string) string {
	t.Helper()
	r, err := c.Resolve(t.Context(), app, ref, registry.Question{Region: region})
	if err != nil {
		t.Fatal(err)
	}
	return r.ID
}

// versionsOf are the versions of the artifact without what tells when they were made.
func versionsOf(t *testing.T, c *client.Client) []string {
	t.Helper()
	list := []string{}
	for _, text := range recorded(t, c, app) {
		words := strings.Fields(text)
		list = append(list, strings.Join(append(words[:1], words[4:]...), " "))
	}
	return list
}

func TestAdoptWaitsForWhatIsPending(t *testing.T) {
	sim := simulate(t)
	c := registryClient(t)
	seed(t, sim, images(image(eu, "app-1", 1), image(eu, "app-2", 2), image(us, "app-2", 3), image(eu, "app-3", 4)))
	inject(t, sim, ec2sim.Fault{Image: "app-2", Region: us, State: "pending"})
	first := adopt(t, c, app, adoption{channels: []string{"production"}})
	want(t, "builds", builds(first), "new app-1 adopted.x86_64: eu-west-1+")
	want(t, "skipped", skipped(first), "app-2 eu-west-1: waits for the pending AMIs of its name; adopt it when all of its AMIs are available",
		"app-2 us-east-1: is still pending", "app-3 eu-west-1: waits for app-2, which is older and comes first")
	again := plan(t, c, app, adoption{channels: []string{"production"}})
	if ch := again.Channels[0]; ch.To != "" || !strings.HasPrefix(ch.Note, "the new version of app-2 has to wait") {
		t.Errorf("got %+v, want the channel to stay until app-2 is there", ch)
	}
	sim.ClearFaults()
	dry := plan(t, c, app, adoption{channels: []string{"production", "fresh"}})
	want(t, "builds", builds(dry), "recorded app-1 adopted.x86_64: eu-west-1", "new app-2 adopted.x86_64: eu-west-1+ us-east-1+", "new app-3 adopted.x86_64: eu-west-1+")
	if p, f := dry.Channels[0], dry.Channels[1]; p.From.Number != 1 || p.To != "app-3" || p.Version != nil || f.From != nil || f.To != "app-3" {
		t.Errorf("got %+v, want what would become of the channels", dry.Channels)
	}
	if err := dry.Record(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if p := dry.Channels[0]; !p.Points || p.Version.Number != 3 {
		t.Errorf("got %+v, want it to point to 3", p)
	}

	seed(t, sim, images(image(us, "app-3", 5), image(ap, "app-3", 6), image(eu, "app-4", 7)))
	inject(t, sim, ec2sim.Fault{Image: "app-3", Region: ap, State: "pending"})
	p := plan(t, c, app, adoption{filters: []aws.Filter{filter(t, "name=app-3,app-4")}})
	want(t, "builds of a version that is recorded", builds(p), "add app-3 adopted.x86_64: eu-west-1 us-east-1+", "new app-4 adopted.x86_64: eu-west-1+")
	want(t, "skipped", skipped(p), "app-3 ap-southeast-2: is still pending")
}
