package publishfile

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/cargomedia/packer-plugin-almanac/internal/localfiles"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

// Send uploads the contents and publishes. It can be repeated: what is recorded already stays as it is.
// The registry is told when the build was made, so that no channel goes back to it. Conflict: a local file
// is not the one that was built any more.
func (f File) Send(ctx context.Context, to *client.Client, track client.Track) (registry.Receipt, error) {
	pub := f.Publication
	if !f.WrittenAt.IsZero() {
		pub.BuiltAt = &f.WrittenAt
	}
	// All are compared before the first is sent, which can take an hour.
	for _, c := range slices.Concat(f.Files, f.Attachments) {
		if err := f.compare(ctx, c); err != nil {
			return registry.Receipt{}, err
		}
	}
	for _, c := range f.Files {
		if err := f.send(ctx, to, c, track); err != nil {
			return registry.Receipt{}, err
		}
		pub.Build.Files = append(pub.Build.Files, c.File)
	}
	for _, c := range f.Attachments {
		if err := f.send(ctx, to, c, track); err != nil {
			return registry.Receipt{}, err
		}
		pub.Build.Attachments = append(pub.Build.Attachments, registry.Attachment{File: c.File, Kind: c.Kind})
	}
	return to.Publish(ctx, string(f.Artifact), pub)
}

// local is where a content is on this machine.
func (f File) local(c Content) localfiles.File {
	path := filepath.FromSlash(c.Path)
	if !filepath.IsAbs(path) {
		path = filepath.Join(f.dir, path)
	}
	return localfiles.File{Path: path, Name: c.Name, Dir: c.Dir}
}

// compare does not tell what is there instead, and reads no more than there should be: whoever wrote the
// file chose the path.
func (f File) compare(ctx context.Context, c Content) error {
	local := f.local(c)
	now := meter{Hash: sha256.New(), most: c.Size}
	err := local.Copy(ctx, &now)
	if err != nil && !errors.Is(err, errMore) {
		return err
	}
	if err != nil || now.size != c.Size || now.digest() != c.SHA256 {
		return registry.Errorf(registry.Conflict, "%s is not what was built any more: it had %d bytes with the sha256 %s; put that back", local.Path, c.Size, c.SHA256)
	}
	return nil
}

// send does not send what is there if it was swapped since it was compared.
func (f File) send(ctx context.Context, to *client.Client, c Content, track client.Track) error {
	local := f.local(c)
	err := local.Use(ctx, func(path string) error { return to.UploadExactly(ctx, string(f.Artifact), path, c.File, track) })
	if err != nil {
		return fmt.Errorf("uploading %s: %w", local.Path, err)
	}
	return nil
}
