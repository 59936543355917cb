package ec2sim

import "maps"

// clientToken makes a call repeatable (EC2 API Reference, "Ensuring
// idempotency"): SDKs send one, so that a retry does not act twice.
type clientToken struct {
	action string
	token  string
}

// made is what a call with a client token asked for and made.
type made struct {
	params params
	id     string
}

// madeBefore returns what an earlier call with the same client token made, or
// "" if this is the first one. The same token with other parameters is refused.
func (c *call) madeBefore() (id string, err error) {
	token := c.params["ClientToken"]
	earlier, ok := c.region.tokens[clientToken{c.action, token}]
	if ok && !maps.Equal(earlier.params, c.params) {
		return "", fail("IdempotentParameterMismatch", "The client token '%s' was used with other parameters", token)
	}
	return earlier.id, nil
}

// remember keeps what the call made for repeats of it.
func (c *call) remember(id string) {
	if token := c.params["ClientToken"]; token != "" {
		c.region.tokens[clientToken{c.action, token}] = made{c.params, id}
	}
}
