package emit

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestShellCommandIsOneLineThatTheShellReadsBack(t *testing.T) {
	words := []string{
		"plain", "", "it's $HOME", "it's\n\"$HOME\"\r\n\tand \\n `id`", "\x1b[31m7", "\u202egnitirw", "naïve\n", "\xff\ufffd1", "!!\x7f",
	}
	command := ShellCommand(append([]string{"printf", `%s\0`}, words...))
	for _, r := range command {
		if !strconv.IsPrint(r) {
			t.Errorf("got %q in %q, want only what can be shown", r, command)
		}
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		const hint = "bash is not there; install it to check the quoting with it"
		if os.Getenv("CI") == "true" {
			t.Fatal(hint)
		}
		t.Skip(hint)
	}
	output, err := exec.Command(bash, "-c", command).Output()
	if err != nil {
		t.Fatalf("%v: %s", err, command)
	}
	if diff := cmp.Diff(words, strings.Split(strings.TrimSuffix(string(output), "\x00"), "\x00")); diff != "" {
		t.Errorf("words (-want +got):\n%s", diff)
	}
}
