package registrytest

import (
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// answered publishes a version with two builds, each of which has an answer: x in two regions and y in one.
func (f *fixture) answered(number int64) registry.Version {
	f.Helper()
	v := version("a/b", number)
	v.Builds = []registry.Build{build("x", registry.AmazonImage), build("y", "azure.image")}
	v.Builds[0].Images = []registry.Image{
		{Provider: "aws", Region: "eu-west-1", ID: "ami-1", SourceID: "ami-0", Labels: registry.Metadata{"k": hostile}},
		{Provider: "aws", Region: "us-east-1", ID: "ami-2", Verification: &registry.Verification{Status: registry.ImageAvailable, At: kept(moment), Attributes: registry.Metadata{"name": hostile}}},
		{Provider: "aws", Region: "us-west-1", ID: "ami-3", Verification: &registry.Verification{Status: registry.ImagePending, At: kept(moment)}},
	}
	v.Builds[1].Images = []registry.Image{{Provider: "azure", Region: "eu-west-1", ID: "y"}}
	f.publish(v)
	f.update(func(tx registry.Tx) error {
		if err := tx.SetAnswer(f.ctx, "a/b", number, "x", "replaced"); err != nil {
			return err
		}
		if err := tx.SetAnswer(f.ctx, "a/b", number, "x", `{"x":"`+hostile+`"}`); err != nil {
			return err
		}
		return tx.SetAnswer(f.ctx, "a/b", number, "y", `{"y":1}`)
	})
	return v
}

func (f *fixture) answers(sel registry.Selector, q registry.AnswerQuery) []registry.StoredAnswer {
	f.Helper()
	answers, err := f.store.Answers(f.ctx, "a/b", sel, q)
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
		want := []registry.StoredAnswer{{
			Number: 1, Status: v.Status, Revocation: v.Revocation, Image: v.Builds[0].Images[0], Body: `{"x":"` + hostile + `"}`,
		}}
		for _, sel := range []registry.Selector{
			{Number: 1}, {Version: v.VersionID.Version}, {Fingerprint: v.Fingerprint}, {Channel: "production"}, {Latest: true, Type: registry.AmazonImage},
		} {
			f.equal("Answers", f.answers(sel, registry.AnswerQuery{Type: registry.AmazonImage, Region: "eu-west-1"}), want)
		}
		f.reopen()
		want[0].Image, want[0].Revocation = v.Builds[0].Images[1], v.Revocation
		f.equal("Answers after reopening", f.answers(registry.Selector{Number: 1}, registry.AnswerQuery{Region: "us-east-1"}), want)
	}},

	{"TwoAnswersAreBoth", func(f *fixture) {
		f.answered(1)
		f.equal("answers", len(f.answers(registry.Selector{Number: 1}, registry.AnswerQuery{Region: "eu-west-1"})), 2)
	}},

	{"NothingIsFoundWhereNothingFits", func(f *fixture) {
		f.answered(1)
		f.publish(func() registry.Version { // without an answer
			v := version("a/b", 2)
			v.Builds = []registry.Build{build("x", registry.AmazonImage)}
			v.Builds[0].Images = []registry.Image{{Provider: "aws", Region: "eu-west-1", ID: "ami-1"}}
			return v
		}())
		for name, c := range map[string]struct {
			sel registry.Selector
			q   registry.AnswerQuery
		}{
			"no version":          {registry.Selector{Number: 3}, registry.AnswerQuery{Region: "eu-west-1"}},
			"no channel":          {registry.Selector{Channel: "none"}, registry.AnswerQuery{Region: "eu-west-1"}},
			"no latest":           {registry.Selector{Latest: true}, registry.AnswerQuery{Region: "eu-west-1"}},
			"no region":           {registry.Selector{Number: 1}, registry.AnswerQuery{Region: "mars-1"}},
			"no type":             {registry.Selector{Number: 1}, registry.AnswerQuery{Region: "eu-west-1", Type: "docker.image"}},
			"a pending image":     {registry.Selector{Number: 1}, registry.AnswerQuery{Region: "us-west-1"}},
			"no answer was given": {registry.Selector{Number: 2}, registry.AnswerQuery{Region: "eu-west-1"}},
		} {
			f.equal(name, f.answers(c.sel, c.q), []registry.StoredAnswer(nil))
		}
		answers, err := f.store.Answers(f.ctx, "a/none", registry.Selector{Number: 1}, registry.AnswerQuery{Region: "eu-west-1"})
		f.check(err)
		f.equal("no artifact", answers, []registry.StoredAnswer(nil))
	}},

	{"AnAnswerFollowsWhatItDependsOn", func(f *fixture) {
		v := f.answered(1)
		pending := v.Builds[0].Images[2]
		pending.Verification = &registry.Verification{Status: registry.ImageAvailable, At: kept(moment)}
		v.Revocation = &registry.Revocation{At: kept(moment), By: "ci", Reason: hostile}
		f.update(func(tx registry.Tx) error {
			if err := tx.SetVerifications(f.ctx, "a/b", 1, "x", []registry.Image{pending}); err != nil {
				return err
			}
			return tx.UpdateVersion(f.ctx, v)
		})
		got := f.answers(registry.Selector{Number: 1}, registry.AnswerQuery{Region: "us-west-1"})
		f.equal("Answers", got, []registry.StoredAnswer{{Number: 1, Status: v.Status, Revocation: v.Revocation, Image: pending, Body: `{"x":"` + hostile + `"}`}})
	}},

	{"SetAnswerOfABuildThatIsNotThereIsNotFound", func(f *fixture) {
		f.answered(1)
		for _, c := range []struct {
			number    int64
			component string
		}{{1, "none"}, {2, "x"}} {
			err := f.store.Update(f.ctx, func(tx registry.Tx) error {
				return tx.SetAnswer(f.ctx, "a/b", c.number, c.component, "{}")
			})
			f.wantKind("SetAnswer", err, registry.NotFound)
		}
	}},

	{"AnswersGoWithTheirArtifact", func(f *fixture) {
		f.answered(1)
		f.update(func(tx registry.Tx) error { return tx.DeleteArtifact(f.ctx, "a/b") })
		f.equal("Answers", f.answers(registry.Selector{Number: 1}, registry.AnswerQuery{Region: "us-east-1"}), []registry.StoredAnswer(nil))
	}},
}
