package main

import (
	"strings"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

type revokeCmd struct {
	Artifact string `arg:"" help:"NAMESPACE/NAME."`
	Ref      string `arg:"" help:"The version: a number, an exact version, a channel or a fingerprint."`
	Reason   string `placeholder:"TEXT" help:"Why, for whoever still uses the version. Required."`
	At       string `placeholder:"TIME" help:"When it takes effect: 2026-07-01, 2026-07-01T12:00:00Z, or 14d from now. Default: now."`
}

func (c *revokeCmd) Help() string {
	return `A revoked version is not offered by latest and constraints any more. Its number, its version and channels that point to it still find it, and say that it is revoked. It needs the role promote.

Example:

    almanac revoke cargomedia/app 1.4.0 --reason "CVE-2026-1234 in openssl"`
}

func (c *revokeCmd) Run(a *app) error {
	var p problems
	checkTarget(&p, c.Artifact, c.Ref)
	if strings.TrimSpace(c.Reason) == "" {
		p.add("--reason", "is missing; say why, for whoever still uses the version")
	}
	req := registry.RevokeRequest{Reason: c.Reason}
	if c.At != "" {
		at, err := parseWhen(c.At, time.Now())
		p.check("--at", err)
		req.At = &at
	}
	if err := p.err("revoke"); err != nil {
		return err
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	v, err := client.Revoke(a.ctx, c.Artifact, c.Ref, req)
	if err != nil {
		return missing(err, c.Artifact)
	}
	return a.show(v, func() {
		when := "is revoked"
		if !v.RevokedAt(time.Now()) {
			when = "will be revoked at " + shortTime(v.Revocation.At)
		}
		a.printf("%s %s %s.\n", clean(string(v.Artifact)), clean(versionText(v.VersionID)), when)
	})
}

type restoreCmd struct {
	Artifact string `arg:"" help:"NAMESPACE/NAME."`
	Ref      string `arg:"" help:"The version: a number, an exact version, a channel or a fingerprint."`
}

func (c *restoreCmd) Help() string {
	return `Example:

    almanac restore cargomedia/app 1.4.0`
}

func (c *restoreCmd) Run(a *app) error {
	var p problems
	checkTarget(&p, c.Artifact, c.Ref)
	if err := p.err("restore"); err != nil {
		return err
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	v, err := client.Restore(a.ctx, c.Artifact, c.Ref)
	if err != nil {
		return missing(err, c.Artifact)
	}
	return a.show(v, func() {
		a.printf("%s %s is not revoked.\n", clean(string(v.Artifact)), clean(versionText(v.VersionID)))
	})
}

// warnRevoked tells that a version should not be used any more, or soon.
func (a *app) warnRevoked(v registry.VersionID, r *registry.Revocation) {
	switch {
	case r == nil:
	case r.At.After(time.Now()):
		a.warn("version %s will be revoked at %s: %s", v.Version, shortTime(r.At), r.Reason)
	default:
		a.warn("version %s is revoked since %s: %s", v.Version, shortTime(r.At), r.Reason)
	}
}
