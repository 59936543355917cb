package blob_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/blob"
	"github.com/cargomedia/packer-plugin-almanac/registry/registrytest"
)

// BenchmarkDiskUpload measures the upload of one blob beside what it is made of: hashing alone, a
// plain file, a plain file that is synced. All are measured once in every round, in turn, and the
// figures are medians of the rounds. The ratios are rates divided by that of a reference (more is
// better), so they hold on a busy machine. "min" is the slower of hashing and writing the plain
// file: what an upload could reach if nothing waited for anything.
func BenchmarkDiskUpload(b *testing.B) {
	const size = 256 << 20
	chunk := registrytest.BlobContent(6, 1<<20)
	source := func() io.Reader {
		readers := make([]io.Reader, size/len(chunk))
		for i := range readers {
			readers[i] = bytes.NewReader(chunk)
		}
		// The references copy through the same kind of buffer as Append does.
		return struct{ io.Reader }{io.MultiReader(readers...)}
	}
	h := sha256.New()
	buf := make([]byte, 1<<20)
	copyTo := func(w io.Writer) error {
		_, err := io.CopyBuffer(struct{ io.Writer }{w}, source(), buf)
		return err
	}
	if err := copyTo(h); err != nil {
		b.Fatal(err)
	}
	digest := registry.Digest(hex.EncodeToString(h.Sum(nil)))

	dir := b.TempDir()
	d := mustOpen(b, filepath.Join(dir, "store"))
	plain := filepath.Join(dir, "plain")
	write := func(sync bool) error {
		f, err := os.Create(plain)
		if err != nil {
			return err
		}
		err = copyTo(f)
		if sync && err == nil {
			err = f.Sync()
		}
		return errors.Join(err, f.Close())
	}
	// Memory that the kernel has not used for a while may be several times as slow as what a file
	// left a moment ago, so each measurement gets the latter.
	warm := func() {
		if err := write(false); err != nil {
			b.Fatal(err)
		}
		drop(b, plain)
	}
	rates := map[string][]float64{}
	var allocated []float64
	n := 0
	for b.Loop() {
		n++
		id := fmt.Sprint(n)
		took := map[string]time.Duration{}
		took["sha256"] = timed(b, func() error { h.Reset(); return copyTo(h) })
		warm()
		took["file"] = timed(b, func() error { return write(false) })
		drop(b, plain)
		warm()
		took["file+fsync"] = timed(b, func() error { return write(true) })
		drop(b, plain)
		warm()
		mustCreate(b, d, id)
		var before, after runtime.MemStats
		content := source()
		runtime.ReadMemStats(&before)
		took["append"] = timed(b, func() error { _, err := d.Append(b.Context(), id, 0, size, content); return err })
		runtime.ReadMemStats(&after)
		took["upload"] = took["append"] + timed(b, func() error { return d.Commit(b.Context(), id, digest, size) })
		drop(b, filepath.Join(dir, "store", "blobs", string(digest[:2]), string(digest)))

		rate := func(name string) float64 { return size / (1 << 20) / took[name].Seconds() }
		note := func(name string, value float64) { rates[name] = append(rates[name], value) }
		for name := range took {
			note(name+"-MiB/s", rate(name))
		}
		for _, name := range []string{"append", "upload"} {
			note(name+"/sha256", rate(name)/rate("sha256"))
			note(name+"/file", rate(name)/rate("file"))
			note(name+"/min", rate(name)/min(rate("sha256"), rate("file")))
			note(name+"/fsync", rate(name)/rate("file+fsync"))
		}
		allocated = append(allocated, float64(after.TotalAlloc-before.TotalAlloc))
	}
	for name, values := range rates {
		b.ReportMetric(median(values), name)
	}
	b.ReportMetric(median(allocated), "B/append")
	b.ReportMetric(0, "ns/op")
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// BenchmarkDiskSmallUpload measures uploads of 1 KiB, whose price is that of the fsyncs, beside a
// plain file that is written and synced.
func BenchmarkDiskSmallUpload(b *testing.B) {
	dir := b.TempDir()
	d := mustOpen(b, filepath.Join(dir, "store"))
	var synced, stored time.Duration
	n := 0
	for b.Loop() {
		n++
		content := registrytest.BlobContent(uint64(n), 1024)
		digest := string(registrytest.BlobDigest(content))
		synced += timed(b, func() error {
			f, err := os.Create(filepath.Join(dir, "plain"))
			if err != nil {
				return err
			}
			_, err = f.Write(content)
			return errors.Join(err, f.Sync(), f.Close())
		})
		drop(b, filepath.Join(dir, "plain"))
		stored += timed(b, func() error { return upload(b, d, fmt.Sprint(n), bytes.NewReader(content), digest, 1024) })
	}
	b.ReportMetric(float64(n)/stored.Seconds(), "uploads/s")
	b.ReportMetric(stored.Seconds()/synced.Seconds(), "plain-files-each")
	b.ReportMetric(0, "ns/op")
}

func timed(b *testing.B, f func() error) time.Duration {
	b.Helper()
	start := time.Now()
	if err := f(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

// drop removes a file outside of the measured times, so that none of them overwrites one.
func drop(b *testing.B, name string) {
	b.Helper()
	if err := os.Remove(name); err != nil {
		b.Fatal(err)
	}
}

func upload(b *testing.B, d *blob.Disk, id string, r io.Reader, digest string, size int64) error {
	ctx := b.Context()
	if err := d.Create(ctx, id); err != nil {
		return err
	}
	if _, err := d.Append(ctx, id, 0, size, r); err != nil {
		return err
	}
	return d.Commit(ctx, id, registry.Digest(digest), size)
}
