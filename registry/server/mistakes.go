package server

import (
	"fmt"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// maxMistakes is how many mistakes of a request are reported. More than a person reads would let a
// small request ask for a huge answer.
const maxMistakes = 100

// mistakes collects what is wrong with a request: the first of them, and how many there are.
type mistakes struct {
	count  int
	fields []registry.FieldError
}

// add counts a mistake. describe is called only if it is one that is reported.
func (m *mistakes) add(describe func() registry.FieldError) {
	if m.count++; m.count <= maxMistakes {
		m.fields = append(m.fields, describe())
	}
}

// err is a request that cannot be read because of them, or nil if there are none.
func (m *mistakes) err() error {
	if m.count == 0 {
		return nil
	}
	return badRequest(m.text(), m.fields...)
}

func (m *mistakes) text() string {
	switch {
	case m.count == 1:
		return "the request has a mistake"
	case m.count > len(m.fields):
		return fmt.Sprintf("the request has %d mistakes; these are the first %d", m.count, len(m.fields))
	}
	return fmt.Sprintf("the request has %d mistakes", m.count)
}
