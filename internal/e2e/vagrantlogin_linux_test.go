package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/vagranttest"
)

func TestVagrantLogsInWithAToken(t *testing.T) {
	t.Parallel()
	w := newBoxWorld(t)
	v := w.stranger(t)
	login := func(password string) vagranttest.Result {
		return v.Talk(t, []vagranttest.Answer{
			{Prompt: "username or email", Text: "ci"},
			{Prompt: "Password", Text: password},
			{Prompt: "Token description", Text: ""},
		}, "cloud", "auth", "login")
	}
	kept := filepath.Join(v.Home, "data", "vagrant_login_token")

	t.Run("a wrong one is refused", func(t *testing.T) {
		if r := login("wrong"); r.Code == 0 || !strings.Contains(r.Output, "401 Unauthorized") {
			t.Errorf("exit code %d:\n%s", r.Code, r.Output)
		}
		if _, err := os.Stat(kept); err == nil {
			t.Error("a token was kept")
		}
	})
	t.Run("a right one is kept and used", func(t *testing.T) {
		if r := login(w.publisher); r.Code != 0 || !strings.Contains(r.Output, "You are now logged in") {
			t.Fatalf("exit code %d:\n%s", r.Code, r.Output)
		}
		token, err := os.ReadFile(kept)
		if err != nil {
			t.Fatal(err)
		}
		if access, err := w.server.Client(t, string(token)).Access(t.Context(), "acme/tiny"); err != nil || access.Role != "promote" {
			t.Errorf("the token that was kept is good for %+v, %v", access, err)
		}
		want(t, v.MustRun(t, "cloud", "auth", "whoami"), "Currently logged in as ci")
		want(t, v.MustRun(t, "cloud", "auth", "login", "--check"), "You are already logged in")
	})
	t.Run("after the logout it is gone", func(t *testing.T) {
		want(t, v.MustRun(t, "cloud", "auth", "logout"), "You are logged out")
		want(t, v.MustFail(t, "cloud", "auth", "whoami"), "not currently logged in")
	})
	t.Run("a token is saved as it is", func(t *testing.T) {
		want(t, v.MustRun(t, "cloud", "auth", "login", "--token", w.reader), "The token was successfully saved")
		want(t, v.MustRun(t, "cloud", "auth", "whoami"), "Currently logged in as reader")
	})
}
