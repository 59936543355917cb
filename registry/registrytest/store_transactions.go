package registrytest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

var errOfFn = errors.New("the function failed")

var transactionTests = []storeTest{
	{"PingSucceeds", func(f *fixture) { f.check(f.store.Ping(f.ctx)) }},

	{"UpdateReturnsTheFunctionsErrorAsItIs", func(f *fixture) {
		if err := f.store.Update(f.ctx, func(registry.Tx) error { return errOfFn }); err != errOfFn {
			f.Errorf("error = %v; want the very error of the function", err)
		}
	}},

	{"NothingIsWrittenWhenTheFunctionFails", func(f *fixture) {
		f.publish(version("a/kept", 1))
		err := f.store.Update(f.ctx, func(tx registry.Tx) error {
			v := version("a/gone", 1)
			v.Builds = []registry.Build{build("x", registry.AmazonImage)}
			f.check(publish(f.ctx, tx, v))
			f.check(tx.GrantBlob(f.ctx, "a/gone", digest("blob")))
			f.check(tx.MoveChannel(f.ctx, "a/gone", "production", registry.ChannelMove{To: versionID(1), At: moment}))
			f.check(tx.SetLatest(f.ctx, "a/gone", "", 1))
			f.check(tx.PutToken(f.ctx, registry.Token{ID: "t", Digest: digest("t"), CreatedAt: moment}))
			f.check(tx.PutUpload(f.ctx, registry.Upload{ID: "u", CreatedAt: moment}))
			if _, err := tx.LockArtifact(f.ctx, "a/kept", false, moment); err != nil {
				return err
			}
			f.check(tx.DeleteArtifact(f.ctx, "a/kept"))
			f.check(tx.AppendEvent(f.ctx, registry.Event{At: moment}))
			return errOfFn
		})
		if err != errOfFn {
			f.Fatalf("error = %v", err)
		}
		_, err = f.store.Artifact(f.ctx, "a/gone")
		f.wantKind("Artifact", err, registry.NotFound)
		_, err = f.store.Version(f.ctx, "a/kept", registry.Selector{Number: 1})
		f.check(err)
		uses, err := f.store.ImageUses(f.ctx, "aws", "eu-west-1", "ami-x", everything, 10)
		f.check(err)
		f.equal("ImageUses", uses, []registry.ImageUse(nil))
		f.equal("BlobVisible", f.hasBlob("blob", everything), false)
		_, err = f.store.TokenByDigest(f.ctx, digest("t"))
		f.wantKind("TokenByDigest", err, registry.NotFound)
		_, err = f.store.Upload(f.ctx, "u")
		f.wantKind("Upload", err, registry.NotFound)
		events, err := f.store.Events(f.ctx, 0, 10)
		f.check(err)
		f.equal("Events", events, []registry.Event(nil))
	}},

	{"AFunctionThatPanicsWritesNothingAndBlocksNobody", func(f *fixture) {
		func() {
			defer func() { _ = recover() }()
			_ = f.store.Update(f.ctx, func(tx registry.Tx) error {
				f.check(publish(f.ctx, tx, version("a/b", 1)))
				panic("a defect")
			})
		}()
		_, err := f.store.Artifact(f.ctx, "a/b")
		f.wantKind("Artifact", err, registry.NotFound)
		f.publish(version("a/b", 1))
	}},

	{"TheFunctionReadsItsOwnWrites", func(f *fixture) {
		f.update(func(tx registry.Tx) error {
			v := version("a/b", 1)
			v.Builds = []registry.Build{build("x", registry.AmazonImage)}
			f.check(publish(f.ctx, tx, v))
			got, err := tx.Version(f.ctx, "a/b", registry.Selector{Number: 1})
			f.check(err)
			f.equal("Version", got, v)
			f.check(tx.SetLatest(f.ctx, "a/b", "", 1))
			_, err = tx.Version(f.ctx, "a/b", registry.Selector{Latest: true})
			f.check(err)
			f.check(tx.MoveChannel(f.ctx, "a/b", "production", registry.ChannelMove{To: versionID(1), At: moment}))
			artifact, err := tx.Artifact(f.ctx, "a/b")
			f.check(err)
			if len(artifact.Channels) != 1 || artifact.Latest == nil {
				f.Errorf("Artifact = %+v; want its channel and latest", artifact)
			}
			list, err := tx.Artifacts(f.ctx, registry.ArtifactQuery{Visible: registry.Visibility{All: true}, Limit: 10})
			f.check(err)
			f.equal("Artifacts", list, []registry.Artifact{artifact})
			f.check(tx.PutToken(f.ctx, registry.Token{ID: "t", Digest: digest("t"), CreatedAt: moment}))
			_, err = tx.TokenByDigest(f.ctx, digest("t"))
			f.check(err)
			f.check(tx.DeleteArtifact(f.ctx, "a/b"))
			_, err = tx.Version(f.ctx, "a/b", registry.Selector{Number: 1})
			f.wantKind("Version", err, registry.NotFound)
			return nil
		})
	}},

	{"NotFoundWithinAFunctionDoesNotEndTheTransaction", func(f *fixture) {
		f.update(func(tx registry.Tx) error {
			_, err := tx.LockArtifact(f.ctx, "a/b", false, moment)
			f.wantKind("LockArtifact", err, registry.NotFound)
			f.check(publish(f.ctx, tx, version("a/b", 1)))
			for what, write := range missingWrites(f.ctx, "a/b") {
				f.wantKind(what, write(tx), registry.NotFound)
			}
			_, err = tx.Version(f.ctx, "a/b", registry.Selector{Number: 2})
			f.wantKind("Version", err, registry.NotFound)
			return nil
		})
		_, err := f.store.Version(f.ctx, "a/b", registry.Selector{Number: 1})
		f.check(err)
	}},

	{"ConflictOfNamesWithinAFunctionDoesNotEndTheTransaction", func(f *fixture) {
		f.create("a/b")
		f.update(func(tx registry.Tx) error {
			_, err := tx.LockArtifact(f.ctx, "A/b", true, moment)
			f.wantKind("LockArtifact", err, registry.Conflict)
			return publish(f.ctx, tx, version("a/b", 1))
		})
		_, err := f.store.Version(f.ctx, "a/b", registry.Selector{Number: 1})
		f.check(err)
	}},

	{"WritesToAnArtifactThatDoesNotExistAreNotFound", func(f *fixture) {
		writes := missingWrites(f.ctx, "no/such")
		maps.Copy(writes, map[string]func(tx registry.Tx) error{
			"LockArtifact": func(tx registry.Tx) error {
				_, err := tx.LockArtifact(f.ctx, "no/such", false, moment)
				return err
			},
			"PutArtifact":    func(tx registry.Tx) error { return tx.PutArtifact(f.ctx, registry.Artifact{Name: "no/such"}) },
			"DeleteArtifact": func(tx registry.Tx) error { return tx.DeleteArtifact(f.ctx, "no/such") },
			"InsertVersion":  func(tx registry.Tx) error { return tx.InsertVersion(f.ctx, version("no/such", 1), "0.1.0") },
		})
		for what, write := range writes {
			f.wantKind(what, f.store.Update(f.ctx, write), registry.NotFound)
		}
	}},

	{"ReadsOfWhatDoesNotExistAreNotFound", func(f *fixture) {
		f.publish(version("a/b", 1))
		_, err := f.store.Artifact(f.ctx, "no/such")
		f.wantKind("Artifact", err, registry.NotFound)
		for _, name := range []registry.ArtifactName{"no/such", "a/b", "A/B"} {
			for _, sel := range []registry.Selector{
				{}, {Number: 2}, {Number: -1}, {Version: "9.9.9"}, {Fingerprint: "none"}, {Channel: "none"}, {Latest: true}, {Latest: true, Type: registry.Archive},
			} {
				_, err = f.store.Version(f.ctx, name, sel)
				f.wantKind(fmt.Sprintf("Version %s %+v", name, sel), err, registry.NotFound)
			}
			_, _, err = f.store.Channel(f.ctx, name, "none", 10)
			f.wantKind("Channel", err, registry.NotFound)
		}
		_, err = f.store.Versions(f.ctx, "no/such", registry.VersionQuery{Limit: 10})
		f.wantKind("Versions", err, registry.NotFound)
		_, err = f.store.TokenByDigest(f.ctx, digest("none"))
		f.wantKind("TokenByDigest", err, registry.NotFound)
		_, err = f.store.Upload(f.ctx, "none")
		f.wantKind("Upload", err, registry.NotFound)
	}},

	{"OtherConnectionsSeeAnUpdateThatReturned", func(f *fixture) {
		other := f.open()
		for number := int64(1); number <= 20; number++ {
			f.publish(version("a/b", number))
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					if _, err := f.store.Version(f.ctx, "a/b", registry.Selector{Number: number}); err != nil {
						f.Errorf("version %d: %v", number, err)
					}
				})
			}
			wg.Wait()
			if _, err := other.Version(f.ctx, "a/b", registry.Selector{Number: number}); err != nil {
				f.Errorf("version %d in another store: %v", number, err)
			}
		}
	}},

	{"WhatIsNotCommittedIsNotSeen", func(f *fixture) {
		f.update(func(tx registry.Tx) error {
			f.check(publish(f.ctx, tx, version("a/b", 1)))
			_, err := f.store.Version(f.ctx, "a/b", registry.Selector{Number: 1})
			f.wantKind("Version outside of the transaction", err, registry.NotFound)
			return nil
		})
	}},

	{"EverythingIsThereAfterReopening", func(f *fixture) {
		v := version("a/b", 1)
		v.Builds = []registry.Build{build("x", registry.AmazonImage)}
		f.publish(v)
		f.update(func(tx registry.Tx) error { return tx.AppendEvent(f.ctx, registry.Event{At: moment}) })
		f.reopen()
		got, err := f.store.Version(f.ctx, "a/b", registry.Selector{Number: 1})
		f.check(err)
		f.equal("Version", got, v)
		f.update(func(tx registry.Tx) error {
			c, err := tx.LockArtifact(f.ctx, "a/b", false, moment)
			f.equal("Counters", c, registry.Counters{LastNumber: 1, Highest: "0.1.0"})
			f.check(err)
			return tx.AppendEvent(f.ctx, registry.Event{At: moment})
		})
		events, err := f.store.Events(f.ctx, 0, 10)
		f.check(err)
		if len(events) != 2 || events[0].ID >= events[1].ID {
			f.Errorf("events = %+v; want two with growing IDs", events)
		}
	}},

	{"ACancelledContextEndsEveryMethod", func(f *fixture) {
		f.publish(version("a/b", 1))
		ctx, cancel := context.WithCancel(f.ctx)
		cancel()
		s := f.store
		for what, call := range map[string]func() error{
			"Artifact":  func() error { _, err := s.Artifact(ctx, "a/b"); return err },
			"Artifacts": func() error { _, err := s.Artifacts(ctx, registry.ArtifactQuery{Limit: 1}); return err },
			"Version":   func() error { _, err := s.Version(ctx, "a/b", registry.Selector{Number: 1}); return err },
			"Boxes": func() error {
				_, err := s.Versions(ctx, "a/b", registry.VersionQuery{Boxes: true, Limit: 1})
				return err
			},
			"Versions":      func() error { _, err := s.Versions(ctx, "a/b", registry.VersionQuery{Limit: 1}); return err },
			"Channel":       func() error { _, _, err := s.Channel(ctx, "a/b", "c", 1); return err },
			"ImageUses":     func() error { _, err := s.ImageUses(ctx, "aws", "r", "i", everything, 1); return err },
			"BlobVisible":   func() error { _, err := s.BlobVisible(ctx, digest("x"), everything); return err },
			"Folded":        func() error { _, err := s.Folded(ctx, "a/b"); return err },
			"RevokedLatest": func() error { _, err := s.RevokedLatest(ctx, moment, 1); return err },
			"Events":        func() error { _, err := s.Events(ctx, 0, 1); return err },
			"TokenByDigest": func() error { _, err := s.TokenByDigest(ctx, digest("x")); return err },
			"Tokens":        func() error { _, err := s.Tokens(ctx); return err },
			"Upload":        func() error { _, err := s.Upload(ctx, "x"); return err },
			"UploadsBefore": func() error { _, err := s.UploadsBefore(ctx, moment, 1); return err },
			"Links":         func() error { _, err := s.Links(ctx, "a/b"); return err },
			"Run":           func() error { _, err := s.Run(ctx, 1); return err },
			"Runs":          func() error { _, err := s.Runs(ctx, registry.RunQuery{Limit: 1}); return err },
			"NextRun":       func() error { _, err := s.NextRun(ctx, "a/b", "a/c", moment); return err },
			"RunLog":        func() error { _, err := s.RunLog(ctx, 1, 0, 1); return err },
			"Ping":          func() error { return s.Ping(ctx) },
			"Update": func() error {
				return s.Update(ctx, func(tx registry.Tx) error { return publish(ctx, tx, version("a/b", 2)) })
			},
		} {
			if err := call(); !errors.Is(err, context.Canceled) {
				f.Errorf("%s: error = %v; want %v", what, err, context.Canceled)
			}
		}
	}},

	{"AContextCancelledInAnUpdateWritesNothing", func(f *fixture) {
		ctx, cancel := context.WithCancel(f.ctx)
		err := f.store.Update(ctx, func(tx registry.Tx) error {
			f.check(publish(ctx, tx, version("a/b", 1)))
			cancel()
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			f.Errorf("error = %v; want %v", err, context.Canceled)
		}
		_, err = f.store.Artifact(f.ctx, "a/b")
		f.wantKind("Artifact", err, registry.NotFound)
		f.publish(version("a/b", 1))
	}},

	{"AnUpdateThatWaitsEndsWithItsContext", func(f *fixture) {
		f.create("a/b")
		f.update(func(tx registry.Tx) error {
			if _, err := tx.LockArtifact(f.ctx, "a/b", false, moment); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(f.ctx, 50*time.Millisecond)
			defer cancel()
			err := f.store.Update(ctx, func(tx registry.Tx) error {
				_, err := tx.LockArtifact(ctx, "a/b", false, moment)
				return err
			})
			if !errors.Is(err, context.DeadlineExceeded) {
				f.Errorf("error = %v; want %v", err, context.DeadlineExceeded)
			}
			return nil
		})
	}},

	{"CloseWaitsForARunningUpdate", func(f *fixture) {
		inside, closed := make(chan struct{}), make(chan error, 1)
		go func() {
			<-inside
			closed <- f.store.Close()
		}()
		f.update(func(tx registry.Tx) error {
			close(inside)
			select {
			case err := <-closed:
				f.Errorf("Close returned %v while an Update ran", err)
				closed <- err
			case <-time.After(50 * time.Millisecond):
			}
			return publish(f.ctx, tx, version("a/b", 1))
		})
		f.check(<-closed)
		f.store = f.open()
		_, err := f.store.Version(f.ctx, "a/b", registry.Selector{Number: 1})
		f.check(err)
	}},

	{"AClosedStoreIsUnavailable", func(f *fixture) {
		f.check(f.store.Close())
		_, err := f.store.Tokens(f.ctx)
		f.wantKind("Tokens", err, registry.Unavailable)
		f.wantKind("Update", f.store.Update(f.ctx, func(registry.Tx) error { return nil }), registry.Unavailable)
		f.wantKind("Ping", f.store.Ping(f.ctx), registry.Unavailable)
	}},
}

