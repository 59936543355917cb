package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// machine describes where a run took place.
type machine struct {
	CPU, Memory, Kernel, FileSystem, Go, Date, Commit string
	// Load are the load averages of the last minute before the run and at its end: a busy machine
	// widens the ranges.
	Load  string
	Cores int
}

// describeMachine reads what the system tells; what it does not is "unknown".
func describeMachine(root, dir string) machine {
	read := func(name string) string {
		content, _ := os.ReadFile(name) // absent where the system is not Linux
		return string(content)
	}
	kernel := strings.TrimSpace(read("/proc/sys/kernel/osrelease"))
	if kernel != "" {
		kernel = "Linux " + kernel
	}
	return machine{
		CPU:        cmp.Or(field(read("/proc/cpuinfo"), "model name"), runtime.GOARCH),
		Cores:      runtime.NumCPU(),
		Memory:     memory(field(read("/proc/meminfo"), "MemTotal")),
		Kernel:     cmp.Or(kernel, runtime.GOOS),
		FileSystem: cmp.Or(fileSystem(read("/proc/self/mounts"), dir), "unknown"),
		Go:         runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH,
		Date:       time.Now().UTC().Format("2006-01-02 15:04 UTC"),
		Commit:     commit(root),
	}
}

// loadAverage is that of the last minute; "unknown" where the system does not say.
func loadAverage() string {
	content, _ := os.ReadFile("/proc/loadavg") // absent where the system is not Linux
	first, _, _ := strings.Cut(string(content), " ")
	return cmp.Or(first, "unknown")
}

// commit is the tree's, with a word when files differ from it.
func commit(root string) string {
	git := func(args ...string) (string, error) {
		out, err := exec.Command("git", append([]string{"-C", root}, args...)...).Output()
		return strings.TrimSpace(string(out)), err
	}
	id, err := git("rev-parse", "--short=12", "HEAD")
	if err != nil {
		return "unknown"
	}
	if changed, err := git("status", "--porcelain"); err == nil && changed != "" {
		id += ", with changes that are not committed"
	}
	return id
}

// field returns the value of the first line "name: value" of a file below /proc.
func field(content, name string) string {
	for line := range strings.Lines(content) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// memory is "N kB" of /proc/meminfo as people say it.
func memory(value string) string {
	kib, err := kibibytes(value)
	if err != nil {
		return "unknown"
	}
	return fmt.Sprintf("%.1f GiB", float64(kib)/(1<<20))
}

func kibibytes(value string) (int64, error) {
	number, ok := strings.CutSuffix(value, " kB")
	if !ok {
		return 0, fmt.Errorf("%q is not a number of kB", value)
	}
	return strconv.ParseInt(strings.TrimSpace(number), 10, 64)
}

// fileSystem is the type of the deepest mount that holds dir (fstab(5): device, mount point, type).
func fileSystem(mounts, dir string) string {
	best, kind := "", ""
	for line := range strings.Lines(mounts) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			continue
		}
		point := fields[1]
		holds := point == "/" || dir == point || strings.HasPrefix(dir, point+"/")
		if holds && len(point) >= len(best) {
			best, kind = point, fields[2]
		}
	}
	return kind
}

// allowedCores are the cores that this process may run on; none where the system does not say.
func allowedCores() []string {
	content, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil
	}
	return parseCores(field(string(content), "Cpus_allowed_list"))
}

// parseCores reads a list such as 0-3,8 (cpuset(7), list format). What it cannot read it leaves out.
func parseCores(list string) []string {
	var all []string
	for part := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, err := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if errors.Join(err, err2) != nil {
			continue
		}
		for core := from; core <= to && len(all) < 4096; core++ {
			all = append(all, strconv.Itoa(core))
		}
	}
	return all
}

// noProc is why figures of processes are missing.
const noProc = "the system has no /proc/PID"

// ticksPerSecond is USER_HZ, which Linux fixes for all programs.
const ticksPerSecond = 100

// cpuTime is the time that a process has used so far, user and system, to 10 ms.
func cpuTime(pid int) (time.Duration, error) {
	content, err := os.ReadFile(procFile(pid, "stat"))
	if err != nil {
		return 0, err
	}
	return parseStat(string(content))
}

// parseStat reads utime and stime, fields 14 and 15 of /proc/PID/stat (proc(5)). The second field,
// the program's name in parentheses, can have spaces and parentheses in it.
func parseStat(stat string) (time.Duration, error) {
	end := strings.LastIndexByte(stat, ')')
	fields := strings.Fields(stat[end+1:])
	if end < 0 || len(fields) < 13 {
		return 0, fmt.Errorf("%q is not a /proc/PID/stat", stat)
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err := errors.Join(err, err2); err != nil {
		return 0, err
	}
	return time.Duration(user+system) * time.Second / ticksPerSecond, nil
}

// resident is what a process has in memory, in MiB: now ("VmRSS"), now and without
// mapped files ("RssAnon"), or at most so far ("VmHWM").
func resident(pid int, name string) (float64, error) {
	content, err := os.ReadFile(procFile(pid, "status"))
	if err != nil {
		return 0, err
	}
	kib, err := kibibytes(field(string(content), name))
	return float64(kib) / 1024, err
}

// forgetPeak makes VmHWM begin anew at VmRSS (proc(5), clear_refs).
func forgetPeak(pid int) error {
	return os.WriteFile(procFile(pid, "clear_refs"), []byte("5"), 0)
}

func procFile(pid int, name string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), name)
}
