package ec2sim_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/internal/ec2sim"
)

type instancesReply struct {
	Instances []struct {
		ID    string `xml:"instanceId"`
		State string `xml:"instanceState>name"`
		Zone  string `xml:"placement>availabilityZone"`
		Tags  []struct {
			Key   string `xml:"key"`
			Value string `xml:"value"`
		} `xml:"tagSet>item"`
	} `xml:"reservationSet>item>instancesSet>item"`
	NextToken string `xml:"nextToken"`
}

// names are the tags Name of a page.
func (r instancesReply) names() []string {
	var names []string
	for _, i := range r.Instances {
		for _, tag := range i.Tags {
			if tag.Key == "Name" {
				names = append(names, tag.Value)
			}
		}
	}
	return names
}

func seeded(t *testing.T, server *ec2sim.Server, seed ec2sim.Seed) ec2sim.Seeded {
	t.Helper()
	made, err := server.Seed(seed)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

const seedRegion = "us-west-2"

var fleet = ec2sim.Seed{
	Images: []ec2sim.SeedImage{
		{Region: seedRegion, ID: "ami-0000000a", Name: "app-1", Arch: "arm64", CreatedAt: time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC), Tags: map[string]string{"role": "app"}},
		{Region: seedRegion, Name: "theirs", Owner: "210987654321"},
	},
	Instances: []ec2sim.SeedInstances{
		{Region: seedRegion, Image: "app-1", Count: 12, Name: "web", Tags: map[string]string{"role": "web"}},
		{Region: seedRegion, Image: "ami-0000000a", ID: "i-0000000b", Name: "edge", Zone: "us-west-2-lax-1a", Type: "c6g.large", State: "stopped"},
		{Region: seedRegion, Image: "theirs", Name: "old", State: "terminated"},
	},
}

func TestSeed(t *testing.T) {
	server := ec2sim.New()
	c := newClient(t, server)
	made := seeded(t, server, fleet)
	if len(made.Images) != 2 || made.Images[0] != "ami-0000000a" || len(made.Instances[0]) != 12 || made.Instances[1][0] != "i-0000000b" {
		t.Fatalf("got %v, want the ids of 2 images and 12, 1 and 1 instances", made)
	}
	t.Run("images are as they are said to be", func(t *testing.T) {
		got := server.Images(seedRegion)[0]
		if got.Architecture != "arm64" || got.CreatedAt.Year() != 2025 || got.Tags["role"] != "app" || got.State != "available" {
			t.Errorf("got %+v", got)
		}
		client{t, c.url}.images(seedRegion, []string{"theirs"}, "Owner.1", "210987654321")
	})
	t.Run("instances can be filtered", func(t *testing.T) {
		for _, test := range []struct{ filter, value, want string }{
			{"tag:Name", "web-1?", "web-10 web-11 web-12"},
			{"tag-key", "role", "web-1 web-2 web-3 web-4 web-5 web-6 web-7 web-8 web-9 web-10 web-11 web-12"},
			{"instance-state-name", "stopped", "edge"},
			{"instance-state-code", "48", "old"},
			{"availability-zone", "us-west-2-lax-*", "edge"},
			{"image-id", made.Images[1], "old"},
			{"instance-id", "i-0000000b", "edge"},
			{"instance-type", "c6g.*", "edge"},
		} {
			var reply instancesReply
			client{t, c.url}.call(seedRegion, &reply, "DescribeInstances", "Filter.1.Name", test.filter, "Filter.1.Value.1", test.value)
			if got := strings.Join(reply.names(), " "); got != test.want {
				t.Errorf("%s=%s: got %q, want %q", test.filter, test.value, got, test.want)
			}
		}
		client{t, c.url}.refused(seedRegion, "InvalidParameterValue: The filter 'name' is invalid", "DescribeInstances", "Filter.1.Name", "name", "Filter.1.Value.1", "x")
	})
	t.Run("what is seeded can be used", func(t *testing.T) {
		client{t, c.url}.call(seedRegion, nil, "CreateTags", "ResourceId.1", "i-0000000b", "Tag.1.Key", "a", "Tag.1.Value", "b")
		client{t, c.url}.call(seedRegion, nil, "TerminateInstances", "InstanceId.1", made.Instances[0][0])
	})
}

