package ec2sim_test

import (
	"slices"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/ec2sim"
)

func TestImageFilters(t *testing.T) {
	server := ec2sim.New()
	c := newClient(t, server)
	const region = "eu-west-1"
	one := c.image(server, region, "app-1.0")
	c.image(server, region, "app-10")
	c.call(region, nil, "CreateTags", "ResourceId.1", one, "Tag.1.Key", "role", "Tag.1.Value", "web*")

	tests := []struct {
		name  string
		pairs []string
		want  []string
	}{
		{"everything", nil, []string{ec2sim.BaseImageName, "app-1.0", "app-10"}},
		{"star", []string{"name", "app-*"}, []string{"app-1.0", "app-10"}},
		{"star for nothing", []string{"name", "app-10*"}, []string{"app-10"}},
		{"question mark", []string{"name", "app-1?"}, []string{"app-10"}},
		{"question marks", []string{"name", "app-1??"}, []string{"app-1.0"}},
		{"whole names only", []string{"name", "app"}, nil},
		{"case", []string{"name", "APP-*"}, nil},
		{"no regular expressions", []string{"name", "app-1.|app-1[0]"}, nil},
		{"escaped star", []string{"tag:role", `web\*`}, []string{"app-1.0"}},
		{"tag", []string{"tag:role", "w*"}, []string{"app-1.0"}},
		{"other tag", []string{"tag:rol", "*"}, nil},
		{"tag key", []string{"tag-key", "r?le"}, []string{"app-1.0"}},
		{"id", []string{"image-id", one}, []string{"app-1.0"}},
		{"public", []string{"is-public", "true"}, []string{ec2sim.BaseImageName}},
		{"owner", []string{"owner-id", ec2sim.AccountID}, []string{"app-1.0", "app-10"}},
		{"device", []string{"root-device-type", "instance-store"}, nil},
		{"virtualization", []string{"virtualization-type", "paravirtual"}, nil},
		{"architecture", []string{"architecture", "arm64"}, nil},
		{"state", []string{"state", "pending"}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var pairs []string
			if test.pairs != nil {
				pairs = []string{"Filter.1.Name", test.pairs[0], "Filter.1.Value.1", test.pairs[1]}
			}
			client{t, c.url}.images(region, test.want, pairs...)
		})
	}
	t.Run("any value", func(t *testing.T) {
		client{t, c.url}.images(region, []string{"app-1.0", "app-10"},
			"Filter.1.Name", "name", "Filter.1.Value.1", "app-1.0", "Filter.1.Value.2", "app-10")
	})
	t.Run("all filters", func(t *testing.T) {
		client{t, c.url}.images(region, []string{"app-1.0"}, "Filter.1.Name", "name", "Filter.1.Value.1", "app-*",
			"Filter.2.Name", "tag-key", "Filter.2.Value.1", "role")
	})
	t.Run("owners", func(t *testing.T) {
		c := client{t, c.url}
		c.images(region, []string{"app-1.0", "app-10"}, "Owner.1", "self")
		c.images(region, nil, "Owner.1", "amazon")
		c.images(region, []string{ec2sim.BaseImageName, "app-1.0", "app-10"}, "Owner.1", "self", "Owner.2", ec2sim.BaseImageOwner)
	})
	t.Run("regions are apart", func(t *testing.T) {
		client{t, c.url}.images("us-east-1", []string{ec2sim.BaseImageName})
	})
}

// images checks the names that DescribeImages finds.
func (c client) images(region string, want []string, pairs ...string) {
	c.t.Helper()
	var reply imagesReply
	c.call(region, &reply, "DescribeImages", pairs...)
	var got []string
	for _, image := range reply.Images {
		got = append(got, image.Name)
	}
	if !slices.Equal(got, want) {
		c.t.Errorf("got %v, want %v", got, want)
	}
}
