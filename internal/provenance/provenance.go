package provenance

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// DefaultTimeout is how long [Collect] looks unless its source says otherwise. Reading the state of a
// large work tree from a cold disk takes seconds.
const DefaultTimeout = 10 * time.Second

// Source says where to look. The zero value looks at the working directory and the environment.
type Source struct {
	// Dir is where Template is relative to, and where the repository is looked for where there is no
	// template. Default: the working directory.
	Dir string
	// Template is the file or the directory that is built from; "" if there is none.
	Template string
	// Getenv reads one environment variable. Default: os.Getenv.
	Getenv func(name string) string
	// Secret says whether a value holds a secret that the caller knows of. Default: none does.
	Secret func(value string) bool
	// Timeout bounds all of it. Default: DefaultTimeout.
	Timeout time.Duration
	// Log gets a line for what could not be found out. Default: nobody does.
	Log func(format string, args ...any)
}

func (s Source) withDefaults() Source {
	s.Timeout = cmp.Or(s.Timeout, DefaultTimeout)
	if s.Getenv == nil {
		s.Getenv = os.Getenv
	}
	if s.Secret == nil {
		s.Secret = func(string) bool { return false }
	}
	if s.Log == nil {
		s.Log = func(string, ...any) {}
	}
	return s
}

// Collect returns what can be known, by the keys of the package documentation. It never fails, and
// ends within about a second of the source's time limit.
func Collect(ctx context.Context, s Source) registry.Metadata {
	s = s.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	dir, err := filepath.Abs(s.Dir)
	if err != nil {
		s.Log("provenance: working directory: %v", err)
		return s.recordable(host())
	}
	tpl, err := findTemplate(dir, s.Template)
	if err != nil {
		s.Log("provenance: template: %v", err)
	}
	if tpl.dir != "" {
		dir = tpl.dir
	}
	ci := detectCI(s.Getenv)
	repo, err := readRepository(ctx, dir, tpl, s)
	if err != nil {
		s.Log("provenance: git: %v", err)
	}
	values := host()
	tpl.describe(values, repo, s.Log)
	repo.describe(values, ci)
	ci.describe(values)
	return s.recordable(values)
}

func host() map[string]string {
	return map[string]string{"host_os": runtime.GOOS, "host_arch": runtime.GOARCH}
}

// recordable cleans values and leaves out what must not, or cannot, be recorded.
func (s Source) recordable(values map[string]string) registry.Metadata {
	recorded := registry.Metadata{}
	for key, value := range values {
		// Both are asked for: cleaning can take a secret apart, and can put one together.
		clean := cleanText(value)
		switch {
		case clean == "":
		case s.Secret(value) || s.Secret(clean):
			s.Log("provenance: %s is left out: it holds a secret", key)
		case len(clean) > maxValue:
			s.Log("provenance: %s is left out: it has %d bytes", key, len(clean))
		case len(registry.CheckMetadata("provenance", registry.Metadata{key: clean})) > 0:
			s.Log("provenance: %s is left out: it cannot be recorded as metadata", key)
		default:
			recorded[key] = clean
		}
	}
	return recorded
}
