package crashtest

import (
	"context"
	"math/rand/v2"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// token is one that was asked for, and perhaps revoked.
type token struct {
	name, secret string
	run          *run
	// created and revoked were acknowledged; asked and ended were sent.
	asked, created, ended, revoked bool
}

// planToken makes a token, and revokes half of them.
func (h *harness) planToken(r *run, rng *rand.Rand) []step {
	k := &token{name: "token " + r.fingerprint, run: r}
	h.mu.Lock()
	h.tokens = append(h.tokens, k)
	h.mu.Unlock()
	steps := []step{{func() bool {
		k.asked = true
		k.created = h.request("create token", func(ctx context.Context) error {
			made, err := h.api.CreateToken(ctx, registry.TokenRequest{Name: k.name, Role: "publish", Scopes: []string{"crash/*"}})
			k.secret = made.Secret
			return err
		})
		return k.created
	}}}
	if rng.IntN(2) == 0 {
		steps = append(steps, step{h.ending(k)})
	}
	return steps
}

func (h *harness) ending(k *token) func() bool {
	return func() bool {
		if !k.created {
			return true // its making came to nothing
		}
		k.ended = true
		k.revoked = h.request("revoke token", func(ctx context.Context) error {
			_, err := h.api.RevokeToken(ctx, k.name)
			return err
		})
		return k.revoked
	}
}

// checkTokens holds the tokens since a round against the registry, and finishes what was cut.
func (h *harness) checkTokens(since int) {
	listed, err := h.api.Tokens(h.ctx)
	if err != nil {
		h.t.Error(err)
		return
	}
	there := map[string][]registry.Token{}
	for _, k := range listed {
		there[k.Name] = append(there[k.Name], k)
	}
	for _, k := range h.tokens {
		if !k.asked || k.run.round < since {
			continue
		}
		have := there[k.name]
		if len(have) > 1 || k.created && len(have) == 0 {
			h.t.Errorf("token %q is there %d times; its making was acknowledged: %v", k.name, len(have), k.created)
			continue
		}
		if len(have) == 0 {
			h.count("unacknowledged and absent: create token", 1)
			k.asked = false // it came to nothing
			h.wantTokenEvents(k, 0, 0)
			continue
		}
		if !k.created {
			h.count("unacknowledged and whole: create token", 1)
			k.created = true
		}
		gone := have[0].RevokedAt != nil
		if gone && !k.ended || !gone && k.revoked {
			h.t.Errorf("token %q is revoked: %v; that was asked for: %v, acknowledged: %v", k.name, gone, k.ended, k.revoked)
		}
		if k.secret != "" {
			h.checkSecret(k, gone)
		}
		events := 0
		if gone {
			events = 1
		}
		h.wantTokenEvents(k, 1, events)
		if k.ended && !k.revoked && !h.ending(k)() {
			h.t.Errorf("token %q could not be revoked again", k.name)
		}
	}
}

func (h *harness) checkSecret(k *token, gone bool) {
	_, err := h.client(h.raw.url, k.secret).Access(h.ctx, artifacts[0])
	if gone && registry.KindOf(err) != registry.Unauthorized || !gone && err != nil {
		h.t.Errorf("token %q, revoked: %v, is answered %v", k.name, gone, err)
	}
	h.count("checks of tokens", 1)
}

func (h *harness) wantTokenEvents(k *token, created, revoked int) {
	if got := h.log.tokens[registry.ActionTokenCreate+" "+k.name]; got != created {
		h.t.Errorf("the log has %d events for the making of %q, want %d", got, k.name, created)
	}
	if got := h.log.tokens[registry.ActionTokenRevoke+" "+k.name]; got != revoked {
		h.t.Errorf("the log has %d events for the revocation of %q, want %d", got, k.name, revoked)
	}
}
