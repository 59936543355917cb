package registrytest

import (
	"fmt"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

var uploadTests = []storeTest{
	{"AnUploadComesBackUntilItIsDeleted", func(f *fixture) {
		u := registry.Upload{ID: "u1", Artifact: "no/such-yet", Size: 1 << 40, SHA256: digest("x"), CreatedAt: moment, Number: 1 << 40, Component: hostile, CreatedBy: "ci"}
		f.update(func(tx registry.Tx) error { return tx.PutUpload(f.ctx, u) })
		got, err := f.store.Upload(f.ctx, "u1")
		f.check(err)
		u.CreatedAt = kept(u.CreatedAt)
		f.equal("Upload", got, u)
		f.wantUTC(got.CreatedAt)
		for range 2 { // one that is gone is no error
			f.update(func(tx registry.Tx) error { return tx.DeleteUpload(f.ctx, "u1") })
		}
		_, err = f.store.Upload(f.ctx, "u1")
		f.wantKind("Upload", err, registry.NotFound)
	}},

	{"PutUploadReplacesTheOneWithItsID", func(f *fixture) {
		u := registry.Upload{ID: "u1", Artifact: "a/b", CreatedAt: kept(moment), Number: 3, Component: hostile, CreatedBy: hostile}
		other := registry.Upload{ID: "u2", Artifact: "a/b", Size: 1, SHA256: digest("x"), CreatedAt: kept(moment)}
		received := u
		received.Size, received.SHA256 = 1<<40, digest("bytes")
		elsewhere := registry.Upload{ID: "u1", Artifact: "a/other", CreatedAt: kept(after(time.Hour)), Number: 4, Component: "y", CreatedBy: "z"}
		f.update(func(tx registry.Tx) error { return tx.PutUpload(f.ctx, other) })
		for _, want := range []registry.Upload{u, received, received, elsewhere} {
			f.update(func(tx registry.Tx) error { return tx.PutUpload(f.ctx, want) })
			got, err := f.store.Upload(f.ctx, "u1")
			f.check(err)
			f.equal("Upload", got, want)
		}
		uploads, err := f.store.UploadsBefore(f.ctx, after(2*time.Hour), 10)
		f.check(err)
		f.equal("UploadsBefore", uploads, []registry.Upload{other, elsewhere})
	}},

	{"UploadsBeforeATimeComeOldestFirst", func(f *fixture) {
		f.update(func(tx registry.Tx) error {
			for i, id := range []string{"c", "a", "d", "b"} {
				f.check(tx.PutUpload(f.ctx, registry.Upload{ID: id, CreatedAt: after(time.Duration(i) * time.Microsecond)}))
			}
			return nil
		})
		for _, c := range []struct {
			before time.Time
			limit  int
			want   []string
		}{
			{after(time.Hour), 10, []string{"c", "a", "d", "b"}},
			{after(time.Hour), 2, []string{"c", "a"}},
			{after(2 * time.Microsecond), 10, []string{"c", "a"}},
			{moment, 10, nil},
			{after(time.Hour), 0, nil},
		} {
			uploads, err := f.store.UploadsBefore(f.ctx, c.before, c.limit)
			f.check(err)
			var got []string
			for _, u := range uploads {
				got = append(got, u.ID)
			}
			f.equal(fmt.Sprintf("uploads before %v, at most %d", c.before, c.limit), got, c.want)
		}
	}},

	{"TheDraftOfAnUploadComesBackAsItWas", func(f *fixture) {
		full := fullVersion().Builds[0]
		full.CreatedAt = kept(moment)
		for _, want := range []*registry.Draft{
			{Build: full, File: hostile, Release: true},
			{Build: registry.Build{Component: "vagrant.box", Type: registry.VagrantBox, Provider: hostile, Default: true}, File: "x"},
			nil,
			{},
		} {
			u := registry.Upload{ID: "u1", Artifact: "a/b", CreatedAt: kept(moment), Number: 3, Component: "x", Draft: want}
			f.update(func(tx registry.Tx) error { return tx.PutUpload(f.ctx, u) })
			f.reopen()
			got, err := f.store.Upload(f.ctx, "u1")
			f.check(err)
			f.equal("Upload", got, u)
			uploads, err := f.store.UploadsBefore(f.ctx, after(time.Hour), 10)
			f.check(err)
			f.equal("UploadsBefore", uploads, []registry.Upload{u})
		}
	}},
}
