package terraform

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/terraform/metadata"
)

// stateQuery narrows a state as it narrows a lookup of the native API.
var stateQuery = []string{"region", "arch", "component", "provider", "metadata.KEY"}

// state answers with what a ref stands for, in the form of a state of Terraform that has outputs and no resources.
func (d *door) state(w http.ResponseWriter, r *http.Request) error {
	ref, err := stateRef(r.PathValue("ref"))
	if err != nil {
		return err
	}
	q := stateQuestion(r)
	found, err := d.svc.Resolve(r.Context(), artifact(r), ref, q)
	if err != nil {
		return err
	}
	warn(w, found.Revoked, found.Revocation)
	return d.host.SendJSON(w, r, http.StatusOK, stateOf(found, q.Region))
}

// stateRef reads the end of a path: a ref, or channel/ and the name of one, which then cannot be taken for anything else.
func stateRef(s string) (string, error) {
	channel, ok := strings.CutPrefix(s, "channel/")
	if !ok || channel == registry.Latest {
		return strings.TrimPrefix(s, "channel/"), nil
	}
	return channel, registry.BadField("ref", registry.CheckChannelName(channel))
}

func stateQuestion(r *http.Request) registry.Question {
	query := r.URL.Query()
	q := registry.Question{
		Type: r.PathValue("type"), Region: query.Get("region"), Provider: query.Get("provider"),
		Architecture: query.Get("arch"), Component: query.Get("component"), Metadata: registry.Metadata{},
	}
	for name, values := range query {
		if key, ok := strings.CutPrefix(name, "metadata."); ok {
			q.Metadata[key] = values[0]
		}
	}
	return q
}

// stateJSON is a state of version 4, which all releases since 0.12 read.
type stateJSON struct {
	Version          int               `json:"version"`
	TerraformVersion string            `json:"terraform_version"`
	Serial           int64             `json:"serial"`
	Lineage          string            `json:"lineage"`
	Outputs          map[string]output `json:"outputs"`
	Resources        []struct{}        `json:"resources"`
	CheckResults     *struct{}         `json:"check_results"`
}

// output is a value with its type, as the library cty writes types.
type output struct {
	Value any `json:"value"`
	Type  any `json:"type"`
}

func stateOf(r registry.Resolution, region string) stateJSON {
	s := stateJSON{
		Version: 4, TerraformVersion: "1.5.0", Serial: r.Number, Lineage: lineage(r, region), Resources: []struct{}{},
		Outputs: map[string]output{
			"name":          text(string(r.Artifact)),
			"type":          text(string(r.Type)),
			"version":       text(r.Version),
			"number":        {r.Number, "number"},
			"component":     text(r.Component),
			"architecture":  text(r.Architecture),
			"ami_ids":       texts(r.AMIs),
			"metadata_full": texts(metadata.Full(r.Metadata)),
			"images":        imagesOutput(r.Images),
			"files":         filesOutput(r.Files),
			"revoked":       {r.Revoked, "bool"},
			"message":       text(""),
		},
	}
	if r.Revoked {
		s.Outputs["message"] = text(fmt.Sprintf("%s %s (number %d) is revoked: %s", r.Artifact, r.Version, r.Number, r.Revocation.Reason))
	}
	if region != "" && r.Type == registry.AmazonImage {
		s.Outputs["ami_id"] = text(r.ID)
	}
	return s
}

// lineages is the namespace of the UUIDs of states.
var lineages = uuid.MustParse("c3c8bef9-3963-4d8d-b683-450861ffaa91")

// lineage is the same for all versions of what is asked for.
func lineage(r registry.Resolution, region string) string {
	of := []string{string(r.Artifact), string(r.Type), r.Component, r.Provider, r.Architecture, region}
	return uuid.NewSHA1(lineages, []byte(strings.Join(of, "\x00"))).String()
}

func text(s string) output { return output{s, "string"} }

func texts(m map[string]string) output {
	if m == nil {
		m = map[string]string{}
	}
	return output{m, []string{"map", "string"}}
}

type imageJSON struct {
	Provider string `json:"provider"`
	Region   string `json:"region"`
	ID       string `json:"id"`
}

func imagesOutput(images []registry.Image) output {
	list := make([]imageJSON, len(images))
	for i, image := range images {
		list[i] = imageJSON{image.Provider, image.Region, image.ID}
	}
	return output{list, listOf(map[string]string{"provider": "string", "region": "string", "id": "string"})}
}

type fileJSON struct {
	Name   string          `json:"name"`
	Size   int64           `json:"size"`
	SHA256 registry.Digest `json:"sha256"`
}

func filesOutput(files []registry.File) output {
	list := make([]fileJSON, len(files))
	for i, f := range files {
		list[i] = fileJSON{f.Name, f.Size, f.SHA256}
	}
	return output{list, listOf(map[string]string{"name": "string", "size": "number", "sha256": "string"})}
}

// listOf is the type of a list of objects.
func listOf(attributes map[string]string) any { return []any{"list", []any{"object", attributes}} }
