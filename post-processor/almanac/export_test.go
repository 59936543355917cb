package almanac

import "time"

// SetStateTimeout shortens how long an artifact is waited for.
func SetStateTimeout(p *PostProcessor, limit time.Duration) { p.stateTimeout = limit }
