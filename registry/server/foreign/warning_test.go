package foreign

import "testing"

func TestWarningCannotBreakOut(t *testing.T) {
	if got, want := RevokedWarning("a \"b\" \\ c\r\nX-Evil: d"), `299 almanac "revoked: a \"b\" \\ c  X-Evil: d"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
