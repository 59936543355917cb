package almanac

import (
	"fmt"
	"os"
	"strings"

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

// secretValues are the values of generated_data that must not be recorded even where a template asks
// for them.
var secretValues = []string{"Password", "WinRMPassword", "SSHPrivateKey", "SSHPrivateKeyFile"}

// secretOf returns the name of a secret of the build that a text holds, or "".
func secretOf(generated map[string]any, text string) string {
	for _, name := range secretValues {
		if secret, ok := generated[name].(string); ok && holdsSecret(text, strings.TrimSpace(secret)) {
			return name
		}
	}
	return ""
}

// provenance says how the build came to be.
func (r *recording) provenance() registry.Metadata {
	values := map[string]string{
		"packer_version":  r.config.PackerCoreVersion,
		"packer_run_uuid": os.Getenv("PACKER_RUN_UUID"),
		"plugin_version":  version.String(),
		"builder_id":      r.product.builderID,
		"builder_type":    r.config.PackerBuilderType,
		"build_name":      r.config.PackerBuildName,
		"artifact_id":     r.product.id,
	}
	for from, value := range usableValues(r.product.generated) {
		values[recordedValues[from]] = value
	}
	return r.recordable("provenance", values)
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
