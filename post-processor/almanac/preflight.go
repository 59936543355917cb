package almanac

import (
	"context"
	"errors"
	"log"
	"slices"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
	"github.com/cargomedia/packer-plugin-almanac/version"
)

// preflightTime bounds all that the registry is asked before a build.
const preflightTime = 10 * time.Second

// preflight asks the registry whether the build can be recorded when it is done, and adds what stands
// in the way to the mistakes.
func (p *prepared) preflight() {
	c, err := p.client(client.Options{RetryMax: 3, RetryWaitMin: 200 * time.Millisecond, RetryWaitMax: time.Second, RetryAfterMax: preflightTime})
	if err != nil {
		p.refused(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), preflightTime)
	defer cancel()
	if p.artifact == "" || p.Token == "" {
		// The right to publish cannot be asked for; whether the address and the token are good can.
		if _, err := c.Artifacts(ctx, registry.ArtifactFilter{Limit: 1}); err != nil && p.Token != "" || registry.KindOf(err) == registry.Unavailable {
			p.refused(err)
		}
		return
	}
	access, err := c.Access(ctx, string(p.artifact))
	if err != nil {
		p.refused(err)
		return
	}
	p.checkAccess(access)
	if access.Read && access.Exists {
		p.checkRun(ctx, c)
	}
}

// client returns a client of the registry with the given patience.
func (p *prepared) client(o client.Options) (*client.Client, error) {
	o.Address, o.Token = p.Address, p.Token
	o.UserAgent = userAgent()
	o.Log = func(format string, args ...any) { log.Printf("[DEBUG] registry: "+format, args...) }
	return client.New(o)
}

func userAgent() string { return "packer-plugin-almanac/" + version.String() }

// refused files an answer of the registry, or the lack of one, under the field that is to be changed.
func (p *prepared) refused(err error) {
	e, ok := errors.AsType[*registry.Error](err)
	if !ok {
		p.fail("address", "%v", err)
		return
	}
	switch e.Kind {
	case registry.Unauthorized:
		p.fail("token", "the registry at %s does not accept it: %s; give a token that is in force", p.Address, e.Msg)
	case registry.Forbidden:
		p.fail("token", "%s", e.Msg)
	case registry.Conflict:
		p.fail("artifact", "%s", e.Msg)
	case registry.Invalid:
		if len(e.Fields) == 0 {
			p.fail("artifact", "%s", e.Msg)
		}
		for _, f := range e.Fields {
			p.fail(f.Field, "%s", f.Message)
		}
	default:
		p.fail("address", "%s; start the registry, or set address or ALMANAC_ADDR to where it is", e.Msg)
	}
}

func (p *prepared) checkAccess(a registry.Access) {
	needed, what := registry.RolePublish, "recording a build"
	allowed := a.Publish
	if len(p.Channels) > 0 {
		needed, what, allowed = registry.RolePromote, "moving channels", a.Promote
	}
	switch {
	case allowed:
	case !a.Role.Allows(needed):
		p.fail("token", "%q has the role %s, and %s needs the role %s; use another token", a.Token, a.Role, what, needed)
	default:
		p.fail("token", "%q is not for the artifact %s; use a token whose scope covers it", a.Token, p.artifact)
	}
}

// checkRun compares the configuration with what is recorded of the run already, and refuses a version
// that another run made: neither can be changed any more.
func (p *prepared) checkRun(ctx context.Context, c *client.Client) {
	if unknown(p.Fingerprint) || registry.CheckFingerprint(p.Fingerprint) != nil {
		return
	}
	v, err := c.Version(ctx, string(p.artifact), "fingerprint:"+p.Fingerprint)
	switch {
	case registry.KindOf(err) == registry.NotFound:
		p.checkVersionIsFree(ctx, c)
		return
	case err != nil:
		p.refused(err)
		return
	}
	if p.Version != "" && !unknown(p.Version) && p.Version != v.Version {
		p.fail("version", "is %s, and the run %s is recorded as %s already; leave it out, or give the run another fingerprint", p.Version, p.Fingerprint, v.Version)
	}
	if expect := slices.Sorted(slices.Values(p.Expect)); len(expect) > 0 && !slices.ContainsFunc(expect, unknown) && !slices.Equal(expect, v.Expect) {
		p.fail("expect", "is %q, and the run %s is recorded with %q already; give that, leave it out, or give the run another fingerprint", expect, p.Fingerprint, v.Expect)
	}
	switch i := p.among(v.Builds); {
	case i < 0:
	case len(v.Builds[i].Images) > 0:
		p.fail("fingerprint", "%s is recorded already in version %s by the run %s; a rebuilt image never equals it: use another fingerprint, or build only what is missing with -only=…",
			p.component, v.Version, p.Fingerprint)
	default:
		// The same files can be made again.
		log.Printf("[WARN] %s of the run %s is recorded already, as %s %s: unless this build makes the very same, it will be refused as a conflict; give it another fingerprint",
			p.component, p.Fingerprint, p.artifact, v.Version)
	}
}

// among returns the index of this build's component among builds; -1 if it is not there.
func (p *prepared) among(builds []registry.Build) int {
	return slices.IndexFunc(builds, func(b registry.Build) bool { return b.Component == p.component })
}

// checkVersionIsFree refuses a version that another run made.
func (p *prepared) checkVersionIsFree(ctx context.Context, c *client.Client) {
	if p.Version == "" || unknown(p.Version) || registry.CheckSemver(p.Version) != nil {
		return
	}
	taken, err := c.Version(ctx, string(p.artifact), p.Version)
	switch {
	case registry.KindOf(err) == registry.NotFound:
	case err != nil:
		p.refused(err)
	default:
		remedy := "choose another version, or leave it out"
		if p.among(taken.Builds) < 0 {
			remedy = "choose another version, leave it out, or set fingerprint to that run to add this build to it"
		}
		p.fail("version", "%s of %s is taken by number %d, made by the run %s; %s", p.Version, p.artifact, taken.Number, taken.Fingerprint, remedy)
	}
}
