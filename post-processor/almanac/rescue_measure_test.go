package almanac_test

import (
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
)

func TestASensitiveAddressIsRefused(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	from := core("x", "app")
	from["packer_user_variables"], from["packer_sensitive_variables"] = decoded{"addr": s.URL}, []any{"addr"}
	got := configure(options{"artifact": "cargomedia/app", "address": s.URL}, from)
	if !strings.Contains(got, `address: holds the value of the sensitive variable "addr"; it is shown`) {
		t.Errorf("got %q", got)
	}
}

// What the upload found out of a file is not found out again; the rest is, and that is told.
func TestAFileIsMeasuredOnce(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	p := newProxy(t, s)
	p.answer(away)
	dir := t.TempDir()
	first, second := write(t, "1", dir, "a"), write(t, "2", dir, "b")
	shown := record(t, options{"artifact": "cargomedia/app", "retry_timeout": "10ms"}, core("file", "app"), &product{builderID: "packer.file", files: []string{first, second}})
	if strings.Contains(shown, "Measuring "+first) || !strings.Contains(shown, "Measuring "+second) {
		t.Errorf("shown:\n%s\nwant that the second file alone is measured", shown)
	}
	send(t, s, publishFile(t, cwd(t), shown))
}

func TestADirectoryThatCannotBePackedIsInThePublishFile(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	dir := t.TempDir()
	write(t, "x", dir, "out", "disk")
	for _, name := range []string{"TMPDIR", "TMP", "TEMP"} {
		t.Setenv(name, dir+"/gone")
	}
	a := ami()
	a.files = []string{dir + "/out"}
	a.builderID = "jetbrains.vsphere"
	shown := record(t, options{"artifact": "cargomedia/app", "retry_timeout": "10ms"}, core("x", "app"), a)
	path := publishFile(t, cwd(t), shown)
	for _, name := range []string{"TMPDIR", "TMP", "TEMP"} {
		t.Setenv(name, dir)
	}
	send(t, s, path)
}
