package vagrant

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"io"
	"strings"
)

// hashes are the types of checksums that Vagrant knows.
var hashes = map[string]func() hash.Hash{
	"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New,
}

const checksumTypes = "md5, sha1, sha256, sha384 or sha512"

// checksum reads what a client says of the bytes of a box; "" where it says nothing. The type may be before the
// digits, as in "sha256:…", and may be left out, for the number of the digits tells it.
func checksum(o *object) (sum, typ string) {
	sum, typ = strings.ToLower(o.word("checksum")), strings.ToLower(o.word("checksum_type"))
	if before, after, ok := strings.Cut(sum, ":"); ok {
		if typ != "" && typ != before {
			o.add("checksum_type", "%q is not that of the checksum, %q", clip(typ), clip(before))
			return "", ""
		}
		typ, sum = before, after
	}
	if sum == "" {
		return "", "" // a type alone says nothing
	}
	for t, newHash := range hashes {
		if typ == "" && len(sum) == digits(newHash) {
			typ = t
		}
	}
	newHash, known := hashes[typ]
	_, err := hex.DecodeString(sum)
	switch {
	case typ == "":
		o.add("checksum", "has %d characters, which is none of %s", len(sum), checksumTypes)
	case !known:
		o.add("checksum_type", "%q must be %s", clip(typ), checksumTypes)
	case len(sum) != digits(newHash) || err != nil:
		o.add("checksum", "must have %d hexadecimal digits, as it is a %s", digits(newHash), typ)
	}
	return sum, typ
}

func digits(newHash func() hash.Hash) int { return 2 * newHash().Size() }

// sumOf computes a checksum of a known type.
func sumOf(r io.Reader, typ string) (string, error) {
	h := hashes[typ]()
	_, err := io.Copy(h, r)
	return hex.EncodeToString(h.Sum(nil)), err
}
