package registry_test

import (
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestSecret(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		t.Run("a value that cannot be made is not kept", func(t *testing.T) {
			broken := errors.New("no entropy")
			if _, err := w.Secret(ctx, "key", func() ([]byte, error) { return nil, broken }); !errors.Is(err, broken) {
				t.Errorf("got %v", err)
			}
		})
		t.Run("it is made once", func(t *testing.T) {
			for range 2 {
				got, err := w.Secret(ctx, "key", func() ([]byte, error) { return []byte("first"), nil })
				if err != nil || string(got) != "first" {
					t.Errorf("got %q, %v", got, err)
				}
			}
		})
	})
	t.Run("another server gets the same", func(t *testing.T) {
		dsn := filepath.Join(t.TempDir(), "almanac.db")
		var values []string
		for _, made := range []string{"first", "second"} {
			t.Run(made, func(t *testing.T) {
				got, err := newWorldOn(t, dsn).Secret(t.Context(), "key", func() ([]byte, error) { return []byte(made), nil })
				if err != nil {
					t.Fatal(err)
				}
				values = append(values, string(got))
			})
		}
		if len(values) != 2 || values[0] != "first" || values[1] != "first" {
			t.Errorf("got %q", values)
		}
	})
}

func TestSeal(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	text, until, err := w.Seal(ctx, "download", "what\x00it says", 90*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if until.Sub(w.clock) < 90*time.Millisecond || until.Sub(w.clock) > 2*time.Second {
		t.Errorf("sealed until %v, now it is %v", until, w.clock)
	}
	t.Run("its payload comes back", func(t *testing.T) {
		if got, err := w.Unseal(ctx, "download", text); err != nil || got != "what\x00it says" {
			t.Errorf("got %q, %v", got, err)
		}
	})
	t.Run("it can stand in a URL", func(t *testing.T) {
		if strings.ContainsAny(text, "/+=%?& ") {
			t.Error(text)
		}
	})
	t.Run("for another purpose it is nothing", func(t *testing.T) {
		_, err := w.Unseal(ctx, "module", text)
		wantError(t, err, registry.NotFound)
	})
	t.Run("with any change it is nothing", func(t *testing.T) {
		for i := range text {
			for _, c := range []byte("Aa0_") {
				if changed := text[:i] + string(c) + text[i+1:]; changed != text {
					if got, err := w.Unseal(ctx, "download", changed); registry.KindOf(err) != registry.NotFound {
						t.Fatalf("%s has become %q, %v", changed, got, err)
					}
				}
			}
		}
		for _, bad := range []string{"", "A", "alm_", "alm_not base64!", text[:20], text + "A", text + "\n", strings.TrimPrefix(text, "alm_")} {
			_, err := w.Unseal(ctx, "download", bad)
			wantError(t, err, registry.NotFound)
		}
	})
	t.Run("another registry does not know it", func(t *testing.T) {
		_, err := newWorld(t).Unseal(ctx, "download", text)
		wantError(t, err, registry.NotFound)
	})
	t.Run("what a clock that was ahead has sealed is nothing", func(t *testing.T) {
		before := w.clock
		w.clock = before.Add(48 * time.Hour)
		ahead, _, err := w.Seal(ctx, "download", "x", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		w.clock = before
		_, err = w.Unseal(ctx, "download", ahead)
		wantError(t, err, registry.NotFound)
	})
	t.Run("it ends", func(t *testing.T) {
		w.clock = until
		_, err := w.Unseal(ctx, "download", text)
		wantError(t, err, registry.NotFound, "too old")
	})
}

func TestDownloads(t *testing.T) {
	w := newWorld(t)
	ctx := admin(t)
	pub := registry.Publication{Fingerprint: "one", Build: registry.Build{Component: "file.app", Type: "archive"}}
	for _, name := range []string{"app.tar.gz", "notes.txt"} {
		file := w.upload(ctx, "cargomedia/app", "the bytes of "+name)
		file.Name = name
		pub.Build.Files = append(pub.Build.Files, file)
	}
	w.publish(ctx, "cargomedia/app", pub)
	w.publish(ctx, "cargomedia/app", amis("one", "ebs", "eu-west-1"))
	request := registry.DownloadRequest{Ref: "latest", Type: "archive", File: "app.tar.gz"}
	granted, err := w.GrantDownload(ctx, "cargomedia/app", request)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("whoever has the secret gets the bytes, more than once", func(t *testing.T) {
		for range 2 {
			blob, err := w.OpenDownload(t.Context(), granted.Secret)
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(blob)
			if err != nil || string(content) != "the bytes of app.tar.gz" {
				t.Errorf("got %q, %v", content, err)
			}
			if err := blob.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("it says what it is and until when", func(t *testing.T) {
		if granted.Version != "0.1.0" || granted.Component != "file.app" || granted.File.Name != "app.tar.gz" ||
			granted.ExpiresAt.Before(w.clock.Add(registry.DownloadTTL)) || granted.ExpiresAt.After(w.clock.Add(registry.DownloadTTL+time.Second)) {
			t.Errorf("got %+v", granted)
		}
	})
	t.Run("one of several files must be named", func(t *testing.T) {
		_, err := w.GrantDownload(ctx, "cargomedia/app", registry.DownloadRequest{Ref: "1", Type: "archive"})
		wantError(t, err, registry.Conflict, "has 2 files; say which: app.tar.gz, notes.txt")
		_, err = w.GrantDownload(ctx, "cargomedia/app", registry.DownloadRequest{Ref: "1", Type: "archive", File: "other"})
		wantError(t, err, registry.NotFound, `has no file "other"; it has: app.tar.gz, notes.txt`)
		_, err = w.GrantDownload(ctx, "cargomedia/app", registry.DownloadRequest{Ref: "1", Type: "aws.ami"})
		wantError(t, err, registry.NotFound, "has no files")
	})
	t.Run("it needs the right to read", func(t *testing.T) {
		_, err := w.GrantDownload(t.Context(), "cargomedia/app", request)
		wantError(t, err, registry.Unauthorized)
		_, err = w.GrantDownload(as(t, registry.RoleRead, "other/*"), "cargomedia/app", request)
		wantError(t, err, registry.NotFound)
	})
	t.Run("it ends", func(t *testing.T) {
		w.clock = granted.ExpiresAt
		_, err := w.OpenDownload(t.Context(), granted.Secret)
		wantError(t, err, registry.NotFound, "too old")
	})
}
