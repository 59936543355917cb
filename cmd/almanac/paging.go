package main

import (
	"context"
)

const (
	// defaultListLimit is how many entries a list shows unless --limit says otherwise.
	defaultListLimit = 1000
	// pageSize is the most that the registry sends at once.
	pageSize = 500
)

// listFlags are those of commands that list what can be long.
type listFlags struct {
	Limit int `placeholder:"N" help:"Show at most N entries. Default: 1000."`
}

func (l listFlags) limit(p *problems) int {
	if l.Limit < 0 {
		p.add("--limit", "must be 1 or more")
	}
	if l.Limit == 0 {
		return defaultListLimit
	}
	return l.Limit
}

// collect follows the cursors of a list until it has limit entries or the list ends. The cursor that
// it returns is that of the rest; "" when there is none.
func collect[T any](ctx context.Context, limit int, page func(ctx context.Context, cursor string, limit int) ([]T, string, error)) ([]T, string, error) {
	all, cursor := []T{}, ""
	for {
		entries, next, err := page(ctx, cursor, min(pageSize, limit-len(all)))
		if err != nil {
			return nil, "", err
		}
		all = append(all, entries...)
		if next == "" || len(all) >= limit {
			return all, next, nil
		}
		cursor = next
	}
}

// noteRest tells a person that a list is not all there is.
func (a *app) noteRest(shown int, next string) {
	if next != "" {
		a.note("There are more than these %d; --limit N shows more.", shown)
	}
}
