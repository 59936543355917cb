package crashtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// upload is the transfer of one file in pieces, with all that is known of how far it is.
type upload struct {
	artifact string
	file     registry.File
	content  []byte // nil once the bytes were checked
	piece    int64
	slow     bool

	id         string
	safe       int64        // the last offset that was acknowledged
	read       atomic.Int64 // bytes that were taken to be sent, from the start of the file
	begun      bool         // a begin was sent
	committing bool         // a commit was sent
	done       bool         // a commit was acknowledged, or the registry had the bytes
}

func digestOf(b []byte) registry.Digest {
	sum := sha256.Sum256(b)
	return registry.Digest(hex.EncodeToString(sum[:]))
}

// randomContent has no byte, a few, or up to several MiB.
func randomContent(rng *rand.Rand) []byte {
	size := 0
	switch n := rng.IntN(100); {
	case n < 8:
	case n < 45:
		size = 1 + rng.IntN(4<<10)
	case n < 80:
		size = 1 + rng.IntN(256<<10)
	case n < 96:
		size = 1 + rng.IntN(1<<20)
	default:
		size = 1 + rng.IntN(5<<20)
	}
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(rng.Uint32())
	}
	content := make([]byte, size)
	_, _ = rand.NewChaCha8(seed).Read(content) // never fails
	return content
}

