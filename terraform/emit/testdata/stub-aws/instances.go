package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// instances is the directory with the machines that there are: a file REGION/ID.json for each, so that the processes
// of several providers do not meet in one.
type instances string

// record is what the directory has of a machine.
type record struct {
	AMI              string            `json:"ami"`
	InstanceType     string            `json:"instance_type"`
	AvailabilityZone string            `json:"availability_zone"`
	Tags             map[string]string `json:"tags,omitempty"`
}

func newInstanceID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return "i-0" + hex.EncodeToString(b[:])
}

func (d instances) path(region, id string) (string, error) {
	switch {
	case d == "":
		return "", errors.New("set STUB_AWS_INSTANCES to a directory")
	case region == "":
		return "", errors.New("no region")
	case !filepath.IsLocal(region) || !filepath.IsLocal(id):
		return "", fmt.Errorf("InvalidInstanceID.Malformed: %q in %q", id, region)
	}
	return filepath.Join(string(d), region, id+".json"), nil
}

// read returns nil for a machine that is not there.
func (d instances) read(region, id string) (*record, error) {
	path, err := d.path(region, id)
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var r record
	if err := json.Unmarshal(content, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &r, nil
}

func (d instances) write(region, id string, r record) error {
	path, err := d.path(region, id)
	if err != nil {
		return err
	}
	content, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}

func (d instances) remove(region, id string) error {
	path, err := d.path(region, id)
	if err != nil {
		return err
	}
	return os.Remove(path)
}
