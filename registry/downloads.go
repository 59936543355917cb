package registry

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// DownloadTTL is how long an address of [Service.GrantDownload] is good.
const DownloadTTL = 15 * time.Minute

// purposeDownload is the purpose of the sealed texts of downloads.
const purposeDownload = "download"

// DownloadRequest names one file of one build.
type DownloadRequest struct {
	Ref          string   `json:"ref" doc:"Number, version, constraint, channel, fingerprint, or latest."`
	Type         string   `json:"type,omitempty" doc:"Type of the build."`
	Component    string   `json:"component,omitempty" doc:"Packer source of the build."`
	Architecture string   `json:"architecture,omitempty"`
	Provider     string   `json:"provider,omitempty" doc:"Vagrant provider of a box."`
	Metadata     Metadata `json:"metadata,omitempty" doc:"What the build's metadata_full must have."`
	File         string   `json:"file,omitempty" doc:"Name of the file; can be left out where there is one."`
}

// Download is a file that whoever knows the address can get for a while, without a token.
type Download struct {
	// Path is set by the server, and URL, which is the same with the registry's address, by the client.
	Path     string       `json:"path" doc:"Where the bytes are on this server, for whoever has it; a secret until it expires."`
	URL      string       `json:"-"`
	Artifact ArtifactName `json:"artifact"`
	VersionID
	Component string    `json:"component"`
	File      File      `json:"file"`
	ExpiresAt time.Time `json:"expires_at"`
	// Secret opens the file with [Service.OpenDownload].
	Secret string `json:"-"`
}

// GrantDownload finds a file as [Service.Resolve] finds a build, and lets whoever has the secret read it for
// [DownloadTTL]. It needs the right to read. NotFound: no such file, or its bytes are elsewhere. Conflict: more than one
// file fits; the choices list them.
func (s *Service) GrantDownload(ctx context.Context, name string, req DownloadRequest) (Download, error) {
	r, err := s.Resolve(ctx, name, req.Ref, Question{
		Type: req.Type, Component: req.Component, Architecture: req.Architecture, Provider: req.Provider, Metadata: req.Metadata,
	})
	if err != nil {
		return Download{}, err
	}
	file, err := r.file(req.File)
	if err != nil {
		return Download{}, err
	}
	if _, err := s.blobs.Stat(ctx, file.SHA256); err != nil {
		return Download{}, notFound(err, "the bytes of %s in version %s of %s are not here", file.Name, r.Version, r.Artifact)
	}
	d := Download{Artifact: r.Artifact, VersionID: r.VersionID, Component: r.Component, File: file}
	d.Secret, d.ExpiresAt, err = s.Seal(ctx, purposeDownload, string(file.SHA256), DownloadTTL)
	return d, err
}

// file returns the file of a name, or the only one for "".
func (r Resolution) file(name string) (File, error) {
	var names []string
	for _, f := range r.Files {
		if f.Name == name || name == "" && len(r.Files) == 1 {
			return f, nil
		}
		names = append(names, f.Name)
	}
	build := fmt.Sprintf("build %s of %s %s", r.Component, r.Artifact, r.Version)
	switch {
	case len(names) == 0:
		return File{}, Errorf(NotFound, "%s has no files", build)
	case name == "":
		return File{}, &Error{Kind: Conflict, Msg: fmt.Sprintf("%s has %d files; say which: %s", build, len(names), strings.Join(names, ", ")), Choices: names}
	}
	return File{}, &Error{Kind: NotFound, Msg: fmt.Sprintf("%s has no file %q; it has: %s", build, clip(name), strings.Join(names, ", ")), Choices: names}
}

// OpenDownload opens a file that was granted, to be read by one caller, who closes it. It needs no token: the secret is
// enough. NotFound: the secret is wrong or too old, or the bytes are gone.
func (s *Service) OpenDownload(ctx context.Context, secret string) (Blob, error) {
	digest, err := s.Unseal(ctx, purposeDownload, secret)
	if err != nil {
		return Blob{}, err
	}
	return s.openBlob(ctx, Digest(digest))
}
