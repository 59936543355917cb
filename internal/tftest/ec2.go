package tftest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
)

// Image is an AMI that the stub finds. Empty fields are an available x86_64 image of one's own.
type Image struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	State        string `json:"state"`
	Architecture string `json:"architecture"`
	// DeprecationTime is "" or as EC2 writes it, such as 2026-01-02T03:04:05.000Z.
	DeprecationTime string `json:"deprecation_time"`
	OwnerID         string `json:"owner_id"`
}

// Images are all AMIs that there are, by region.
type Images map[string][]Image

// SetImages says which AMIs there are from now on.
func (w *Workspace) SetImages(images Images) {
	w.t.Helper()
	all := Images{}
	for region, list := range images {
		for _, image := range list {
			if image.State == "" {
				image.State = "available"
			}
			if image.Architecture == "" {
				image.Architecture = "x86_64"
			}
			all[region] = append(all[region], image)
		}
	}
	w.writeJSON("images.json", all)
	w.Setenv("STUB_AWS_IMAGES", w.path("images.json"))
}

// Instance is a machine that the stub keeps.
type Instance struct {
	AMI              string            `json:"ami"`
	InstanceType     string            `json:"instance_type"`
	AvailabilityZone string            `json:"availability_zone"`
	Tags             map[string]string `json:"tags,omitempty"`
}

// Instances are all machines that there are, by region and id.
type Instances map[string]map[string]Instance

// SetInstances says which machines there are from now on; an import finds them.
func (w *Workspace) SetInstances(instances Instances) {
	w.t.Helper()
	if err := os.RemoveAll(w.path("instances")); err != nil {
		w.t.Fatal(err)
	}
	for region, byID := range instances {
		for id, instance := range byID {
			w.writeJSON(filepath.Join("instances", region, id+".json"), instance)
		}
	}
}

// Instances are the machines that there are now: those of [Workspace.SetInstances], and what was applied since.
func (w *Workspace) Instances() Instances {
	w.t.Helper()
	all := Instances{}
	paths, err := filepath.Glob(w.path(filepath.Join("instances", "*", "*.json")))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			w.t.Fatal(err)
		}
		var instance Instance
		if err := json.Unmarshal(content, &instance); err != nil {
			w.t.Fatalf("%s: %v", path, err)
		}
		region := filepath.Base(filepath.Dir(path))
		if all[region] == nil {
			all[region] = map[string]Instance{}
		}
		all[region][strings.TrimSuffix(filepath.Base(path), ".json")] = instance
	}
	return all
}

func (w *Workspace) writeJSON(name string, value any) {
	w.t.Helper()
	content, err := json.Marshal(value)
	if err != nil {
		w.t.Fatal(err)
	}
	writeFile(w.t, w.path(name), string(content))
}
