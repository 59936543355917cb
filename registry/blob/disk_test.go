package blob_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/blob"
	"github.com/cargomedia/packer-plugin-almanac/registry/registrytest"
	"github.com/google/go-cmp/cmp"
)

const noLimit = 1 << 40

func TestMain(m *testing.M) {
	if dir := os.Getenv("BLOB_TEST_WRITER"); dir != "" {
		if os.Getenv("BLOB_TEST_MODE") == "full" {
			if err := fillUp(dir); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
			fmt.Println("all is well")
			os.Exit(0)
		}
		fmt.Println("failed", writeUntilKilled(dir, os.Getenv("BLOB_TEST_MODE")))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func mustOpen(t testing.TB, dir string) *blob.Disk {
	t.Helper()
	d, err := blob.OpenDisk(dir)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func mustCreate(t testing.TB, d *blob.Disk, id string) {
	t.Helper()
	if err := d.Create(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}

func mustAppend(t testing.TB, d *blob.Disk, id string, offset int64, content []byte) {
	t.Helper()
	got, err := d.Append(t.Context(), id, offset, noLimit, bytes.NewReader(content))
	if want := offset + int64(len(content)); err != nil || got != want {
		t.Fatalf("Append = %d, %v; want %d", got, err, want)
	}
}

func mustCommit(t testing.TB, d *blob.Disk, id string, content []byte) {
	t.Helper()
	if err := d.Commit(t.Context(), id, registrytest.BlobDigest(content), int64(len(content))); err != nil {
		t.Fatal(err)
	}
}

func wantOffset(t testing.TB, d *blob.Disk, id string, want int64) {
	t.Helper()
	if got, err := d.Offset(t.Context(), id); err != nil || got != want {
		t.Fatalf("Offset = %d, %v; want %d", got, err, want)
	}
}

func wantKind(t testing.TB, err error, want registry.Kind) {
	t.Helper()
	if got := registry.KindOf(err); got != want {
		t.Errorf("error = %v, of kind %q; want %q", err, got, want)
	}
}

// wantTree checks the names and modes of everything in a directory.
func wantTree(t testing.TB, dir string, want map[string]fs.FileMode) {
	t.Helper()
	got := map[string]fs.FileMode{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		got[filepath.ToSlash(name)] = info.Mode()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "windows" { // it has no such modes
		for name := range got {
			got[name] = want[name]
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestDisk(t *testing.T) {
	registrytest.TestBlobStore(t, func(t *testing.T) registry.BlobStore {
		return mustOpen(t, t.TempDir())
	})
}

func TestDiskCrash(t *testing.T) {
	registrytest.TestBlobStoreCrash(t, func(t *testing.T) (registry.BlobStore, func() registry.BlobStore) {
		dir := t.TempDir()
		return mustOpen(t, dir), func() registry.BlobStore {
			left := t.TempDir()
			if err := os.CopyFS(left, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			dir = left
			return mustOpen(t, left)
		}
	})
}

func TestDiskFiles(t *testing.T) {
	const dirMode, fileMode = fs.ModeDir | 0o700, fs.FileMode(0o600)
	parent := t.TempDir()
	d := mustOpen(t, filepath.Join(parent, "deep", "store"))
	content := []byte("some bytes")
	digest := string(registrytest.BlobDigest(content))
	tree := map[string]fs.FileMode{"deep": dirMode, "deep/store": dirMode, "deep/store/blobs": dirMode, "deep/store/uploads": dirMode}
	wantTree(t, parent, tree)

	mustCreate(t, d, "a")
	mustAppend(t, d, "a", 0, content)
	if err := d.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	tree["deep/store/uploads/a"] = dirMode
	tree["deep/store/uploads/a/data"] = fileMode
	tree["deep/store/uploads/a/state"] = fileMode
	wantTree(t, parent, tree)

	mustCommit(t, d, "a", content)
	for _, gone := range []string{"", "/data", "/state"} {
		delete(tree, "deep/store/uploads/a"+gone)
	}
	tree["deep/store/blobs/"+digest[:2]] = dirMode
	tree["deep/store/blobs/"+digest[:2]+"/"+digest] = fileMode
	wantTree(t, parent, tree)

	r, err := d.Open(t.Context(), registry.Digest(digest))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, ok := r.(*os.File); !ok {
		t.Errorf("Open returned a %T, want an *os.File", r)
	}
}

func TestOpenDiskRefusals(t *testing.T) {
	_, err := blob.OpenDisk("")
	wantKind(t, err, registry.Invalid)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		if _, err := blob.OpenDisk(dir); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("OpenDisk(%q) = %v, want an error that names the file", dir, err)
		}
	}
}

// TestDiskRecovery builds by hand what crashes and damage may leave of an upload of 5000 bytes.
func TestDiskRecovery(t *testing.T) {
	content := registrytest.BlobContent(3, 10_000)
	other := registrytest.BlobContent(4, 10_000)
	flip := func(t *testing.T, path string, at int) {
		t.Helper()
		b, err := os.ReadFile(path)
		if err == nil {
			b[(at+len(b))%len(b)] ^= 1
			err = os.WriteFile(path, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		damage func(t *testing.T, dir string) error
		want   int64
	}{
		"nothing":                         {func(*testing.T, string) error { return nil }, 5000},
		"data longer than the state says": {func(t *testing.T, dir string) error { return appendFile(dir+"/data", other[:3000]) }, 5000},
		"data longer by a hole":           {func(t *testing.T, dir string) error { return os.Truncate(dir+"/data", 1<<20) }, 5000},
		"a half written new state":        {func(t *testing.T, dir string) error { return os.WriteFile(dir+"/state.tmp", []byte("alm"), 0o600) }, 5000},
		"data shorter than the state":     {func(t *testing.T, dir string) error { return os.Truncate(dir+"/data", 4999) }, 0},
		"no bytes":                        {func(t *testing.T, dir string) error { return os.Truncate(dir+"/data", 0) }, 0},
		"no state":                        {func(t *testing.T, dir string) error { return os.Remove(dir + "/state") }, 0},
		"an empty state":                  {func(t *testing.T, dir string) error { return os.Truncate(dir+"/state", 0) }, 0},
		"half a state":                    {func(t *testing.T, dir string) error { return os.Truncate(dir+"/state", 70) }, 0},
		"a longer state":                  {func(t *testing.T, dir string) error { return appendFile(dir+"/state", []byte{0}) }, 0},
		"a wrong magic":                   {func(t *testing.T, dir string) error { flip(t, dir+"/state", 0); return nil }, 0},
		"a wrong offset":                  {func(t *testing.T, dir string) error { flip(t, dir+"/state", 24); return nil }, 0},
		"a wrong hash":                    {func(t *testing.T, dir string) error { flip(t, dir+"/state", 40); return nil }, 0},
		"a wrong checksum":                {func(t *testing.T, dir string) error { flip(t, dir+"/state", -1); return nil }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d := mustOpen(t, dir)
			mustCreate(t, d, "a")
			mustAppend(t, d, "a", 0, content[:5000])
			if err := test.damage(t, filepath.Join(dir, "uploads", "a")); err != nil {
				t.Fatal(err)
			}
			d = mustOpen(t, dir)
			wantOffset(t, d, "a", test.want)
			_, err := d.Append(t.Context(), "a", test.want+1, noLimit, strings.NewReader("x"))
			wantKind(t, err, registry.Conflict)

			// A reader that breaks, then a crash with bytes that nobody has counted, and on.
			mustAppend(t, d, "a", test.want, content[test.want:test.want+10])
			if err := appendFile(filepath.Join(dir, "uploads", "a", "data"), other); err != nil {
				t.Fatal(err)
			}
			d = mustOpen(t, dir)
			wantOffset(t, d, "a", test.want+10)
			mustAppend(t, d, "a", test.want+10, content[test.want+10:])
			mustCommit(t, d, "a", content)
			got, err := os.ReadFile(blobFile(dir, content))
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("the blob has %d bytes, %v", len(got), err)
			}
		})
	}

	// Commit, too, must not take bytes that were not hashed in.
	t.Run("commit cuts off what was not counted", func(t *testing.T) {
		dir := t.TempDir()
		d := mustOpen(t, dir)
		mustCreate(t, d, "a")
		mustAppend(t, d, "a", 0, content)
		if err := appendFile(filepath.Join(dir, "uploads", "a", "data"), other); err != nil {
			t.Fatal(err)
		}
		mustCommit(t, mustOpen(t, dir), "a", content)
		if got, err := os.ReadFile(blobFile(dir, content)); err != nil || !bytes.Equal(got, content) {
			t.Errorf("the blob has %d bytes, %v; want %d", len(got), err, len(content))
		}
	})
	// A state that counts more than the file has must not be believed again when the file has
	// grown past it with other bytes, which a crash before the next checkpoint would leave.
	t.Run("an overtaken state is not believed later", func(t *testing.T) {
		dir := t.TempDir()
		d := mustOpen(t, dir)
		mustCreate(t, d, "a")
		mustAppend(t, d, "a", 0, content[:5000])
		data := filepath.Join(dir, "uploads", "a", "data")
		if err := os.Truncate(data, 100); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, d, "a", 0, nil)
		if err := appendFile(data, other); err != nil {
			t.Fatal(err)
		}
		wantOffset(t, mustOpen(t, dir), "a", 0)
	})
}

// TestDiskEndedUploads builds what a crash leaves of an upload that has no data any more, or none
// yet, and checks that it does not exist.
func TestDiskEndedUploads(t *testing.T) {
	content := registrytest.BlobContent(5, 5000)
	for name, leave := range map[string]func(dir string) error{
		"a create that did not finish":   func(dir string) error { return errors.Join(os.Remove(dir+"/data"), os.Remove(dir+"/state")) },
		"an abort that did not finish":   func(dir string) error { return os.Remove(dir + "/data") },
		"a commit that did not finish":   func(dir string) error { return moveToBlob(dir, content) },
		"a commit, and a state that was": func(dir string) error { return errors.Join(moveToBlob(dir, content), os.Truncate(dir+"/state", 3)) },
	} {
		for _, restart := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/restart=%t", name, restart), func(t *testing.T) {
				dir := t.TempDir()
				d := mustOpen(t, dir)
				mustCreate(t, d, "a")
				mustAppend(t, d, "a", 0, content)
				if err := leave(filepath.Join(dir, "uploads", "a")); err != nil {
					t.Fatal(err)
				}
				if restart {
					d = mustOpen(t, dir)
					if left, err := os.ReadDir(filepath.Join(dir, "uploads")); err != nil || len(left) > 0 {
						t.Errorf("uploads = %v, %v; want none", left, err)
					}
				}
				_, err := d.Offset(t.Context(), "a")
				wantKind(t, err, registry.NotFound)
				_, err = d.Append(t.Context(), "a", 5000, noLimit, strings.NewReader(""))
				wantKind(t, err, registry.NotFound)
				wantKind(t, d.Commit(t.Context(), "a", registrytest.BlobDigest(content), 5000), registry.NotFound)
				if strings.HasPrefix(name, "a commit") {
					if size, err := d.Stat(t.Context(), registrytest.BlobDigest(content)); err != nil || size != 5000 {
						t.Errorf("Stat = %d, %v; want 5000", size, err)
					}
				}
				// The state of the old upload must not count for a new one.
				mustCreate(t, d, "a")
				if err := os.Truncate(filepath.Join(dir, "uploads", "a", "data"), 5000); err != nil {
					t.Fatal(err)
				}
				wantOffset(t, d, "a", 0)
				if err := d.Abort(t.Context(), "a"); err != nil {
					t.Fatal(err)
				}
				if left, err := os.ReadDir(filepath.Join(dir, "uploads")); err != nil || len(left) > 0 {
					t.Errorf("uploads = %v, %v; want none", left, err)
				}
			})
		}
	}
}

func TestDiskBusyUpload(t *testing.T) {
	d := mustOpen(t, t.TempDir())
	mustCreate(t, d, "a")
	pr, pw := io.Pipe()
	done := make(chan error)
	go func() {
		_, err := d.Append(t.Context(), "a", 0, noLimit, pr)
		done <- err
	}()
	if _, err := pw.Write([]byte("x")); err != nil { // returns when Append has read it
		t.Fatal(err)
	}
	wantKind(t, d.Create(t.Context(), "a"), registry.Conflict)
	wantKind(t, d.Abort(t.Context(), "a"), registry.Conflict)
	wantKind(t, d.Commit(t.Context(), "a", registrytest.BlobDigest([]byte("x")), 1), registry.Conflict)
	pw.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	mustCommit(t, d, "a", []byte("x"))
}

// A reader that panics, as net/http's may, must not leave the upload locked.
func TestDiskReaderPanics(t *testing.T) {
	d := mustOpen(t, t.TempDir())
	mustCreate(t, d, "a")
	func() {
		defer func() { _ = recover() }()
		_, _ = d.Append(t.Context(), "a", 0, noLimit, nil)
	}()
	mustAppend(t, d, "a", 0, []byte("x"))
	mustCommit(t, d, "a", []byte("x"))
}

func TestDiskFull(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("there is no /dev/full")
	}
	dir := t.TempDir()
	d := mustOpen(t, dir)
	mustCreate(t, d, "a")
	data := filepath.Join(dir, "uploads", "a", "data")
	if err := errors.Join(os.Remove(data), os.Symlink("/dev/full", data)); err != nil {
		t.Fatal(err)
	}
	got, err := d.Append(t.Context(), "a", 0, noLimit, strings.NewReader("bytes"))
	wantKind(t, err, registry.Unavailable)
	if got != 0 || !strings.HasPrefix(fmt.Sprint(err), "the registry's disk is full") {
		t.Errorf("Append = %d, %v; want 0 and that the disk is full", got, err)
	}
	if e, ok := errors.AsType[*registry.Error](err); !ok || strings.Contains(e.Msg, dir) {
		t.Errorf("the caller would see a path: %v", err)
	}
}

// A disk that is not mounted has no blobs, which must not be taken for blobs that do not exist, and
// nothing may be written to where it should be.
func TestDiskGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	d := mustOpen(t, dir)
	mustCreate(t, d, "a")
	if err := os.Rename(dir, dir+"-gone"); err != nil {
		t.Fatal(err)
	}
	ctx, digest := t.Context(), registrytest.BlobDigest(nil)
	_, err := d.Stat(ctx, digest)
	wantKind(t, err, registry.Unavailable)
	_, err = d.Open(ctx, digest)
	wantKind(t, err, registry.Unavailable)
	_, err = d.Offset(ctx, "a")
	wantKind(t, err, registry.Unavailable)
	_, err = d.Append(ctx, "a", 0, noLimit, strings.NewReader("x"))
	wantKind(t, err, registry.Unavailable)
	wantKind(t, d.Create(ctx, "b"), registry.Unavailable)
	wantKind(t, d.Commit(ctx, "a", digest, 0), registry.Unavailable)
	wantKind(t, d.Abort(ctx, "a"), registry.Unavailable)
	wantKind(t, d.Ping(ctx), registry.Unavailable)
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory was made again: %v", err)
	}
	if err := os.Rename(dir+"-gone", dir); err != nil {
		t.Fatal(err)
	}
	mustCommit(t, d, "a", nil)
}

