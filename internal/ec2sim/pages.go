package ec2sim

import (
	"encoding/base64"
	"strconv"
	"strings"
)

// MaxPageSize is how many images or instances a page of a Describe action has at
// most.
const MaxPageSize = 1000

// paging is how a Describe action gives its list in pages.
type paging struct {
	things string // What is in the list, as the tokens of its pages say it.
	ids    string // The parameter that asks for some of them by their ids.
	set    string // What EC2 calls that parameter in errors.
	least  int    // The smallest MaxResults that is taken.
}

var (
	imagePages    = paging{"images", "ImageId", "imagesSet", 1}
	instancePages = paging{"instances", "InstanceId", "instancesSet", 5}
)

// check refuses pages of a list that is asked for by ids.
func (l paging) check(p params) error {
	if len(p.list(l.ids)) > 0 && (p["MaxResults"] != "" || p["NextToken"] != "") {
		return fail("InvalidParameterCombination", "The parameter %s cannot be used with the parameter maxResults", l.set)
	}
	return nil
}

// page is the part of the items that MaxResults, NextToken and the Server's page
// size leave, and the token of what follows. What is asked for by ids is one page.
func page[T any](c *call, l paging, items []T) (part []T, next string, err error) {
	size := c.server.pageSize
	if c.params["MaxResults"] != "" {
		n := c.params.int("MaxResults")
		if n < l.least || n > MaxPageSize {
			return nil, "", fail("InvalidParameterValue", "Value ( %d ) for parameter maxResults is invalid. Expecting a value between %d and %d.", n, l.least, MaxPageSize)
		}
		size = min(size, n)
	}
	start, err := l.start(c.params["NextToken"])
	if err != nil {
		return nil, "", err
	}
	items = items[min(start, len(items)):]
	if len(items) > size && len(c.params.list(l.ids)) == 0 {
		return items[:size], l.token(start + size), nil
	}
	return items, "", nil
}

func (l paging) token(start int) string {
	return base64.RawURLEncoding.EncodeToString([]byte(l.things + " from " + strconv.Itoa(start)))
}

// start is the position that a token stands for.
func (l paging) start(token string) (int, error) {
	if token == "" {
		return 0, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(token)
	position, ok := strings.CutPrefix(string(text), l.things+" from ")
	if err == nil && ok {
		if start, err := strconv.Atoi(position); err == nil && start > 0 {
			return start, nil
		}
	}
	return 0, fail("InvalidNextToken", "The token is invalid")
}
