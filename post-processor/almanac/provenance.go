package almanac

import (
	"context"
	"fmt"
	"log"
	"maps"
	"os"
	"sync/atomic"
	"time"

	"github.com/hashicorp/packer-plugin-sdk/template/config"

	"github.com/cargomedia/packer-plugin-almanac/internal/localfiles"
	"github.com/cargomedia/packer-plugin-almanac/internal/provenance"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/version"
)

// recordedValues are the values of generated_data that are recorded, and the names that they get. They
// are also the only ones that a JSON template can name. Builders put keys and passwords there, too.
var recordedValues = map[string]string{
	"SourceAMI":             "source_ami",
	"SourceAMIName":         "source_ami_name",
	"SourceAMICreationDate": "source_ami_creation_date",
	"SourceAMIOwner":        "source_ami_owner",
	"SourceAMIOwnerName":    "source_ami_owner_name",
	"BuildRegion":           "build_region",
	"SourceImageName":       "source_image_name",
	"ImageSha256":           "image_sha256",
	"SourceImageSha256":     "source_image_sha256",
	"SourceImageDigest":     "source_image_digest",
	"Digest":                "digest",
}

// origin is what was found out about a build when it began: what it is made from can change meanwhile.
type origin struct {
	template string // absolute path of a file or directory; "" if it is not known
	values   registry.Metadata
}

// originTime is how long the origin is waited for when the build is done. It has a time limit of its own,
// but a file system that hangs keeps to none.
const originTime = provenance.DefaultTimeout + 5*time.Second

// findOrigin looks for the origin while the build goes on. The function that it returns waits for the
// end of that, but no longer than a limit or a context allows: what is known by then is what there is.
func (p *prepared) findOrigin(raws []any) func(context.Context, time.Duration) origin {
	dir, _ := os.Getwd() // "" is the working directory, too
	return inParts(func(tell func(origin)) {
		ctx := context.Background()
		o := origin{template: templateOf(ctx, raws)}
		tell(o)
		o.values = provenance.Collect(ctx, provenance.Source{
			Dir: dir, Template: o.template, Log: debugf,
			Secret: func(value string) bool { return p.sensitive(value) != "" },
		})
		tell(o)
	})
}

// inParts runs find, which tells what it knows as soon as it does, and returns what waits for its end.
func inParts(find func(tell func(origin))) func(context.Context, time.Duration) origin {
	var known atomic.Pointer[origin]
	known.Store(new(origin))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := safely(func() error { find(func(o origin) { known.Store(&o) }); return nil }); err != nil {
			log.Printf("[WARN] how the build came to be is not known: %v", err)
		}
	}()
	return func(ctx context.Context, limit time.Duration) origin {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		select {
		case <-done:
		case <-ctx.Done():
		case <-timer.C:
			log.Printf("[WARN] how the build came to be is not waited for any longer than %s", limit)
		}
		return *known.Load()
	}
}

func debugf(format string, args ...any) { log.Printf("[DEBUG] "+format, args...) }

// templateOf is the template's path as Packer gives it, for JSON templates, or as its command line does.
func templateOf(ctx context.Context, raws []any) string {
	if c, err := config.DetectContext(raws...); err == nil && c.TemplatePath != "" {
		path := localfiles.Absolute(c.TemplatePath)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return provenance.PackerTemplate(ctx)
}

// provenance says how the build came to be.
func (r *recording) provenance() registry.Metadata {
	values := map[string]string{}
	maps.Copy(values, r.origin.values)
	maps.Copy(values, r.ownProvenance())
	for from, value := range usableValues(r.product.generated) {
		values[recordedValues[from]] = value
	}
	return r.recordable("provenance", values)
}

// runID is the key of the id that Packer gives each run.
const runID = "packer_run_uuid"

// ownProvenance is what Packer and the builder say.
func (r *recording) ownProvenance() map[string]string {
	return map[string]string{
		"packer_version": r.config.PackerCoreVersion,
		runID:            os.Getenv("PACKER_RUN_UUID"),
		"plugin_version": version.String(),
		"builder_id":     r.product.builderID,
		"builder_type":   r.config.PackerBuilderType,
		"build_name":     r.config.PackerBuildName,
		"artifact_id":    r.product.id,
	}
}

// usableValues are those of a build that may be recorded, as text.
func usableValues(generated map[string]any) map[string]string {
	values := map[string]string{}
	for name := range recordedValues {
		var text string
		switch value := generated[name].(type) {
		case string:
			text = value
		case []byte:
			text = string(value)
		case bool, int64, uint64, float64:
			text = fmt.Sprint(value)
		default:
			continue
		}
		if secretOf(generated, text) == "" {
			values[name] = text
		}
	}
	return values
}
