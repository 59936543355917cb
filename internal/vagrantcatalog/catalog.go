// Package vagrantcatalog reads what offers Vagrant boxes: the catalog JSON of a server or of a file, and directories
// of boxes. It talks to servers that are not Almanac's, and knows nothing of the registry:
//
//	source, err := vagrantcatalog.NewSource("https://vagrantcloud.com/bento/ubuntu-24.04", vagrantcatalog.Options{})
//	catalog, err := source.Catalog(ctx)
//	err = source.Download(ctx, catalog.Versions[0].Boxes[0].URL, "ubuntu.box", nil)
package vagrantcatalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Catalog is what there is of one box.
type Catalog struct {
	// Name is org/name, or a name alone where a directory says no more, or empty.
	Name string
	// Description is what the catalog says of the box; Summary is one line.
	Description, Summary string
	Versions             []Version
}

// Version is one version of a box.
type Version struct {
	// Version is as the catalog has it.
	Version string
	Boxes   []Box
}

// Box is a version of a box for one provider and architecture.
type Box struct {
	// Provider is the Vagrant provider, such as virtualbox.
	Provider string
	// Architecture is such as amd64; [Unknown] where the catalog says so, and empty where it says nothing.
	Architecture string
	// Default says that of the boxes of one provider this is the one for clients that know no architectures.
	Default bool
	// URL is where the bytes are, if they are on a server; Path, if they are a file. Both are empty for a box whose
	// bytes were not found.
	URL, Path string
	// ChecksumType is md5, sha1, sha256, sha384 or sha512, and Checksum in lower case; both are empty where there is none.
	Checksum, ChecksumType string
}

// Unknown is what Vagrant Cloud says of the architecture of boxes that were uploaded without one.
const Unknown = "unknown"

// Problem is something that is not taken, and why.
type Problem struct {
	What, Reason string
	// Meant is true for what nobody offers: a version that is not released, or revoked.
	Meant bool
}

const (
	maxCatalog = 64 << 20 // bytes; that of the box with the most versions has about one million
	// maxValues keeps few bytes of JSON from taking gigabytes of memory: an empty box is two bytes in the one, and many in the other.
	maxValues = 500_000
)

// document is the JSON, as far as it is read.
type document struct {
	Name             string `json:"name"`
	Description      string `json:"description"`
	ShortDescription string `json:"short_description"`
	Versions         []struct {
		Version   string `json:"version"`
		Status    string `json:"status"`
		Providers []struct {
			Name                string `json:"name"`
			URL                 string `json:"url"`
			Checksum            string `json:"checksum"`
			ChecksumType        string `json:"checksum_type"`
			Architecture        string `json:"architecture"`
			DefaultArchitecture bool   `json:"default_architecture"`
		} `json:"providers"`
	} `json:"versions"`
}

// errNoCatalog is the error for JSON that is something else.
var errNoCatalog = errors.New("it is no catalog: that is a JSON object with name and versions")

var errTooLarge = fmt.Errorf("it has more than %d MiB, which no catalog has", maxCatalog>>20)

// Parse reads catalog JSON. The URLs are as they are written there. Versions that the catalog says are not released, or
// revoked, are left out, and told as problems.
func Parse(content []byte) (Catalog, []Problem, error) {
	var shape struct{ Name, Versions json.RawMessage }
	if err := json.Unmarshal(content, &shape); err != nil {
		if !json.Valid(content) {
			return Catalog{}, nil, fmt.Errorf("it is no JSON: %w", err)
		}
		return Catalog{}, nil, errNoCatalog
	}
	if shape.Name == nil || shape.Versions == nil {
		return Catalog{}, nil, errNoCatalog
	}
	if bytes.Count(shape.Versions, []byte{','}) > maxValues {
		return Catalog{}, nil, fmt.Errorf("it has more than %d values, which no catalog has", maxValues)
	}
	var d document
	if err := json.Unmarshal(content, &d); err != nil {
		return Catalog{}, nil, fmt.Errorf("it is no catalog that can be read: %w", err)
	}
	c := Catalog{Name: strings.TrimSpace(d.Name), Description: d.Description, Summary: d.ShortDescription}
	var problems []Problem
	for _, v := range d.Versions {
		if v.Status != "" && v.Status != "active" {
			problems = append(problems, Problem{"version " + v.Version, "its status is " + v.Status, true})
			continue
		}
		version := Version{Version: strings.TrimSpace(v.Version)}
		for _, p := range v.Providers {
			box := Box{
				Provider: strings.TrimSpace(p.Name), Architecture: strings.TrimSpace(p.Architecture), Default: p.DefaultArchitecture,
				URL: strings.TrimSpace(p.URL), Checksum: strings.ToLower(strings.TrimSpace(p.Checksum)), ChecksumType: strings.ToLower(strings.TrimSpace(p.ChecksumType)),
			}
			// Vagrant does not look at a checksum without a type, or at a type without a checksum.
			if box.Checksum == "" || box.ChecksumType == "" {
				box.Checksum, box.ChecksumType = "", ""
			}
			version.Boxes = append(version.Boxes, box)
		}
		c.Versions = append(c.Versions, version)
	}
	return c, problems, nil
}
