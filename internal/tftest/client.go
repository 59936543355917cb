package tftest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-version"
)

// Client is a program that plans with Terraform's language.
type Client struct {
	// Name is terraform or tofu.
	Name string
	Path string
	// Version is without what follows the three numbers.
	Version *version.Version
}

// Feature is something that not all versions of the clients can do.
type Feature string

// The features that tests ask for.
const (
	ProviderFunctions  Feature = "functions of providers"
	EphemeralResources Feature = "ephemeral resources"
	ImportForEach      Feature = "import blocks with for_each"
	RemovedBlocks      Feature = "removed blocks that keep what there is"
)

// since is the first version of each client with a feature.
var since = map[Feature]map[string]string{
	ProviderFunctions:  {"terraform": "1.8.0", "tofu": "1.7.0"},
	EphemeralResources: {"terraform": "1.10.0", "tofu": "1.11.0"},
	ImportForEach:      {"terraform": "1.7.0", "tofu": "1.7.0"},
	RemovedBlocks:      {"terraform": "1.7.0", "tofu": "1.10.0"},
}

// install says how to get a client that is missing.
var install = map[string]string{
	"terraform": "terraform is missing; install it from developer.hashicorp.com/terraform/install (1.5 or newer)",
	"tofu":      "tofu is missing; run `make tools`, which builds it",
}

// Names are the clients that tests run with.
var Names = []string{"terraform", "tofu"}

// Supports says whether the client's version can do something.
func (c Client) Supports(f Feature) bool {
	first, ok := since[f][c.Name]
	return ok && c.Version.GreaterThanOrEqual(version.Must(version.NewVersion(first)))
}

// Each runs a test once for each client that can do all that it needs. A client that is missing is a sub-test that
// is skipped, and fails in CI, as does a test that no client can run.
func Each(t *testing.T, run func(t *testing.T, c Client), needs ...Feature) {
	t.Helper()
	var able int
	for _, name := range Names {
		path, err := find(name)
		if err != nil {
			t.Run(name, func(t *testing.T) { missing(t, install[name]) })
			continue
		}
		c, err := newClient(t.Context(), name, path)
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(needs, func(f Feature) bool { return !c.Supports(f) }) {
			continue
		}
		able++
		t.Run(name, func(t *testing.T) { run(t, c) })
	}
	if able == 0 {
		missing(t, fmt.Sprintf("no client here can do what the test needs: %v", needs))
	}
}

// Terraform returns terraform itself. Without it the test is skipped; in CI it fails.
func Terraform(t testing.TB) Client {
	t.Helper()
	path, err := find("terraform")
	if err != nil {
		missing(t, install["terraform"])
	}
	c, err := newClient(t.Context(), "terraform", path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func missing(t testing.TB, message string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(message)
	}
	t.Skip(message)
}

// find looks where make tools puts programs, and then on the PATH.
func find(name string) (string, error) {
	if root, err := repository(); err == nil {
		path := filepath.Join(root, ".tools", "bin", name+suffix())
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return exec.LookPath(name)
}

func newClient(ctx context.Context, name, path string) (Client, error) {
	cmd := exec.CommandContext(ctx, path, "version", "-json")
	cmd.Env = append(os.Environ(), "CHECKPOINT_DISABLE=1", "TF_CLI_CONFIG_FILE="+os.DevNull)
	out, err := cmd.Output()
	if err != nil {
		return Client{}, fmt.Errorf("%s version: %w", path, err)
	}
	v, err := parseVersion(out)
	if err != nil {
		return Client{}, fmt.Errorf("%s version: %w", path, err)
	}
	return Client{Name: name, Path: path, Version: v}, nil
}

// parseVersion reads the answer to version -json, which has the same name in both clients.
func parseVersion(out []byte) (*version.Version, error) {
	var answer struct {
		Version string `json:"terraform_version"`
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		return nil, err
	}
	v, err := version.NewVersion(strings.TrimSpace(answer.Version))
	if err != nil {
		return nil, err
	}
	return v.Core(), nil
}
