package provider

import "time"

// Impatient makes the provider repeat a call once, at once.
func (p *Almanac) Impatient() *Almanac {
	p.client.RetryMax, p.client.RetryWaitMin, p.client.RetryWaitMax = 1, time.Millisecond, time.Millisecond
	return p
}
