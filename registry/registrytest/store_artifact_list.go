package registrytest

import (
	"slices"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

var artifactListTests = []storeTest{
	{"AnEmptyStoreHasNone", func(f *fixture) {
		wantArtifacts(f, "all", registry.ArtifactQuery{Limit: 10})
	}},

	{"OrderIsThatOfTheBytesOfNamespaceThenName", func(f *fixture) {
		// "a-b" sorts before "a/x" as text, after it by its parts; capitals before small letters.
		f.create("b/a", "a/y", "a-b/c", "a/x", "a/X1", "B2/z", "a/x-1", "a/x.1", "a/x_1", "a/x0", "ab/a")
		wantArtifacts(f, "all", registry.ArtifactQuery{Limit: 100}, "B2/z", "a/X1", "a/x", "a/x-1", "a/x.1", "a/x0", "a/x_1", "a/y", "a-b/c", "ab/a", "b/a")
	}},

	{"PagesFollowEachOtherWithoutGapOrRepetition", func(f *fixture) {
		all := []registry.ArtifactName{"B/z", "a/A", "a/a-", "a/b", "a/c", "a-b/a", "ab/a", "b/0"}
		f.create(all...)
		for size := 1; size <= len(all)+1; size++ {
			var got []registry.ArtifactName
			for q := (registry.ArtifactQuery{Limit: size, Visible: registry.Visibility{All: true}}); ; {
				page, err := f.store.Artifacts(f.ctx, q)
				f.check(err)
				if len(page) > size {
					f.Fatalf("a page has %d artifacts; want at most %d", len(page), size)
				}
				for _, a := range page {
					got = append(got, a.Name)
				}
				if len(page) < size {
					break
				}
				q.After = page[len(page)-1].Name
			}
			f.equal("all pages", got, all)
		}
		wantArtifacts(f, "after one that does not exist", registry.ArtifactQuery{After: "a/bb", Limit: 2}, "a/c", "a-b/a")
		wantArtifacts(f, "after the last", registry.ArtifactQuery{After: "b/0", Limit: 2})
		wantArtifacts(f, "limit 0", registry.ArtifactQuery{})
	}},

	{"ChannelsDoNotCountForTheLimit", func(f *fixture) {
		for _, name := range []registry.ArtifactName{"a/1", "a/2", "a/3"} {
			f.publish(version(name, 1))
			f.update(func(tx registry.Tx) error {
				for _, channel := range []string{"x", "y", "z"} {
					f.check(tx.MoveChannel(f.ctx, name, channel, registry.ChannelMove{To: versionID(1), At: moment}))
				}
				return nil
			})
		}
		wantArtifacts(f, "two", registry.ArtifactQuery{Limit: 2}, "a/1", "a/2")
	}},

	{"NamespaceFitsAsAWhole", func(f *fixture) {
		f.create("a/x", "ab/x", "A2/x", "a-b/x", "b/a")
		wantArtifacts(f, "a", registry.ArtifactQuery{Namespace: "a", Limit: 10}, "a/x")
		wantArtifacts(f, "A", registry.ArtifactQuery{Namespace: "A", Limit: 10})
		wantArtifacts(f, "a%", registry.ArtifactQuery{Namespace: "a%", Limit: 10})
	}},

	{"TypeFitsWhatLatestOffers", func(f *fixture) {
		f.publish(version("a/ami", 1), version("a/box", 1), version("a/both", 1), version("a/none", 1))
		f.update(func(tx registry.Tx) error {
			f.check(tx.SetLatest(f.ctx, "a/ami", registry.AmazonImage, 1))
			f.check(tx.SetLatest(f.ctx, "a/box", registry.VagrantBox, 1))
			f.check(tx.SetLatest(f.ctx, "a/both", registry.AmazonImage, 1))
			f.check(tx.SetLatest(f.ctx, "a/both", registry.VagrantBox, 1))
			return tx.SetLatest(f.ctx, "a/none", "", 1)
		})
		wantArtifacts(f, "amazon.image", registry.ArtifactQuery{Type: registry.AmazonImage, Limit: 10}, "a/ami", "a/both")
		wantArtifacts(f, "archive", registry.ArtifactQuery{Type: registry.Archive, Limit: 10})
		wantArtifacts(f, "first vagrant.box", registry.ArtifactQuery{Type: registry.VagrantBox, Limit: 1}, "a/both")
	}},

	{"TextFitsAPartOfNameOrDescriptionWhateverItsCase", func(f *fixture) {
		describe(f, map[registry.ArtifactName]string{
			"web/Server":  "the FRONT end",
			"web/db_main": "100% Postgres",
			"db/dbxmain":  `C:\images`,
			"ops/base":    "Grüße vom ÄRGER, it's 100 of them!",
			"ops/empty":   "",
		})
		for text, want := range map[string][]registry.ArtifactName{
			"server":     {"web/Server"},
			"SERVER":     {"web/Server"},
			"front":      {"web/Server"},
			"web/s":      {"web/Server"},
			"b_m":        {"web/db_main"},
			"100%":       {"web/db_main"},
			"%":          {"web/db_main"},
			"_":          {"web/db_main"},
			`\`:          {"db/dbxmain"},
			`c:\I`:       {"db/dbxmain"},
			"!":          {"ops/base"},
			"'":          {"ops/base"},
			"GRÜSSE":     nil,
			"ärger":      {"ops/base"},
			"GRÜ":        {"ops/base"},
			"100":        {"ops/base", "web/db_main"},
			"o":          {"ops/base", "ops/empty", "web/Server", "web/db_main"},
			"serverthe":  nil,
			"r\nt":       nil,
			"nothing":    nil,
			"'; DROP --": nil,
		} {
			wantArtifacts(f, "text "+text, registry.ArtifactQuery{Text: text, Limit: 10}, want...)
		}
	}},

	{"TextFitsADescriptionThatChanged", func(f *fixture) {
		describe(f, map[registry.ArtifactName]string{"a/b": "first"})
		describe(f, map[registry.ArtifactName]string{"a/b": "second"})
		wantArtifacts(f, "first", registry.ArtifactQuery{Text: "first", Limit: 10})
		wantArtifacts(f, "second", registry.ArtifactQuery{Text: "second", Limit: 10}, "a/b")
	}},

	{"VisibilityKeepsWhatACallerMayKnowOf", func(f *fixture) {
		f.create("a/x", "a/y", "ab/x", "b/x", "b/y", "c/open", "A2/x")
		f.update(func(tx registry.Tx) error {
			return tx.PutArtifact(f.ctx, registry.Artifact{Name: "c/open", Public: true, UpdatedAt: moment})
		})
		for what, c := range map[string]struct {
			visible registry.Visibility
			want    []registry.ArtifactName
		}{
			"nothing":    {registry.Visibility{}, []registry.ArtifactName{"c/open"}},
			"all":        {registry.Visibility{All: true}, []registry.ArtifactName{"A2/x", "a/x", "a/y", "ab/x", "b/x", "b/y", "c/open"}},
			"all and":    {registry.Visibility{All: true, Namespaces: []string{"b"}}, []registry.ArtifactName{"A2/x", "a/x", "a/y", "ab/x", "b/x", "b/y", "c/open"}},
			"namespace":  {registry.Visibility{Namespaces: []string{"a"}}, []registry.ArtifactName{"a/x", "a/y", "c/open"}},
			"namespaces": {registry.Visibility{Namespaces: []string{"b", "none", "a"}}, []registry.ArtifactName{"a/x", "a/y", "b/x", "b/y", "c/open"}},
			"artifacts":  {registry.Visibility{Artifacts: []registry.ArtifactName{"b/y", "a/x", "none/x"}}, []registry.ArtifactName{"a/x", "b/y", "c/open"}},
			"other case": {registry.Visibility{Namespaces: []string{"AB"}, Artifacts: []registry.ArtifactName{"B/x"}}, []registry.ArtifactName{"c/open"}},
			"both":       {registry.Visibility{Namespaces: []string{"ab"}, Artifacts: []registry.ArtifactName{"ab/x", "b/x"}}, []registry.ArtifactName{"ab/x", "b/x", "c/open"}},
			"wildcards":  {registry.Visibility{Namespaces: []string{"%", "_"}, Artifacts: []registry.ArtifactName{"%/%"}}, []registry.ArtifactName{"c/open"}},
		} {
			got, err := f.store.Artifacts(f.ctx, registry.ArtifactQuery{Visible: c.visible, Limit: 100})
			f.check(err)
			f.equal(what, names(got), c.want)
		}
	}},

	{"AllConditionsHoldAtOnce", func(f *fixture) {
		for _, name := range []registry.ArtifactName{"a/app-1", "a/app-2", "a/app-3", "a/other", "b/app-1", "a/app-4"} {
			f.publish(version(name, 1))
			if name != "a/app-4" {
				f.update(func(tx registry.Tx) error { return tx.SetLatest(f.ctx, name, registry.AmazonImage, 1) })
			}
		}
		got, err := f.store.Artifacts(f.ctx, registry.ArtifactQuery{
			Namespace: "a", Type: registry.AmazonImage, Text: "APP", After: "a/app-1", Limit: 10,
			Visible: registry.Visibility{Namespaces: []string{"b"}, Artifacts: []registry.ArtifactName{"a/app-1", "a/app-3", "a/app-4", "a/other"}},
		})
		f.check(err)
		f.equal("names", names(got), []registry.ArtifactName{"a/app-3"})
	}},
}

func describe(f *fixture, descriptions map[registry.ArtifactName]string) {
	f.Helper()
	for name, description := range descriptions {
		f.update(func(tx registry.Tx) error {
			if _, err := tx.LockArtifact(f.ctx, name, true, moment); err != nil {
				return err
			}
			return tx.PutArtifact(f.ctx, registry.Artifact{Name: name, Description: description, UpdatedAt: after(time.Hour)})
		})
	}
}

// wantArtifacts checks the names in a list that everybody may see.
func wantArtifacts(f *fixture, what string, q registry.ArtifactQuery, want ...registry.ArtifactName) {
	f.Helper()
	q.Visible.All = true
	got, err := f.store.Artifacts(f.ctx, q)
	f.check(err)
	f.equal(what, names(got), slices.Clone(want))
}

func names(artifacts []registry.Artifact) []registry.ArtifactName {
	var names []registry.ArtifactName
	for _, a := range artifacts {
		names = append(names, a.Name)
	}
	return names
}
