package main

import (
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestStatusCell(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	revocation := func(at time.Time) *registry.Revocation { return &registry.Revocation{At: at} }
	for want, v := range map[string]registry.Version{
		"complete":                       {Status: registry.StatusComplete},
		"failed":                         {Status: registry.StatusFailed},
		"open (not released)":            {Status: registry.StatusOpen, Held: true},
		"open (images pending)":          {Status: registry.StatusOpen},
		"open (1 of 2)":                  {Status: registry.StatusOpen, Expect: []string{"a", "b"}, Builds: []registry.Build{{Component: "a"}}},
		"revoked":                        {Status: registry.StatusComplete, Revocation: revocation(now)},
		"revoked from 2026-11-23 12:00Z": {Status: registry.StatusComplete, Revocation: revocation(now.AddDate(0, 0, 1))},
	} {
		if got := statusCell(v, now).text; got != want {
			t.Errorf("%+v: %q; want %q", v, got, want)
		}
	}
}
