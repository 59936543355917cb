package client_test

import (
	"encoding/json"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// zeros is a content of any size that takes no memory.
type zeros struct{ at, size int64 }

func (z *zeros) Read(p []byte) (int, error) {
	n := min(int64(len(p)), z.size-z.at)
	if n == 0 {
		return 0, io.EOF
	}
	clear(p[:n])
	z.at += n
	return int(n), nil
}

func (z *zeros) Seek(offset int64, whence int) (int64, error) {
	z.at = offset
	if whence == io.SeekEnd {
		z.at += z.size
	}
	return z.at, nil
}

func TestMemoryDoesNotGrowWithTheFile(t *testing.T) {
	allocated := func(size int64) uint64 {
		d := &sink{}
		c := newClient(t, quick(serve(t, d.ServeHTTP)))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := c.Upload(t.Context(), "a/b", "f", &zeros{size: size}, nil); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if d.n != size {
			t.Fatalf("%d bytes arrived, want %d", d.n, size)
		}
		return after.TotalAlloc - before.TotalAlloc
	}
	allocated(1 << 20) // what is made once
	small, large := allocated(1<<20), allocated(256<<20)
	if large > small+1<<20 {
		t.Errorf("%d bytes allocated for 256 MiB, %d for 1 MiB", large, small)
	}
}

// sink is a depot that keeps nothing.
type sink struct {
	status registry.UploadStatus
	n      int64
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost:
		var req registry.UploadRequest
		_ = json.NewDecoder(r.Body).Decode(&req)
		s.status.ID, s.status.SHA256, s.status.Size = "u", registry.Digest(req.SHA256), req.Size
	case http.MethodPatch:
		s.n, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Upload-Offset", strconv.FormatInt(s.n, 10))
		w.WriteHeader(204)
		return
	case http.MethodPut:
		s.status.Done, s.status.Offset = true, s.n
	}
	answer(w, 200, s.status)
}
