package vagrantcatalog

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ReadFile reads a catalog from a file. Relative URLs, and those that begin with file://, are files, relative to the
// catalog; boxes without a URL are looked for beside it.
func ReadFile(name string) (Catalog, []Problem, error) {
	content, err := readAll(name)
	if err != nil {
		return Catalog{}, nil, err
	}
	c, problems, err := Parse(content)
	if err != nil {
		return Catalog{}, nil, err
	}
	for v := range c.Versions {
		for b := range c.Versions[v].Boxes {
			locate(name, c, c.Versions[v].Version, &c.Versions[v].Boxes[b])
		}
	}
	return c, problems, nil
}

func readAll(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	content, err := io.ReadAll(io.LimitReader(f, maxCatalog+1))
	if err == nil && len(content) > maxCatalog {
		err = errTooLarge
	}
	return content, err
}

// locate finds the file of a box in a catalog that is a file itself. A URL of any other kind stays as it is.
func locate(catalog string, c Catalog, version string, b *Box) {
	if b.URL == "" {
		b.Path = beside(catalog, c, version, *b)
		return
	}
	u, err := url.Parse(b.URL)
	switch {
	case err != nil:
	case u.Scheme == "file" && (u.Host == "" || u.Host == "localhost"):
		b.URL, b.Path = "", filepath.FromSlash(u.Path)
	case u.Scheme == "" && u.Host == "":
		b.URL, b.Path = "", filepath.Join(filepath.Dir(catalog), filepath.FromSlash(u.Path))
	}
}

// beside looks for the file of a box that the catalog has no URL for.
func beside(catalog string, c Catalog, version string, b Box) string {
	_, short, found := strings.Cut(c.Name, "/")
	if !found {
		short = c.Name
	}
	dir := filepath.Dir(catalog)
	names := []string{strings.ReplaceAll(c.Name, "/", slash), short, strings.TrimSuffix(filepath.Base(catalog), ".json")}
	var candidates []string
	for _, name := range names {
		stem := name + "-" + version + "-" + b.Provider
		candidates = append(candidates, stem+"-"+b.Architecture+".box", stem+".box")
	}
	candidates = append(candidates,
		filepath.Join(version, b.Provider, b.Architecture, "vagrant.box"), filepath.Join(version, b.Provider, "vagrant.box"))
	if len(c.Versions) == 1 && len(c.Versions[0].Boxes) == 1 {
		candidates = append(candidates, names[2]+".box", short+".box", b.Provider+".box", "vagrant.box", "package.box")
	}
	for _, name := range candidates {
		if isFile(filepath.Join(dir, name)) {
			return filepath.Join(dir, name)
		}
	}
	return ""
}

func isFile(name string) bool {
	stat, err := os.Stat(name)
	return err == nil && stat.Mode().IsRegular()
}

// ReadDir finds the boxes in a directory and those below it: those that catalogs name which lie there, and files that say by their
// place what they are, NAME-VERSION-PROVIDER[-ARCH].box or NAME/VERSION/PROVIDER[/ARCH]/vagrant.box. Boxes that Vagrant has
// unpacked, files that do not say what they are, and what cannot be read are problems. Catalogs of one name are one. Links to
// files are followed, and those to directories are not, but for dir itself.
func ReadDir(dir string) ([]Catalog, []Problem, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, nil, err
	}
	w := walk{dir: dir, claimed: map[string]bool{}}
	if err := filepath.WalkDir(dir, w.visit); err != nil {
		return nil, nil, err
	}
	for _, file := range w.boxes {
		if !w.claimed[absolute(file)] {
			w.addFile(file)
		}
	}
	return w.catalogs, w.problems, nil
}

// walk collects what is found in a directory.
type walk struct {
	dir      string
	catalogs []Catalog
	problems []Problem
	boxes    []string
	// claimed are the files that catalogs name, by their absolute paths.
	claimed map[string]bool
}

