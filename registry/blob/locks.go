package blob

import (
	"context"
	"sync"
)

// locks are mutexes by name, each of which takes memory only while it is held.
type locks struct {
	mu    sync.Mutex
	names map[string]chan struct{} // closed when the lock is released
}

// try takes a lock if it is free.
func (l *locks) try(name string) (unlock func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, held := l.names[name]; held {
		return nil, false
	}
	if l.names == nil {
		l.names = make(map[string]chan struct{})
	}
	released := make(chan struct{})
	l.names[name] = released
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.names, name)
		close(released)
	}, true
}

// lock waits until a lock is free and takes it. It fails with ctx only.
func (l *locks) lock(ctx context.Context, name string) (unlock func(), err error) {
	for {
		if unlock, ok := l.try(name); ok {
			return unlock, nil
		}
		released := l.held(name)
		if released == nil {
			continue
		}
		select {
		case <-released:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// held returns what is closed when a lock is released, or nil when nobody holds it.
func (l *locks) held(name string) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.names[name]
}
