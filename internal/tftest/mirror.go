// Package tftest runs the real Terraform for tests, without the network: with a configuration, a home
// and providers of its own. In the place of hashicorp/aws it has a stub, which is built from
// terraform/emit/testdata/stub-aws when it is needed first.
//
//	w := tftest.New(t, 6)
//	w.SetImages(tftest.Images{"eu-west-1": {{ID: "ami-0abc"}}})
//	w.Write("app.tf", content)
//	w.MustRun("init")
//	out, err := w.Run("plan")
//
// Programs that are no tests use [Mirror] and [CLIConfig], or the command tfstub.
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
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
)

// AWSVersions are the versions of the stub by major version. It behaves as each of them.
var AWSVersions = map[int]string{5: "5.100.0", 6: "6.0.0"}

const modulePath = "github.com/cargomedia/packer-plugin-almanac"

// Mirror returns a directory for filesystem_mirror with the stub of hashicorp/aws, in all of
// [AWSVersions]. It is built with the go command, which may have to download modules, once for each
// state of the stub's sources, and kept under .tools of the repository that the working directory is
// in. Several processes may call it at once.
func Mirror(ctx context.Context) (string, error) {
	root, err := repository()
	if err != nil {
		return "", err
	}
	source := filepath.Join(root, "terraform", "emit", "testdata", "stub-aws")
	key, err := sourceKey(source)
	if err != nil {
		return "", err
	}
	parent := filepath.Join(root, ".tools", "stub-aws")
	mirror := filepath.Join(parent, key)
	if _, err := os.Stat(mirror); err == nil {
		return mirror, nil
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", err
	}
	temporary, err := os.MkdirTemp(parent, "build-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(temporary) }() // what is left of it is only garbage
	if err := build(ctx, source, temporary); err != nil {
		return "", err
	}
	if err := os.Rename(temporary, mirror); err != nil {
		// Another process may have been faster; its mirror is as good.
		if _, statErr := os.Stat(mirror); statErr != nil {
			return "", err
		}
	}
	return mirror, nil
}

// CLIConfig is the content of a file for TF_CLI_CONFIG_FILE that lets Terraform take all providers
// from a mirror.
func CLIConfig(mirror string) string {
	return "provider_installation {\n  filesystem_mirror {\n    path = " + strconv.Quote(filepath.ToSlash(mirror)) + "\n  }\n}\n"
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
	_, _ = fmt.Fprintln(h, runtime.Version(), runtime.GOOS, runtime.GOARCH, AWSVersions) // a hash never fails
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(source, entry.Name()))
		if err != nil {
			return "", err
		}
		_, _ = fmt.Fprintf(h, "%s %d\n%s", entry.Name(), len(content), content)
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// build makes the mirror in dir: one binary, under the name of each version.
func build(ctx context.Context, source, dir string) error {
	var binary string
	for major, version := range AWSVersions {
		platform := filepath.Join(dir, "registry.terraform.io", "hashicorp", "aws", version, runtime.GOOS+"_"+runtime.GOARCH)
		if err := os.MkdirAll(platform, 0o755); err != nil {
			return err
		}
		path := filepath.Join(platform, "terraform-provider-aws_v"+version+suffix())
		if binary != "" {
			if err := linkOrCopy(binary, path); err != nil {
				return err
			}
			continue
		}
		binary = path
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, ".")
		cmd.Dir = source
		cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building the stub of hashicorp/aws %d: %w\n%s", major, err, out)
		}
	}
	return nil
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
