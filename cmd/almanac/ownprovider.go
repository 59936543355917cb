package main

import (
	"archive/zip"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/server/terraform"
	"github.com/cargomedia/packer-plugin-almanac/version"
)

const (
	// ownProvider is the artifact in which a registry keeps its own provider for Terraform.
	ownProvider = "cargomedia/almanac"
	// providerProgram is the name of the provider's program, and the beginning of the names of its zips.
	providerProgram = "terraform-provider-almanac"
	// providersDir is where zips are looked for, beside the program, if --providers does not say it.
	providersDir = "providers"
	// providerTimeout ends what should take seconds.
	providerTimeout = 10 * time.Minute
)

// programDigest is the provenance that says which program was packed.
const programDigest = "program_sha256"

// ownProviders brings the provider of this release into the registry that it serves, so that terraform init needs no other.
type ownProviders struct {
	log     *slog.Logger
	service *registry.Service
	// beside is the directory of this program; dir, if it is set, the one of the zips.
	beside, dir string
	// version is that of this program and of the zips that belong to it.
	version string
	// recordAs is the version of the provider in the registry, if it is another one.
	recordAs string
}

// recorded is the version of the provider in the registry.
func (o ownProviders) recorded() string { return cmp.Or(o.recordAs, o.version) }

// installable is the version under which a build that is no release records its provider: 0.0 and the minutes from 1970 to
// its commit. Terraform installs a pre-release only where a configuration asks for exactly that; this one it finds, a later
// build goes before it, and so does every release. It is "" for a release, and for a build of which nobody knows the commit.
func installable(version, commitTime string) string {
	seconds, err := strconv.ParseInt(commitTime, 10, 64)
	if !strings.Contains(version, "-") || err != nil {
		return ""
	}
	return fmt.Sprintf("0.0.%d", seconds/60)
}

// recordProvider records the provider for all platforms for which it is there. What goes wrong is logged: a registry works without.
func (c *serveCmd) recordProvider(ctx context.Context, log *slog.Logger, service *registry.Service) {
	ctx, cancel := context.WithTimeout(ctx, providerTimeout)
	defer cancel()
	o := ownProviders{log: log, service: service, dir: c.Providers, version: version.String(), recordAs: installable(version.String(), version.CommitTime)}
	self, err := os.Executable()
	if err == nil {
		self, err = filepath.EvalSymlinks(self)
	}
	if err == nil {
		o.beside = filepath.Dir(self)
		err = o.recordAll(ctx)
	}
	// A server that stops leaves the rest to its next start.
	if err != nil && !errors.Is(ctx.Err(), context.Canceled) {
		log.Error("the Terraform provider could not be recorded", "artifact", ownProvider, "version", o.recorded(), "error", err)
	}
}

func (o ownProviders) recordAll(ctx context.Context) error {
	ctx = registry.WithPrincipal(ctx, registry.Principal{
		TokenID: "serve", Name: "almanac serve", Role: registry.RoleAdmin, Scopes: []registry.Scope{ownProvider},
	})
	if err := registry.CheckSemver(o.recorded()); err != nil {
		return err
	}
	packages, err := o.find()
	if err != nil {
		return err
	}
	recorded, err := o.service.Version(ctx, ownProvider, o.recorded())
	if err != nil && registry.KindOf(err) != registry.NotFound {
		return err
	}
	if len(packages) == 0 {
		if recorded.Number == 0 {
			o.log.Info("Terraform cannot install the provider from this registry: put "+providerProgram+" beside the almanac program, or its zips into the directory of --providers, and start again",
				"version", o.recorded())
		}
		return nil
	}
	for _, p := range packages {
		if err := o.recordOne(ctx, p, recorded); err != nil {
			return fmt.Errorf("%s: %w", p.path, err)
		}
	}
	return o.ensureKey(ctx)
}

// ensureKey makes the key that signs providers while nobody waits for it.
func (o ownProviders) ensureKey(ctx context.Context) error {
	id, made, err := terraform.EnsureSigningKey(ctx, o.service)
	if made && err == nil {
		o.log.Info("made the key that signs Terraform providers", "key_id", id)
	}
	return err
}

// providerPackage is the provider for one platform.
type providerPackage struct {
	// platform is OS_ARCH.
	platform string
	path     string
	// program is true for the bare program, and false for a zip of it.
	program bool
}

var zipPlatform = regexp.MustCompile(`^[a-z0-9]+_[a-z0-9]+$`)