func TestDiskCancelled(t *testing.T) {
	d := mustOpen(t, t.TempDir())
	mustCreate(t, d, "a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	digest := registrytest.BlobDigest(nil)
	_, statErr := d.Stat(ctx, digest)
	_, openErr := d.Open(ctx, digest)
	_, offsetErr := d.Offset(ctx, "a")
	_, appendErr := d.Append(ctx, "a", 0, noLimit, strings.NewReader("x"))
	for i, err := range []error{statErr, openErr, offsetErr, appendErr, d.Create(ctx, "b"), d.Commit(ctx, "a", digest, 0), d.Abort(ctx, "a"), d.Ping(ctx)} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("method %d = %v, want context.Canceled", i, err)
		}
	}
	wantOffset(t, d, "a", 0)
}

// A 256 MiB upload needs no more memory than one of 1 MiB.
func TestDiskMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 256 MiB")
	}
	d := mustOpen(t, t.TempDir())
	allocated := func(id string, size int64) uint64 {
		mustCreate(t, d, id)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if n, err := d.Append(t.Context(), id, 0, noLimit, io.LimitReader(zeros{}, size)); err != nil || n != size {
			t.Fatalf("Append = %d, %v", n, err)
		}
		runtime.ReadMemStats(&after)
		if err := d.Abort(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		return after.TotalAlloc - before.TotalAlloc
	}
	small, large := allocated("small", 1<<20), allocated("large", 256<<20)
	t.Logf("allocated for 1 MiB: %d bytes, for 256 MiB: %d bytes", small, large)
	// All that was ever allocated bounds what was held at any time: the ring of 4 MiB, and buffers that
	// are needed again because the garbage collector empties the pool.
	if large > small+6<<20 {
		t.Errorf("256 MiB allocated %d bytes, 1 MiB allocated %d", large, small)
	}
}
