package almanac

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

const (
	defaultRetryTimeout  = 2 * time.Minute
	defaultVerifyTimeout = 10 * time.Minute
)

// The values of on_registry_error.
const (
	onErrorKeep = "keep"
	onErrorFail = "fail"
)

// unknownValue is what Packer puts in the place of a value that only a build has.
const unknownValue = "<unknown>"

// unknown says whether a value still holds a placeholder: Packer fills it in once there is a build.
func unknown(s string) bool {
	return strings.Contains(s, unknownValue) || strings.Contains(s, "<no value>") || strings.Contains(s, "{{.")
}

// prepared is a configuration with its defaults, and all that is wrong with it.
type prepared struct {
	Config
	artifact  registry.ArtifactName // empty while it is not known, or wrong
	typ       registry.Type         // empty unless the template says it
	component string
	mistakes  []error
	// undecoded is set when the configuration could not be read: nothing else of it can be relied on.
	undecoded error
	built     *built // nil before there is a build
}

// built is what is known once there is a build.
type built struct {
	generated map[string]any
	// accepted are the names that the configuration had before. What is among them is none of the build's
	// secrets, even where it looks like one: a password such as "vagrant".
	accepted []string
}

// names are the texts by which a build, and what belongs to it, is recorded.
func (p *prepared) names() []string {
	return slices.Concat([]string{p.Artifact, p.Version, p.component, p.Fingerprint, p.Architecture}, p.Channels, p.Expect, p.SBOM, p.Attach)
}

// fail records a mistake: what is wrong with a field, and what would be right.
func (p *prepared) fail(field, format string, args ...any) {
	p.mistakes = append(p.mistakes, fmt.Errorf("%s: %s", field, withoutSecrets(fmt.Sprintf(format, args...))))
}

// check records err, if any, for a field.
func (p *prepared) check(field string, err error) {
	if err != nil {
		p.fail(field, "%v", err)
	}
}

// prepare decodes a configuration, fills in defaults and checks all that can be checked without the
// registry. Values that a build has yet to fill in are not mistakes unless there is one.
func prepare(raws []any, b *built) prepared {
	p := prepared{built: b}
	var generated map[string]any
	final := b != nil
	if final {
		generated = b.generated
	}
	var err error
	p.Config, err = decode(raws, generated)
	if err != nil {
		// Unknown keys are found when all else is decoded. After any other error the rest of the
		// configuration may be missing, so that nothing more can be said of it.
		unknownKeys, ok := errors.AsType[*multierror.Error](err)
		if !ok {
			if strings.Contains(err.Error(), "couldnt find") {
				err = fmt.Errorf("%w; the build values that can be used are %s", err, strings.Join(slices.Sorted(maps.Keys(recordedValues)), ", "))
			}
			if name := secretOf(generated, err.Error()); name != "" {
				err = fmt.Errorf("what is wrong holds the build's %s, so that no more is said of it", name)
			}
			p.undecoded = err
			p.mistakes = append(p.mistakes, err)
			return p
		}
		p.mistakes = append(p.mistakes, unknownKeys.Errors...)
	}
	p.defaults(isHCL2(raws))
	p.checkNames(final)
	p.checkLists(final)
	p.checkChoices()
	p.checkVerification()
	if !final {
		// Once there is a build, bad metadata is left out and a file that cannot be written is not: the
		// build is recorded all the same. Documents are looked at as files then.
		p.checkMetadata()
		p.checkTerraform()
		p.checkDocuments()
		p.checkAddress()
	}
	return p
}

func (p *prepared) defaults(hcl2 bool) {
	p.Address = cmp.Or(p.Address, os.Getenv(client.EnvAddress), client.DefaultAddress)
	p.Token = cmp.Or(strings.TrimSpace(p.Token), strings.TrimSpace(os.Getenv(client.EnvToken)))
	keepSecret(p.Token)
	p.Fingerprint = cmp.Or(p.Fingerprint, os.Getenv("ALMANAC_FINGERPRINT"), os.Getenv("PACKER_RUN_UUID"))
	p.RetryTimeout = cmp.Or(p.RetryTimeout, defaultRetryTimeout)
	p.OnRegistryError = cmp.Or(p.OnRegistryError, onErrorKeep)
	p.AWSVerifyTimeout = cmp.Or(p.AWSVerifyTimeout, defaultVerifyTimeout)
	p.component = p.Component
	if p.component == "" {
		p.component = p.PackerBuilderType + "." + p.PackerBuildName
		// In JSON templates a builder without a name is called by its type.
		if !hcl2 && p.PackerBuildName == p.PackerBuilderType {
			p.component = p.PackerBuilderType
		}
	}
}

// known says whether a value can be checked, and shown. A placeholder that is left at the end is a
// mistake, and a secret always is: names can be read by everybody who may read the artifact.
func (p *prepared) known(field, value string, final bool) bool {
	if name := p.sensitive(value); name == "token" || name != "" && slices.Contains([]string{"component", "architecture", "fingerprint"}, field) {
		p.fail(field, "holds the value of the sensitive variable %q; it can be read by everybody who may read the artifact, so choose another", name)
		return false
	}
	if final && !slices.Contains(p.built.accepted, value) {
		if name := secretOf(p.built.generated, value); name != "" {
			p.fail(field, "holds the build's %s; it can be read by everybody who may read the artifact, so choose another", name)
			return false
		}
	}
	if !unknown(value) {
		return true
	}
	if final {
		p.fail(field, "Packer did not fill in all of %q; this builder has no such build value", value)
	}
	return false
}

