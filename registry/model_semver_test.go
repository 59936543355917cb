package registry_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// modelSemver is a semantic version of three numbers and at most one pre-release text.
type modelSemver struct {
	segments [3]int64
	pre      string
}

func parseModelSemver(s string) modelSemver {
	var v modelSemver
	core, pre, _ := strings.Cut(s, "-")
	if _, err := fmt.Sscanf(core, "%d.%d.%d", &v.segments[0], &v.segments[1], &v.segments[2]); err != nil {
		panic("the test has a bad version " + s)
	}
	v.pre = pre
	return v
}

// compare orders a pre-release before its release.
func (v modelSemver) compare(other modelSemver) int {
	switch c := slices.Compare(v.segments[:], other.segments[:]); {
	case c != 0 || v.pre == other.pre:
		return c
	case v.pre == "":
		return 1
	case other.pre == "":
		return -1
	}
	return cmp.Compare(v.pre, other.pre)
}
