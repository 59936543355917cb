package ec2sim_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/internal/ec2sim"
)

// states are the states of what DescribeImages finds of the account, by call.
func (c client) states(region string, calls int, pairs ...string) []string {
	c.t.Helper()
	var got []string
	for range calls {
		var reply imagesReply
		c.call(region, &reply, "DescribeImages", append([]string{"Owner.1", "self"}, pairs...)...)
		text := []string{}
		for _, image := range reply.Images {
			text = append(text, image.Name+" "+image.State)
		}
		got = append(got, strings.Join(text, ", "))
	}
	return got
}

func addImage(t *testing.T, server *ec2sim.Server, region, name string) string {
	t.Helper()
	id, err := server.AddImage(region, name)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func inject(t *testing.T, server *ec2sim.Server, f ec2sim.Fault) {
	t.Helper()
	if err := server.Inject(f); err != nil {
		t.Fatal(err)
	}
}

func TestImageFaults(t *testing.T) {
	const region = "eu-west-1"
	tests := []struct {
		name  string
		fault ec2sim.Fault
		want  []string // of three calls
	}{
		{"pending twice", ec2sim.Fault{Image: "one", State: "pending", Count: 2},
			[]string{"one pending, two available", "one pending, two available", "one available, two available"}},
		{"all pending for ever", ec2sim.Fault{State: "pending"},
			[]string{"one pending, two pending", "one pending, two pending", "one pending, two pending"}},
		{"missing once", ec2sim.Fault{Image: "two", Missing: true, Count: 1},
			[]string{"one available", "one available, two available", "one available, two available"}},
		{"somebody else's", ec2sim.Fault{Image: "one", Owner: "210987654321", Region: region},
			[]string{"two available", "two available", "two available"}},
		{"another region's", ec2sim.Fault{Missing: true, Region: "us-east-1"},
			[]string{"one available, two available", "one available, two available", "one available, two available"}},
		{"another client's", ec2sim.Fault{Missing: true, Client: "almanac"},
			[]string{"one available, two available", "one available, two available", "one available, two available"}},
		{"disabled", ec2sim.Fault{Image: "one", State: "disabled"},
			[]string{"two available", "two available", "two available"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := ec2sim.New()
			c := newClient(t, server)
			inject(t, server, test.fault) // before the images are made
			addImage(t, server, region, "one")
			addImage(t, server, region, "two")
			if diff := cmp.Diff(test.want, c.states(region, 3)); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("missing image fails a call by its id", func(t *testing.T) {
		server := ec2sim.New()
		c := newClient(t, server)
		one, two := addImage(t, server, region, "one"), addImage(t, server, region, "two")
		inject(t, server, ec2sim.Fault{Image: two, Missing: true})
		c.refused(region, "InvalidAMIID.NotFound: The image id '["+two+"]' does not exist",
			"DescribeImages", "ImageId.1", one, "ImageId.2", two)
	})
	t.Run("disabled image is shown with IncludeDisabled", func(t *testing.T) {
		server := ec2sim.New()
		c := newClient(t, server)
		addImage(t, server, region, "one")
		inject(t, server, ec2sim.Fault{State: "disabled"})
		if diff := cmp.Diff([]string{"one disabled"}, c.states(region, 1, "IncludeDisabled", "true")); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("filters see the fault", func(t *testing.T) {
		server := ec2sim.New()
		c := newClient(t, server)
		addImage(t, server, region, "one")
		inject(t, server, ec2sim.Fault{State: "pending"})
		if diff := cmp.Diff([]string{""}, c.states(region, 1, "Filter.1.Name", "state", "Filter.1.Value.1", "available")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestCallFaults(t *testing.T) {
	server := ec2sim.New()
	c := newClient(t, server)
	inject(t, server, ec2sim.Fault{Action: "DescribeImages", Error: "RequestLimitExceeded", Count: 2})
	ask := func() string {
		status, answer := c.post(credential("ec2", "eu-west-1"), query("DescribeImages"))
		if status == http.StatusOK {
			return "200"
		}
		return fmt.Sprint(status, " ", refusal(t, answer))
	}
	c.call("eu-west-1", nil, "DescribeRegions")
	const throttled = "503 RequestLimitExceeded: Request limit exceeded."
	if diff := cmp.Diff([]string{throttled, throttled, "200"}, []string{ask(), ask(), ask()}); diff != "" {
		t.Error(diff)
	}
	if got := server.Faults(); len(got) != 0 {
		t.Errorf("got %v, want no fault left", got)
	}
}

func TestFaultRefusals(t *testing.T) {
	tests := []struct{ text, want string }{
		{`{}`, "exactly one of state, missing, owner and error; this one has 0"},
		{`{"missing":true,"owner":"210987654321"}`, "this one has 2"},
		{`{"missing":true,"count":-1}`, "count -1 is negative"},
		{`{"missing":true,"region":"mars-1"}`, `region "mars-1" is not one of ap-northeast-1,`},
		{`{"state":"pendign"}`, `state "pendign" is not one of available,`},
		{`{"missing":true,"state_reason":"x"}`, "state_reason goes with state"},
		{`{"owner":"me"}`, `owner "me" is not an account id`},
		{`{"error":"Oops"}`, `error "Oops" is not one of AuthFailure,`},
		{`{"error":"InternalError","image":"x"}`, "image goes with"},
		{`{"error":"InternalError","action":"X"}`, `action "X" is not one`},
		{`{"missing":true,"action":"CopyImage"}`, "action goes with error"},
		{`{"mising":true}`, `unknown field "mising"`},
		{`{"missing":true} {}`, "more than one JSON object"},
		{`missing`, "invalid character"},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			if _, err := ec2sim.ParseFault([]byte(test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want it to have %q", err, test.want)
			}
		})
	}
}

func TestControl(t *testing.T) {
	server := ec2sim.New()
	control := func(method, body string) (int, string) {
		recorder := httptest.NewRecorder()
		server.Control().ServeHTTP(recorder, httptest.NewRequest(method, "/_faults", strings.NewReader(body)))
		return recorder.Code, strings.TrimSpace(recorder.Body.String())
	}
	const fault = `{"count":3,"image":"base-1","state":"pending"}`
	steps := []struct {
		method, body string
		status       int
		want         string
	}{
		{"POST", fault, 204, ""},
		{"GET", "", 200, "[" + fault + "]"},
		{"POST", `{"owner":"me"}`, 400, `owner "me" is not an account id of 12 digits`},
		{"PUT", "", 405, "faults are added with POST, listed with GET and taken back with DELETE"},
		{"DELETE", "", 204, ""},
		{"GET", "", 200, "[]"},
	}
	for _, step := range steps {
		if status, got := control(step.method, step.body); status != step.status || got != step.want {
			t.Errorf("%s %s: got %d %s, want %d %s", step.method, step.body, status, got, step.status, step.want)
		}
	}
}

func TestPages(t *testing.T) {
	const region = "eu-west-1"
	type page struct {
		imagesReply
		Next string `xml:"nextToken"`
	}
	for _, test := range []struct {
		name   string
		server *ec2sim.Server
		pairs  []string
		want   []int
	}{
		{"one page", ec2sim.New(), nil, []int{5}},
		{"pages as asked for", ec2sim.New(), []string{"MaxResults", "2"}, []int{2, 2, 1}},
		{"full last page", ec2sim.New(), []string{"MaxResults", "5"}, []int{5}},
		{"smaller pages than asked for", ec2sim.New(ec2sim.WithPageSize(4)), []string{"MaxResults", "5"}, []int{4, 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClient(t, test.server)
			for i := range 5 {
				addImage(t, test.server, region, fmt.Sprint("app-", i))
			}
			var sizes []int
			var names []string
			for token := ""; len(sizes) == 0 || token != "" && len(sizes) < 10; {
				var reply page
				c.call(region, &reply, "DescribeImages", append([]string{"Owner.1", "self", "NextToken", token}, test.pairs...)...)
				for _, image := range reply.Images {
					names = append(names, image.Name)
				}
				token, sizes = reply.Next, append(sizes, len(reply.Images))
			}
			if !slices.Equal(sizes, test.want) || !slices.Equal(names, []string{"app-0", "app-1", "app-2", "app-3", "app-4"}) {
				t.Errorf("got pages of %v with %v, want %v", sizes, names, test.want)
			}
		})
	}
	server := ec2sim.New()
	c := newClient(t, server)
	id := addImage(t, server, region, "one")
	c.refused(region, "InvalidNextToken: The token is invalid", "DescribeImages", "NextToken", "x")
	c.refused(region, "InvalidParameterValue: Value ( 0 ) for parameter maxResults is invalid. Expecting a value between 1 and 1000.",
		"DescribeImages", "MaxResults", "0")
	c.refused(region, "InvalidParameterCombination: The parameter imagesSet cannot be used with the parameter maxResults",
		"DescribeImages", "ImageId.1", id, "MaxResults", "5")
}

func TestEnableImageDeprecation(t *testing.T) {
	const region = "eu-west-1"
	server := ec2sim.New()
	c := newClient(t, server)
	id := addImage(t, server, region, "one")
	// Far from now, whenever the test runs, and still within EC2's ten years.
	at := server.Images(region)[0].CreatedAt.AddDate(5, 0, 0)
	c.call(region, nil, "EnableImageDeprecation", "ImageId", id, "DeprecateAt", at.Format("2006-01-02T15:04:")+"29Z")
	if got, want := server.Images(region)[0].DeprecatedAt.Format("2006-01-02T15:04:05Z"), at.Format("2006-01-02T15:04:00Z"); got != want {
		t.Errorf("got deprecation at %s, want %s", got, want)
	}
	const outside = "InvalidParameterValue: The deprecation time must be in the future and at most 10 years away"
	c.refused(region, outside, "EnableImageDeprecation", "ImageId", id, "DeprecateAt", "2020-01-01T00:00:00Z")
	c.refused(region, outside, "EnableImageDeprecation", "ImageId", id, "DeprecateAt", at.AddDate(20, 0, 0).Format("2006-01-02T15:04:05Z"))
	c.refused(region, "InvalidParameterValue: Value (soon) for parameter DeprecateAt is invalid",
		"EnableImageDeprecation", "ImageId", id, "DeprecateAt", "soon")
}
