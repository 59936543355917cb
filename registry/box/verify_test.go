package box_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/cargomedia/packer-plugin-almanac/registry/box"
)

var (
	virtualbox = member{name: "metadata.json", content: `{"provider":"virtualbox","architecture":"amd64"}`}
	diskImage  = member{name: disk, content: strings.Repeat("0123456789", 150)}
	want       = box.Info{Provider: "virtualbox", Architecture: "amd64"}
)

// stored gzips without compressing, as the bytes of an image that is compressed already come out.
func stored(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.NoCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestVerify(t *testing.T) {
	first, last := tarOf(t, virtualbox, diskImage), tarOf(t, diskImage, virtualbox)
	wrong := func(at int) []byte {
		b := stored(t, first)
		b[at] ^= 0x40
		return b
	}
	size := len(stored(t, first))
	for _, c := range []struct {
		name    string
		content []byte
		err     string // a part of the error's text
	}{
		{"gzipped", gzipped(t, first), ""},
		{"gzipped, metadata last", gzipped(t, last), ""},
		{"gzipped without compression", stored(t, last), ""},
		{"in two gzip parts", join(gzipped(t, first[:700]), gzipped(t, first[700:])), ""},
		{"plain tar", first, ""},
		{"plain tar, metadata last", last, ""},
		{"padded tar", join(last, make([]byte, 10240)), ""},
		{"padded tar, gzipped", gzipped(t, join(last, make([]byte, 10240))), ""},
		{"bytes after the gzip data", join(gzipped(t, first), []byte("and here is something else")), "it has bytes that are not gzip"},
		{"zeros after the gzip data", join(gzipped(t, first), make([]byte, 512)), "it has bytes that are not gzip"},
		{"a second gzip part that is cut", join(gzipped(t, first), gzipped(t, nil)[:20]), "after its tar archive: the file ends too early"},
		{"wrong gzip checksum", wrong(size - 8), "its gzip checksum is wrong"},
		{"wrong gzip size", wrong(size - 1), "its gzip checksum is wrong"},
		{"wrong byte in the disk image", wrong(3000), "its gzip checksum is wrong"},
		{"wrong byte in a tar header", wrong(1300), "it is broken or cut short after its metadata.json: archive/tar: invalid tar header"},
		{"gzip without its end", gzipped(t, first)[:len(gzipped(t, first))-8], "after its tar archive: the file ends too early"},
		{"gzip cut in a member", stored(t, first)[:2500], "after its metadata.json: the file ends too early"},
		{"gzip cut before metadata.json", stored(t, last)[:1000], "before its metadata.json: the file ends too early"},
		{"tar cut in a member", first[:2000], "after its metadata.json: the file ends too early"},
		{"tar cut between members", first[:1024], "it is cut short: the end of its tar archive is missing"},
		{"tar cut before metadata.json", last[:512+1536], "it is cut short: the end of its tar archive is missing"},
		{"whole tar without its end, gzipped", gzipped(t, first[:1024]), "it is cut short: the end of its tar archive is missing"},
		{"no metadata.json", gzipped(t, tarOf(t, diskImage)), "it has no metadata.json; a box needs one"},
		{"no metadata.json, cut", gzipped(t, tarOf(t, diskImage))[:40], "before its metadata.json: the file ends too early"},
		{"no metadata.json and a cut end", stored(t, tarOf(t, diskImage))[:3090], "after its tar archive: the file ends too early"},
		{"broken metadata.json", gzipped(t, tarOf(t, member{name: "metadata.json", content: "{"}, diskImage)), "its metadata.json is not a JSON object"},
		{"no provider", gzipped(t, tarOf(t, member{name: "metadata.json", content: "{}"})), "names no provider"},
		{"empty", nil, "it is empty"},
		{"zip", []byte("PK\x03\x04and more"), "it is a zip archive; a box must be a tar archive"},
		{"text", []byte(strings.Repeat("no box at all ", 100)), "it is not a tar archive, plain or gzipped"},
		{"gzipped text", gzipped(t, []byte(strings.Repeat("no box at all ", 100))), "it is gzipped, but not a tar archive inside"},
		{"broken gzip header", []byte{0x1f, 0x8b, 0, 0, 0, 0, 0, 0, 0, 0}, "its gzip header is broken"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for how, r := range map[string]io.Reader{
				"seekable": bytes.NewReader(c.content),
				"stream":   struct{ io.Reader }{bytes.NewReader(c.content)},
				"halves":   iotest.HalfReader(bytes.NewReader(c.content)),
				"data+EOF": iotest.DataErrReader(bytes.NewReader(c.content)),
			} {
				got, err := box.Verify(r)
				if c.err == "" && (err != nil || got != want) {
					t.Errorf("%s: got %+v, %v; want %+v", how, got, err, want)
				}
				if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err) || got != box.Info{}) {
					t.Errorf("%s: got %+v, %v; want an error with %q", how, got, err, c.err)
				}
			}
		})
	}
}

