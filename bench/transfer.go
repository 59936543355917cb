package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

const block = 1 << 20

// transferArtifact is the one on whose behalf bytes are sent.
const transferArtifact = "bench/box"

// content is a file of random bytes, of which the first are changed for each upload, because a
// registry takes no bytes twice.
type content struct {
	path   string
	size   int64
	serial uint64
}

func newContent(dir string, size int64) (c *content, err error) {
	file, err := os.Create(filepath.Join(dir, "content"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	random := rand.NewChaCha8([32]byte{seed % 256})
	_, err = io.CopyBuffer(struct{ io.Writer }{file}, io.LimitReader(random, size), make([]byte, block))
	return &content{path: file.Name(), size: size}, err
}

// change makes the bytes new and returns their digest.
func (c *content) change() (registry.Digest, error) {
	file, err := os.OpenFile(c.path, os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer file.Close()
	c.serial++
	if _, err := file.WriteAt(binary.BigEndian.AppendUint64(nil, c.serial), 0); err != nil {
		return "", err
	}
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return "", err
	}
	return registry.Digest(hex.EncodeToString(h.Sum(nil))), nil
}

// rate is MiB/s.
func (c *content) rate(run func() error) (float64, error) {
	if err := c.makeRoom(); err != nil {
		return 0, err
	}
	settle()
	start := time.Now()
	err := run()
	return float64(c.size) / (1 << 20) / time.Since(start).Seconds(), err
}

// makeRoom leaves as much free memory as the file takes: where the page cache fills all of it, whoever
// writes first pays for the pages that others must give up.
func (c *content) makeRoom() error {
	name := c.path + ".room"
	return errors.Join(writeBlocks(name, c.size), os.Remove(name))
}

// settle waits until the disk has what was written before, so that nobody pays for another.
func settle() {
	_ = exec.Command("sync").Run() // where there is none, the range of the figures tells it
}

// uploads are the values of the rounds.
type uploads struct {
	sha, write, copySync, client, raw []float64 // MiB/s
	grown                             []float64 // MiB
}

// upload measures the way of a file into the registry.
func (b *bench) upload() ([]figure, error) {
	c, err := newContent(b.scratch, b.scale.File)
	if err != nil {
		return nil, err
	}
	defer os.Remove(c.path)
	var u uploads
	for round := range b.scale.Rounds {
		b.say("upload, round %d of %d", round+1, b.scale.Rounds)
		if err := b.uploadRound(c, &u); err != nil {
			return nil, err
		}
	}
	return u.figures(), nil
}

func (b *bench) uploadRound(c *content, u *uploads) error {
	copied := c.path + ".copy"
	for _, m := range []struct {
		to  *[]float64
		run func() error
	}{
		{&u.sha, func() error { return hashBlocks(c.size) }},
		{&u.write, func() error { return writeBlocks(copied, c.size) }},
		{&u.copySync, func() error { return copyAndSync(copied, c.path) }},
	} {
		rate, err := c.rate(m.run)
		if err := errors.Join(err, b.ctx.Err()); err != nil {
			return err
		}
		*m.to = append(*m.to, rate)
		if err := os.RemoveAll(copied); err != nil {
			return err
		}
	}
	for _, m := range []struct {
		to   *[]float64
		send func(*almanac, string, registry.Digest) error
	}{
		{&u.client, func(a *almanac, token string, _ registry.Digest) error { return b.uploadFile(a, token, c.path) }},
		{&u.raw, func(a *almanac, token string, d registry.Digest) error { return b.uploadRaw(a, token, c, d) }},
	} {
		rate, grown, err := b.uploadTo(c, m.send)
		if err != nil {
			return err
		}
		*m.to = append(*m.to, rate)
		if grown > 0 {
			u.grown = append(u.grown, grown)
		}
	}
	return nil
}

// uploadTo measures one upload to a new registry: its rate, and by how much the server's memory grew,
// or 0 where the system does not say.
func (b *bench) uploadTo(c *content, send func(*almanac, string, registry.Digest) error) (rate, grown float64, err error) {
	digest, err := c.change()
	if err != nil {
		return 0, 0, err
	}
	server, err := b.fresh("", false)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, b.end(server, true)) }()
	token, err := server.adminToken()
	if err != nil {
		return 0, 0, err
	}
	warm := filepath.Join(b.scratch, "warm")
	if err := errors.Join(os.WriteFile(warm, constantBody(block), 0o600), b.uploadFile(server, token, warm)); err != nil {
		return 0, 0, err
	}
	idle, idleErr := resident(server.pid, "VmRSS")
	idleErr = errors.Join(idleErr, forgetPeak(server.pid))
	if rate, err = c.rate(func() error { return send(server, token, digest) }); err != nil {
		return 0, 0, err
	}
	if peak, err := resident(server.pid, "VmHWM"); err == nil && idleErr == nil {
		grown = max(peak-idle, 0.1)
	}
	return rate, grown, nil
}

