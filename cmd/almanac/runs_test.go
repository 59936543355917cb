package main

import (
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestRunStatus(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	before, after := now.Add(-time.Minute), now.Add(time.Minute)
	for _, tt := range []struct {
		name string
		run  registry.Run
		want cell
	}{
		{"one that waits", registry.Run{Status: registry.RunQueued}, cell{"queued", plain}},
		{"one whose runner is heard of", registry.Run{Status: registry.RunRunning, LeaseUntil: &after}, cell{"running", plain}},
		{"one whose runner is silent", registry.Run{Status: registry.RunRunning, LeaseUntil: &before}, cell{"running, silent since 2026-05-01 11:59Z", yellow}},
		{"one that is done", registry.Run{Status: registry.RunDone}, cell{"done", green}},
		{"one that failed", registry.Run{Status: registry.RunFailed}, cell{"failed", red}},
	} {
		if got := runStatusCell(tt.run, now); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestRunResult(t *testing.T) {
	version := &registry.VersionID{Number: 1, Version: "0.1.0"}
	for _, tt := range []struct {
		run  registry.Run
		want string
	}{
		{registry.Run{}, ""},
		{registry.Run{Result: version}, "0.1.0"},
		{registry.Run{Message: "packer exited with status 1"}, "packer exited with status 1"},
		{registry.Run{Result: version, Message: "packer exited with status 1"}, "0.1.0: packer exited with status 1"},
	} {
		if got := runResult(tt.run); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestLogLines(t *testing.T) {
	const log = "\x1b[1;32m==> app: ünder\x1b[0m\r\n\tdeep\x1b]0;title\a\nwithout an end\x1b[K"
	const want = "==> app: ünder\n\tdeep\\x1b]0;title\\a\nwithout an end\n"
	for cut := range len(log) + 1 {
		var lines logLines
		if got := lines.add(log[:cut]) + lines.add(log[cut:]) + lines.rest(); got != want {
			t.Errorf("cut at %d: got %q, want %q", cut, got, want)
		}
	}
	var lines logLines
	if got := lines.add("whole\n") + lines.rest(); got != "whole\n" {
		t.Errorf("got %q", got)
	}
}
