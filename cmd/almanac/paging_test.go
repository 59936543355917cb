package main

import (
	"context"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCollect(t *testing.T) {
	for _, tt := range []struct {
		name         string
		total, limit int
		want         int
		more         bool
		pages        []int
	}{
		{"nothing is an empty list", 0, 1000, 0, false, []int{500}},
		{"all pages are followed", 1100, 2000, 1100, false, []int{500, 500, 500}},
		{"the limit cuts the last page", 1100, 600, 600, true, []int{500, 100}},
		{"a limit that is just reached is no cut", 600, 600, 600, false, []int{500, 100}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var pages []int
			got, next, err := collect(t.Context(), tt.limit, func(_ context.Context, cursor string, limit int) ([]int, string, error) {
				pages = append(pages, limit)
				from, _ := strconv.Atoi(cursor)
				to := min(from+limit, tt.total)
				var entries []int
				for i := from; i < to; i++ {
					entries = append(entries, i)
				}
				if to < tt.total {
					return entries, strconv.Itoa(to), nil
				}
				return entries, "", nil
			})
			if err != nil || got == nil || len(got) != tt.want || (next != "") != tt.more {
				t.Errorf("got %d entries, next %q, %v; want %d, more %v", len(got), next, err, tt.want, tt.more)
			}
			if diff := cmp.Diff(tt.pages, pages); diff != "" {
				t.Errorf("pages asked for (-want +got):\n%s", diff)
			}
		})
	}
}
