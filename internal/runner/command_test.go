package runner

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writerFunc is a writer.
type writerFunc func(string)

func (f writerFunc) Write(p []byte) (int, error) {
	f(string(p))
	return len(p), nil
}

func TestFollow(t *testing.T) {
	start := func(t *testing.T) (reader, writer *os.File) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "output")
		writer, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = writer.Close() })
		reader, err = os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = reader.Close() })
		return reader, writer
	}
	write := func(t *testing.T, to *os.File, text string) {
		t.Helper()
		if _, err := to.WriteString(text); err != nil {
			t.Error(err)
		}
	}
	t.Run("a file that was emptied is read from its beginning", func(t *testing.T) {
		reader, writer := start(t)
		write(t, writer, "a line that is longer\n")
		var got strings.Builder
		ended := make(chan struct{})
		follow(reader, writerFunc(func(text string) {
			if got.WriteString(text); got.Len() == len(text) {
				if err := writer.Truncate(0); err != nil {
					t.Error(err)
				}
				write(t, writer, "short\n")
				return
			}
			close(ended)
		}), ended)
		if want := "a line that is longer\nshort\n"; got.String() != want {
			t.Errorf("got %q, want %q", got.String(), want)
		}
	})
	t.Run("a file that grows for ever is read to where it was at the end", func(t *testing.T) {
		reader, writer := start(t)
		write(t, writer, "before\n")
		ended := make(chan struct{})
		close(ended)
		writes := 0
		follow(reader, writerFunc(func(string) {
			if writes++; writes < 100 {
				write(t, writer, "more\n")
			}
		}), ended)
		if writes > 2 {
			t.Errorf("it was read %d times", writes)
		}
	})
}
