package emit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode"
	"unicode/utf16"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// tfvars writes {"IDENT": {…}}. In a *.tfvars.json strings are literal, so nothing is escaped but for
// JSON. JSON has no comments: what an HCL file says in its header is the member "almanac", which comes
// first.
func tfvars(r registry.Resolution, o Options, described object) ([]byte, error) {
	pin := object{{"generated", Marker}, {"ref", o.Ref}}
	if o.Address != "" {
		pin = append(pin, member{"source", source(r, o)})
	}
	pin = append(pin, member{"regenerate", command(r, o)}, member{"checksum", blankChecksum})
	file := object{{o.Ident, append(object{{"almanac", pin}}, described...)}}
	compact, err := marshalJSON(file)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, compact, "", "  "); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return escapeInvisible(b.Bytes()), nil
}

// escapeInvisible escapes what a reader of the file would not see or see in another place, such as
// characters that change the direction of writing. In JSON they can only be in strings.
func escapeInvisible(content []byte) []byte {
	var b bytes.Buffer
	for _, r := range string(content) {
		switch {
		case r < 0x7f || unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.Bytes()
}
