package main

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

// track shows the progress of transfers on stderr if that is a terminal, and nothing else if it is
// not.
func (a *app) track() client.Track {
	if !isTerminal(a.stderr) || a.json || a.getenv("TERM") == "dumb" {
		return nil
	}
	return func(name string, offset, size int64, r io.ReadCloser) io.ReadCloser {
		bar := progressbar.NewOptions64(size,
			progressbar.OptionSetWriter(a.stderr),
			progressbar.OptionSetDescription(shorten(clean(name), 40)),
			progressbar.OptionShowBytes(true),
			progressbar.OptionSetWidth(30),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionEnableColorCodes(false),
			progressbar.OptionClearOnFinish(),
			progressbar.OptionSetRenderBlankState(true),
		)
		// What was sent before the transfer was cut counts as done.
		_ = bar.Set64(offset)
		return &tracked{ReadCloser: r, bar: bar}
	}
}

type tracked struct {
	io.ReadCloser
	bar *progressbar.ProgressBar
}

func (t *tracked) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	_ = t.bar.Add(n)
	return n, err
}

// Close leaves the line empty, whether or not the transfer came to its end.
func (t *tracked) Close() error {
	_ = t.bar.Clear()
	return t.ReadCloser.Close()
}
