package tftest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ProviderSource is the source of this project's provider in the mirror of [ProviderMirror], and ProviderVersion
// its version.
const (
	ProviderSource  = "almanac.example.com/cargomedia/almanac"
	ProviderVersion = "1.0.0"
)

const providerPackage = "./cmd/terraform-provider-almanac"

// ProviderMirror returns a directory for filesystem_mirror with this project's provider, built from the working tree
// and kept as [Mirror] does.
func ProviderMirror(ctx context.Context) (string, error) { return providerMirror.get(ctx) }

var providerMirror = mirror{find: func(ctx context.Context, root string) (string, error) {
	key, err := buildKey(ctx, root, providerPackage)
	if err != nil {
		return "", err
	}
	return kept(filepath.Join(root, ".tools", "provider", key), func(dir string) error {
		binary := filepath.Join(dir, "provider"+suffix())
		if err := goBuild(ctx, root, binary, providerPackage); err != nil {
			return err
		}
		if err := place(binary, dir, ProviderSource, ProviderVersion); err != nil {
			return err
		}
		return os.Remove(binary)
	})
}}

// ProviderBinary is the path of the provider's program in a mirror that [ProviderMirror] returned.
func ProviderBinary(mirror string) string {
	return filepath.Join(platformDir(mirror, ProviderSource, ProviderVersion), programName(ProviderSource, ProviderVersion))
}

// buildKey is a digest of all that a program of this module is built from. It compiles, and does not link.
func buildKey(ctx context.Context, root, pkg string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-trimpath", "-deps", "-export", "-f", "{{.ImportPath}} {{.BuildID}}", pkg)
	cmd.Dir, cmd.Env = root, goEnv()
	var failure strings.Builder
	cmd.Stderr = &failure
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("compiling %s: %w\n%s", pkg, err, failure.String())
	}
	sum := sha256.Sum256(out)
	return hex.EncodeToString(sum[:8]), nil
}
