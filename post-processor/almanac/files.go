package almanac

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/internal/localfiles"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

// trackedSize is from where on an upload shows a progress bar.
const trackedSize = 1 << 20

// upload is one file of the artifact, or a document about it, on its way into the registry.
type upload struct {
	localfiles.File
	kind registry.AttachmentKind // of a document; "" for a file of the artifact
	sent registry.File
}

// planUploads looks at all files and names them. It reports all that is wrong.
func planUploads(paths []string) ([]upload, error) {
	files, wrong := localfiles.Plan(paths)
	if len(wrong) > 0 {
		return nil, fmt.Errorf("the artifact's files cannot be recorded: %w", errors.Join(wrong...))
	}
	var uploads []upload
	for _, f := range files {
		uploads = append(uploads, upload{File: f})
	}
	return uploads, nil
}

// upload sends all files. Those that the registry has already are not sent again.
func (r *recording) upload(ctx context.Context, c *client.Client) error {
	for i := range r.uploads {
		u := &r.uploads[i]
		if u.Dir {
			r.ui.say("Packing %s as %s", u.Path, u.Name)
		}
		err := u.Use(ctx, func(path string) error { return r.send(ctx, c, u, path) })
		if err != nil {
			return fmt.Errorf("uploading %s: %w", u.Path, err)
		}
	}
	return nil
}

// send sends one file, and gives it up when nothing more of it is taken for a while.
func (r *recording) send(ctx context.Context, c *client.Client, u *upload, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	stat, err := f.Stat()
	if err != nil {
		return err
	}
	var track client.Track
	if stat.Size() >= trackedSize {
		r.ui.say("Uploading %s", u.Name)
		track = r.ui.TrackProgress
	}
	watched, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(r.limit(), func() { cancel(errSilent) })
	defer timer.Stop()
	u.sent, err = c.Upload(watched, string(r.config.artifact), u.Name, &advancing{File: f, further: func() { timer.Reset(r.limit()) }}, track)
	if err != nil && context.Cause(watched) == errSilent {
		return registry.Errorf(registry.Unavailable, "the registry at %s took nothing more of it for %s", c.Address(), r.limit())
	}
	return err
}

var errSilent = errors.New("the registry is silent")

// advancing is a file that tells when it is read further than ever before. What is read again, because
// a connection broke, is no progress; the first pass, which is for the digest, and the second are each on their own.
type advancing struct {
	*os.File
	further      func()
	at, furthest int64
	hashed       bool
}

func (a *advancing) Read(b []byte) (int, error) {
	n, err := a.File.Read(b)
	a.at += int64(n)
	if a.at > a.furthest {
		a.furthest = a.at
		a.further()
	}
	if err == io.EOF && !a.hashed {
		a.hashed, a.furthest = true, 0
		a.further()
	}
	return n, err
}

func (a *advancing) Seek(offset int64, whence int) (int64, error) {
	at, err := a.File.Seek(offset, whence)
	if err == nil {
		a.at = at
	}
	return at, err
}
