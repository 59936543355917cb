package provenance

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// A template is some kilobytes of text, in some files. What is more than this is something else.
const (
	maxTemplateBytes = 16 << 20
	maxTemplateFiles = 1000
	maxDirEntries    = 100_000
)

// template is what is built from. The zero template is none.
type template struct {
	// dir is the directory that holds it, or is it, without symbolic links.
	dir string
	// file is the name in dir; "" if all templates of dir are meant.
	file string
}

// findTemplate finds a template by its path. That of a pipe is of no use to anybody else, and can be
// read once only: it is an error, as is one that is not there.
func findTemplate(dir, name string) (template, error) {
	if name == "" {
		return template{}, nil
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	name = filepath.Clean(name)
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return template{}, err
	case info.IsDir():
		dir, err := filepath.EvalSymlinks(name)
		return template{dir: dir}, err
	case !info.Mode().IsRegular():
		return template{}, errors.New("is neither a file nor a directory")
	}
	// The file itself may be a link: its name is the one that Packer was given.
	dir, err = filepath.EvalSymlinks(filepath.Dir(name))
	return template{dir: dir, file: filepath.Base(name)}, err
}

func (t template) describe(values map[string]string, repo repository, log func(string, ...any)) {
	if t.dir == "" {
		return
	}
	values["template_path"] = path.Join(repo.prefix, t.file)
	if values["template_path"] == "" {
		values["template_path"] = "."
	}
	digest, err := t.digest()
	if err != nil {
		log("provenance: digest of the template: %v", err)
	}
	values["template_sha256"] = digest
}

// digest is that of the key template_sha256.
func (t template) digest() (string, error) {
	left := int64(maxTemplateBytes)
	if t.file != "" {
		return digestFile(filepath.Join(t.dir, t.file), &left)
	}
	names, err := templatesIn(t.dir)
	if err != nil {
		return "", err
	}
	whole := sha256.New()
	for _, name := range names {
		digest, err := digestFile(filepath.Join(t.dir, name), &left)
		if err != nil {
			return "", err
		}
		_, _ = fmt.Fprintf(whole, "%s  %s\n", digest, name) // a hash takes everything
	}
	return hex.EncodeToString(whole.Sum(nil)), nil
}

// templatesIn returns the names of the files that Packer reads as templates in a directory, in order.
func templatesIn(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	entries, err := d.ReadDir(maxDirEntries)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(entries) == maxDirEntries {
		return nil, fmt.Errorf("the directory has %d entries or more", maxDirEntries)
	}
	var names []string
	for _, entry := range entries {
		name := entry.Name()
		if !entry.IsDir() && (strings.HasSuffix(name, ".pkr.hcl") || strings.HasSuffix(name, ".pkr.json")) {
			names = append(names, name)
		}
	}
	switch {
	case len(names) == 0:
		return nil, errors.New("the directory has no *.pkr.hcl and no *.pkr.json")
	case len(names) > maxTemplateFiles:
		return nil, fmt.Errorf("the directory has %d templates; at most %d are read", len(names), maxTemplateFiles)
	}
	slices.Sort(names)
	return names, nil
}

// digestFile reads at most *left bytes, and takes what it read from it.
func digestFile(name string, left *int64) (string, error) {
	// Opening a pipe would wait for a writer.
	if info, err := os.Stat(name); err != nil {
		return "", err
	} else if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a file", filepath.Base(name))
	}
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	n, err := io.Copy(hash, io.LimitReader(f, *left+1))
	if err != nil {
		return "", err
	}
	if *left -= n; *left < 0 {
		return "", fmt.Errorf("it has more than %d bytes", maxTemplateBytes)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