func TestSeedRefusals(t *testing.T) {
	good := ec2sim.SeedImage{Region: seedRegion, Name: "app-1"}
	tests := []struct {
		name string
		seed ec2sim.Seed
		want string
	}{
		{"region", ec2sim.Seed{Images: []ec2sim.SeedImage{good, {Region: "mars-1", Name: "app"}}}, `images[1]: region "mars-1" is not one of`},
		{"name", ec2sim.Seed{Images: []ec2sim.SeedImage{good, {Region: seedRegion, Name: "*"}}}, "images[1]: InvalidAMIName.Malformed"},
		{"id twice", ec2sim.Seed{Images: []ec2sim.SeedImage{{Region: seedRegion, Name: "app", ID: "ami-0000000a"}, {Region: seedRegion, Name: "app", ID: "ami-0000000a"}}}, "images[1]: ami-0000000a exists already"},
		{"owner", ec2sim.Seed{Images: []ec2sim.SeedImage{{Region: seedRegion, Name: "app", Owner: "me"}}}, `owner "me" is not an account`},
		{"image", ec2sim.Seed{Images: []ec2sim.SeedImage{good}, Instances: []ec2sim.SeedInstances{{Region: seedRegion, Image: "app-2"}}}, `instances[0]: 0 images in us-west-2 have the id or the name "app-2"`},
		{"instance", ec2sim.Seed{Images: []ec2sim.SeedImage{good}, Instances: []ec2sim.SeedInstances{{Region: seedRegion, Image: "app-1", State: "lost", Zone: "eu-west-1a", Type: "big", ID: "x", Count: 2}}},
			"state \"lost\" is not one of running, stopped, terminated"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := ec2sim.New()
			_, err := server.Seed(test.seed)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if images := server.Images(seedRegion); len(images) != 0 {
				t.Errorf("got images %v after a refusal, want none", images)
			}
		})
	}
}

func TestInstancePages(t *testing.T) {
	server := ec2sim.New(ec2sim.WithPageSize(8))
	c := newClient(t, server)
	seeded(t, server, fleet)
	for _, test := range []struct {
		max   string
		pages []int
	}{{"5", []int{5, 5, 4}}, {"1000", []int{8, 6}}} {
		var got []int
		var names []string
		token := ""
		for {
			var reply instancesReply
			c.call(seedRegion, &reply, "DescribeInstances", "MaxResults", test.max, "NextToken", token)
			got, names = append(got, len(reply.Instances)), append(names, reply.names()...)
			if token = reply.NextToken; token == "" {
				break
			}
		}
		if slices.Sort(names); !slices.Equal(got, test.pages) || len(slices.Compact(names)) != 14 {
			t.Errorf("MaxResults %s: got pages of %v with %v, want %v with each of 14 once", test.max, got, names, test.pages)
		}
	}
	var images imagesReply
	c.call(seedRegion, &images, "DescribeImages", "MaxResults", "1")
	for _, max := range []string{"4", "1001"} {
		c.refused(seedRegion, "InvalidParameterValue: Value ( "+max+" ) for parameter maxResults is invalid. Expecting a value between 5 and 1000.", "DescribeInstances", "MaxResults", max)
	}
	c.refused(seedRegion, "InvalidParameterCombination: The parameter instancesSet cannot be used with the parameter maxResults",
		"DescribeInstances", "InstanceId.1", "i-0000000b", "MaxResults", "5")
	const imageToken = "aW1hZ2VzIGZyb20gMQ" // images from 1
	for _, token := range []string{"x", imageToken} {
		c.refused(seedRegion, "InvalidNextToken: The token is invalid", "DescribeInstances", "NextToken", token)
	}
}

func TestSeedControl(t *testing.T) {
	server := ec2sim.New()
	for _, step := range []struct {
		method, body string
		status       int
		want         string
	}{
		{http.MethodGet, "", http.StatusMethodNotAllowed, "added with POST"},
		{http.MethodPost, `{"image":[]}`, http.StatusBadRequest, `unknown field "image"`},
		{http.MethodPost, `{}{}`, http.StatusBadRequest, "more than one JSON object"},
		{http.MethodPost, `{"images":[{"region":"us-west-2","name":"app","id":"ami-0000000a"}],"instances":[{"region":"us-west-2","image":"app","id":"i-0000000b"}]}`,
			http.StatusOK, `{"images":["ami-0000000a"],"instances":[["i-0000000b"]]}`},
		{http.MethodPost, `{}`, http.StatusOK, `{"images":[],"instances":[]}`},
	} {
		recorder := httptest.NewRecorder()
		server.SeedControl().ServeHTTP(recorder, httptest.NewRequest(step.method, "/_seed", strings.NewReader(step.body)))
		if got := recorder.Body.String(); recorder.Code != step.status || !strings.Contains(got, step.want) {
			t.Errorf("%s %s: got %d %s, want %d %s", step.method, step.body, recorder.Code, got, step.status, step.want)
		}
	}
}

func TestThrottling(t *testing.T) {
	server := ec2sim.New()
	c := newClient(t, server)
	for code, status := range map[string]int{"Throttling": http.StatusBadRequest, "RequestLimitExceeded": http.StatusServiceUnavailable} {
		inject(t, server, ec2sim.Fault{Region: seedRegion, Action: "DescribeInstances", Error: code, Count: 1})
		got, answer := c.post(credential("ec2", seedRegion), query("DescribeInstances"))
		if got != status || !strings.HasPrefix(refusal(t, answer), code+": ") {
			t.Errorf("got %d %s, want %d with %s", got, answer, status, code)
		}
		c.call(seedRegion, nil, "DescribeInstances")
	}
}
