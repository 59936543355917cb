package server

import (
	"math"
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// getBlobOperation describes what huma cannot see.
func getBlobOperation() huma.Operation {
	o := op("getBlob", "GET", "/v1/blobs/{digest}", tagBytes, needRead, "Download a file",
		"The bytes of a digest never change, so they can be cached for ever. Ranges work, and so does HEAD.")
	text := &huma.Schema{Type: huma.TypeString}
	o.Parameters = []*huma.Param{
		{Name: "digest", In: "path", Required: true, Description: "sha256 of the bytes, 64 hexadecimal digits.", Schema: text},
		{Name: "name", In: "query", Description: "File name to offer to a browser.", Schema: text, Example: "app.box"},
		{Name: "Range", In: "header", Description: "Part of the bytes, such as bytes=1000-.", Schema: text},
	}
	content := map[string]*huma.MediaType{"application/octet-stream": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}}
	o.Responses = map[string]*huma.Response{
		"200": {Description: http.StatusText(http.StatusOK), Content: content, Headers: map[string]*huma.Param{
			"ETag": {Description: `"sha256:DIGEST"`, Schema: text},
		}},
		"206": {Description: http.StatusText(http.StatusPartialContent), Content: content},
		"304": {Description: http.StatusText(http.StatusNotModified)},
	}
	return o
}

func (s *Server) getBlob(x *exchange, r *http.Request) error {
	blob, err := s.svc.Blob(r.Context(), r.PathValue("digest"))
	if err != nil {
		return err
	}
	// The bytes were opened to be read; there is nothing that a failing Close could lose.
	defer func() { _ = blob.Close() }()
	h := x.Header()
	h["Etag"] = fileTag(blob.Digest)
	h["Cache-Control"] = neverChanging
	h["Content-Type"] = bytesType
	h["Vary"] = []string{"Authorization"}
	if name := fileName(r.URL.Query().Get("name")); name != "" {
		h["Content-Disposition"] = []string{mime.FormatMediaType("attachment", map[string]string{"filename": name})}
	}
	if x.sendFile(r, blob) {
		return nil
	}
	delete(h, "Content-Disposition")
	return rangeProblem(h, blob.Size)
}

// sendFile sends a blob, or the parts of it that the request asks for. It says whether it did: nothing is sent where
// the header Range cannot be fulfilled. Then there is a Content-Range if it could be read.
func (x *exchange) sendFile(r *http.Request, blob registry.Blob) bool {
	before := x.bytes
	w := &rangeWriter{exchange: x}
	defer fullPackets(r.Context())()
	// No time of change: the ETag says it all. The file itself is handed over, for sendfile.
	http.ServeContent(w, withoutEmptyRanges(r), "", time.Time{}, blob.ReadSeekCloser)
	if x.status == http.StatusOK || x.status == http.StatusPartialContent {
		x.server.metrics.downloaded.Add(float64(x.bytes - before))
	}
	return !w.refused
}

func fileTag(digest registry.Digest) []string { return []string{`"sha256:` + string(digest) + `"`} }

// fileName makes a name harmless for whoever saves the file: its last part, without control
// characters and what shells and file systems give a meaning to.
func fileName(name string) string {
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	name = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || !unicode.IsPrint(c) || strings.ContainsRune(`"*:<>?|;%`, c) {
			return '_'
		}
		return c
	}, strings.ToValidUTF8(name, "_"))
	name = strings.TrimLeft(strings.TrimSpace(name), ".")
	if runes := []rune(name); len(runes) > 150 {
		name = string(runes[:150])
	}
	return name
}

// withoutEmptyRanges puts a range beyond any file for each "-0", the last no bytes: RFC 9110 has both refused, and
// [http.ServeContent] would send the second with a Content-Range that ends before it begins.
func withoutEmptyRanges(r *http.Request) *http.Request {
	unit, list, _ := strings.Cut(r.Header.Get("Range"), "=")
	specs := strings.Split(list, ",")
	changed := false
	for i, spec := range specs {
		if emptyRange.MatchString(spec) {
			specs[i], changed = strconv.FormatInt(math.MaxInt64, 10)+"-", true
		}
	}
	if !changed {
		return r
	}
	r = r.Clone(r.Context())
	r.Header.Set("Range", unit+"="+strings.Join(specs, ","))
	return r
}

// emptyRange takes the spaces and the sign that [http.ServeContent] takes.
var emptyRange = regexp.MustCompile(`^\s*-\s*\+?0+\s*$`)

// rangeWriter keeps back the text with which [http.ServeContent] refuses a range. Its ReadFrom is the exchange's.
type rangeWriter struct {
	*exchange
	refused bool
}

// WriteHeader looks for the refusal.
func (w *rangeWriter) WriteHeader(status int) {
	if status == http.StatusRequestedRangeNotSatisfiable {
		w.refused = true
		return
	}
	w.exchange.WriteHeader(status)
}

// Write drops the text of the refusal.
func (w *rangeWriter) Write(b []byte) (int, error) {
	if w.refused {
		return len(b), nil
	}
	return w.exchange.Write(b)
}

// rangeProblem is the native API's answer to a range that cannot be fulfilled.
func rangeProblem(h http.Header, size int64) error {
	problem := &registry.Error{
		Kind: registry.Invalid, Msg: "the range is not within the file; Content-Range says how many bytes it has",
		Fields: []registry.FieldError{{Field: "Range", Message: "is not within the file"}},
	}
	if h.Get("Content-Range") == "" { // it could not be read
		h["Content-Range"] = []string{"bytes */" + strconv.FormatInt(size, 10)}
		problem.Msg = "the header Range must list parts in bytes, such as bytes=0-99, bytes=100- or bytes=-100"
		problem.Fields[0].Message = "is not a list of parts in bytes"
	}
	return withStatus(http.StatusRequestedRangeNotSatisfiable, problem)
}
