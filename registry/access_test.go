package registry_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// Each method asks for its right, whatever else it would answer: the matrix of roles, over a token
// that covers the artifact, one that covers another, and no token at all.
func TestRights(t *testing.T) {
	w := newWorld(t)
	receipt := w.publish(admin(t), "cargomedia/app", amis("run-1", "a.x", "us-east-1"))
	w.publish(admin(t), "cargomedia/app", amis("run-2", "a.x", "us-east-1"))
	file := w.upload(admin(t), "cargomedia/app", "bytes")
	w.publish(admin(t), "cargomedia/app", registry.Publication{Fingerprint: "run-3", Build: registry.Build{Component: "f.x", Type: "archive", Files: []registry.File{file}}})

	methods := []struct {
		name string
		role registry.Role
		call func(context.Context) error
	}{
		{"Artifact", registry.RoleRead, func(ctx context.Context) error { _, err := w.Artifact(ctx, "cargomedia/app"); return err }},
		{"Versions", registry.RoleRead, func(ctx context.Context) error {
			_, err := w.Versions(ctx, "cargomedia/app", registry.VersionFilter{})
			return err
		}},
		{"Version", registry.RoleRead, func(ctx context.Context) error { _, err := w.Version(ctx, "cargomedia/app", "1"); return err }},
		{"Resolve", registry.RoleRead, func(ctx context.Context) error {
			_, err := w.Resolve(ctx, "cargomedia/app", "1", registry.Question{})
			return err
		}},
		{"ImageUses", registry.RoleRead, func(ctx context.Context) error {
			_, err := w.ImageUses(ctx, "aws", "us-east-1", amis("run-1", "a.x", "us-east-1").Build.Images[0].ID)
			return err
		}},
		{"Blob", registry.RoleRead, func(ctx context.Context) error {
			b, err := w.Blob(ctx, string(file.SHA256))
			if err == nil {
				err = b.Close()
			}
			return err
		}},
		{"Publish", registry.RolePublish, func(ctx context.Context) error {
			_, err := w.Publish(ctx, "cargomedia/app", amis(receipt.Fingerprint, "a.x", "us-east-1"))
			return err
		}},
		{"BeginUpload", registry.RolePublish, func(ctx context.Context) error {
			_, err := w.BeginUpload(ctx, registry.UploadRequest{Artifact: "cargomedia/app", Size: file.Size, SHA256: string(file.SHA256)})
			return err
		}},
		{"Publish to a channel", registry.RolePromote, func(ctx context.Context) error {
			pub := amis(receipt.Fingerprint, "a.x", "us-east-1")
			pub.Channels = []string{"staging"}
			_, err := w.Publish(ctx, "cargomedia/app", pub)
			return err
		}},
		{"SetChannel", registry.RolePromote, func(ctx context.Context) error {
			_, err := w.SetChannel(ctx, "cargomedia/app", "production", registry.ChannelChange{Ref: "1"})
			return err
		}},
		{"Revoke", registry.RolePromote, func(ctx context.Context) error {
			_, err := w.Revoke(ctx, "cargomedia/app", "2", registry.RevokeRequest{Reason: "x"})
			return err
		}},
		{"Restore", registry.RolePromote, func(ctx context.Context) error { _, err := w.Restore(ctx, "cargomedia/app", "2"); return err }},
		{"Publish a provider of Terraform", registry.RoleAdmin, func(ctx context.Context) error {
			_, err := w.Publish(ctx, "cargomedia/app", registry.Publication{Fingerprint: "provider", Build: registry.Build{
				Component: "linux_amd64", Type: registry.TerraformProvider, Files: []registry.File{file},
			}})
			return err
		}},
		{"DeleteChannel", registry.RolePromote, func(ctx context.Context) error {
			if err := w.DeleteChannel(ctx, "cargomedia/app", "nightly"); registry.KindOf(err) != registry.NotFound {
				return err
			}
			return nil
		}},
		{"PutArtifact", registry.RoleAdmin, func(ctx context.Context) error {
			_, err := w.PutArtifact(ctx, "cargomedia/app", registry.ArtifactSettings{})
			return err
		}},
	}
	for _, m := range methods {
		for _, role := range []registry.Role{registry.RoleRead, registry.RolePublish, registry.RolePromote, registry.RoleAdmin} {
			for _, scope := range []registry.Scope{"*", "cargomedia/*", "cargomedia/app"} {
				if err := m.call(as(t, role, scope)); (err == nil) != role.Allows(m.role) {
					t.Errorf("%s as %s of %s: %v", m.name, role, scope, err)
				} else if err != nil {
					wantError(t, err, registry.Forbidden, string(role))
				}
			}
			outside := registry.NotFound
			if m.role != registry.RoleRead {
				outside = registry.Forbidden
			}
			if err := m.call(as(t, role, "other/*", "cargomedia/application")); registry.KindOf(err) != outside {
				t.Errorf("%s as %s of another artifact: %v, want %s", m.name, role, err, outside)
			}
		}
		if err := m.call(t.Context()); registry.KindOf(err) != registry.Unauthorized {
			t.Errorf("%s without a token: %v", m.name, err)
		}
	}
}

