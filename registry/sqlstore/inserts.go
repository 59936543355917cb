package sqlstore

import (
	"context"
	"fmt"
	"strings"
)

// inserts are statements that insert several rows of a table at once.
type inserts struct {
	columns    int // that differ from row to row
	statements map[int]string
}

// insertSizes are the numbers of rows for which there is a statement, so that few are enough for all
// lists, and all stay prepared. The largest keeps far below the databases' limits of parameters.
var insertSizes = []int{64, 16, 4, 1}

// multiInserts makes the statements for rows whose first columns are common to all.
func multiInserts(into string, common, columns int) inserts {
	in := inserts{columns: columns, statements: map[int]string{}}
	for _, size := range insertSizes {
		var b strings.Builder
		b.WriteString(into + " VALUES ")
		for i := range size {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString("(")
			for c := range common + columns {
				n := c + 1
				if c >= common {
					n += i * columns
				}
				if c > 0 {
					b.WriteString(", ")
				}
				fmt.Fprintf(&b, "$%d", n)
			}
			b.WriteString(")")
		}
		in.statements[size] = b.String()
	}
	return in
}

func (in inserts) run(ctx context.Context, q querier, common, values []any) error {
	for _, size := range insertSizes {
		for n := size * in.columns; len(values) >= n && n > 0; values = values[n:] {
			args := append(append(make([]any, 0, len(common)+n), common...), values[:n]...)
			if _, err := q.ExecContext(ctx, in.statements[size], args...); err != nil {
				return err
			}
		}
	}
	return nil
}