func TestVerifyRefusesEveryCut(t *testing.T) {
	for name, whole := range map[string][]byte{
		"plain tar":                   tarOf(t, virtualbox, diskImage),
		"plain tar, metadata last":    tarOf(t, diskImage, virtualbox),
		"gzipped":                     gzipped(t, tarOf(t, virtualbox, diskImage)),
		"gzipped without compression": stored(t, tarOf(t, diskImage, virtualbox)),
	} {
		t.Run(name, func(t *testing.T) {
			for cut := range whole {
				if got, err := box.Verify(bytes.NewReader(whole[:cut])); err == nil {
					t.Errorf("the first %d of %d bytes are taken for %+v", cut, len(whole), got)
				}
			}
		})
	}
}

func TestVerifyReturnsTheReadersError(t *testing.T) {
	broken := errors.New("the connection broke")
	whole := stored(t, tarOf(t, diskImage, virtualbox))
	for _, cut := range []int{0, 3, 100, 2000, len(whole) - 1} {
		if _, err := box.Verify(io.MultiReader(bytes.NewReader(whole[:cut]), iotest.ErrReader(broken))); !errors.Is(err, broken) {
			t.Errorf("after %d bytes: got %v, want the reader's error", cut, err)
		}
	}
}

func TestVerifyLimitsWhatIsUnpacked(t *testing.T) {
	archive := tarOf(t, virtualbox, diskImage)
	size := int64(len(archive))
	for _, c := range []struct {
		name    string
		content []byte
		limit   int64
		over    bool
	}{
		{"below", gzipped(t, archive), size + 1, false},
		{"too many bytes in members", gzipped(t, archive), 2000, true},
		{"too many bytes after the archive", gzipped(t, join(archive, make([]byte, 100))), size + 50, true},
		{"plain tar", archive, 10, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := box.VerifyBelow(bytes.NewReader(c.content), c.limit)
			if c.over && (err == nil || !strings.Contains(err.Error(), "unpacked, it is larger")) || !c.over && err != nil {
				t.Errorf("got %v; want that it is too large: %v", err, c.over)
			}
		})
	}
}

func TestVerifyNeedsTheSameMemoryForEveryBox(t *testing.T) {
	allocated := func(content []byte) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := box.Verify(bytes.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	small := allocated(stored(t, tarOf(t, diskImage, virtualbox)))
	large := allocated(stored(t, tarOf(t, member{name: disk, content: strings.Repeat("0123456789abcdef", 4<<20)}, virtualbox)))
	if large > small+1<<20 {
		t.Errorf("64 MiB took %d bytes of memory, and a box of two kilobytes %d", large, small)
	}
}

func FuzzVerify(f *testing.F) {
	good := tarOf(f, diskImage, virtualbox)
	for _, seed := range [][]byte{
		good, gzipped(f, good), stored(f, good), good[:600], good[:1024], join(gzipped(f, good[:700]), gzipped(f, good[700:])), gzipped(f, good[:1024]), join(gzipped(f, good), []byte("x")),
		gzipped(f, tarOf(f, diskImage)), []byte("PK\x03\x04"), {0x1f, 0x8b}, {},
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		info, err := box.VerifyBelow(bytes.NewReader(content), 64<<20)
		again, againErr := box.VerifyBelow(iotest.HalfReader(bytes.NewReader(content)), 64<<20)
		if again != info || (againErr == nil) != (err == nil) {
			t.Errorf("in small parts: got %+v, %v; want %+v, %v", again, againErr, info, err)
		}
		if err != nil {
			if info != (box.Info{}) || err.Error() == "" || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %+v and the error %q", info, err)
			}
			return
		}
		if read, err := box.Read(bytes.NewReader(content)); err != nil || read != info {
			t.Errorf("Read = %+v, %v; Verify = %+v", read, err, info)
		}
		if content[0] != 0x1f {
			return
		}
		if _, err := box.VerifyBelow(bytes.NewReader(content[:len(content)-1]), 64<<20); err == nil {
			t.Error("it is a box without its last byte, too")
		}
	})
}

// BenchmarkVerify measures a box of random bytes, as a compressed disk image is. They are stored in one case and plain
// in the other.
func BenchmarkVerify(b *testing.B) {
	noise := make([]byte, 64<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise) // never fails
	archive := tarOf(b, member{name: disk, content: string(noise)}, virtualbox)
	for name, content := range map[string][]byte{"stored": stored(b, archive), "plain": archive, "text": gzipped(b, tarOf(b, member{name: disk, content: strings.Repeat("a line of a log, and "+string(noise[:30]), 1<<20)}, virtualbox))} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := box.Verify(struct{ io.Reader }{bytes.NewReader(content)}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestVerifyTellsAShortTextFromACutBox(t *testing.T) {
	for name, content := range map[string]string{"a word": "no box", "a page": strings.Repeat("<html>", 80)} {
		if _, err := box.Verify(strings.NewReader(content)); err == nil || !strings.Contains(err.Error(), "not a tar archive") {
			t.Errorf("%s: %v; want that it is not a tar archive", name, err)
		}
	}
}
