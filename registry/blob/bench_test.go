package blob_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/blob"
	"github.com/cargomedia/packer-plugin-almanac/registry/registrytest"
)

// BenchmarkDiskUpload measures Create, Append and Commit of one blob beside what it is made of, in
// turn in one run. The ratios are rates divided by that of a reference (more is better), so they
// hold on a busy machine.
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
	digest := registrytest.BlobDigest(bytes.Repeat(chunk, size/len(chunk)))

	dir := b.TempDir()
	d := mustOpen(b, filepath.Join(dir, "store"))
	plain := func(sync bool) error {
		f, err := os.Create(filepath.Join(dir, "plain"))
		if err != nil {
			return err
		}
		err = copyTo(f)
		if sync && err == nil {
			err = f.Sync()
		}
		return errors.Join(err, f.Close())
	}
	var hashed, written, synced, stored time.Duration
	n := 0
	for b.Loop() {
		n++
		hashed += timed(b, func() error { h.Reset(); return copyTo(h) })
		written += timed(b, func() error { return plain(false) })
		drop(b, filepath.Join(dir, "plain"))
		synced += timed(b, func() error { return plain(true) })
		drop(b, filepath.Join(dir, "plain"))
		stored += timed(b, func() error { return upload(b, d, fmt.Sprint(n), source(), string(digest), size) })
		drop(b, filepath.Join(dir, "store", "blobs", string(digest[:2]), string(digest)))
	}
	rate := func(t time.Duration) float64 { return size * float64(n) / (1 << 20) / t.Seconds() }
	b.ReportMetric(rate(stored), "MiB/s")
	b.ReportMetric(rate(stored)/rate(hashed), "x-sha256")
	b.ReportMetric(rate(stored)/rate(written), "x-file")
	b.ReportMetric(rate(stored)/rate(synced), "x-file+fsync")
	b.ReportMetric(0, "ns/op")
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
