package server

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// deadlines is a writer that notes the deadline of reading.
type deadlines struct {
	*httptest.ResponseRecorder
	read time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error  { d.read = t; return nil }
func (d *deadlines) SetWriteDeadline(t time.Time) error { return nil }

// TestNoDeadlineAfterTheLastByte keeps a body's deadline from hitting while its bytes are verified and put away.
func TestNoDeadlineAfterTheLastByte(t *testing.T) {
	d := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	in := &incoming{body: strings.NewReader("x"), control: http.NewResponseController(d), stall: time.Minute}
	if _, err := in.Read(make([]byte, 1)); err != nil || d.read.IsZero() {
		t.Fatalf("%v: the deadline is %v before the end", err, d.read)
	}
	if _, err := in.Read(make([]byte, 1)); err != io.EOF || !d.read.IsZero() {
		t.Errorf("%v: the deadline is %v after the end", err, d.read)
	}
}
