package registry_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestFiles(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	mine := as(t, registry.RolePublish, "mine/*")
	secret := w.upload(ctx, "theirs/app", "secret bytes")
	archive := func(fingerprint string, f registry.File) registry.Publication {
		return registry.Publication{Fingerprint: fingerprint, Build: registry.Build{Component: "file.x", Type: "archive", Files: []registry.File{f}}}
	}
	w.publish(ctx, "theirs/app", archive("run", secret))

	t.Run("bytes that were not uploaded are refused", func(t *testing.T) {
		_, err := w.Publish(mine, "mine/app", archive("run", registry.File{Name: "x", Size: 3, SHA256: registry.Digest(strings.Repeat("0", 64))}))
		wantError(t, err, registry.Invalid, "build.files[0].sha256", "upload them first")
		_, err = w.Artifact(mine, "mine/app")
		wantError(t, err, registry.NotFound)
	})
	t.Run("a wrong size is refused", func(t *testing.T) {
		wrong := secret
		wrong.Size++
		_, err := w.Publish(ctx, "theirs/app", archive("run-2", wrong))
		wantError(t, err, registry.Invalid, "build.files[0].size")
	})
	t.Run("a digest alone does not give access to somebody else's bytes", func(t *testing.T) {
		_, err := w.Publish(mine, "mine/app", archive("run", secret))
		wantError(t, err, registry.Invalid, "not in the registry")
		_, err = w.Blob(mine, string(secret.SHA256))
		wantError(t, err, registry.NotFound)
		status, err := w.BeginUpload(mine, registry.UploadRequest{Artifact: "mine/app", Size: secret.Size, SHA256: string(secret.SHA256)})
		if err != nil || status.Done {
			t.Fatalf("the registry says that it has the bytes: %+v, %v", status, err)
		}
	})
	t.Run("who has the bytes can use them, and they are kept once", func(t *testing.T) {
		f := w.upload(mine, "mine/app", "secret bytes")
		w.publish(mine, "mine/app", archive("run", f))
		b, err := w.Blob(mine, "sha256:"+string(f.SHA256))
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		if content, err := io.ReadAll(b); err != nil || string(content) != "secret bytes" {
			t.Errorf("got %q, %v", content, err)
		}
		again, err := w.BeginUpload(mine, registry.UploadRequest{Artifact: "mine/other", Size: f.Size, SHA256: string(f.SHA256)})
		if err != nil || !again.Done {
			t.Errorf("bytes that the caller may read are to be sent again: %+v, %v", again, err)
		}
	})
	t.Run("an upload makes no artifact", func(t *testing.T) {
		w.upload(mine, "mine/aborted", "never published")
		_, err := w.Artifact(mine, "mine/aborted")
		wantError(t, err, registry.NotFound)
	})
}

func TestUploads(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	content := []byte(strings.Repeat("0123456789", 1000))
	sum := sha256.Sum256(content)
	begin := func(size int64, digest string) registry.UploadStatus {
		t.Helper()
		status, err := w.BeginUpload(ctx, registry.UploadRequest{Artifact: "cargomedia/app", Size: size, SHA256: digest})
		if err != nil {
			t.Fatal(err)
		}
		return status
	}
	t.Run("wrong bytes are refused with both digests and forgotten", func(t *testing.T) {
		wrong := strings.Repeat("0", 64)
		status := begin(int64(len(content)), wrong)
		if _, err := w.AppendUpload(ctx, status.ID, 0, bytes.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		_, err := w.CommitUpload(ctx, status.ID)
		wantError(t, err, registry.Invalid, wrong, hex.EncodeToString(sum[:]), "sha256: ")
		_, err = w.Upload(ctx, status.ID)
		wantError(t, err, registry.NotFound)
		_, err = w.Blob(ctx, wrong)
		wantError(t, err, registry.NotFound)
	})
	t.Run("too few bytes are kept until the rest comes", func(t *testing.T) {
		other := bytes.Repeat([]byte("x"), 100)
		digest := sha256.Sum256(other)
		status := begin(100, hex.EncodeToString(digest[:]))
		if _, err := w.AppendUpload(ctx, status.ID, 0, bytes.NewReader(other[:10])); err != nil {
			t.Fatal(err)
		}
		_, err := w.CommitUpload(ctx, status.ID)
		wantError(t, err, registry.Conflict, "size: 10 of 100 bytes")
		if _, err := w.AppendUpload(ctx, status.ID, 10, bytes.NewReader(other[10:])); err != nil {
			t.Fatal(err)
		}
		if status, err := w.CommitUpload(ctx, status.ID); err != nil || !status.Done {
			t.Errorf("got %+v, %v", status, err)
		}
	})
	t.Run("too many bytes are refused", func(t *testing.T) {
		status := begin(10, hex.EncodeToString(sum[:]))
		_, err := w.AppendUpload(ctx, status.ID, 0, bytes.NewReader(content))
		wantError(t, err, registry.TooLarge)
	})
	t.Run("an upload goes on where it stopped", func(t *testing.T) {
		status := begin(int64(len(content)), hex.EncodeToString(sum[:]))
		cut := io.MultiReader(bytes.NewReader(content[:4000]), failingReader{})
		if _, err := w.AppendUpload(ctx, status.ID, 0, cut); err == nil {
			t.Fatal("a cut connection went unnoticed")
		}
		status, err := w.Upload(ctx, status.ID)
		if err != nil || status.Offset != 4000 {
			t.Fatalf("offset %d, %v", status.Offset, err)
		}
		_, err = w.AppendUpload(ctx, status.ID, 0, bytes.NewReader(content))
		wantError(t, err, registry.Conflict)
		if _, err := w.AppendUpload(ctx, status.ID, 4000, bytes.NewReader(content[4000:])); err != nil {
			t.Fatal(err)
		}
		if status, err = w.CommitUpload(ctx, status.ID); err != nil || !status.Done {
			t.Errorf("got %+v, %v", status, err)
		}
	})
	t.Run("somebody else's upload is not there", func(t *testing.T) {
		status := begin(1, strings.Repeat("1", 64))
		stranger := as(t, registry.RolePublish, "other/*")
		_, err := w.Upload(stranger, status.ID)
		wantError(t, err, registry.NotFound)
		_, err = w.AppendUpload(stranger, status.ID, 0, strings.NewReader("x"))
		wantError(t, err, registry.NotFound)
		wantError(t, w.AbortUpload(stranger, status.ID), registry.NotFound)
		wantError(t, w.AbortUpload(t.Context(), status.ID), registry.Unauthorized)
	})
	t.Run("an old upload expires", func(t *testing.T) {
		status := begin(1, strings.Repeat("2", 64))
		w.clock = w.clock.Add(registry.UploadTTL + time.Second)
		if n, err := w.ExpireUploads(ctx); err != nil || n == 0 {
			t.Errorf("%d expired, %v", n, err)
		}
		_, err := w.Upload(ctx, status.ID)
		wantError(t, err, registry.NotFound)
	})
	t.Run("all mistakes of a request are named", func(t *testing.T) {
		_, err := w.BeginUpload(ctx, registry.UploadRequest{Artifact: "x", Size: -1, SHA256: "y"})
		wantError(t, err, registry.Invalid, "artifact:", "size:", "sha256:")
	})
}

type failingReader struct{}
