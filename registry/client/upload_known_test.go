package client_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestUploadThatFailsTellsWhatTheFileIs(t *testing.T) {
	content := pattern(1000)
	want := registry.File{Name: "app.box", Size: 1000, SHA256: digest(content)}
	forbidden := func(_ int, w http.ResponseWriter, _ *http.Request) bool {
		refuse(w, registry.Errorf(registry.Forbidden, "token \"ci\" has the role read"))
		return true
	}
	got, err := start(t, &depot{patch: forbidden}).Upload(t.Context(), "a/b", "app.box", bytes.NewReader(content), nil)
	wantError(t, err, registry.Forbidden, "has the role read")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("refused: %s", diff)
	}
	got, err = newClient(t, quick(closedAddress(t))).Upload(t.Context(), "a/b", "app.box", bytes.NewReader(content), nil)
	wantError(t, err, registry.Unavailable, "connection refused")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("nobody there: %s", diff)
	}
	t.Run("but not when it changed", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "f")
		put(t, path, content)
		got, err := start(t, &depot{patch: func(int, http.ResponseWriter, *http.Request) bool {
			put(t, path, content[:10])
			return false
		}}).UploadFile(t.Context(), "a/b", path, "app.box", nil)
		if diff := cmp.Diff(registry.File{}, got); err == nil || diff != "" {
			t.Errorf("%v: %s", err, diff)
		}
	})
}

func TestUploadExactly(t *testing.T) {
	content := pattern(1000)
	path := filepath.Join(t.TempDir(), "f")
	put(t, path, content)
	want := registry.File{Name: "app.box", Size: 1000, SHA256: digest(content)}
	t.Run("sends what is there as it should be", func(t *testing.T) {
		d := &depot{}
		err := start(t, d).UploadExactly(t.Context(), "a/b", path, want, nil)
		d.check(t, content, want, err)
	})
	for name, other := range map[string][]byte{"another": pattern(1001)[1:], "a longer one": pattern(9000), "a shorter one": pattern(3)} {
		t.Run("tells the registry nothing of "+name, func(t *testing.T) {
			put(t, path, other)
			d := &depot{}
			err := start(t, d).UploadExactly(t.Context(), "a/b", path, want, nil)
			wantError(t, err, registry.Conflict, `the file "app.box" is not what it should be`)
			d.freeze(t)
			if d.begun != 0 || strings.Contains(err.Error(), string(digest(other))) {
				t.Errorf("begun %d times: %v", d.begun, err)
			}
		})
	}
}

func put(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Error(err)
	}
}