func (p *prepared) checkNames(final bool) {
	switch {
	case p.Artifact == "":
		p.fail("artifact", "is missing; set it to namespace/name, such as cargomedia/app")
	case p.known("artifact", p.Artifact, final):
		var err error
		p.artifact, err = registry.ParseArtifactName(p.Artifact)
		p.check("artifact", err)
	}
	if p.Token == "" {
		p.fail("token", "is missing; set it, or the environment variable ALMANAC_TOKEN, to a token with the role publish")
	}
	if p.Version != "" && p.known("version", p.Version, final) {
		p.check("version", registry.CheckSemver(p.Version))
	}
	if p.Component == "" || p.known("component", p.component, final) {
		p.check("component", registry.CheckComponent(p.component))
	}
	switch {
	case p.Fingerprint == "" && final:
		p.fail("fingerprint", "is missing; set it, or run Packer, which sets PACKER_RUN_UUID")
	case p.Fingerprint != "" && p.known("fingerprint", p.Fingerprint, final):
		p.check("fingerprint", registry.CheckFingerprint(p.Fingerprint))
	}
	if p.Architecture != "" && p.known("architecture", p.Architecture, final) {
		p.check("architecture", registry.CheckArchitecture(p.Architecture))
	}
}

// checkAddress keeps a secret out of the address, which publish files and commands have to tell.
func (p *prepared) checkAddress() {
	if name := p.sensitive(p.Address); name != "" {
		what := fmt.Sprintf("the sensitive variable %q", name)
		if name == "token" {
			what = "the token"
		}
		p.fail("address", "holds the value of %s; it is shown, and written into publish files, so take it from another variable or from ALMANAC_ADDR", what)
	}
}

func (p *prepared) checkLists(final bool) {
	for _, list := range []struct {
		field  string
		values []string
		most   int
		check  func(string) error
	}{
		{"channels", p.Channels, registry.MaxChannels, registry.CheckChannelName},
		{"expect", p.Expect, registry.MaxExpect, registry.CheckComponent},
	} {
		if len(list.values) > list.most {
			p.fail(list.field, "has %d entries; at most %d are allowed", len(list.values), list.most)
		}
		for i, value := range list.values {
			field := fmt.Sprintf("%s[%d]", list.field, i)
			if p.known(field, value, final) {
				p.check(field, list.check(value))
				if slices.Contains(list.values[:i], value) {
					p.fail(field, "%q is there twice; name it once", value)
				}
			}
		}
	}
}

// checkMetadata also keeps secrets out: what is recorded is there to be read.
func (p *prepared) checkMetadata() {
	showable := registry.Metadata{}
	for _, key := range slices.Sorted(maps.Keys(p.Metadata)) {
		if name := p.sensitive(key); name != "" {
			p.fail("metadata", "the name of an entry holds the value of the sensitive variable %q; leave it out", name)
			continue
		}
		showable[key] = p.Metadata[key]
	}
	for _, problem := range registry.CheckMetadata("metadata", showable) {
		p.fail(problem.Field, "%s", problem.Message)
	}
	for _, key := range slices.Sorted(maps.Keys(showable)) {
		if name := p.sensitive(showable[key]); name != "" {
			p.fail(fmt.Sprintf("metadata[%q]", key), "holds the value of the sensitive variable %q; metadata can be read by everybody who may read the artifact, so leave it out", name)
		}
	}
}

func (p *prepared) checkChoices() {
	typ := cmp.Or(p.Type, p.ArtifactType)
	if p.Type != "" && p.ArtifactType != "" && p.Type != p.ArtifactType {
		p.fail("artifact_type", "is %q and type is %q; they are the same setting, so give one", p.ArtifactType, p.Type)
	}
	if typ != "" {
		var err error
		p.typ, err = registry.ParseType(typ)
		p.check("type", err)
	}
	if p.Files.False() && (p.typ == registry.Archive || p.typ == registry.VagrantBox) {
		p.fail("files", "is false, but the type %s consists of files; leave one of the two out", p.typ)
	}
	if p.RetryTimeout < 0 {
		p.fail("retry_timeout", "is %s; it must be a duration such as 30s or 5m", p.RetryTimeout)
	}
	if p.OnRegistryError != onErrorKeep && p.OnRegistryError != onErrorFail {
		p.fail("on_registry_error", "is %q; it must be %q, which keeps the build and leaves a publish file, or %q, with which Packer destroys what was built",
			p.OnRegistryError, onErrorKeep, onErrorFail)
	}
}

// joined returns all mistakes as one error, nil if there are none.
func (p *prepared) joined() error {
	if len(p.mistakes) == 0 {
		return nil
	}
	return &packersdk.MultiError{Errors: p.mistakes}
}