// find looks for zips of this version, and for the program for this platform.
func (o ownProviders) find() ([]providerPackage, error) {
	dir := o.dir
	if dir == "" {
		dir = filepath.Join(o.beside, providersDir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil && (o.dir != "" || !errors.Is(err, fs.ErrNotExist)) {
		return nil, err
	}
	var packages []providerPackage
	here := runtime.GOOS + "_" + runtime.GOARCH
	zippedHere := false
	for _, entry := range entries {
		name, isOurs := strings.CutPrefix(entry.Name(), providerProgram+"_"+o.version+"_")
		platform, isZip := strings.CutSuffix(name, ".zip")
		if isOurs && isZip && zipPlatform.MatchString(platform) {
			packages = append(packages, providerPackage{platform: platform, path: filepath.Join(dir, entry.Name())})
			zippedHere = zippedHere || platform == here
		} else if strings.HasSuffix(entry.Name(), ".zip") {
			o.log.Info("this zip is not of the Terraform provider of this version, and is not recorded",
				"file", filepath.Join(dir, entry.Name()), "expected", providerProgram+"_"+o.version+"_OS_ARCH.zip")
		}
	}
	program := filepath.Join(o.beside, providerProgram+programSuffix())
	if stat, err := os.Stat(program); err == nil && stat.Mode().IsRegular() && !zippedHere {
		packages = append(packages, providerPackage{platform: here, path: program, program: true})
	}
	return packages, nil
}

func programSuffix() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}

// recordOne records a package unless the version has one for its platform.
func (o ownProviders) recordOne(ctx context.Context, p providerPackage, recorded registry.Version) error {
	digest, _, err := sumOf(func(w io.Writer) error { return copyFile(ctx, w, p.path) })
	if err != nil {
		return err
	}
	for _, b := range recorded.Builds {
		if b.Component == p.platform {
			if b.Type != registry.TerraformProvider || !p.is(b, digest) {
				o.warnOther(p)
			}
			return nil
		}
	}
	write := func(w io.Writer) error { return copyFile(ctx, w, p.path) }
	provenance := registry.Metadata{"almanac_version": o.version}
	if p.program {
		write = func(w io.Writer) error { return o.zip(ctx, w, p.path) }
		provenance[programDigest] = string(digest)
	}
	fingerprint := recorded.Fingerprint
	if fingerprint == "" {
		fingerprint = "provider:" + o.recorded()
	}
	if err := o.describe(ctx); err != nil {
		return err
	}
	file, err := o.upload(ctx, providerProgram+"_"+o.recorded()+"_"+p.platform+".zip", write)
	if err != nil {
		return err
	}
	_, err = o.service.Publish(ctx, ownProvider, registry.Publication{Fingerprint: fingerprint, Version: o.recorded(), Build: registry.Build{
		Component: p.platform, Type: registry.TerraformProvider, Files: []registry.File{file}, Provenance: provenance,
		Metadata: registry.Metadata{registry.ProviderProtocols: registry.DefaultProtocols},
	}})
	switch {
	case registry.KindOf(err) == registry.Conflict: // another server on this registry was faster
		o.warnOther(p)
		return nil
	case err != nil:
		return err
	}
	message := "Terraform can install the provider from this registry"
	if strings.Contains(o.recorded(), "-") {
		message += "; it takes a pre-release only where a configuration asks for exactly this version"
	}
	o.log.Info(message, "artifact", ownProvider, "version", o.recorded(), "platform", p.platform)
	return nil
}

// is says whether a build was made of this package. A zip that was recorded before can be one of the same program, so it
// is not held against the bare one.
func (p providerPackage) is(b registry.Build, digest registry.Digest) bool {
	if p.program {
		packed := b.Provenance[programDigest]
		return packed == "" || packed == string(digest)
	}
	return b.Files[0].SHA256 == digest
}

func (o ownProviders) warnOther(p providerPackage) {
	o.log.Warn("another build of the Terraform provider has this version already, and stays: what is recorded does not change. Give the new one another version or, to try it out, name its directory in dev_overrides of Terraform's CLI configuration",
		"artifact", ownProvider, "version", o.recorded(), "platform", p.platform, "file", p.path)
}

// describe makes the artifact if it is not there. What an administrator has set stays.
func (o ownProviders) describe(ctx context.Context) error {
	_, err := o.service.Artifact(ctx, ownProvider)
	if registry.KindOf(err) != registry.NotFound {
		return err
	}
	summary := "Terraform provider of this registry"
	_, err = o.service.PutArtifact(ctx, ownProvider, registry.ArtifactSettings{
		Description: "The Terraform provider of Almanac, in the versions of the servers of this registry. They record it when they start. Terraform and OpenTofu install it from here as HOST/" + ownProvider + ".",
		Summary:     &summary, Public: true,
	})
	return err
}

// upload makes what write writes a file of the registry. It is written twice, because its digest has to be known first: in
// this way it is neither held in memory nor left behind on a disk.
func (o ownProviders) upload(ctx context.Context, name string, write func(io.Writer) error) (registry.File, error) {
	digest, size, err := sumOf(write)
	if err != nil {
		return registry.File{}, err
	}
	file := registry.File{Name: name, Size: size, SHA256: digest}
	status, err := o.service.BeginUpload(ctx, registry.UploadRequest{Artifact: ownProvider, Size: size, SHA256: string(digest)})
	if err != nil || status.Done {
		return file, err
	}
	from, to := io.Pipe()
	go func() { _ = to.CloseWithError(write(to)) }() // the reader gets the error
	_, err = o.service.AppendUpload(ctx, status.ID, 0, from)
	_ = from.Close() // ends the writer where the upload ended early
	if err == nil {
		_, err = o.service.CommitUpload(ctx, status.ID)
	}
	if err != nil {
		_ = o.service.AbortUpload(context.WithoutCancel(ctx), status.ID) // what stays is swept later
	}
	return file, err
}

// zip packs the program as Terraform wants it. The same program gives the same bytes.
func (o ownProviders) zip(ctx context.Context, w io.Writer, program string) error {
	out := zip.NewWriter(w)
	header := &zip.FileHeader{
		Name: providerProgram + "_v" + o.recorded() + programSuffix(), Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	header.SetMode(0o755)
	member, err := out.CreateHeader(header)
	if err != nil {
		return err
	}
	if err := copyFile(ctx, member, program); err != nil {
		return err
	}
	return out.Close()
}

// sumOf is the digest of what write writes, and its length.
func sumOf(write func(io.Writer) error) (registry.Digest, int64, error) {
	sum, counted := sha256.New(), &countedBytes{}
	err := write(io.MultiWriter(sum, counted))
	return registry.Digest(hex.EncodeToString(sum.Sum(nil))), counted.n, err
}

type countedBytes struct{ n int64 }

func (c *countedBytes) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

func copyFile(ctx context.Context, w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	_, err = io.Copy(w, &untilDone{ctx, f})
	return err
}
