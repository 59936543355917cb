package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestACommandThatIsNotThereEndsTheRunnerBeforeItTakesARun(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, command string
		chdir, wrong  bool
	}{
		{"one that is there", self, false, false},
		{"one that is not in $PATH", "almanac-no-such-command", false, true},
		{"one that is not in $PATH, for the application", "almanac-no-such-command", true, true},
		{"one that is no file", "./no-such-command", false, true},
		{"one that may be in the application", "./no-such-command", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := runnerCmd{Link: []string{"cargomedia/app:cargomedia/app-image"}, Poll: time.Second, Lease: time.Minute, Chdir: tt.chdir, Command: []string{tt.command}}
			_, err := c.check()
			if (err != nil) != tt.wrong || err != nil && !strings.Contains(err.Error(), "COMMAND: ") {
				t.Errorf("got %v", err)
			}
		})
	}
}
