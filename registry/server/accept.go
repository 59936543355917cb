package server

import (
	"strconv"
	"strings"
)

// preferred returns which of the offered media types an Accept header likes most (RFC 9110, 12.5.1):
// the highest q wins, the earlier offer on a tie. The first offer answers no header, one that
// accepts none of them, and one that makes no sense: nobody is sent away for a header.
func preferred(accept []string, offers ...string) string {
	best, bestQ := offers[0], 0.0
	for _, offer := range offers {
		if q := quality(accept, offer); q > bestQ {
			best, bestQ = offer, q
		}
	}
	return best
}

// quality returns the q of the most specific range that fits a media type; 0 when none does.
func quality(accept []string, offer string) float64 {
	kind, _, _ := strings.Cut(offer, "/")
	q, specific := 0.0, 0
	for _, line := range accept {
		for part := range strings.SplitSeq(line, ",") {
			media, params, _ := strings.Cut(part, ";")
			media = strings.ToLower(strings.TrimSpace(media))
			fit := 0
			switch {
			case media == offer:
				fit = 3
			case media == kind+"/*":
				fit = 2
			case media == "*/*":
				fit = 1
			}
			if fit > specific {
				q, specific = qValue(params), fit
			}
		}
	}
	return q
}

// qValue reads the q of a media range's parameters: 1 without one, 0 for one that is no number
// between 0 and 1.
func qValue(params string) float64 {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		if !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !(q >= 0 && q <= 1) { // NaN fits neither
			return 0
		}
		return q
	}
	return 1
}