func (h *harness) newUpload(r *run, name string, content []byte) *upload {
	u := &upload{
		artifact: r.artifact, content: content,
		file:  registry.File{Name: name, Size: int64(len(content)), SHA256: digestOf(content)},
		piece: int64(len(content)/3 + 1), slow: len(content)%4 == 1,
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.uploads = append(h.uploads, u)
	h.contents[u.file.SHA256] = true
	return u
}

// sending returns the task of bringing a file into the registry.
func (h *harness) sending(u *upload) func() bool {
	return func() bool {
		u.begun = true
		return h.request("begin upload", func(ctx context.Context) error { return h.raw.begin(ctx, u) }) && (u.done || h.goOn(u))
	}
}

// goOn sends the rest of an upload in pieces and commits it.
func (h *harness) goOn(u *upload) bool {
	for u.safe < u.file.Size {
		if !h.request("send bytes", func(ctx context.Context) error { return h.raw.send(ctx, u) }) {
			return false
		}
	}
	u.committing = true
	return h.request("commit upload", func(ctx context.Context) error { return h.raw.commit(ctx, u) })
}

// checkUpload holds an upload that was cut against the registry, and finishes it.
func (h *harness) checkUpload(u *upload) {
	if !u.begun || u.done {
		return
	}
	h.count("uploads that were cut", 1)
	if u.id == "" { // whether it began nobody knows, and nobody has its id
		h.sendAgain(u)
		return
	}
	offset, err := h.raw.offset(h.ctx, u.id)
	switch {
	case err == nil && (offset < u.safe || offset > u.read.Load()):
		h.t.Errorf("upload %s is at offset %d; %d bytes were acknowledged and %d were sent", u.id, offset, u.safe, u.read.Load())
	case err == nil:
		h.count("uploads that went on", 1)
		h.count("bytes beyond the acknowledged that were kept", offset-u.safe)
		u.safe = offset
		if !h.goOn(u) {
			h.t.Errorf("upload %s, which was at %d of %d bytes, could not be finished", u.id, offset, u.file.Size)
		}
	case registry.KindOf(err) == registry.NotFound && u.committing:
		h.count("uploads that ended in an unacknowledged commit", 1)
		h.sendAgain(u)
	default:
		h.t.Errorf("upload %s, which had %d bytes acknowledged: %v", u.id, u.safe, err)
	}
}

func (h *harness) sendAgain(u *upload) {
	u.id, u.safe, u.committing = "", 0, false
	u.read.Store(0)
	if !h.sending(u)() {
		h.t.Errorf("the upload of %s for %s could not be sent again", u.file.Name, u.artifact)
	}
}

// download checks that a blob has its digest.
func (h *harness) download(f registry.File) {
	resp, err := h.raw.do(h.ctx, "GET", "/v1/blobs/"+string(f.SHA256), nil, nil)
	if err != nil {
		h.t.Errorf("blob %s of %q: %v", f.SHA256, f.Name, err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	sum := sha256.New()
	n, err := io.Copy(sum, resp.Body)
	if got := hex.EncodeToString(sum.Sum(nil)); err != nil || n != f.Size || got != string(f.SHA256) {
		h.t.Errorf("blob %s of %q with %d bytes came as %s with %d bytes, %v", f.SHA256, f.Name, f.Size, got, n, err)
	}
	h.count("blobs downloaded and verified", 1)
	h.count("bytes downloaded and verified", n)
}

// rawClient speaks HTTP without a client in between that repeats or goes on by itself.
type rawClient struct {
	http       *http.Client
	url, token string
}

// do returns an answer of success, whose body is to be closed, or an error of the domain.
func (c rawClient) do(ctx context.Context, method, path string, header http.Header, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, body)
	if err != nil {
		return nil, err
	}
	for key, values := range header {
		req.Header[key] = values
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, registry.Errorf(registry.Unavailable, "%v", err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	var problem struct {
		Kind   registry.Kind `json:"kind"`
		Detail string        `json:"detail"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&problem); err != nil {
		return nil, registry.Errorf(registry.Unavailable, "status %s, %v", resp.Status, err)
	}
	return nil, registry.Errorf(problem.Kind, "%s %s: %s: %s", method, path, resp.Status, problem.Detail)
}

// call reads the whole answer into v, unless that is nil: half an answer acknowledges nothing.
func (c rawClient) call(ctx context.Context, method, path string, header http.Header, body io.Reader, v any) (http.Header, error) {
	resp, err := c.do(ctx, method, path, header, body)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, registry.Errorf(registry.Unavailable, "%v", err)
	}
	if v != nil {
		err = json.Unmarshal(content, v)
	}
	return resp.Header, err
}

func (c rawClient) begin(ctx context.Context, u *upload) error {
	body, err := json.Marshal(registry.UploadRequest{Artifact: u.artifact, Size: u.file.Size, SHA256: string(u.file.SHA256)})
	if err != nil {
		return err
	}
	var status registry.UploadStatus
	if _, err = c.call(ctx, "POST", "/v1/uploads", http.Header{"Content-Type": {"application/json"}}, bytes.NewReader(body), &status); err != nil {
		return err
	}
	u.id, u.done, u.safe = status.ID, status.Done, status.Offset
	return nil
}

func (c rawClient) offset(ctx context.Context, id string) (int64, error) {
	var status registry.UploadStatus
	_, err := c.call(ctx, "GET", "/v1/uploads/"+id, nil, nil, &status)
	return status.Offset, err
}

// send sends the next piece.
func (c rawClient) send(ctx context.Context, u *upload) error {
	end := min(u.safe+u.piece, u.file.Size)
	header := http.Header{"Upload-Offset": {strconv.FormatInt(u.safe, 10)}, "Content-Type": {"application/octet-stream"}}
	u.read.Store(u.safe)
	header, err := c.call(ctx, "PATCH", "/v1/uploads/"+u.id, header, &counted{u: u, r: bytes.NewReader(u.content[u.safe:end])}, nil)
	if err != nil {
		return err
	}
	now, err := strconv.ParseInt(header.Get("Upload-Offset"), 10, 64)
	if err != nil || now != end {
		return fmt.Errorf("the bytes up to %d were acknowledged as %q", end, header.Get("Upload-Offset"))
	}
	u.safe = now
	return nil
}

func (c rawClient) commit(ctx context.Context, u *upload) error {
	var status registry.UploadStatus
	if _, err := c.call(ctx, "PUT", "/v1/uploads/"+u.id, nil, nil, &status); err != nil {
		return err
	}
	if !status.Done {
		return fmt.Errorf("the commit was answered with %+v", status)
	}
	u.done = true
	return nil
}

// counted counts what is taken to be sent; a slow one gives it in small parts.
type counted struct {
	u *upload
	r *bytes.Reader
}

func (c *counted) Read(p []byte) (int, error) {
	if c.u.slow {
		time.Sleep(time.Millisecond)
		p = p[:min(len(p), 16<<10)]
	}
	n, err := c.r.Read(p)
	c.u.read.Add(int64(n))
	return n, err
}
