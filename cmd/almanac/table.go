package main

import (
	"strings"

	"github.com/rivo/uniseg"
)

// A table is printed with aligned columns. Cells are cleaned when they are printed, so callers put
// in what the registry said.
type table struct {
	header []string
	rows   [][]cell
}

type cell struct {
	text  string
	style style
}

// style is the number of an SGR attribute or colour; 0 is plain.
type style string

const (
	plain  style = ""
	bold   style = "1"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
)

// paint wraps text that is clean already.
func (s style) paint(text string) string {
	if s == plain || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

func newTable(header ...string) *table { return &table{header: header} }

// add adds a row of strings and cells.
func (t *table) add(cells ...any) {
	row := make([]cell, len(cells))
	for i, c := range cells {
		switch c := c.(type) {
		case cell:
			row[i] = c
		case string:
			row[i] = cell{text: c}
		}
	}
	t.rows = append(t.rows, row)
}

const columnGap = "  "

// format returns the table with indent before each line. The last column is not padded.
func (t *table) format(indent string, colour bool) string {
	head := make([]cell, len(t.header))
	for i, name := range t.header {
		head[i] = cell{name, bold}
	}
	rows := t.rows
	if len(head) > 0 {
		rows = append([][]cell{head}, rows...)
	}
	var widths []int
	for r, row := range rows {
		clone := make([]cell, len(row))
		for i, c := range row {
			clone[i] = cell{clean(c.text), c.style}
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], uniseg.StringWidth(clone[i].text))
		}
		rows[r] = clone
	}
	var b strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for i, c := range row {
			if i > 0 {
				line.WriteString(columnGap)
			}
			text := c.text
			if colour {
				text = c.style.paint(text)
			}
			line.WriteString(text)
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", widths[i]-uniseg.StringWidth(c.text)))
			}
		}
		b.WriteString(strings.TrimRight(indent+line.String(), " "))
		b.WriteByte('\n')
	}
	return b.String()
}

// dropEmpty removes a column in which nothing is.
func (t *table) dropEmpty(column int) {
	for _, row := range t.rows {
		if row[column].text != "" {
			return
		}
	}
	for i, row := range t.rows {
		t.rows[i] = append(row[:column:column], row[column+1:]...)
	}
}
