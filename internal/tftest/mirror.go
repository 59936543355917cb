package tftest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"
)

// AWSVersions are the versions of the stub by major version. It behaves as each of them.
var AWSVersions = map[int]string{5: "5.100.0", 6: "6.0.0"}

const modulePath = "github.com/cargomedia/packer-plugin-almanac"

// registries are where Terraform and OpenTofu look for a provider whose source names no host.
var registries = []string{"registry.terraform.io", "registry.opentofu.org"}

// Mirror returns a directory for filesystem_mirror with the stub of hashicorp/aws, in all of
// [AWSVersions]. It is built with the go command, which may have to download modules, once for each
// state of the stub's sources, and kept under .tools of the repository that the working directory is
// in. Several processes may call it at once.
func Mirror(ctx context.Context) (string, error) { return stubMirror.get(ctx) }

var stubMirror = mirror{find: func(ctx context.Context, root string) (string, error) {
	source := filepath.Join(root, "terraform", "emit", "testdata", "stub-aws")
	key, err := sourceKey(source)
	if err != nil {
		return "", err
	}
	return kept(filepath.Join(root, ".tools", "stub-aws", key), func(dir string) error {
		return buildStub(ctx, source, dir)
	})
}}

// mirror is a directory that a process looks for once.
type mirror struct {
	find func(ctx context.Context, root string) (string, error)

	mu  sync.Mutex
	dir string
}

func (m *mirror) get(ctx context.Context) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dir != "" {
		return m.dir, nil
	}
	root, err := repository()
	if err != nil {
		return "", err
	}
	m.dir, err = m.find(ctx, root)
	return m.dir, err
}

// unused is how long a mirror stays that nobody asks for.
const unused = time.Hour

// kept returns a directory that fill has filled, unless an earlier call has done so. It removes those beside it that
// were not asked for lately.
func kept(dir string, fill func(dir string) error) (string, error) {
	now := time.Now()
	if err := os.Chtimes(dir, now, now); err == nil {
		return dir, nil
	}
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", err
	}
	if err := removeUnused(parent, now.Add(-unused)); err != nil {
		return "", err
	}
	temporary, err := os.MkdirTemp(parent, "build-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(temporary) }() // what is left of it is only garbage
	if err := fill(temporary); err != nil {
		return "", err
	}
	if err := os.Rename(temporary, dir); err != nil {
		// Another process may have been faster; its mirror is as good.
		if _, statErr := os.Stat(dir); statErr != nil {
			return "", err
		}
	}
	return dir, nil
}

func removeUnused(parent string, since time.Time) error {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !info.ModTime().Before(since) {
			continue // another process has removed it, or needs it
		}
		if err := os.RemoveAll(filepath.Join(parent, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// repository finds the root of this module, upwards from the working directory.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		content, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.Contains(content, []byte("module "+modulePath+"\n")) {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("the working directory is not in a copy of " + modulePath)
		}
		dir = parent
	}
}

// sourceKey is a digest of all that the stub is built from.
func sourceKey(source string) (string, error) {
	entries, err := os.ReadDir(source)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	_, _ = fmt.Fprintln(h, runtime.Version(), runtime.GOOS, runtime.GOARCH, AWSVersions, registries) // a hash never fails
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(source, entry.Name()))
		if err != nil {
			return "", err
		}
		_, _ = fmt.Fprintf(h, "%s %d\n%s", entry.Name(), len(content), content)
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// buildStub makes a mirror in dir: one binary, under the name of each version in each registry.
func buildStub(ctx context.Context, source, dir string) error {
	binary := filepath.Join(dir, "stub-aws"+suffix())
	if err := goBuild(ctx, source, binary, "."); err != nil {
		return err
	}
	for _, host := range registries {
		for _, version := range AWSVersions {
			if err := place(binary, dir, host+"/hashicorp/aws", version); err != nil {
				return err
			}
		}
	}
	return os.Remove(binary)
}

// place puts a provider's binary into a mirror.
func place(binary, mirror, source, version string) error {
	dir := platformDir(mirror, source, version)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return linkOrCopy(binary, filepath.Join(dir, programName(source, version)))
}

// platformDir is where a mirror has a version of a provider for this machine.
func platformDir(mirror, source, version string) string {
	return filepath.Join(mirror, filepath.FromSlash(source), version, runtime.GOOS+"_"+runtime.GOARCH)
}

// programName is what Terraform wants a provider's program to be called.
func programName(source, version string) string {
	return "terraform-provider-" + path.Base(source) + "_v" + version + suffix()
}

func goBuild(ctx context.Context, dir, output, pkg string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", output, pkg)
	cmd.Dir, cmd.Env = dir, goEnv()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s in %s: %w\n%s", pkg, dir, err, out)
	}
	return nil
}

func goEnv() []string {
	return append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
}

func linkOrCopy(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, fs.FileMode(0o755))
}

func suffix() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}

// majors are the keys of AWSVersions, sorted.
func majors() []int {
	var list []int
	for major := range AWSVersions {
		list = append(list, major)
	}
	slices.Sort(list)
	return list
}
