package main

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseStat(t *testing.T) {
	for _, test := range []struct {
		name, stat string
		want       time.Duration
		fails      bool
	}{
		{name: "user and system time are added", stat: "4711 (almanac) S 1 4711 4711 0 -1 4194560 100 0 0 0 123 45 0 0 20 0 8 0 1000 1 2\n", want: 1680 * time.Millisecond},
		{name: "a name with a parenthesis and spaces is a name", stat: "1 (a) 9 9 (b) S 1 1 1 0 -1 0 0 0 0 0 7 3 0 0 20", want: 100 * time.Millisecond},
		{name: "a short line is refused", stat: "1 (a) S 1 1", fails: true},
		{name: "a line without a name is refused", stat: "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", fails: true},
		{name: "text for a number is refused", stat: "1 (a) S 1 1 1 0 -1 0 0 0 0 0 x 3 0 0 20", fails: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseStat(test.stat)
			if (err != nil) != test.fails || got != test.want {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestParseCores(t *testing.T) {
	for list, want := range map[string][]string{
		"0-1": {"0", "1"}, "3": {"3"}, "0,2-4,7": {"0", "2", "3", "4", "7"}, "": nil, "x-2,5": {"5"},
	} {
		if diff := cmp.Diff(want, parseCores(list)); diff != "" {
			t.Errorf("%q: %s", list, diff)
		}
	}
	if got := len(parseCores("0-99999999999")); got > 4096 {
		t.Errorf("a range without end gives %d cores", got)
	}
}

func TestProcFields(t *testing.T) {
	const status = "Name:\talmanac\nVmHWM:\t  51200 kB\nVmRSS:\t  30720 kB\n"
	if got, err := kibibytes(field(status, "VmRSS")); err != nil || got != 30720 {
		t.Errorf("got %d, %v", got, err)
	}
	if _, err := kibibytes(field(status, "VmSwap")); err == nil {
		t.Error("a field that is not there has a value")
	}
	if got := memory("24117248 kB"); got != "23.0 GiB" {
		t.Errorf("got %q", got)
	}
	if got := memory(""); got != "unknown" {
		t.Errorf("got %q", got)
	}
}

func TestFileSystem(t *testing.T) {
	const mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/vdb /srv/data xfs rw 0 0\nbroken\n"
	for dir, want := range map[string]string{
		"/home/x": "ext4", "/tmp": "tmpfs", "/tmp/x": "tmpfs", "/tmpfile": "ext4", "/srv/data/a/b": "xfs", "/srv": "ext4",
	} {
		if got := fileSystem(mounts, dir); got != want {
			t.Errorf("%s: got %s, want %s", dir, got, want)
		}
	}
}

func TestOwnProcess(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("the system has no /proc: figures of processes are reported as missing there")
	}
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for begun := time.Now(); time.Since(begun) < 10*time.Second; {
		if after, err := cpuTime(os.Getpid()); err != nil {
			t.Fatal(err)
		} else if after > before {
			break
		}
	}
	if after, err := cpuTime(os.Getpid()); err != nil || after <= before {
		t.Errorf("no time was used: %v, %v", after, err)
	}
	held := make([]byte, 64<<20)
	for i := range held {
		held[i] = 1
	}
	if rss, err := resident(os.Getpid(), "VmRSS"); err != nil || rss < 64 {
		t.Errorf("got %v MiB, %v", rss, err)
	}
	if held[len(held)-1] != 1 { // keeps it alive
		t.Error("the memory was lost")
	}
}