func (w *walk) visit(name string, entry fs.DirEntry, err error) error {
	switch {
	case err != nil && name == w.dir:
		return err
	case err != nil:
		w.problems = append(w.problems, Problem{w.relative(name), "it cannot be read: " + err.Error(), false})
		return nil
	case entry.IsDir() && isUnpacked(name):
		w.problems = append(w.problems, Problem{w.relative(name), "it is a box that Vagrant has unpacked; make a file of it with vagrant box repackage first", false})
		return filepath.SkipDir
	case entry.IsDir() || !isFile(name):
		return nil
	}
	switch strings.ToLower(filepath.Ext(name)) {
	case ".box":
		w.boxes = append(w.boxes, name)
	case ".json":
		w.addCatalog(name)
	}
	return nil
}

func (w *walk) relative(name string) string {
	if relative, err := filepath.Rel(w.dir, name); err == nil {
		return relative
	}
	return name
}

// absolute names a file in one way, however a catalog does: by the directories that links lead to, and the file's own name.
func absolute(name string) string {
	dir, file := filepath.Split(name)
	if real, err := filepath.EvalSymlinks(filepath.Clean(dir)); err == nil {
		name = filepath.Join(real, file)
	}
	if whole, err := filepath.Abs(name); err == nil {
		return whole
	}
	return name
}

// isUnpacked says whether a directory holds what is in a box, rather than boxes.
func isUnpacked(dir string) bool {
	const most = 1 << 20
	stat, err := os.Stat(filepath.Join(dir, "metadata.json"))
	if err != nil || !stat.Mode().IsRegular() || stat.Size() > most {
		return false
	}
	content, err := os.ReadFile(filepath.Join(dir, "metadata.json"))
	if err != nil {
		return false
	}
	var metadata struct {
		Provider string            `json:"provider"`
		Versions []json.RawMessage `json:"versions"`
	}
	return json.Unmarshal(content, &metadata) == nil && metadata.Provider != "" && metadata.Versions == nil
}

// addCatalog adds the catalog in a file. Other JSON may lie there, too.
func (w *walk) addCatalog(name string) {
	c, problems, err := ReadFile(name)
	if errors.Is(err, errNoCatalog) {
		return
	}
	if err != nil {
		w.problems = append(w.problems, Problem{w.relative(name), err.Error(), false})
		return
	}
	for _, p := range problems {
		p.What = w.relative(name) + ", " + p.What
		w.problems = append(w.problems, p)
	}
	for _, v := range c.Versions {
		for _, b := range v.Boxes {
			w.claimed[absolute(b.Path)] = true
		}
	}
	w.add(c)
}

// addFile adds a box of which no catalog says anything.
func (w *walk) addFile(name string) {
	relative := w.relative(name)
	p, ok := nameOf(filepath.Base(name))
	if !ok {
		p, ok = placeOf(filepath.ToSlash(relative))
	}
	if !ok {
		const reason = "its name is not NAME-VERSION-PROVIDER.box, nor its path NAME/VERSION/PROVIDER/vagrant.box; almanac push records a single box"
		w.problems = append(w.problems, Problem{relative, reason, false})
		return
	}
	w.add(Catalog{Name: p.name, Versions: []Version{{
		Version: p.version, Boxes: []Box{{Provider: p.provider, Architecture: p.architecture, Path: name}},
	}}})
}

// add adds a catalog to the one of its name.
func (w *walk) add(c Catalog) {
	at := slices.IndexFunc(w.catalogs, func(other Catalog) bool { return other.Name == c.Name })
	if at < 0 {
		w.catalogs = append(w.catalogs, c)
		return
	}
	to := &w.catalogs[at]
	for _, v := range c.Versions {
		same := slices.IndexFunc(to.Versions, func(other Version) bool { return other.Version == v.Version })
		if same < 0 {
			to.Versions = append(to.Versions, v)
			continue
		}
		to.Versions[same].Boxes = append(to.Versions[same].Boxes, v.Boxes...)
	}
}
