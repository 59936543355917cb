package registrytest

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

var concurrencyTests = []storeTest{
	{"PublishersOfOneArtifactNeverGetTheSameNumber", func(f *fixture) {
		const publishers, each = 8, 25
		stores := []registry.Store{f.store, f.open()}
		var wg sync.WaitGroup
		for p := range publishers {
			for _, name := range []registry.ArtifactName{"a/shared", registry.ArtifactName(fmt.Sprintf("a/own-%d", p))} {
				wg.Go(func() {
					for range each {
						if err := publishNext(f, stores[p%len(stores)], name); err != nil {
							f.Errorf("publish %s: %v", name, err)
							return
						}
					}
				})
			}
		}
		wg.Wait()
		wantNumbers(f, "a/shared", publishers*each)
		for p := range publishers {
			wantNumbers(f, registry.ArtifactName(fmt.Sprintf("a/own-%d", p)), each)
		}
		events, err := f.store.Events(f.ctx, 0, 10*publishers*each)
		f.check(err)
		if len(events) != 2*publishers*each {
			f.Errorf("%d events; want %d", len(events), 2*publishers*each)
		}
	}},

	{"OneOfManyMakesTheArtifactAndAllUseIt", func(f *fixture) {
		stores := []registry.Store{f.store, f.open()}
		const makers = 8
		for round := range 5 {
			name := registry.ArtifactName(fmt.Sprintf("a/new-%d", round))
			var wg sync.WaitGroup
			for m := range makers {
				wg.Go(func() {
					if err := publishNext(f, stores[m%len(stores)], name); err != nil {
						f.Error(err)
					}
				})
			}
			wg.Wait()
			wantNumbers(f, name, makers)
		}
	}},

	{"OfNamesThatDifferInCaseOneWins", func(f *fixture) {
		stores := []registry.Store{f.store, f.open()}
		names := []registry.ArtifactName{"Case/app", "case/app", "case/App", "CASE/APP"}
		errs := make([]error, len(names))
		var wg sync.WaitGroup
		for i, name := range names {
			wg.Go(func() { errs[i] = publishNext(f, stores[i%len(stores)], name) })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
				continue
			}
			f.wantKind("LockArtifact", err, registry.Conflict)
		}
		if won != 1 {
			f.Errorf("%d of %d names were accepted; want 1", won, len(names))
		}
	}},

	{"OfManyThatLockTheTokensOneFindsNone", func(f *fixture) {
		stores := []registry.Store{f.store, f.open()}
		made := make([]bool, 8)
		var wg sync.WaitGroup
		for i := range made {
			wg.Go(func() {
				err := stores[i%len(stores)].Update(f.ctx, func(tx registry.Tx) error {
					made[i] = false
					if err := tx.LockTokens(f.ctx); err != nil {
						return err
					}
					tokens, err := tx.Tokens(f.ctx)
					if err != nil || len(tokens) > 0 {
						return err
					}
					made[i] = true
					id := fmt.Sprintf("token-%d", i)
					return tx.PutToken(f.ctx, registry.Token{ID: id, Name: "admin", Digest: digest(id), CreatedAt: moment})
				})
				f.check(err)
			})
		}
		wg.Wait()
		tokens, err := f.store.Tokens(f.ctx)
		f.check(err)
		f.equal("tokens", len(tokens), 1)
		count := 0
		for _, m := range made {
			if m {
				count++
			}
		}
		f.equal("makers", count, 1)
	}},

	{"AnEventIsVisibleOnlyWhenAllWithALowerIDAre", func(f *fixture) {
		const writers, each = 6, 20
		stores := []registry.Store{f.store, f.open()}
		var done atomic.Bool
		var writing, reading sync.WaitGroup
		reading.Go(func() { // follows the log as a client does, and must miss nothing
			var seen []int64
			for last := int64(0); ; {
				finished := done.Load()
				events, err := stores[1].Events(f.ctx, last, 3)
				if err != nil {
					f.Error(err)
					return
				}
				for _, e := range events {
					last = e.ID
					seen = append(seen, e.ID)
				}
				if finished && len(events) == 0 {
					break
				}
			}
			if len(seen) != writers*each || !slices.IsSorted(seen) {
				f.Errorf("a reader saw %d events, in order: %v; want %d", len(seen), slices.IsSorted(seen), writers*each)
			}
		})
		for w := range writers {
			writing.Go(func() {
				for range each {
					if err := publishNext(f, stores[w%len(stores)], registry.ArtifactName(fmt.Sprintf("a/b%d", w))); err != nil {
						f.Error(err)
						return
					}
				}
			})
		}
		writing.Wait()
		done.Store(true)
		reading.Wait()
	}},

	{"UpdatesThatLockInOppositeOrdersBothSucceed", func(f *fixture) {
		f.create("a/x", "a/y")
		orders := [][]registry.ArtifactName{{"a/x", "a/y"}, {"a/y", "a/x"}}
		var wg sync.WaitGroup
		for _, order := range orders {
			wg.Go(func() {
				for range 5 {
					err := f.store.Update(f.ctx, func(tx registry.Tx) error {
						for _, name := range order {
							c, err := tx.LockArtifact(f.ctx, name, false, moment)
							if err != nil {
								return fmt.Errorf("the store must find its own error in this one: %w", err)
							}
							v := version(name, c.LastNumber+1)
							if err := tx.InsertVersion(f.ctx, v, v.VersionID.Version); err != nil {
								return err
							}
						}
						return nil
					})
					if err != nil {
						f.Error(err)
					}
				}
			})
		}
		wg.Wait()
		wantNumbers(f, "a/x", 10)
		wantNumbers(f, "a/y", 10)
	}},

	{"AVersionIsNeverSeenWithoutItsBuild", func(f *fixture) {
		f.create("a/b")
		const versions = 40
		var wg sync.WaitGroup
		var done atomic.Bool
		for range 2 {
			wg.Go(func() {
				for !done.Load() {
					v, err := f.store.Version(f.ctx, "a/b", registry.Selector{Latest: true})
					if registry.KindOf(err) == registry.NotFound {
						continue
					}
					if err != nil || len(v.Builds) != 1 || len(v.Builds[0].Images) != 1 {
						f.Errorf("version = %+v, %v; want one build with one image", v, err)
						return
					}
				}
			})
		}
		for range versions {
			f.check(publishNext(f, f.store, "a/b"))
		}
		done.Store(true)
		wg.Wait()
	}},
}

