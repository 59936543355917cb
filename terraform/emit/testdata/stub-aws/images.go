package main

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// ownAccount is who "self" is: the account of the local stand-in for EC2.
const ownAccount = "123456789012"

// image is an AMI that there is.
type image struct {
	ID           string `json:"id" xml:"imageId"`
	Name         string `json:"name" xml:"name"`
	State        string `json:"state" xml:"imageState"`
	Architecture string `json:"architecture" xml:"architecture"`
	// DeprecationTime is "" or a time as EC2 writes it, such as 2026-01-02T03:04:05.000Z.
	DeprecationTime string `json:"deprecation_time" xml:"deprecationTime"`
	// OwnerID is 12 digits; without it the image is the caller's own.
	OwnerID string `json:"owner_id" xml:"imageOwnerId"`
}

func (i image) own() bool { return i.OwnerID == ownAccount }

func (i image) deprecated() bool {
	t, err := time.Parse(time.RFC3339, i.DeprecationTime)
	return err == nil && t.Before(time.Now())
}

// source knows the images of a region.
type source interface {
	images(ctx context.Context, region string) ([]image, error)
}

func openSource() (source, error) {
	if path := os.Getenv("STUB_AWS_IMAGES"); path != "" {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		var f fileSource
		if err := json.Unmarshal(content, &f); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return f, nil
	}
	if endpoint := os.Getenv("AWS_ENDPOINT_URL"); endpoint != "" {
		return endpointSource(endpoint), nil
	}
	return nil, errors.New("set STUB_AWS_IMAGES to a JSON file, or AWS_ENDPOINT_URL to a stand-in for EC2")
}

// fileSource is the content of the JSON file.
type fileSource map[string][]image

func (f fileSource) images(_ context.Context, region string) ([]image, error) {
	images := f[region]
	for i := range images {
		if images[i].OwnerID == "" {
			images[i].OwnerID = ownAccount
		}
	}
	return images, nil
}

// endpointSource is the URL of a stand-in for EC2.
type endpointSource string

func (e endpointSource) images(ctx context.Context, region string) ([]image, error) {
	form := url.Values{"Action": {"DescribeImages"}, "Version": {"2016-11-15"}, "IncludeDeprecated": {"true"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, string(e), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	// The region travels in the credential scope; the stand-in does not look at the signature.
	date := time.Now().UTC().Format("20060102")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=STUB/"+date+"/"+region+"/ec2/aws4_request, SignedHeaders=host, Signature=0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s: %s", e, resp.Status, body)
	}
	var reply struct {
		Images []image `xml:"imagesSet>item"`
	}
	if err := xml.Unmarshal(body, &reply); err != nil {
		return nil, fmt.Errorf("%s: %w", e, err)
	}
	return reply.Images, nil
}
