package ec2sim_test

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/ec2sim"
)

// client sends Query API calls that look signed.
type client struct {
	t   *testing.T
	url string
}

func newClient(t *testing.T, server *ec2sim.Server) client {
	t.Helper()
	ts := httptest.NewServer(server)
	t.Cleanup(ts.Close)
	return client{t, ts.URL}
}

func credential(service, region string) string {
	return "AWS4-HMAC-SHA256 Credential=AKIA/20260101/" + region + "/" + service +
		"/aws4_request, SignedHeaders=host, Signature=0"
}

// post sends a body as it is and returns the status and the answer.
func (c client) post(authorization, body string) (int, string) {
	c.t.Helper()
	request, err := http.NewRequest(http.MethodPost, c.url, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}

// query makes a request body of an action and "name", "value" pairs.
func query(action string, pairs ...string) string {
	values := url.Values{"Action": {action}, "Version": {"2016-11-15"}}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return values.Encode()
}

// call is an EC2 action that has to succeed; the answer goes into reply.
func (c client) call(region string, reply any, action string, pairs ...string) {
	c.t.Helper()
	status, answer := c.post(credential("ec2", region), query(action, pairs...))
	if status != http.StatusOK {
		c.t.Fatalf("%s in %s: status %d: %s", action, region, status, answer)
	}
	if reply != nil {
		if err := xml.Unmarshal([]byte(answer), reply); err != nil {
			c.t.Fatalf("%s in %s: %v: %s", action, region, err, answer)
		}
	}
}

// refused is an EC2 action that has to fail, with "code: message".
func (c client) refused(region, want, action string, pairs ...string) {
	c.t.Helper()
	status, answer := c.post(credential("ec2", region), query(action, pairs...))
	if got := refusal(c.t, answer); got != want || status != http.StatusBadRequest {
		c.t.Errorf("%s: got status %d, %q; want 400, %q", action, status, got, want)
	}
}

func refusal(t *testing.T, answer string) string {
	t.Helper()
	var reply struct {
		XMLName   xml.Name `xml:"Response"`
		Code      string   `xml:"Errors>Error>Code"`
		Message   string   `xml:"Errors>Error>Message"`
		RequestID string   `xml:"RequestID"`
	}
	if err := xml.Unmarshal([]byte(answer), &reply); err != nil {
		t.Fatalf("not an error document: %v: %s", err, answer)
	}
	if reply.RequestID == "" {
		t.Errorf("no request id: %s", answer)
	}
	return fmt.Sprintf("%s: %s", reply.Code, reply.Message)
}

type imagesReply struct {
	Images []struct {
		ID         string `xml:"imageId"`
		Name       string `xml:"name"`
		State      string `xml:"imageState"`
		Owner      string `xml:"imageOwnerId"`
		Created    string `xml:"creationDate"`
		BootMode   string `xml:"bootMode"`
		ENA        bool   `xml:"enaSupport"`
		SnapshotID string `xml:"blockDeviceMapping>item>ebs>snapshotId"`
	} `xml:"imagesSet>item"`
}

type imageIDReply struct {
	ID string `xml:"imageId"`
}

type runReply struct {
	Instances []struct {
		ID       string `xml:"instanceId"`
		State    string `xml:"instanceState>name"`
		VolumeID string `xml:"blockDeviceMapping>item>ebs>volumeId"`
	} `xml:"instancesSet>item"`
}

// launch runs an instance of the base image and returns its id.
func (c client) launch(server *ec2sim.Server, region string) string {
	c.t.Helper()
	var run runReply
	c.call(region, &run, "RunInstances", "ImageId", server.BaseImage(region).ID,
		"InstanceType", "t3.micro", "MinCount", "1", "MaxCount", "1")
	return run.Instances[0].ID
}

// image makes an image in a region and returns its id.
func (c client) image(server *ec2sim.Server, region, name string) string {
	c.t.Helper()
	var image imageIDReply
	c.call(region, &image, "CreateImage", "InstanceId", c.launch(server, region), "Name", name)
	return image.ID
}
