package almanac

import "time"

// SetStateTimeout shortens how long an artifact is waited for.
func SetStateTimeout(p *PostProcessor, limit time.Duration) { p.stateTimeout = limit }

// SetAnswerTime shortens how long the registry is waited for.
func SetAnswerTime(p *PostProcessor, limit time.Duration) { p.answerTime = limit }
