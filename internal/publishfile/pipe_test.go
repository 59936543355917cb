//go:build unix

package publishfile_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/internal/publishfile"
)

func TestANamedPipeIsNotReadAndNotReplaced(t *testing.T) {
	dir := t.TempDir()
	path, err := publishfile.Write(t.Context(), t.TempDir(), image("ami-1"))
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, filepath.Base(path))
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skipf("no named pipes here: %v", err)
	}
	done := make(chan string, 1)
	go func() {
		_, err := publishfile.Read(path)
		_, writeErr := publishfile.Write(t.Context(), dir, image("ami-1"))
		pending, pendingErr := publishfile.Pending(dir)
		if err == nil || !strings.Contains(err.Error(), "is not a regular file") || writeErr == nil || pendingErr != nil || len(pending) != 1 {
			done <- "got " + strings.Join(pending, " ")
		}
		close(done)
	}()
	select {
	case wrong := <-done:
		if wrong != "" {
			t.Error(wrong)
		}
	case <-time.After(10 * time.Second):
		t.Error("it hangs")
	}
}
