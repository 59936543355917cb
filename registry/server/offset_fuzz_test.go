package server

import (
	"math/big"
	"net/http"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// FuzzParseOffset takes plain digits up to the highest int64, once, and nothing else.
func FuzzParseOffset(f *testing.F) {
	for _, seed := range []string{"0", "1048576", "9223372036854775807", "9223372036854775808", "-1", "+1", "1e3", "0x10", "1_000", " 1", "1 ", "", "0,0", "٣", "007", "\x00"} {
		f.Add(seed, "application/octet-stream", false)
	}
	f.Add("0", "text/plain", false)
	f.Add("0", "", true)
	f.Add("0", "application/octet-stream; charset=utf-8", false)
	f.Add("0", "application/octet-stream; x", false)
	f.Fuzz(func(t *testing.T, value, contentType string, twice bool) {
		r := &http.Request{Header: http.Header{uploadOffset: {value}}}
		if twice {
			r.Header[uploadOffset] = []string{value, value}
		}
		if contentType != "" {
			r.Header["Content-Type"] = []string{contentType}
		}
		offset, err := parseOffset(r)
		n, digits := new(big.Int), value != "" && strings.Trim(value, "0123456789") == ""
		if digits {
			n.SetString(value, 10)
		}
		good := digits && !twice && n.IsInt64()
		if media := strings.ToLower(contentType); media != "" && media != "application/octet-stream" {
			if err == nil && !strings.HasPrefix(strings.TrimSpace(media), "application/octet-stream") {
				t.Fatalf("bytes of type %q were accepted", contentType)
			}
			good = good && err == nil
		}
		if (err == nil) != good {
			t.Fatalf("%q (twice: %v) with type %q: %v", value, twice, contentType, err)
		}
		if err != nil {
			if registry.KindOf(err) != registry.Invalid || offset != 0 {
				t.Fatalf("%q: %d, %v", value, offset, err)
			}
			return
		}
		if offset != n.Int64() {
			t.Fatalf("%q is read as %d", value, offset)
		}
	})
}
