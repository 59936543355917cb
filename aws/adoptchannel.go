package aws

import (
	"cmp"
	"context"
	"slices"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// AdoptedChannel is what becomes of a channel.
type AdoptedChannel struct {
	Name string `json:"name"`
	// From is where it points before; nil when it does not exist.
	From *registry.VersionID `json:"from,omitempty"`
	// To is the name of the AMIs to whose version it moves; "" when it stays.
	To string `json:"to,omitempty"`
	// Version is that of To, once it is recorded.
	Version *registry.VersionID `json:"version,omitempty"`
	// Points is true once the channel points to Version.
	Points bool `json:"points"`
	// Note says why the channel stays, or does not point to Version, and what to do.
	Note string `json:"note,omitempty"`
}

// promote lets the channels move to the newest version that is made.
func (p *adopting) promote(ctx context.Context, known bool, channels []string) error {
	for _, name := range channels {
		c := AdoptedChannel{Name: name, To: p.target(name)}
		if c.To == "" {
			c.Note = p.whyNot(name)
		}
		for i := range p.plan.Builds {
			if b := &p.plan.Builds[i]; b.Action != AdoptRecorded && b.Name == c.To {
				b.publication.Channels = append(b.publication.Channels, name)
			}
		}
		if known {
			history, err := p.lookup.Channel(ctx, p.plan.Artifact, name)
			switch {
			case err == nil:
				c.From = &history.VersionID
			case registry.KindOf(err) != registry.NotFound:
				return err
			}
		}
		p.plan.Channels = append(p.plan.Channels, c)
	}
	return nil
}

// target is the name of the AMIs to whose version a channel moves: the newest that is made or, without one, a version
// that was begun with the channel and is completed now.
func (p *adopting) target(channel string) string {
	made, begun := "", ""
	for _, b := range p.plan.Builds {
		switch {
		case b.Action == AdoptNew:
			made = b.Name
		case b.Action == AdoptAdd && slices.Contains(b.requested, channel):
			begun = b.Name
		}
	}
	return cmp.Or(made, begun)
}

// whyNot says why there is no version to move a channel to.
func (p *adopting) whyNot(channel string) string {
	if p.holding != "" {
		return "the new version of " + clean(p.holding, maxQuoted) + " has to wait, as its AMIs say; run it again when that is settled"
	}
	return "there is no new version; almanac channel set " + p.plan.Artifact + " " + channel + " VERSION moves it to any other"
}

// moved takes over what a receipt says of the channels.
func (a *Adoption) moved(receipt registry.Receipt) {
	for _, outcome := range receipt.Channels {
		for i := range a.Channels {
			if c := &a.Channels[i]; c.Name == outcome.Name {
				c.Version, c.Points, c.Note = &receipt.VersionID, outcome.Points, outcome.Note
			}
		}
	}
}
