package registrytest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// queuedRun returns a run as it comes back, without its id.
func queuedRun(application registry.ArtifactName, number int64, target registry.ArtifactName) registry.Run {
	return registry.Run{Application: application, From: versionID(number), Target: target, Status: registry.RunQueued, RequestedAt: kept(moment)}
}

// finishedRun is a run in which everything is set, as it comes back.
func finishedRun(r registry.Run) registry.Run {
	started, until, finished, result := kept(after(time.Minute)), kept(after(2*time.Minute)), kept(after(3*time.Minute)), registry.VersionID{Number: 1 << 40, Version: "1.0.0"}
	return registry.Run{
		ID: r.ID, Application: r.Application, From: r.From, Target: r.Target, Fingerprint: hostile, Status: registry.RunFailed, Attempts: 1 << 30, Repeats: 1 << 30,
		Runner: hostile, RequestedAt: kept(after(time.Second)), StartedAt: &started, LeaseUntil: &until, FinishedAt: &finished, Result: &result,
		Message: hostile, LogSize: r.LogSize, Lease: digest("lease"),
	}
}

// addRun adds a run and returns it as it comes back.
func (f *fixture) addRun(r registry.Run) registry.Run {
	f.Helper()
	f.update(func(tx registry.Tx) (err error) {
		r.ID, err = tx.AddRun(f.ctx, r)
		return err
	})
	return r
}

func (f *fixture) updateRun(r registry.Run) {
	f.Helper()
	f.update(func(tx registry.Tx) error { return tx.UpdateRun(f.ctx, r) })
}

func (f *fixture) run(id int64) registry.Run {
	f.Helper()
	r, err := f.store.Run(f.ctx, id)
	f.check(err)
	return r
}

func (f *fixture) wantRuns(q registry.RunQuery, want ...registry.Run) {
	f.Helper()
	got, err := f.store.Runs(f.ctx, q)
	f.check(err)
	f.equal(fmt.Sprintf("runs for %+v", q), got, want)
}

