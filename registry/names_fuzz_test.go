package registry

import (
	"encoding/json"
	"io/fs"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// evilNames are texts that names are mistaken for, or hide.
var evilNames = []string{
	"", " ", "a", "production", "latest", "any", "Latest", "1", "1.2.0", "1.2", "v1.2.0", "~> 1", "fingerprint:1", "a/b", "..", ".", "-a", "_a",
	"123e4567-e89b-12d3-a456-426614174000", "deadbeef-e89b-12d3-a456-426614174000", "a\n", "a\x00", "\xff", "é", "a\u200bb", "a\u2028b", "%2e%2e", "a b", "a?b#c",
	strings.Repeat("a", 63), strings.Repeat("a", 64), strings.Repeat("a", 128), strings.Repeat("a", 129), strings.Repeat("é", 128), "amazon-ebs.app", "pipeline:47+1",
}

// A channel is never taken for a number, a version, a constraint or a run of Packer.
func FuzzCheckChannelName(f *testing.F) {
	for _, seed := range evilNames {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if err := CheckChannelName(s); err != nil {
			wantInvalid(t, s, err)
			return
		}
		if ref, err := ParseRef(s); err != nil || ref.Kind != RefName || ref.Name != s || url.PathEscape(s) != s {
			t.Errorf("%q is a channel, and as a ref it is %+v, %v", s, ref, err)
		}
	})
}

// Every fingerprint can be asked for, and one that is read without its mark is never another's.
func FuzzCheckFingerprint(f *testing.F) {
	for _, seed := range evilNames {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if err := CheckFingerprint(s); err != nil {
			wantInvalid(t, s, err)
			return
		}
		if ref, err := ParseRef("fingerprint:" + s); err != nil || ref.Kind != RefFingerprint || ref.Name != s {
			t.Errorf("%q is a fingerprint, and cannot be asked for: %+v, %v", s, ref, err)
		}
		if ref, err := ParseRef(s); err == nil && ref.Kind == RefName && ref.Name != s {
			t.Errorf("%q is read as %q", s, ref.Name)
		}
	})
}

func FuzzCheckComponent(f *testing.F) {
	for _, seed := range evilNames {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if err := CheckComponent(s); err != nil {
			wantInvalid(t, s, err)
			return
		}
		if s == "" || len(s) > 255 || len(strings.Fields(s)) != 1 || strings.ContainsAny(s, "\x00\x7f\u0085\u2028") {
			t.Errorf("%q was accepted", s)
		}
		if again, err := url.QueryUnescape(url.QueryEscape(s)); err != nil || again != s {
			t.Errorf("%q cannot be sent in a query: %q, %v", s, again, err)
		}
		sameInJSON(t, s)
	})
}

// A name of a file is one below any directory, on Windows too.
func FuzzCheckFileName(f *testing.F) {
	for _, seed := range slices.Concat(evilNames, []string{
		"app.box", "out/app.box", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", "./a", `a\b`, "C:/x", "c:x", "con", "CON.txt", "a/aux/b", "lpt9.x.y", "com0", "a.", "a ", "nul.",
		"a/b./c", strings.Repeat("a/", 256) + "b", "x<y", "x|y", "*", "a:stream",
	}) {
		f.Add(seed)
	}
	devices := []string{"con", "prn", "aux", "nul"}
	for _, digit := range "0123456789" {
		devices = append(devices, "com"+string(digit), "lpt"+string(digit))
	}
	f.Fuzz(func(t *testing.T, s string) {
		if err := CheckFileName(s); err != nil {
			wantInvalid(t, s, err)
			return
		}
		if !fs.ValidPath(s) || len(s) > 512 || strings.ContainsAny(s, "\\:<>\"|?*\x00\r\n\x7f") {
			t.Errorf("%q was accepted", s)
		}
		for _, part := range strings.Split(s, "/") {
			base, _, _ := strings.Cut(strings.ToLower(part), ".")
			if part != strings.TrimRight(part, ". ") || part == "" || slices.Contains(devices, base) {
				t.Errorf("%q was accepted with the part %q", s, part)
			}
		}
		sameInJSON(t, s)
	})
}

func FuzzParseDigest(f *testing.F) {
	for _, seed := range []string{"", strings.Repeat("a", 64), "sha256:" + strings.Repeat("0F", 32), strings.Repeat("g", 64), strings.Repeat("a", 63), "SHA256:" + strings.Repeat("a", 64), "sha256:sha256:" + strings.Repeat("a", 64)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDigest(s)
		if err != nil {
			wantInvalid(t, s, err)
			return
		}
		if len(d) != 64 || strings.Trim(string(d), "0123456789abcdef") != "" || !strings.EqualFold(strings.TrimPrefix(s, "sha256:"), string(d)) {
			t.Errorf("%q is read as %q", s, d)
		}
	})
}

// An image that is read is written so that it is read again as the same.
func FuzzParseImage(f *testing.F) {
	for _, seed := range []string{"aws/eu-west-1/ami-0abc", "azure//subscriptions/x/y", "vsphere/a%2Fb/vm", "vsphere/50%25/vm", "a/%zz/b", "a/b", "/x/y", "a/b/", "a/%FF/b", "\xff/b/c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		image, err := ParseImage(s)
		if err != nil {
			wantInvalid(t, s, err)
			return
		}
		again, err := ParseImage(image.String())
		if err != nil || CompareImages(again, image) != 0 || image.Provider == "" || image.ID == "" {
			t.Errorf("%q is read as %+v, and that as %+v, %v", s, image, again, err)
		}
	})
}

// A type that is accepted is canonical, and stays what it is.
func FuzzParseType(f *testing.F) {
	for _, seed := range []string{"aws.ami", "amazon.ami", "application.archive", "archive", "vagrant.box", "qemu.image", "Qemu.image", ".image", "a.b.image", "image", "x.image\n", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		typ, err := ParseType(s)
		if err != nil {
			wantInvalid(t, s, err)
			return
		}
		if again, err := ParseType(string(typ)); err != nil || again != typ {
			t.Errorf("%q is the type %q, and that is %q, %v", s, typ, again, err)
		}
	})
}

// wantInvalid expects an error that can be shown to anybody.
func wantInvalid(t *testing.T, s string, err error) {
	t.Helper()
	if KindOf(err) != Invalid || !utf8.ValidString(err.Error()) || len(err.Error()) > 2000 {
		t.Errorf("%q: the error %q of kind %q", s, err, KindOf(err))
	}
}

// sameInJSON expects text that JSON carries without a change.
func sameInJSON(t *testing.T, s string) {
	t.Helper()
	var again string
	if text, err := json.Marshal(s); err != nil || json.Unmarshal(text, &again) != nil || again != s {
		t.Errorf("%q becomes %q in JSON", s, again)
	}
}
