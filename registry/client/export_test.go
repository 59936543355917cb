package client

import "time"

// SetStall changes how long a transfer may stand still.
func (c *Client) SetStall(d time.Duration) { c.stall = d }