var runTests = []storeTest{
	{"AddRunCountsTheRunsOfTheWholeStore", func(f *fixture) {
		f.create("a/b", "a/c", "b/c")
		given := queuedRun("a/b", 1, "a/c")
		given.ID, given.RequestedAt = 77, moment // in another zone, with more precision
		want := []registry.Run{queuedRun("a/b", 1, "a/c"), queuedRun("a/b", 1, "b/c"), queuedRun("a/b", 2, "a/c"), queuedRun("b/c", 1, "a/c"), finishedRun(queuedRun("a/b", 3, "a/c"))}
		for i, r := range append([]registry.Run{given}, want[1:]...) {
			want[i].ID = int64(i + 1)
			f.equal("id", f.addRun(r).ID, want[i].ID)
		}
		f.reopen()
		for _, r := range want {
			f.equal("Run", f.run(r.ID), r)
		}
		last := f.run(5)
		f.wantUTC(last.RequestedAt)
		f.wantUTC(*last.StartedAt)
		f.wantUTC(*last.LeaseUntil)
		f.wantUTC(*last.FinishedAt)
		for _, id := range []int64{0, -1, 6, 77} {
			_, err := f.store.Run(f.ctx, id)
			f.wantKind("Run", err, registry.NotFound)
		}
	}},

	{"ARunThatIsThereAlreadyStaysAsItIsAndTakesNoID", func(f *fixture) {
		f.create("a/b", "a/c", "a/d")
		first := f.addRun(queuedRun("a/b", 1, "a/c"))
		twin := finishedRun(queuedRun("a/b", 1, "a/c"))
		twin.From.Version = "9.9.9"
		for range 2 {
			f.equal("id of a twin", f.addRun(twin).ID, int64(0))
		}
		f.update(func(tx registry.Tx) error {
			for i, r := range []registry.Run{queuedRun("a/b", 2, "a/c"), queuedRun("a/b", 2, "a/c"), queuedRun("a/b", 2, "a/d")} {
				id, err := tx.AddRun(f.ctx, r)
				f.check(err)
				f.equal("id in one transaction", id, []int64{2, 0, 3}[i])
			}
			return nil
		})
		f.equal("the first", f.run(1), first)
	}},

	{"IDsGrowWithoutGapsHoweverManyAddRuns", func(f *fixture) {
		const writers, each = 6, 15
		f.create("a/b", "a/c")
		stores := []registry.Store{f.store, f.open()}
		ids := make([][]int64, writers)
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					number := int64(w/2*each + i + 1) // the same as of another one
					var id int64
					err := stores[w%len(stores)].Update(f.ctx, func(tx registry.Tx) (err error) {
						id, err = tx.AddRun(f.ctx, queuedRun("a/b", number, "a/c"))
						return err
					})
					if err != nil {
						f.Error(err)
						return
					}
					if id != 0 {
						ids[w] = append(ids[w], id)
					}
				}
			})
		}
		wg.Wait()
		for _, own := range ids {
			if !slices.IsSorted(own) {
				f.Errorf("the ids that one got do not grow: %v", own)
			}
		}
		var want []int64
		for id := range int64(writers / 2 * each) {
			want = append(want, id+1)
		}
		f.equal("ids", slices.Sorted(slices.Values(slices.Concat(ids...))), want)
	}},

	{"AddRunThatIsNotKeptGivesItsIDBack", func(f *fixture) {
		f.create("a/b", "a/c")
		err := f.store.Update(f.ctx, func(tx registry.Tx) error {
			_, err := tx.AddRun(f.ctx, queuedRun("a/b", 1, "a/c"))
			f.check(err)
			return errOfFn
		})
		if err != errOfFn {
			f.Errorf("Update = %v", err)
		}
		f.equal("id", f.addRun(queuedRun("a/b", 1, "a/c")).ID, int64(1))
	}},

	{"UpdateRunSetsAllButTheLogAndWhatTheRunIsOf", func(f *fixture) {
		f.create("a/b", "a/c")
		r, other := f.addRun(queuedRun("a/b", 1, "a/c")), f.addRun(queuedRun("a/b", 2, "a/c"))
		f.appendLog(r.ID, 0, "text")
		r.LogSize = 4
		bare := registry.Run{ID: r.ID, Application: r.Application, From: r.From, Target: r.Target, RequestedAt: kept(moment), LogSize: 4}
		for _, want := range []registry.Run{finishedRun(r), r, finishedRun(r), bare} {
			changed := want
			changed.Application, changed.Target, changed.From, changed.LogSize = "a/c", "no/such", versionID(2), 99
			f.updateRun(changed)
			f.equal("Run", f.run(r.ID), want)
		}
		f.equal("another", f.run(other.ID), other)
		f.wantLog(r.ID, 0, 10, "text")
		for _, id := range []int64{0, 9} {
			f.wantKind("UpdateRun", f.store.Update(f.ctx, func(tx registry.Tx) error { return tx.UpdateRun(f.ctx, registry.Run{ID: id, RequestedAt: moment}) }), registry.NotFound)
		}
	}},

	{"ARunOutlivesTheVersionsThatItIsOfAndThatCameOfIt", func(f *fixture) {
		f.publish(version("a/b", 1), version("a/c", 1))
		r := f.addRun(queuedRun("a/b", 1, "a/c"))
		r.Result = &registry.VersionID{Number: 1, Version: "0.1.0"}
		f.updateRun(r)
		for _, name := range []registry.ArtifactName{"a/b", "a/c"} {
			f.update(func(tx registry.Tx) error { return tx.DeleteVersion(f.ctx, name, 1) })
		}
		f.equal("Run", f.run(r.ID), r)
	}},

	{"RunsComeHighestIDFirst", func(f *fixture) {
		f.create("a/b", "a/c", "b/c", "a/none")
		running := func(r registry.Run) registry.Run { r.Status = registry.RunRunning; return r }
		var r [7]registry.Run // by id
		for _, run := range []registry.Run{
			queuedRun("a/b", 1, "a/c"), running(queuedRun("a/b", 2, "a/c")), queuedRun("a/c", 1, "a/b"), running(queuedRun("b/c", 1, "a/c")), queuedRun("b/c", 2, "a/c"), queuedRun("a/b", 1, "b/c"),
		} {
			run = f.addRun(run)
			r[run.ID] = run
		}
		for _, c := range []struct {
			query registry.RunQuery
			want  []int64
		}{
			{registry.RunQuery{Limit: 10}, []int64{6, 5, 4, 3, 2, 1}},
			{registry.RunQuery{Limit: 2}, []int64{6, 5}},
			{registry.RunQuery{Limit: 2, Before: 5}, []int64{4, 3}},
			{registry.RunQuery{Limit: 10, Before: 1}, nil},
			{registry.RunQuery{Limit: 10, Before: 99}, []int64{6, 5, 4, 3, 2, 1}},
			{registry.RunQuery{}, nil},
			{registry.RunQuery{Limit: 10, Artifact: "a/b"}, []int64{6, 3, 2, 1}},
			{registry.RunQuery{Limit: 2, Artifact: "a/b"}, []int64{6, 3}},
			{registry.RunQuery{Limit: 2, Artifact: "a/b", Before: 6}, []int64{3, 2}},
			{registry.RunQuery{Limit: 10, Artifact: "a/c"}, []int64{5, 4, 3, 2, 1}},
			{registry.RunQuery{Limit: 3, Artifact: "b/c"}, []int64{6, 5, 4}},
			{registry.RunQuery{Artifact: "a/b"}, nil},
			{registry.RunQuery{Limit: 10, Artifact: "a/none"}, nil},
			{registry.RunQuery{Limit: 10, Artifact: "no/such"}, nil},
			{registry.RunQuery{Limit: 10, Artifact: "A/B"}, nil},
			{registry.RunQuery{Limit: 10, Status: registry.RunRunning}, []int64{4, 2}},
			{registry.RunQuery{Limit: 10, Status: registry.RunDone}, nil},
			{registry.RunQuery{Limit: 1, Status: registry.RunQueued, Before: 6}, []int64{5}},
			{registry.RunQuery{Limit: 10, Status: registry.RunQueued, Artifact: "a/b"}, []int64{6, 3, 1}},
			{registry.RunQuery{Limit: 2, Status: registry.RunQueued, Artifact: "a/b", Before: 6}, []int64{3, 1}},
		} {
			var want []registry.Run
			for _, id := range c.want {
				want = append(want, r[id])
			}
			f.wantRuns(c.query, want...)
		}
	}},

	{"NextRunIsTheFirstThatNobodyHas", func(f *fixture) {
		f.create("a/b", "a/c", "a/d")
		next := func(now time.Time) int64 {
			f.Helper()
			r, err := f.store.NextRun(f.ctx, "a/b", "a/c", now)
			if err != nil {
				f.wantKind("NextRun", err, registry.NotFound)
				return 0
			}
			f.equal("NextRun", r, f.run(r.ID))
			return r.ID
		}
		set := func(r *registry.Run, status registry.RunStatus, until *time.Time) {
			r.Status, r.LeaseUntil = status, until
			f.updateRun(*r)
		}
		f.equal("next of none", next(moment), int64(0))
		f.addRun(queuedRun("a/c", 1, "a/b")) // of other links
		f.addRun(queuedRun("a/b", 1, "a/d"))
		f.equal("next of none", next(moment), int64(0))
		r1, r2, r3 := f.addRun(queuedRun("a/b", 9, "a/c")), f.addRun(queuedRun("a/b", 5, "a/c")), f.addRun(queuedRun("a/b", 7, "a/c"))
		f.equal("next of queued ones", next(moment), r1.ID)

		until, later := kept(after(time.Minute)), kept(after(time.Hour))
		set(&r1, registry.RunRunning, &until)
		f.equal("next while one runs", next(until), r2.ID)
		f.equal("next when its lease has ended", next(until.Add(time.Microsecond)), r1.ID)
		set(&r2, registry.RunRunning, &later)
		set(&r3, registry.RunRunning, nil) // without a lease it never ends
		f.equal("next while all run", next(until), int64(0))
		f.equal("next when the first has ended", next(later.Add(time.Hour)), r1.ID)
		set(&r1, registry.RunDone, &until)
		f.equal("next when the first is done", next(later), int64(0))
		f.equal("next when the second has ended", next(later.Add(time.Microsecond)), r2.ID)
		set(&r2, registry.RunFailed, &later)
		f.equal("next when the second failed", next(later.Add(time.Hour)), int64(0))
		set(&r3, registry.RunQueued, &later)
		f.equal("next when the third is queued again", next(moment), r3.ID)
	}},
}

