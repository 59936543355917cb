package registry

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzMetadata holds what is accepted as metadata to what stores and clients can keep, and what is derived from it
// to its rules.
func FuzzMetadata(f *testing.F) {
	long := strings.Repeat("v", 4096)
	for _, seed := range [][6]string{
		{"git", "abc", "os", "debian", "eu-west-1", "ami-0abc"},
		{"region", "mine", "ami_id", "ami-mine", "eu-west-1", "ami-0abc"},
		{"region.eu-west-1", "ami-evil", "region.", "x", "eu-west-1", "ami-0abc"},
		{"Region.x", "x", " region.x", "x", "us-gov-west-1", "ami-1"},
		{"", "empty key", " k ", "v", "a", "b"},
		{"k", "\x00", "\xff", "v", "a", "b"},
		{"k\n", "v", "k", "a\tb\r\nc\u0085", "a", "b"},
		{strings.Repeat("k", 128), long, strings.Repeat("k", 129), long + "v", "a", "b"},
		{"a", "\U0001F600", "a\u0301", "\u2028", "", ""},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], seed[4], seed[5])
	}
	f.Fuzz(func(t *testing.T, key, value, otherKey, otherValue, region, id string) {
		own, ofVersion := Metadata{key: value}, Metadata{otherKey: otherValue}
		both := Metadata{key: value}
		both[otherKey] = otherValue
		for _, m := range []Metadata{own, ofVersion, both} {
			checkMetadataVerdict(t, m)
		}
		if len(CheckMetadata("m", own)) > 0 || len(CheckMetadata("m", ofVersion)) > 0 {
			return
		}
		build := Build{Type: AmazonImage, Metadata: own, Images: []Image{
			{Provider: "aws", Region: region, ID: id},
			{Provider: "aws", Region: region + "-pending", ID: id, Verification: &Verification{Status: ImagePending}},
		}}
		full := FullMetadata(ofVersion, build)
		want := Metadata{otherKey: otherValue, "ami_id": id, "region": region}
		maps.Copy(want, own)
		want["region."+region] = id
		if !maps.Equal(full, want) {
			t.Errorf("got %q, want %q", full, want)
		}
		if len(own) != 1 || own[key] != value || len(ofVersion) != 1 || ofVersion[otherKey] != otherValue {
			t.Error("what was given was changed")
		}
	})
}

// checkMetadataVerdict says itself which entries are bad, and expects the same.
func checkMetadataVerdict(t *testing.T, m Metadata) {
	t.Helper()
	bad := false
	for key, value := range m {
		bad = bad || key == "" || len(key) > 128 || len(value) > 4096 || key != strings.TrimSpace(key) || strings.HasPrefix(key, "region.") ||
			!utf8.ValidString(key) || !utf8.ValidString(value) || strings.IndexFunc(key, unicode.IsControl) >= 0 ||
			strings.IndexFunc(strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(value), unicode.IsControl) >= 0
	}
	problems := CheckMetadata("m", m)
	if (len(problems) > 0) != bad {
		t.Fatalf("%q: got %+v; is it bad: %v", m, problems, bad)
	}
	for _, p := range problems {
		if !strings.HasPrefix(p.Field, "m[") || p.Message == "" || !utf8.ValidString(p.Field+p.Message) {
			t.Errorf("%q: the problem %+v", m, p)
		}
	}
	if bad {
		return
	}
	text, err := json.Marshal(m)
	var again Metadata
	if err != nil || json.Unmarshal(text, &again) != nil || !maps.Equal(again, m) {
		t.Errorf("%q becomes %q in JSON, %v", m, again, err)
	}
}