func (u uploads) figures() []figure {
	var limit []float64
	for i := range u.sha {
		limit = append(limit, min(u.sha[i], u.write[i]))
	}
	memory := median("upload, growth of the server's memory", "MiB", u.grown, atMost(32, 32))
	if len(u.grown) == 0 {
		memory.Missing = noProc
	}
	return []figure{
		median("upload raw / min(sha256, write)", "x", quotients(u.raw, limit), atLeast(0.5, 0.9)),
		// The client reads the file twice: what the registry has already need not be sent, which its digest tells.
		median("upload by the client, digest first / min(sha256, write)", "x", quotients(u.client, limit), nil),
		median("upload raw / cp + fsync", "x", quotients(u.raw, u.copySync), atLeast(0.75, 0.95)),
		memory,
		median("upload by the client", "MiB/s", u.client, nil),
		median("upload raw", "MiB/s", u.raw, nil),
		median("sha256 on one core", "MiB/s", u.sha, nil),
		median("write", "MiB/s", u.write, nil),
		median("cp + fsync", "MiB/s", u.copySync, nil),
	}
}

// uploadFile is what the plugin and the command line do.
func (b *bench) uploadFile(a *almanac, token, path string) error {
	c, err := newClient(a.url, token)
	if err != nil {
		return err
	}
	_, err = c.UploadFile(b.ctx, transferArtifact, path, "app.box", nil)
	return err
}

// uploadRaw sends bytes whose digest is known, with no more than the requests that it takes.
func (b *bench) uploadRaw(a *almanac, token string, c *content, digest registry.Digest) error {
	begin, err := json.Marshal(registry.UploadRequest{Artifact: transferArtifact, Size: c.size, SHA256: string(digest)})
	if err != nil {
		return err
	}
	var status registry.UploadStatus
	if err := b.call(token, http.MethodPost, a.url+"/v1/uploads", bytes.NewReader(begin), int64(len(begin)), "application/json", &status); err != nil {
		return err
	}
	if status.Done {
		return fmt.Errorf("the registry has %s already", digest)
	}
	file, err := os.Open(c.path)
	if err != nil {
		return err
	}
	defer file.Close()
	where := a.url + "/v1/uploads/" + status.ID
	if err := b.call(token, http.MethodPatch, where, file, c.size, "application/octet-stream", nil); err != nil {
		return err
	}
	return b.call(token, http.MethodPut, where, nil, 0, "", &status)
}

// call sends one request, with a token if there is one, and reads the answer's JSON where out is not nil.
func (b *bench) call(token, method, url string, body io.Reader, size int64, contentType string, out any) error {
	request, err := http.NewRequestWithContext(b.ctx, method, url, body)
	if err != nil {
		return err
	}
	request.ContentLength = size
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	if method == http.MethodPatch {
		request.Header.Set("Upload-Offset", "0")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fmt.Errorf("%s %s: %s: %s", method, url, response.Status, strings.TrimSpace(string(text)))
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

// hashBlocks hashes as many bytes, from memory.
func hashBlocks(size int64) error {
	h, data := sha256.New(), constantBody(block)
	for left := size; left > 0; left -= block {
		h.Write(data[:min(left, block)]) // never fails (hash.Hash)
	}
	return nil
}

// writeBlocks writes as many bytes, from memory, and does not sync them.
func writeBlocks(path string, size int64) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	data := constantBody(block)
	for left := size; left > 0; left -= block {
		if _, err := file.Write(data[:min(left, block)]); err != nil {
			return err
		}
	}
	return nil
}

// copyAndSync makes a copy that survives a crash, and removes it, for a copy that is kept costs the next one its memory. It
// copies through a buffer: a file system that shares the blocks of a copy would copy nothing.
func copyAndSync(to, from string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close(), os.Remove(to)) }()
	if _, err := io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{in}, make([]byte, block)); err != nil {
		return err
	}
	return out.Sync()
}
