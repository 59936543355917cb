package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// limits are what a figure is held to. Goal is what to aim at, Floor what must be met.
type limits struct {
	Floor, Goal float64
	// AtMost is for figures of which less is better.
	AtMost bool
}

func atLeast(floor, goal float64) *limits { return &limits{Floor: floor, Goal: goal} }
func atMost(floor, goal float64) *limits  { return &limits{Floor: floor, Goal: goal, AtMost: true} }

// figure is one line of the report.
type figure struct {
	Name string
	Unit string
	// Value is the median of the rounds, Low and High their range.
	Value, Low, High float64
	// Rounds is how many values that were.
	Rounds int
	Limits *limits // nil: a detail, which is held to nothing
	// Missing says why there is no value.
	Missing string
}

// median makes a figure of the values of its rounds.
func median(name, unit string, values []float64, l *limits) figure {
	f := figure{Name: name, Unit: unit, Limits: l, Rounds: len(values)}
	if len(values) == 0 {
		f.Missing = "nothing was measured"
		return f
	}
	f.Value, f.Low, f.High = middle(values), slices.Min(values), slices.Max(values)
	return f
}

// middle is the median.
func middle(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

func missing(name, unit, why string, l *limits) figure {
	return figure{Name: name, Unit: unit, Missing: why, Limits: l}
}

// verdict of a figure that has limits is ok or short or, where there is no value, missing.
func (f figure) verdict() string {
	switch {
	case f.Missing != "":
		return "missing"
	case f.Limits.AtMost && f.Value <= f.Limits.Floor, !f.Limits.AtMost && f.Value >= f.Limits.Floor:
		return "ok"
	}
	return "short"
}

var (
	columns       = []string{"figure", "value", "unit", "floor", "goal", "verdict", "range"}
	detailColumns = []string{"detail", "value", "unit", "range"}
)

// cells are the columns of a figure, or of a detail.
func (f figure) cells() []string {
	value, spread := "-", "-"
	if f.Missing == "" {
		value = number(f.Value)
		if f.Rounds > 1 {
			spread = number(f.Low) + " - " + number(f.High)
		}
	}
	l := f.Limits
	if l == nil {
		return []string{f.Name, value, f.Unit, spread}
	}
	sign := ">= "
	if l.AtMost {
		sign = "<= "
	}
	return []string{f.Name, value, f.Unit, sign + number(l.Floor), sign + number(l.Goal), f.verdict(), spread}
}

// split separates what has limits from the details.
func split(figures []figure) (held, details []figure) {
	for _, f := range figures {
		if f.Limits != nil {
			held = append(held, f)
		} else {
			details = append(details, f)
		}
	}
	return held, details
}

// number has three digits, or all those before the point.
func number(v float64) string {
	if math.Abs(v) >= 99.95 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// printTable writes the figures and then the details, aligned, and below them why some are missing.
func printTable(w io.Writer, figures []figure) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	held, details := split(figures)
	fmt.Fprintln(t, strings.Join(columns, "\t"))
	for _, f := range held {
		fmt.Fprintln(t, strings.Join(f.cells(), "\t"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(t, "\n"+strings.Join(detailColumns, "\t"))
	for _, f := range details {
		fmt.Fprintln(t, strings.Join(f.cells(), "\t"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, f := range figures {
		if f.Missing != "" {
			fmt.Fprintf(w, "missing: %s: %s\n", f.Name, f.Missing)
		}
	}
	_, err := fmt.Fprintln(w, summary(figures))
	return err
}

func summary(figures []figure) string {
	counts := map[string]int{}
	held, _ := split(figures)
	for _, f := range held {
		counts[f.verdict()]++
	}
	return fmt.Sprintf("%d ok, %d short, %d missing", counts["ok"], counts["short"], counts["missing"])
}

// record is a run as docs/benchmarks.md shows it.
type record struct {
	Machine machine
	Pinning string
	Scale   scale
	Figures []figure
}

// writeMarkdown writes the page.
func (r record) writeMarkdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Benchmarks\n\n`make bench` measures, and writes this page. It is the last recorded run: compare the ratios, not the rates, with other machines.\n\n")
	b.WriteString("## Method\n\n" + r.method() + "\n\n## Machine\n\n| | |\n|---|---|\n")
	m := r.Machine
	for _, row := range [][2]string{
		{"CPU", fmt.Sprintf("%s, %d cores", m.CPU, m.Cores)}, {"memory", m.Memory}, {"kernel", m.Kernel}, {"file system", m.FileSystem},
		{"Go", m.Go}, {"date", m.Date}, {"commit", m.Commit}, {"load average", m.Load}, {"cores", r.Pinning},
	} {
		fmt.Fprintf(&b, "| %s | %s |\n", row[0], strings.ReplaceAll(cmp.Or(row[1], "unknown"), "|", `\|`))
	}
	held, details := split(r.Figures)
	b.WriteString("\n## Figures\n\n" + markdownTable(columns, held) + "\n" + summary(r.Figures) + ".\n")
	b.WriteString("\n## Details\n\n" + markdownTable(detailColumns, details))
	for _, f := range r.Figures {
		if f.Missing != "" {
			fmt.Fprintf(&b, "\n%s is missing: %s.\n", f.Name, f.Missing)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func markdownTable(columns []string, figures []figure) string {
	var b strings.Builder
	b.WriteString("| " + strings.Join(columns, " | ") + " |\n" + strings.Repeat("|---", len(columns)) + "|\n")
	for _, f := range figures {
		b.WriteString("| " + strings.Join(f.cells(), " | ") + " |\n")
	}
	return b.String()
}

func (r record) method() string {
	s := r.Scale
	return strings.Join([]string{
		"Every ratio is against a reference that the same run starts and measures itself. A round measures each target once, in turn; a value is the median of the rounds (of their ratios, where it is a ratio), and the range is beside it.",
		"The server is the `almanac serve` of this tree with its defaults, over SQLite with `synchronous=FULL`; its request log is written, to nowhere.",
		fmt.Sprintf("Lookups: %d keep-alive connections for %s a round, %d rounds, a bearer token and the same headers for all targets, artifacts and regions drawn at random with a fixed seed; server with one core and `GOMAXPROCS=1`, load generator on another core, unless the table below says that nothing is pinned.", loadConnections, s.Load, s.Rounds),
		fmt.Sprintf("The large data set has %s, which is %d images; the small one %s. \"As many keys\" draws from as many artifacts of the large data set as the small one has, spread over all of it, so that rows are compared, and not how many answers the processor's caches hold. \"bare\" is a net/http handler with a prepared body.", s.Big, s.Big.rows(), s.Small),
		"CPU is user and system time of the server process per request or GiB, from `/proc/PID/stat`.",
		fmt.Sprintf("Transfers are of %d MiB in the page cache, over loopback; each upload has bytes that the registry does not know, and a server of its own that may use all cores. \"sha256\" hashes as many bytes, and \"write\" writes as many to a file on the same disk without fsync, both from memory; \"cp + fsync\" copies the file, syncs the copy and removes it.", s.File>>20),
		"A box is a .box of random bytes, which its gzip stores without compressing them. It goes through the upload URL of the Vagrant Cloud API, and comes back from the URL that a catalog names; nginx, with one process, sends the same file from the page cache. " +
			fmt.Sprintf("The memory is that of a server before and after one box of %d MiB, which is made while it is sent, and read to its end.", s.Large>>20),
		"Publications are durable and over HTTP; \"fsync\" appends 4 KiB to a file and syncs it, again and again.",
		"A build is that of one AMI in one region with the unmodified amazon-ebs builder against a local stand-in for EC2, with and without the post-processor, in turn.",
		"A plan is that of the real Terraform, in turn with one data source almanac_artifact for each artifact of the large data set, with Terraform's own terraform_remote_state for each, in which no provider has a part, and with one module for each that has as many regions as locals; all have an output for each.",
		"A start is from exec to the first 200 of `/readyz`.",
		"Not measured: PostgreSQL, S3, a network.",
	}, " ")
}
