package registry_test

import (
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestLatePublicationMovesNoChannelBack(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	monday := w.clock
	late := amis("monday", "a.x", "us-east-1")
	late.Channels, late.BuiltAt = []string{"production", "fresh"}, &monday
	w.clock = w.clock.Add(24 * time.Hour)
	tuesday := amis("tuesday", "a.x", "us-east-1")
	tuesday.Channels = []string{"production"}
	w.publish(ctx, "cargomedia/app", tuesday)
	w.clock = w.clock.Add(24 * time.Hour)
	receipt := w.publish(ctx, "cargomedia/app", late)
	if receipt.Number != 2 || receipt.Channels[0].Name != "fresh" || !receipt.Channels[0].Points ||
		receipt.Channels[1].Points || receipt.Channels[1].Note != "points to version 0.1.0 (number 1)" {
		t.Errorf("receipt: %+v", receipt)
	}
	c, err := w.Channel(ctx, "cargomedia/app", "production")
	if err != nil || c.Number != 1 || len(c.Moves) != 1 {
		t.Errorf("the channel went back: %+v, %v", c, err)
	}
	if v, err := w.Version(ctx, "cargomedia/app", "2"); err != nil || !v.CreatedAt.Equal(monday) || !v.Builds[0].CreatedAt.Equal(w.clock) {
		t.Errorf("made at %s, recorded at %s, %v", v.CreatedAt, v.Builds[0].CreatedAt, err)
	}
	wednesday := w.clock
	again := amis("wednesday", "a.x", "us-east-1")
	again.Channels, again.BuiltAt = []string{"production"}, &wednesday
	if receipt := w.publish(ctx, "cargomedia/app", again); !receipt.Channels[0].Points {
		t.Errorf("one that was built since did not move it: %+v", receipt)
	}
}

func TestLatePublicationsMoveAChannelInTheirOrder(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	begun := w.clock
	w.clock = w.clock.Add(24 * time.Hour)
	for i, fingerprint := range []string{"first", "second", "third"} {
		built := begun.Add(time.Duration(i) * time.Hour)
		pub := amis(fingerprint, "a.x", "us-east-1")
		pub.Channels, pub.BuiltAt = []string{"production"}, &built
		w.clock = w.clock.Add(time.Second)
		if receipt := w.publish(ctx, "cargomedia/app", pub); !receipt.Channels[0].Points {
			t.Errorf("%s: %+v", fingerprint, receipt)
		}
	}
}

// A late version can become complete by somebody else's call, which knows nothing of when it was built.
func TestLateVersionThatWasPendingMovesNoChannelBack(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	monday := w.clock
	w.clock = w.clock.Add(24 * time.Hour)
	tuesday := amis("tuesday", "a.x", "us-east-1")
	tuesday.Channels = []string{"production"}
	w.publish(ctx, "cargomedia/app", tuesday)
	w.clock = w.clock.Add(24 * time.Hour)
	late := found("monday-1", "a.x", map[string]registry.ImageStatus{"us-east-1": registry.ImagePending})
	late.Channels, late.BuiltAt = []string{"production"}, &monday
	w.publish(ctx, "cargomedia/app", late)
	if v, err := w.verify(ctx, "2", "a.x", "us-east-1", "ami-01", registry.ImageAvailable); err != nil || v.Status != registry.StatusComplete {
		t.Fatalf("%+v, %v", v, err)
	}
	if c, err := w.Channel(ctx, "cargomedia/app", "production"); err != nil || c.Number != 1 {
		t.Errorf("the channel went back: %+v, %v", c, err)
	}
}
