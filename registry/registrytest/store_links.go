package registrytest

import (
	"fmt"
	"sync"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// link returns a link as it comes back.
func link(application, target registry.ArtifactName) registry.Link {
	return registry.Link{Application: application, Target: target, CreatedAt: kept(moment), CreatedBy: hostile}
}

// link makes links between artifacts, which are made where they do not exist.
func (f *fixture) link(links ...registry.Link) {
	f.Helper()
	for _, l := range links {
		f.create(l.Application, l.Target)
		f.update(func(tx registry.Tx) error { return tx.PutLink(f.ctx, l) })
	}
}

func (f *fixture) wantLinks(name registry.ArtifactName, want ...registry.Link) {
	f.Helper()
	got, err := f.store.Links(f.ctx, name)
	f.check(err)
	f.equal("links of "+string(name), got, want)
}

var linkTests = []storeTest{
	{"LinksComeInTheOrderOfApplicationAndTarget", func(f *fixture) {
		f.wantLinks("")
		f.wantLinks("a/b")
		want := []registry.Link{link("a/b", "a/B2"), link("a/b", "a/c"), link("a/b", "b/a"), link("a/c", "a/b"), link("a-b/a", "a/b"), link("b/a", "a/c")}
		given := want[4]
		given.CreatedAt = moment // in another zone, with more precision
		f.link(want[5], given, want[1], want[3], want[0], want[2])
		f.reopen()
		f.wantLinks("", want...)
		f.wantLinks("a/b", want[0], want[1], want[2], want[3], want[4])
		f.wantLinks("a/c", want[1], want[3], want[5])
		f.wantLinks("a/B2", want[0])
		f.wantLinks("A/b")
		f.wantLinks("no/such")
		links, err := f.store.Links(f.ctx, "a-b/a")
		f.check(err)
		f.wantUTC(links[0].CreatedAt)
	}},

	{"ALinkThatIsThereStaysAsItIs", func(f *fixture) {
		f.link(link("a/b", "a/c"))
		f.link(registry.Link{Application: "a/b", Target: "a/c", CreatedAt: after(time.Hour), CreatedBy: "me"}, link("a/c", "a/b"))
		f.wantLinks("a/b", link("a/b", "a/c"), link("a/c", "a/b"))
	}},

	{"DeleteLinkRemovesOneAndOneThatIsGoneIsNotFound", func(f *fixture) {
		f.link(link("a/b", "a/c"), link("a/c", "a/b"), link("a/b", "a/d"))
		run := f.addRun(queuedRun("a/b", 1, "a/c"))
		drop := func(tx registry.Tx) error { return tx.DeleteLink(f.ctx, "a/b", "a/c") }
		f.update(drop)
		f.wantKind("DeleteLink again", f.store.Update(f.ctx, drop), registry.NotFound)
		f.wantLinks("a/b", link("a/b", "a/d"), link("a/c", "a/b"))
		f.equal("its run", f.run(run.ID), run)
		f.link(link("a/b", "a/c"))
		f.wantLinks("a/d", link("a/b", "a/d"))
		f.wantLinks("", link("a/b", "a/c"), link("a/b", "a/d"), link("a/c", "a/b"))
	}},

	{"AnArtifactThatIsDeletedTakesItsLinksAndRunsWithIt", func(f *fixture) {
		f.link(link("a/b", "a/c"), link("a/c", "a/d"), link("a/x", "a/c"), link("a/x", "a/y"))
		from, to, other := f.addRun(queuedRun("a/c", 1, "a/d")), f.addRun(queuedRun("a/x", 1, "a/c")), f.addRun(queuedRun("a/x", 1, "a/y"))
		for _, r := range []registry.Run{from, to, other} {
			f.appendLog(r.ID, 0, "text")
		}
		other.LogSize = 4
		f.deleteArtifact("a/c")
		f.wantLinks("", link("a/x", "a/y"))
		for _, gone := range []registry.Run{from, to} {
			_, err := f.store.Run(f.ctx, gone.ID)
			f.wantKind("Run", err, registry.NotFound)
			_, err = f.store.RunLog(f.ctx, gone.ID, 0, 10)
			f.wantKind("RunLog", err, registry.NotFound)
			_, err = f.store.NextRun(f.ctx, gone.Application, gone.Target, moment)
			f.wantKind("NextRun", err, registry.NotFound)
		}
		f.wantRuns(registry.RunQuery{Limit: 10}, other)
		f.wantLog(other.ID, 0, 10, "text")

		f.create("A/C") // on the row of a/c
		f.wantLinks("A/C")
		f.wantRuns(registry.RunQuery{Artifact: "A/C", Limit: 10})
		f.link(link("A/C", "a/d"))
		f.wantLinks("A/C", link("A/C", "a/d"))
		if again := f.addRun(queuedRun("A/C", 1, "a/d")); again.ID != other.ID+1 {
			f.Errorf("the id after %d is %d", other.ID, again.ID)
		}
	}},

	{"LinksAndRunsOfArtifactsThatDoNotExistAreNotFound", func(f *fixture) {
		f.create("a/b", "a/gone")
		f.deleteArtifact("a/gone")
		for _, ends := range [][2]registry.ArtifactName{{"a/b", "no/such"}, {"no/such", "a/b"}, {"a/b", "a/gone"}, {"A/b", "a/b"}} {
			for what, write := range map[string]func(tx registry.Tx) error{
				"PutLink":    func(tx registry.Tx) error { return tx.PutLink(f.ctx, link(ends[0], ends[1])) },
				"DeleteLink": func(tx registry.Tx) error { return tx.DeleteLink(f.ctx, ends[0], ends[1]) },
				"AddRun":     func(tx registry.Tx) error { _, err := tx.AddRun(f.ctx, queuedRun(ends[0], 1, ends[1])); return err },
			} {
				f.wantKind(fmt.Sprint(what, ends), f.store.Update(f.ctx, write), registry.NotFound)
			}
		}
		f.wantLinks("")
		f.wantRuns(registry.RunQuery{Limit: 10})
	}},

	{"OfManyWhoLinkTheSameOneDoes", func(f *fixture) {
		f.create("a/b", "a/c")
		stores := []registry.Store{f.store, f.open()}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				l := registry.Link{Application: "a/b", Target: "a/c", CreatedAt: moment, CreatedBy: fmt.Sprint(i)}
				f.check(stores[i%len(stores)].Update(f.ctx, func(tx registry.Tx) error { return tx.PutLink(f.ctx, l) }))
			})
		}
		wg.Wait()
		links, err := f.store.Links(f.ctx, "")
		f.check(err)
		f.equal("links", len(links), 1)
	}},
}
