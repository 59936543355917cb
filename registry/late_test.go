package registry_test

import (
	"testing"
	"time"
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
	wednesday := w.clock
	again := amis("wednesday", "a.x", "us-east-1")
	again.Channels, again.BuiltAt = []string{"production"}, &wednesday
	if receipt := w.publish(ctx, "cargomedia/app", again); !receipt.Channels[0].Points {
		t.Errorf("one that was built since did not move it: %+v", receipt)
	}
}