// appendLog adds text to the log of a run.
func (f *fixture) appendLog(id, offset int64, text string) {
	f.Helper()
	f.update(func(tx registry.Tx) error { return tx.AppendRunLog(f.ctx, id, offset, text) })
}

func (f *fixture) wantLog(id, offset int64, limit int, want string) {
	f.Helper()
	got, err := f.store.RunLog(f.ctx, id, offset, limit)
	f.check(err)
	f.equal(fmt.Sprintf("log of %d from %d, at least %d", id, offset, limit), got, want)
}

var runLogTests = []storeTest{
	{"ALogIsReadFromAnyOffset", func(f *fixture) {
		f.create("a/b", "a/c")
		empty, other, r := f.addRun(queuedRun("a/b", 1, "a/c")), f.addRun(queuedRun("a/b", 2, "a/c")), f.addRun(queuedRun("a/b", 3, "a/c"))
		f.appendLog(other.ID, 0, "of another run")
		parts := []string{"first\n", "", hostile, "x", "é\r\n"}
		all := strings.Join(parts, "")
		var ends []int
		for size := 0; len(parts) > 0; parts = parts[1:] {
			f.appendLog(r.ID, int64(size), parts[0])
			size += len(parts[0])
			ends = append(ends, size)
			f.equal("log_size", f.run(r.ID).LogSize, int64(size))
		}
		f.reopen()
		for offset := range len(all) + 2 {
			for _, limit := range []int{0, 1, 3, len(all), 10 * len(all)} {
				want, from := "", min(offset, len(all))
				if limit > 0 { // up to the end of the part that has the last of these bytes
					last := slices.IndexFunc(ends, func(end int) bool { return end >= min(offset+limit, len(all)) })
					want = all[from:max(from, ends[last])]
				}
				f.wantLog(r.ID, int64(offset), limit, want)
			}
		}
		f.wantLog(empty.ID, 0, 10, "")
		f.wantLog(empty.ID, 5, 10, "")
		f.wantLog(other.ID, 3, 10, "another run")
		_, err := f.store.RunLog(f.ctx, 99, 0, 10)
		f.wantKind("RunLog of no run", err, registry.NotFound)
	}},

	{"AppendRunLogAtAnotherOffsetIsAConflict", func(f *fixture) {
		f.create("a/b", "a/c")
		r := f.addRun(queuedRun("a/b", 1, "a/c"))
		for _, text := range []string{"some", " text"} {
			size := f.run(r.ID).LogSize
			for _, offset := range []int64{size - 1, size + 1, size + int64(len(text))} {
				f.wantKind("AppendRunLog", f.store.Update(f.ctx, func(tx registry.Tx) error { return tx.AppendRunLog(f.ctx, r.ID, offset, text) }), registry.Conflict)
			}
			f.appendLog(r.ID, size, text)
		}
		f.wantKind("AppendRunLog again", f.store.Update(f.ctx, func(tx registry.Tx) error { return tx.AppendRunLog(f.ctx, r.ID, 4, " text") }), registry.Conflict)
		f.wantLog(r.ID, 0, 100, "some text")
		f.wantKind("AppendRunLog to no run", f.store.Update(f.ctx, func(tx registry.Tx) error { return tx.AppendRunLog(f.ctx, 99, 0, "x") }), registry.NotFound)
	}},

	{"ALogThatIsDeletedBeginsAnew", func(f *fixture) {
		f.create("a/b", "a/c")
		r, other := f.addRun(queuedRun("a/b", 1, "a/c")), f.addRun(queuedRun("a/b", 2, "a/c"))
		f.appendLog(r.ID, 0, "one")
		f.appendLog(r.ID, 3, "two")
		f.appendLog(other.ID, 0, "other")
		f.update(func(tx registry.Tx) error { return tx.DeleteRunLog(f.ctx, r.ID) })
		f.equal("log_size", f.run(r.ID).LogSize, int64(0))
		f.wantLog(r.ID, 0, 100, "")
		f.appendLog(r.ID, 0, "three")
		f.wantLog(r.ID, 0, 100, "three")
		f.wantLog(other.ID, 0, 100, "other")
		f.wantKind("DeleteRunLog of no run", f.store.Update(f.ctx, func(tx registry.Tx) error { return tx.DeleteRunLog(f.ctx, 99) }), registry.NotFound)
	}},

	{"OfManyWhoAppendAtOneOffsetOneDoes", func(f *fixture) {
		f.create("a/b", "a/c")
		r := f.addRun(queuedRun("a/b", 1, "a/c"))
		stores := []registry.Store{f.store, f.open()}
		errs := make([]error, 8)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				errs[i] = stores[i%len(stores)].Update(f.ctx, func(tx registry.Tx) error { return tx.AppendRunLog(f.ctx, r.ID, 0, fmt.Sprint(i)) })
			})
		}
		wg.Wait()
		won := -1
		for i, err := range errs {
			switch {
			case err != nil:
				f.wantKind("AppendRunLog", err, registry.Conflict)
			case won >= 0:
				f.Errorf("%d and %d were both appended at 0", won, i)
			default:
				won = i
			}
		}
		f.wantLog(r.ID, 0, 10, fmt.Sprint(won))
	}},
}