func TestPublicArtifacts(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"cargomedia/open", "cargomedia/closed"} {
		w.publish(admin(t), name, amis("run", "a.x", "us-east-1"))
	}
	if _, err := w.PutArtifact(admin(t), "cargomedia/open", registry.ArtifactSettings{Public: true, Description: "for everybody"}); err != nil {
		t.Fatal(err)
	}
	for name, ctx := range map[string]context.Context{"without a token": t.Context(), "with a token for something else": as(t, registry.RoleRead, "other/*")} {
		t.Run(name, func(t *testing.T) {
			if _, err := w.Resolve(ctx, "cargomedia/open", "latest", registry.Question{}); err != nil {
				t.Error(err)
			}
			page, err := w.Artifacts(ctx, registry.ArtifactFilter{})
			if err != nil || len(page.Artifacts) != 1 || page.Artifacts[0].Name != "cargomedia/open" {
				t.Errorf("list: %+v, %v", page, err)
			}
			_, private := w.Resolve(ctx, "cargomedia/closed", "latest", registry.Question{})
			_, absent := w.Resolve(ctx, "cargomedia/absent", "latest", registry.Question{})
			if registry.KindOf(private) != registry.KindOf(absent) || private == nil {
				t.Errorf("a stranger can tell %q from %q", private, absent)
			}
		})
	}
	_, err := w.Publish(t.Context(), "cargomedia/open", amis("run", "a.x", "us-east-1"))
	wantError(t, err, registry.Unauthorized)
}

func TestDeletedArtifactIsGoneAndItsNumbersAreNotGivenAgain(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	w.publish(ctx, "cargomedia/app", amis("run-1", "a.x", "us-east-1"))
	if err := w.DeleteArtifact(ctx, "cargomedia/app"); err != nil {
		t.Fatal(err)
	}
	_, err := w.Resolve(ctx, "cargomedia/app", "1", registry.Question{})
	wantError(t, err, registry.NotFound)
	wantError(t, w.DeleteArtifact(ctx, "cargomedia/app"), registry.NotFound)
	if again := w.publish(ctx, "cargomedia/app", amis("run-1", "a.x", "us-east-1")); again.Number != 2 || again.Version != "0.2.0" {
		t.Errorf("got %+v", again)
	}
}

