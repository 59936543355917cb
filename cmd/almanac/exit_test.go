package main

import (
	"bytes"
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/ec2sim"
	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
)

// TestExitCodes holds the program to the codes that docs/cli.md promises to scripts.
func TestExitCodes(t *testing.T) {
	s := servertest.New(t)
	reader := s.Token(t, "reader", "read", "cargomedia/*")
	dir := t.TempDir()
	stale := filepath.Join(dir, "app.tf")
	env := map[string]string{"ALMANAC_ADDR": s.URL, "ALMANAC_TOKEN": s.AdminToken}
	call := func(t *testing.T, args ...string) (code int, stdout, stderr string) {
		t.Helper()
		var out, errs bytes.Buffer
		code = run(t.Context(), args, func(name string) string { return env[name] }, strings.NewReader(""), &out, &errs)
		return code, out.String(), errs.String()
	}
	publish := []string{"publish", "cargomedia/app", "--type", "aws.ami", "--image", "aws/eu-west-1/ami-0a1", "--fingerprint", "run-1", "--channel", "production"}
	for _, args := range [][]string{
		publish,
		{"terraform", "cargomedia/app", "--ref", "production", "--style", "locals", "--out", stale},
		{"publish", "cargomedia/app", "--type", "aws.ami", "--image", "aws/eu-west-1/ami-0a2", "--fingerprint", "run-2", "--channel", "production"},
	} {
		if code, _, stderr := call(t, args...); code != exitOK {
			t.Fatalf("%v: exit code %d\n%s", args, code, stderr)
		}
	}
	sim := ec2sim.New()
	ec2 := httptest.NewServer(sim)
	t.Cleanup(ec2.Close)
	t.Setenv("AWS_ENDPOINT_URL", ec2.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	for version, state := range map[string]string{"8.0.0": "pending", "9.0.0": "failed"} {
		id, err := sim.AddImage("eu-west-1", state)
		if err != nil {
			t.Fatal(err)
		}
		if err := sim.Inject(ec2sim.Fault{Image: id, State: state}); err != nil {
			t.Fatal(err)
		}
		args := []string{"publish", "cargomedia/seen", "--type", "aws.ami", "--image", "aws/eu-west-1/" + id, "--version", version, "--expect", "manual.amazon", "--expect", "manual.archive"}
		if code, _, stderr := call(t, args...); code != exitOK {
			t.Fatalf("%v: exit code %d\n%s", args, code, stderr)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "taken"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		args []string
		want int
	}{
		{"done is 0", []string{"resolve", "cargomedia/app", "production"}, exitOK},
		{"a file in the way is 1", []string{"--token-file", filepath.Join(dir, "taken"), "artifacts"}, exitError},
		{"a bad flag is 2", []string{"artifacts", "--nope"}, exitUsage},
		{"what the registry calls invalid is 2", []string{"publish", "cargomedia/app", "--type", "aws.ami", "--image", "aws/eu-west-1/nonsense"}, exitUsage},
		{"not found is 3", []string{"show", "cargomedia/nothing"}, exitNotFound},
		{"no such region is 3", []string{"resolve", "cargomedia/app", "1", "--region", "eu-north-1"}, exitNotFound},
		{"a bad token is 4", []string{"--token", "alm_nobodyhasthis", "token", "list"}, exitRefused},
		{"a role that does not allow it is 4", append([]string{"--token", reader}, publish...), exitRefused},
		{"a conflict is 5", []string{"publish", "cargomedia/app", "--type", "aws.ami", "--image", "aws/eu-west-1/ami-0ff", "--fingerprint", "run-1"}, exitConflict},
		{"a registry that is away is 6", []string{"--address", "http://127.0.0.1:1", "artifacts"}, exitUnavailable},
		{"a stale file is 7", []string{"terraform", "cargomedia/app", "--ref", "production", "--out", stale, "--check"}, exitStale},
		{"a pending AMI is 8", []string{"aws", "verify", "cargomedia/seen", "8.0.0"}, exitPending},
		{"an AMI that cannot be used is 9", []string{"aws", "verify", "cargomedia/seen", "9.0.0"}, exitFailed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, _, stderr := call(t, tt.args...)
			if code != tt.want {
				t.Errorf("exit code %d, want %d; stderr:\n%s", code, tt.want, stderr)
			}
			if (code != exitOK) != strings.HasPrefix(stderr, "almanac: ") {
				t.Errorf("exit code %d with stderr %q", code, stderr)
			}
		})
	}
	t.Run("a signal is 130", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var out, errs bytes.Buffer
		if code := run(ctx, []string{"--address", s.URL, "artifacts"}, noenv, strings.NewReader(""), &out, &errs); code != exitInterrupted {
			t.Errorf("exit code %d, want %d; stderr:\n%s", code, exitInterrupted, errs.String())
		}
	})
}
