package main

import (
	"context"
	"regexp"
	"strings"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

type runsLogCmd struct {
	runID
	Follow bool `short:"f" help:"Go on until the run has ended."`
}

func (c *runsLogCmd) Help() string {
	return `Colours are left out, and what else a terminal would obey is shown as an escape such as \x1b. It needs the role publish for the target: a build can print what not everybody should see.

Example:

    almanac runs log 3 --follow`
}

// followEvery is how often a log that is followed is asked for more.
const followEvery = time.Second

func (c *runsLogCmd) Run(a *app) error {
	id, err := c.check("runs log")
	if err != nil {
		return err
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	if a.json {
		var whole strings.Builder
		end, err := c.read(a.ctx, client, id, func(text string) { whole.WriteString(text) })
		if err != nil {
			return hinted(err, "almanac runs", registry.NotFound)
		}
		end.Text = whole.String()
		return writeJSON(a.stdout, end)
	}
	var lines logLines
	end, err := c.read(a.ctx, client, id, func(text string) { a.printf("%s", lines.add(text)) })
	a.printf("%s", lines.rest())
	if err != nil {
		return hinted(err, "almanac runs", registry.NotFound)
	}
	if end.Full {
		a.note("The log is as long as it can be; what came after is not kept.")
	}
	return nil
}

// read gives all there is to take, and with --follow what comes, and returns the last piece.
func (c *runsLogCmd) read(ctx context.Context, client *client.Client, id int64, take func(string)) (registry.RunLog, error) {
	from := int64(0)
	for {
		piece, err := client.RunLog(ctx, id, from)
		if err != nil {
			return piece, err
		}
		take(piece.Text)
		from = piece.Next
		if piece.Ended || piece.Text == "" && !c.Follow {
			return piece, nil
		}
		if piece.Text != "" {
			continue
		}
		select {
		case <-ctx.Done():
			return piece, ctx.Err()
		case <-time.After(followEvery):
		}
	}
}

// logLines makes a log that comes in pieces fit for a terminal. What it does to a line needs all of it.
type logLines struct{ begun string }

// add returns the lines that are whole with one more piece.
func (l *logLines) add(text string) string {
	text = l.begun + text
	end := strings.LastIndexByte(text, '\n') + 1
	l.begun = text[end:]
	return cleanLog(text[:end])
}

// rest returns the last line if it has no end, and ends it.
func (l *logLines) rest() string {
	if l.begun == "" {
		return ""
	}
	return cleanLog(l.begun) + "\n"
}

// colours are what programs write to change how text looks, and to clear a line.
var colours = regexp.MustCompile("\x1b\\[[0-9;]*[mK]")

// cleanLog is clean for text of many lines, with tabs, that was written for a terminal.
func cleanLog(text string) string {
	text = colours.ReplaceAllString(strings.ReplaceAll(text, "\r\n", "\n"), "")
	parts := strings.Split(text, "\t")
	for i, part := range parts {
		parts[i] = cleanLines(part)
	}
	return strings.Join(parts, "\t")
}
