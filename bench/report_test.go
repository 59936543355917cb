package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/internal/golden"
)

var someFigures = []figure{
	median("met, more is better", "x", []float64{0.52, 0.31, 0.44}, atLeast(0.3, 0.5)),
	median("just met", "x", []float64{0.3}, atLeast(0.3, 0.5)),
	median("short, more is better", "x", []float64{0.2994, 0.1}, atLeast(0.3, 0.5)),
	median("met, less is better", "ms", []float64{999.7, 999.8}, atMost(1000, 200)),
	median("short, less is better", "MiB", []float64{1234.5}, atMost(150, 64)),
	median("met, with a unit of time", "ms", []float64{12.34}, pluginLimits),
	median("a detail", "req/s", []float64{76432.4, 69800, 80600}, nil),
	missing("without packer", "ms", "packer is not there; run make tools", pluginLimits),
	median("without a round", "x", nil, atLeast(0.3, 0.5)),
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	if err := printTable(&out, someFigures); err != nil {
		t.Fatal(err)
	}
	golden.Equal(t, filepath.Join("testdata", "table.txt"), out.String())
}

func TestPage(t *testing.T) {
	r := record{
		Machine: machine{CPU: "Some | CPU", Cores: 2, Memory: "23.4 GiB", Kernel: "Linux 6.1", FileSystem: "ext4", Go: "go1.26 linux/amd64", Date: "2026-01-02 03:04 UTC", Commit: "0123456789ab", Load: "0.20 before the run, 1.70 at its end"},
		Pinning: cores{server: "0", load: "1"}.String(), Scale: full, Figures: someFigures,
	}
	var out bytes.Buffer
	if err := r.writeMarkdown(&out); err != nil {
		t.Fatal(err)
	}
	golden.Equal(t, filepath.Join("testdata", "page.md"), out.String())
	t.Run("every row of a table has its columns", func(t *testing.T) {
		_, figures, _ := strings.Cut(out.String(), "## Figures")
		figures, details, _ := strings.Cut(figures, "## Details")
		for table, want := range map[string]int{figures: len(columns), details: len(detailColumns)} {
			for line := range strings.Lines(table) {
				if strings.HasPrefix(line, "|") && strings.Count(line, "|") != want+1 {
					t.Errorf("got %q", line)
				}
			}
		}
	})
}

func TestMiddle(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := middle(test.values); got != test.want {
			t.Errorf("middle(%v): got %v, want %v", test.values, got, test.want)
		}
	}
}

func TestPercentile(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	for _, test := range []struct {
		sorted []time.Duration
		p      int
		want   time.Duration
	}{
		{nil, 50, 0}, {hundred[:1], 99, 1}, {hundred, 50, 50}, {hundred, 99, 99}, {hundred, 100, 100}, {hundred, 0, 1},
		{hundred[:10], 99, 10}, {hundred[:3], 50, 2},
	} {
		if got := percentile(test.sorted, test.p); got != test.want {
			t.Errorf("percentile %d of %d values: got %d, want %d", test.p, len(test.sorted), got, test.want)
		}
	}
}