// publishNext adds the next version of an artifact, as the service does.
func publishNext(f *fixture, store registry.Store, name registry.ArtifactName) error {
	return store.Update(f.ctx, func(tx registry.Tx) error {
		c, err := tx.LockArtifact(f.ctx, name, true, moment)
		if err != nil {
			return err
		}
		v := version(name, c.LastNumber+1)
		if err := tx.InsertVersion(f.ctx, v, v.VersionID.Version); err != nil {
			return err
		}
		if err := tx.InsertBuild(f.ctx, name, v.Number, build("x", registry.AmazonImage)); err != nil {
			return err
		}
		if err := tx.SetLatest(f.ctx, name, "", v.Number); err != nil {
			return err
		}
		return tx.AppendEvent(f.ctx, registry.Event{At: moment, Action: registry.ActionBuildPublish, Artifact: name, Number: v.Number})
	})
}

// wantNumbers checks that an artifact has the versions n … 1.
func wantNumbers(f *fixture, name registry.ArtifactName, n int64) {
	f.Helper()
	list, err := f.store.Versions(f.ctx, name, registry.VersionQuery{Limit: int(n) + 1})
	f.check(err)
	var got, want []int64
	for _, v := range list {
		got = append(got, v.Number)
	}
	for number := n; number > 0; number-- {
		want = append(want, number)
	}
	f.equal("numbers of "+string(name), got, want)
}
