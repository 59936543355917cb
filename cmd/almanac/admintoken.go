package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// adminFile is where the first start leaves the administrator's token.
const adminFile = "admin.token"

// ensureAdmin makes the first token of a registry that has none. The secret is safe in its file
// before the registry knows the token, so that after a crash in between the next start goes on with
// the file. It returns the file's path if a token was made, else "".
func ensureAdmin(ctx context.Context, data *dataDir, store registry.Store, service *registry.Service) (string, error) {
	tokens, err := store.Tokens(ctx)
	if err != nil || len(tokens) > 0 {
		return "", err
	}
	path := data.path(adminFile)
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		content = []byte(registry.NewSecret() + "\n")
		err = writeFileAtomically(path, content, 0o600)
	}
	if err != nil {
		return "", err
	}
	secret, err := checkSecret(path, string(content))
	if err != nil || len(secret) < minAdminSecret {
		return "", fmt.Errorf("%s does not hold a token; remove it, and start again", path)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return "", err
	}
	created, err := service.EnsureAdmin(ctx, secret)
	if err != nil || !created {
		return "", err
	}
	return path, nil
}

// minAdminSecret keeps a file that was cut or written by hand from becoming a secret that can be
// guessed.
var minAdminSecret = len(registry.NewSecret())

// sweepTemporary removes what a crash left of files that were being written.
func sweepTemporary(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		if name := entry.Name(); strings.HasPrefix(name, "."+adminFile+".") && strings.HasSuffix(name, ".tmp") {
			err = errors.Join(err, os.Remove(filepath.Join(dir, name)))
		}
	}
	return err
}
