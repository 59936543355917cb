package registrytest

import (
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// answered publishes a version with builds of three types, of which two have an answer.
func (f *fixture) answered(number int64) registry.Version {
	f.Helper()
	v := version("a/b", number)
	v.Builds = []registry.Build{build("x", registry.AmazonImage), build("y", "azure.image"), build("z", registry.VagrantBox)}
	f.publish(v)
	f.update(func(tx registry.Tx) error {
		if err := tx.SetAnswer(f.ctx, "a/b", number, registry.AmazonImage, "replaced", "too"); err != nil {
			return err
		}
		if err := tx.SetAnswer(f.ctx, "a/b", number, registry.AmazonImage, hostile, "images of x"); err != nil {
			return err
		}
		return tx.SetAnswer(f.ctx, "a/b", number, "azure.image", "body of y", "")
	})
	return v
}

func (f *fixture) answers(sel registry.Selector, typ registry.Type) []registry.StoredAnswer {
	f.Helper()
	answers, err := f.store.Answers(f.ctx, "a/b", sel, typ)
	f.check(err)
	return answers
}

var answerTests = []storeTest{
	{"AnAnswerIsFoundByEverySelector", func(f *fixture) {
		v := f.answered(1)
		f.update(func(tx registry.Tx) error {
			if err := tx.SetLatest(f.ctx, "a/b", registry.AmazonImage, 1); err != nil {
				return err
			}
			return tx.MoveChannel(f.ctx, "a/b", "production", registry.ChannelMove{To: v.VersionID, At: moment})
		})
		want := []registry.StoredAnswer{{Body: hostile, Images: "images of x"}}
		for _, sel := range []registry.Selector{
			{Number: 1}, {Version: v.VersionID.Version}, {Fingerprint: v.Fingerprint}, {Channel: "production"}, {Latest: true, Type: registry.AmazonImage},
		} {
			f.equal("Answers", f.answers(sel, registry.AmazonImage), want)
		}
		f.reopen()
		f.equal("Answers after reopening", f.answers(registry.Selector{Number: 1}, "azure.image"), []registry.StoredAnswer{{Body: "body of y"}})
	}},

	{"OfManyAnswersThereAreTwo", func(f *fixture) {
		f.answered(1)
		f.update(func(tx registry.Tx) error { return tx.SetAnswer(f.ctx, "a/b", 1, registry.VagrantBox, "body of z", "") })
		f.equal("answers", len(f.answers(registry.Selector{Number: 1}, "")), 2)
	}},

	{"NothingIsFoundWhereNothingFits", func(f *fixture) {
		f.answered(1)
		f.publish(version("a/b", 2))
		for name, c := range map[string]struct {
			sel registry.Selector
			typ registry.Type
		}{
			"no version":          {registry.Selector{Number: 3}, ""},
			"no channel":          {registry.Selector{Channel: "none"}, ""},
			"no latest":           {registry.Selector{Latest: true}, ""},
			"no type":             {registry.Selector{Number: 1}, "docker.image"},
			"no answer was given": {registry.Selector{Number: 1}, registry.VagrantBox},
			"none to the version": {registry.Selector{Number: 2}, ""},
		} {
			f.equal(name, f.answers(c.sel, c.typ), []registry.StoredAnswer(nil))
		}
		answers, err := f.store.Answers(f.ctx, "a/none", registry.Selector{Number: 1}, "")
		f.check(err)
		f.equal("no artifact", answers, []registry.StoredAnswer(nil))
	}},

	{"AnAnswerFollowsTheRevocation", func(f *fixture) {
		v := f.answered(1)
		for _, revocation := range []*registry.Revocation{{At: kept(moment), By: "ci", Reason: hostile}, nil, {At: kept(moment), By: "a person"}} {
			v.Revocation = revocation
			f.update(func(tx registry.Tx) error { return tx.UpdateVersion(f.ctx, v) })
			f.equal("Answers", f.answers(registry.Selector{Number: 1}, registry.AmazonImage), []registry.StoredAnswer{{Revocation: revocation, Body: hostile, Images: "images of x"}})
		}
		// One that is given while the version is revoked says so, too.
		f.update(func(tx registry.Tx) error { return tx.SetAnswer(f.ctx, "a/b", 1, registry.VagrantBox, "body of z", "") })
		f.equal("Answers", f.answers(registry.Selector{Number: 1}, registry.VagrantBox), []registry.StoredAnswer{{Revocation: v.Revocation, Body: "body of z"}})
	}},

	{"SetAnswerOfAVersionThatIsNotThereIsNotFound", func(f *fixture) {
		f.answered(1)
		err := f.store.Update(f.ctx, func(tx registry.Tx) error {
			return tx.SetAnswer(f.ctx, "a/b", 2, registry.AmazonImage, "", "")
		})
		f.wantKind("SetAnswer", err, registry.NotFound)
	}},

	{"AnswersGoWithTheirArtifact", func(f *fixture) {
		f.answered(1)
		f.update(func(tx registry.Tx) error { return tx.DeleteArtifact(f.ctx, "a/b") })
		f.equal("Answers", f.answers(registry.Selector{Number: 1}, registry.AmazonImage), []registry.StoredAnswer(nil))
	}},
}
