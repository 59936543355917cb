package server_test

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry/problem"
	"github.com/cargomedia/packer-plugin-almanac/registry/server"
)

// FuzzRange asks for parts of a small file. Whatever the headers are, the answer is the file, parts of it that are what
// their Content-Range says, or a refusal; HEAD says the same of itself as GET.
func FuzzRange(f *testing.F) {
	s := servertest.New(f)
	content := make([]byte, 1000)
	for i := range content {
		content[i] = byte(i*7 + i/256)
	}
	digest := upload(f, s, content)
	tag := `"sha256:` + digest + `"`
	for _, ranges := range []string{
		"", "bytes=0-4", "bytes=990-", "bytes=-10", "bytes=0-", "bytes=-0", "bytes=1000-", "bytes=999-5000", "bytes=5-4", "bytes=-5000", "bytes=0-0,-1", "bytes=0-9,5-14,990-", "bytes=0-999,0-999",
		"bytes= 0 - 4 , 7-8", "bytes=,,1-2,", "bytes=2000-,0-1", "bytes=0-4,x", "Bytes=0-4", "items=0-4", "bytes", "bytes=", "bytes=-", "bytes=--1", "bytes=+1-2", "bytes=0x1-2", "bytes=1.5-2",
		"bytes=99999999999999999999-", "bytes=0-99999999999999999999", "bytes=9223372036854775807-9223372036854775807", "bytes=0-4\r\nX: y", "bytes=\x00", "bytes=" + strings.Repeat("0-0,", 300) + "1-1",
	} {
		for _, condition := range []string{"", tag, tag + "0", `W/` + tag, `"other"`, "Wed, 21 Oct 2015 07:28:00 GMT", `"`} {
			f.Add(ranges, condition)
		}
	}
	handler := server.New(s.Service, server.Options{})
	f.Fuzz(func(t *testing.T, ranges, condition string) {
		ask := func(method string) *http.Response {
			r := httptest.NewRequest(method, "/v1/blobs/"+digest, nil)
			r.Header["Authorization"] = []string{"Bearer " + s.AdminToken}
			r.Header["Range"] = []string{ranges}
			if condition != "" {
				r.Header["If-Range"] = []string{condition}
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			return w.Result()
		}
		get, head := ask("GET"), ask("HEAD")
		body := checkRange(t, get, content, tag)
		if rest, err := io.ReadAll(head.Body); err != nil || len(rest) > 0 && head.StatusCode != http.StatusRequestedRangeNotSatisfiable || head.StatusCode != get.StatusCode {
			t.Errorf("HEAD: got %d with %d bytes, %v; GET gave %d", head.StatusCode, len(rest), err, get.StatusCode)
		}
		for _, name := range []string{"ETag", "Content-Range", "Content-Length", "Accept-Ranges"} {
			if get.StatusCode != http.StatusRequestedRangeNotSatisfiable && !sentInParts(get) && head.Header.Get(name) != get.Header.Get(name) {
				t.Errorf("HEAD: %s is %q, and %q with GET", name, head.Header.Get(name), get.Header.Get(name))
			}
		}
		if condition != tag && strings.HasPrefix(strings.TrimSpace(condition), tag) {
			return // net/http does not look at what follows the tag, and the file is the right one
		}
		if ranges == "" || condition != "" && condition != tag {
			if get.StatusCode != http.StatusOK {
				t.Errorf("%q if %q: got %d, want the whole file", ranges, condition, get.StatusCode)
			}
			return
		}
		if first, last, ok := plainRange(ranges, len(content)); ok && (get.StatusCode != http.StatusPartialContent || !bytes.Equal(body, content[first:last+1])) {
			t.Errorf("%q: got %d with %d bytes", ranges, get.StatusCode, len(body))
		}
	})
}

func upload(f *testing.F, s *servertest.Server, content []byte) string {
	file, err := s.Client(f, s.AdminToken).Upload(f.Context(), "cargomedia/app", "file", bytes.NewReader(content), nil)
	if err != nil {
		f.Fatal(err)
	}
	return string(file.SHA256)
}

// checkRange holds an answer to what it says of itself, and returns its body.
func checkRange(t *testing.T, got *http.Response, content []byte, tag string) []byte {
	t.Helper()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	if length := got.Header.Get("Content-Length"); length != "" && length != strconv.Itoa(len(body)) {
		t.Errorf("Content-Length is %s with %d bytes", length, len(body))
	}
	if got.StatusCode != http.StatusRequestedRangeNotSatisfiable && got.Header.Get("ETag") != tag {
		t.Errorf("the ETag is %s", got.Header.Get("ETag"))
	}
	switch {
	case got.StatusCode == http.StatusOK:
		if !bytes.Equal(body, content) || got.Header.Get("Content-Range") != "" {
			t.Errorf("got %d bytes, Content-Range %q; want the whole file", len(body), got.Header.Get("Content-Range"))
		}
	case got.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		if got.Header.Get("Content-Type") != problem.ContentType || got.Header.Get("Content-Range") != fmt.Sprintf("bytes */%d", len(content)) {
			t.Errorf("refused with %s, Content-Range %q", got.Header.Get("Content-Type"), got.Header.Get("Content-Range"))
		}
	case got.StatusCode != http.StatusPartialContent:
		t.Errorf("got %d %s", got.StatusCode, body)
	case sentInParts(got):
		checkParts(t, got.Header.Get("Content-Type"), body, content)
	default:
		checkPart(t, got.Header.Get("Content-Range"), body, content)
	}
	return body
}

func sentInParts(got *http.Response) bool {
	return strings.HasPrefix(got.Header.Get("Content-Type"), "multipart/byteranges")
}

func checkParts(t *testing.T, contentType string, body, content []byte) {
	t.Helper()
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		t.Fatal(err)
	}
	parts, total := multipart.NewReader(bytes.NewReader(body), params["boundary"]), 0
	for {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		bytes, err := io.ReadAll(part)
		if err != nil {
			t.Fatal(err)
		}
		checkPart(t, part.Header.Get("Content-Range"), bytes, content)
		total += len(bytes)
	}
	if total == 0 || total > len(content) {
		t.Errorf("the parts have %d bytes of a file of %d", total, len(content))
	}
}

var contentRange = regexp.MustCompile(`^bytes ([0-9]+)-([0-9]+)/([0-9]+)$`)

func checkPart(t *testing.T, said string, body, content []byte) {
	t.Helper()
	m := contentRange.FindStringSubmatch(said)
	if m == nil {
		t.Fatalf("Content-Range is %q", said)
	}
	var n [3]int
	for i := range n {
		var err error
		if n[i], err = strconv.Atoi(m[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if n[2] != len(content) || n[1] >= n[2] || n[0] > n[1] || !bytes.Equal(body, content[n[0]:n[1]+1]) {
		t.Errorf("%d bytes are not those of Content-Range %q", len(body), said)
	}
}

var oneRange = regexp.MustCompile(`^bytes=([0-9]{1,9})-([0-9]{0,9})$`)

// plainRange reads bytes=FIRST-[LAST] that lies within a file of a size.
func plainRange(ranges string, size int) (first, last int, ok bool) {
	m := oneRange.FindStringSubmatch(ranges)
	if m == nil {
		return 0, 0, false
	}
	first, _ = strconv.Atoi(m[1])
	last = size - 1
	if m[2] != "" {
		last, _ = strconv.Atoi(m[2])
	}
	return first, min(last, size-1), first < size && last >= first
}
