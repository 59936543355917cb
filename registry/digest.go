package registry

import (
	"encoding/hex"
	"strings"
)

// Digest is the sha256 of bytes, as 64 lower-case hexadecimal digits. Make one with [ParseDigest].
type Digest string

// ParseDigest accepts 64 hexadecimal digits of either case, with or without the prefix "sha256:".
func ParseDigest(s string) (Digest, error) {
	d := strings.ToLower(strings.TrimPrefix(s, "sha256:"))
	if raw, err := hex.DecodeString(d); err != nil || len(raw) != 32 {
		return "", Errorf(Invalid, "digest %q must be a sha256 of 64 hexadecimal digits", clip(s))
	}
	return Digest(d), nil
}