func TestTokens(t *testing.T) {
	w := newWorld(t)
	secret := registry.NewSecret()
	if created, err := w.EnsureAdmin(t.Context(), secret); err != nil || !created {
		t.Fatal(created, err)
	}
	if created, err := w.EnsureAdmin(t.Context(), registry.NewSecret()); err != nil || created {
		t.Fatalf("a second first start made a token: %v, %v", created, err)
	}
	root, err := w.Authenticate(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	ctx := registry.WithPrincipal(t.Context(), root)
	expires := w.clock.Add(time.Hour)
	made, err := w.CreateToken(ctx, registry.TokenRequest{Name: "ci", Role: "publish", Scopes: []string{"cargomedia/*"}, ExpiresAt: &expires})
	if err != nil {
		t.Fatal(err)
	}

	t.Run("a token is who it says", func(t *testing.T) {
		p, err := w.Authenticate(t.Context(), made.Secret)
		if err != nil || p.Name != "ci" || p.TokenID != made.ID || p.Role != registry.RolePublish {
			t.Errorf("got %+v, %v", p, err)
		}
	})
	t.Run("a name in force is not given twice", func(t *testing.T) {
		_, err := w.CreateToken(ctx, registry.TokenRequest{Name: "ci", Role: "read", Scopes: []string{"*"}})
		wantError(t, err, registry.Conflict, "ci")
	})
	t.Run("all mistakes are named", func(t *testing.T) {
		past := w.clock.Add(-time.Hour)
		_, err := w.CreateToken(ctx, registry.TokenRequest{Name: " ", Role: "boss", Scopes: []string{"a"}, ExpiresAt: &past})
		wantError(t, err, registry.Invalid, "name:", "role:", "scopes[0]:", "expires_at:")
	})
	t.Run("nobody gives away more than he has", func(t *testing.T) {
		_, err := w.CreateToken(as(t, registry.RoleAdmin, "mine/*"), registry.TokenRequest{Name: "x", Role: "read", Scopes: []string{"mine/app", "*"}})
		wantError(t, err, registry.Invalid, "scopes[1]")
		_, err = w.CreateToken(as(t, registry.RolePromote, "*"), registry.TokenRequest{Name: "x", Role: "read", Scopes: []string{"*"}})
		wantError(t, err, registry.Forbidden)
		tokens, err := w.Tokens(as(t, registry.RoleAdmin, "mine/*"))
		if err != nil || len(tokens) != 0 {
			t.Errorf("tokens beyond the caller's scope are listed: %+v, %v", tokens, err)
		}
		_, err = w.RevokeToken(as(t, registry.RoleAdmin, "mine/*"), "ci")
		wantError(t, err, registry.NotFound)
	})
	t.Run("names of tokens beyond the caller's scope are not told", func(t *testing.T) {
		_, err := w.CreateToken(as(t, registry.RoleAdmin, "other/*"), registry.TokenRequest{Name: "ci", Role: "read", Scopes: []string{"other/*"}})
		wantError(t, err, registry.Conflict, "taken")
	})
	t.Run("scopes are limited", func(t *testing.T) {
		_, err := w.CreateToken(ctx, registry.TokenRequest{Name: "x", Role: "read", Scopes: slices.Repeat([]string{"a/b"}, 101)})
		wantError(t, err, registry.Invalid, "scopes: has 101")
	})
	t.Run("an administrator who expires does not count as the last", func(t *testing.T) {
		if _, err := w.CreateToken(ctx, registry.TokenRequest{Name: "brief", Role: "admin", Scopes: []string{"*"}, ExpiresAt: &expires}); err != nil {
			t.Fatal(err)
		}
		_, err := w.RevokeToken(ctx, "admin")
		wantError(t, err, registry.Conflict, "last")
	})
	t.Run("the last administrator stays", func(t *testing.T) {
		_, err := w.RevokeToken(ctx, "admin")
		wantError(t, err, registry.Conflict, "last")
	})
	t.Run("an expired token is not valid", func(t *testing.T) {
		w.clock = expires
		_, err := w.Authenticate(t.Context(), made.Secret)
		wantError(t, err, registry.Unauthorized)
		w.clock = expires.Add(-time.Minute)
	})
	t.Run("a revoked token is not valid, and looks like an unknown one", func(t *testing.T) {
		if _, err := w.RevokeToken(ctx, "ci"); err != nil {
			t.Fatal(err)
		}
		_, revoked := w.Authenticate(t.Context(), made.Secret)
		_, unknown := w.Authenticate(t.Context(), "alm_x")
		if registry.KindOf(revoked) != registry.Unauthorized || revoked.Error() != unknown.Error() {
			t.Errorf("revoked: %v; unknown: %v", revoked, unknown)
		}
	})
}

func TestConcurrentDecisionsAboutTokens(t *testing.T) {
	onBothEngines(t, concurrentDecisionsAboutTokens)
}

func concurrentDecisionsAboutTokens(t *testing.T, w *world) {
	created := make([]bool, 8)
	var group sync.WaitGroup
	for i := range created {
		group.Go(func() {
			var err error
			if created[i], err = w.EnsureAdmin(t.Context(), registry.NewSecret()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	tokens, err := w.Tokens(admin(t))
	if err != nil || len(tokens) != 1 {
		t.Fatalf("%d first starts at once made %d tokens, %v", len(created), len(tokens), err)
	}
	if _, err := w.CreateToken(admin(t), registry.TokenRequest{Name: "second", Role: "admin", Scopes: []string{"*"}}); err != nil {
		t.Fatal(err)
	}
	refused := make([]error, 2)
	for i, name := range []string{"admin", "second"} {
		group.Go(func() { _, refused[i] = w.RevokeToken(admin(t), name) })
	}
	group.Wait()
	if (refused[0] == nil) == (refused[1] == nil) {
		t.Errorf("of the last two administrators, revoked at once, one must stay: %v", refused)
	}
}

func TestAccess(t *testing.T) {
	w := newWorld(t)
	w.publish(admin(t), "cargomedia/app", amis("run", "a.x", "us-east-1"))
	a, err := w.Access(as(t, registry.RolePublish, "cargomedia/*"), "cargomedia/app")
	if err != nil || !a.Exists || !a.Read || !a.Publish || a.Promote || a.Admin {
		t.Errorf("got %+v, %v", a, err)
	}
	a, err = w.Access(as(t, registry.RoleAdmin, "other/*"), "cargomedia/app")
	if err != nil || a.Exists || a.Read || a.Publish {
		t.Errorf("a stranger learns %+v, %v", a, err)
	}
	if _, err := w.PutArtifact(admin(t), "cargomedia/app", registry.ArtifactSettings{Public: true}); err != nil {
		t.Fatal(err)
	}
	if a, err = w.Access(as(t, registry.RoleRead, "other/*"), "cargomedia/app"); err != nil || !a.Exists || !a.Read || a.Publish {
		t.Errorf("of a public artifact: %+v, %v", a, err)
	}
	_, err = w.Access(t.Context(), "cargomedia/app")
	wantError(t, err, registry.Unauthorized)
}

func TestEvents(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	pub := amis("run-1", "a.x", "us-east-1")
	pub.Channels = []string{"staging"}
	w.publish(ctx, "cargomedia/app", pub)
	w.publish(ctx, "other/app", amis("run-1", "a.x", "us-east-1"))
	if _, err := w.CreateToken(ctx, registry.TokenRequest{Name: "ci", Role: "read", Scopes: []string{"*"}}); err != nil {
		t.Fatal(err)
	}
	actions := func(ctx context.Context) []string {
		t.Helper()
		var list []string
		var after int64
		for {
			page, err := w.Events(ctx, after, 1)
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Events) == 0 {
				return list
			}
			list = append(list, page.Events[0].Action+" "+string(page.Events[0].Artifact))
			after = page.Last
		}
	}
	want := []string{
		"build.publish cargomedia/app", "version.complete cargomedia/app", "channel.move cargomedia/app",
		"build.publish other/app", "version.complete other/app", "token.create ",
	}
	if got := actions(ctx); !slices.Equal(got, want) {
		t.Errorf("an administrator sees %q", got)
	}
	if got := actions(as(t, registry.RoleRead, "other/*")); !slices.Equal(got, want[3:5]) {
		t.Errorf("a reader of other/* sees %q", got)
	}
	_, err := w.Events(t.Context(), 0, 0)
	wantError(t, err, registry.Unauthorized)
	_, err = w.Events(ctx, -1, 501)
	wantError(t, err, registry.Invalid, "after:", "limit:")
}

func TestListsArePagedByCursor(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	for _, name := range []string{"a/one", "a/two", "b/three"} {
		w.publish(ctx, name, amis("run-1", "a.x", "us-east-1"))
	}
	var names []registry.ArtifactName
	f := registry.ArtifactFilter{Limit: 1}
	for range 4 {
		page, err := w.Artifacts(ctx, f)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, page.Artifacts[0].Name)
		if f.Cursor = page.Next; f.Cursor == "" {
			break
		}
	}
	if len(names) != 3 || names[0] != "a/one" || names[2] != "b/three" {
		t.Errorf("got %v", names)
	}
	_, err := w.Artifacts(ctx, registry.ArtifactFilter{Cursor: "!", Type: "ami", Namespace: "a/b", Limit: -1})
	wantError(t, err, registry.Invalid, "cursor:", "type:", "namespace:", "limit:")
	for _, cursor := range []string{"eHg", "MA", "LTc"} { // xx, 0, -7
		_, err = w.Versions(ctx, "a/one", registry.VersionFilter{Cursor: cursor, Type: "x"})
		wantError(t, err, registry.Invalid, "cursor:", "type:")
	}
	page, err := w.Versions(as(t, registry.RoleRead, "a/*"), "a/none", registry.VersionFilter{})
	wantError(t, err, registry.NotFound)
	if page.Versions != nil {
		t.Error("an error came with a page")
	}
}
