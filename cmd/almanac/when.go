package main

import (
	"fmt"
	"strconv"
	"time"
)

// parseWhen reads a time: RFC 3339, a date (its start in UTC), or a span from now such as 90d, 2w,
// 12h or 30m.
func parseWhen(s string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	span, err := parseSpan(s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is no time; write 2026-07-01, 2026-07-01T12:00:00Z, or a span from now such as 90d, 2w or 12h", shorten(s, 40))
	}
	return now.Add(span).UTC().Truncate(time.Second), nil
}

const maxSpan = 100 * 365 * 24 * time.Hour

func parseSpan(s string) (time.Duration, error) {
	units := map[byte]time.Duration{'w': 7 * 24 * time.Hour, 'd': 24 * time.Hour, 'h': time.Hour, 'm': time.Minute}
	if len(s) < 2 || units[s[len(s)-1]] == 0 {
		return 0, fmt.Errorf("no unit")
	}
	unit := units[s[len(s)-1]]
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 32)
	if err != nil || time.Duration(n) > maxSpan/unit {
		return 0, fmt.Errorf("no number of units")
	}
	return time.Duration(n) * unit, nil
}