// missingWrites are writes to what an artifact does not have.
func missingWrites(ctx context.Context, name registry.ArtifactName) map[string]func(tx registry.Tx) error {
	return map[string]func(tx registry.Tx) error{
		"UpdateVersion": func(tx registry.Tx) error { return tx.UpdateVersion(ctx, version(name, 9)) },
		"InsertBuild":   func(tx registry.Tx) error { return tx.InsertBuild(ctx, name, 9, build("x", registry.AmazonImage)) },
		"InsertImages": func(tx registry.Tx) error {
			return tx.InsertImages(ctx, name, 1, "none", build("x", registry.AmazonImage).Images)
		},
		"InsertAttachments": func(tx registry.Tx) error {
			return tx.InsertAttachments(ctx, name, 1, "none", []registry.Attachment{attachment("x", registry.AttachmentDocument, "", "x")})
		},
		"SetVerifications": func(tx registry.Tx) error {
			return tx.SetVerifications(ctx, name, 1, "none", verifiedBuild("x").Images)
		},
		"DeleteVersion": func(tx registry.Tx) error { return tx.DeleteVersion(ctx, name, 9) },
		"DeleteBuild":   func(tx registry.Tx) error { return tx.DeleteBuild(ctx, name, 1, "none") },
		"SetDefault":    func(tx registry.Tx) error { return tx.SetDefault(ctx, name, 1, "none", true) },
		"PutPending":    func(tx registry.Tx) error { return tx.PutPending(ctx, name, 9, pendingBox("x")) },
		"SetLatest":     func(tx registry.Tx) error { return tx.SetLatest(ctx, name, registry.AmazonImage, 9) },
		"MoveChannel": func(tx registry.Tx) error {
			return tx.MoveChannel(ctx, name, "production", registry.ChannelMove{To: versionID(9), At: moment})
		},
	}
}
