package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// Store is a [registry.Store] in a SQL database. It can be used by many goroutines at once, and
// any number of processes may use one PostgreSQL database.
type Store struct {
	reader
	engine engine
	gate   gate
	tokens *tokenCache // nil where others write tokens, too
}

var _ registry.Store = (*Store)(nil)

// engine is what differs between the databases.
type engine interface {
	// read lends fn a querier for statements that read.
	read(ctx context.Context, fn func(querier) error) error
	// update runs fn in one transaction, which it commits when fn returns nil and rolls back
	// otherwise.
	update(ctx context.Context, fn func(querier) error) error
	// attempts is how often a transaction is tried that the database gave up in favour of others.
	attempts() int
	close() error
}

// querier runs statements.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Open opens the database that dsn names, creates its tables or brings them up to date, and checks
// that it can be written. dsn is a URL postgres://… or the path of a SQLite file, with or without
// "sqlite:" before it; the file is created, readable by its owner alone, and its directory must
// exist, and it belongs to this Store until that is closed. A dsn of another form is an error of kind Invalid, and so is a database that a newer
// version of this program has migrated.
func Open(ctx context.Context, dsn string) (*Store, error) {
	e, err := openEngine(ctx, dsn)
	if err != nil {
		return nil, asError(ctx, err)
	}
	s := &Store{engine: e}
	if _, ok := e.(*sqlite); ok {
		s.tokens = new(tokenCache)
	}
	s.reader.run = s.read
	if err := s.Ping(ctx); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return s, nil
}

func openEngine(ctx context.Context, dsn string) (engine, error) {
	scheme, _, isURL := strings.Cut(dsn, "://")
	switch path := strings.TrimPrefix(dsn, "sqlite:"); {
	case isURL && (scheme == "postgres" || scheme == "postgresql"):
		return openPostgres(ctx, dsn)
	case path == "":
		return nil, registry.Errorf(registry.Invalid, "the database has no name; use the path of a SQLite file or postgres://USER@HOST/DATABASE")
	case path == ":memory:":
		return nil, registry.Errorf(registry.Invalid, "a database in memory would forget everything; use the path of a SQLite file or postgres://USER@HOST/DATABASE")
	case isURL:
		// The rest may hold a password.
		return nil, registry.Errorf(registry.Invalid, "the database scheme %q is unknown; use the path of a SQLite file or postgres://USER@HOST/DATABASE", scheme)
	default:
		return openSQLite(ctx, path)
	}
}

func (s *Store) read(ctx context.Context, fn func(querier) error) error {
	if err := s.gate.enter(ctx); err != nil {
		return err
	}
	defer s.gate.leave()
	return asError(ctx, s.engine.read(ctx, fn))
}

// Update implements [registry.Store].
func (s *Store) Update(ctx context.Context, fn func(registry.Tx) error) error {
	if err := s.gate.enter(ctx); err != nil {
		return err
	}
	defer s.gate.leave()
	for attempt := 1; ; attempt++ {
		gaveUp, err := s.try(ctx, fn)
		if !gaveUp || attempt >= s.engine.attempts() {
			return err
		}
		if err := backOff(ctx, attempt); err != nil {
			return err
		}
	}
}

// try runs fn once. gaveUp says that the database ended the transaction in favour of others, so that
// nothing was written and another attempt may succeed.
func (s *Store) try(ctx context.Context, fn func(registry.Tx) error) (gaveUp bool, err error) {
	t := &tx{ids: map[registry.ArtifactName]int64{}}
	var fnErr error
	err = s.engine.update(ctx, func(q querier) error {
		t.q = q
		t.reader.run = t.do
		fnErr = fn(t)
		return fnErr
	})
	if t.tokens && s.tokens != nil {
		s.tokens.clear() // also after an error: the commit may have been carried out
	}
	if err == nil {
		return false, nil
	}
	// fn may have hidden the database's error behind one of its own.
	if t.gaveUp || isContention(err) {
		return true, asError(ctx, err)
	}
	if fnErr != nil {
		return false, fnErr
	}
	return false, asError(ctx, err)
}

// Ping implements [registry.Store]: it writes, and takes it back.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.gate.enter(ctx); err != nil {
		return err
	}
	defer s.gate.leave()
	err := s.engine.update(ctx, func(q querier) error {
		if _, err := q.ExecContext(ctx, `UPDATE counter SET value = value + 1 WHERE name = 'ping'`); err != nil {
			return err
		}
		return errTakeBack
	})
	if errors.Is(err, errTakeBack) {
		return nil
	}
	return asError(ctx, err)
}

var errTakeBack = errors.New("take the write back")

// Close implements [registry.Store]. Methods called afterwards fail; closing twice is no error.
func (s *Store) Close() error {
	if !s.gate.close() {
		return nil
	}
	return s.engine.close()
}

// gate counts the running methods, so that Close can wait for them. It is not a [sync.RWMutex]:
// that would deadlock a Close with an Update whose function reads from the Store.
type gate struct {
	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

func (g *gate) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return registry.Errorf(registry.Unavailable, "the registry is shutting down")
	}
	g.running.Add(1)
	return nil
}

func (g *gate) leave() { g.running.Done() }

// close says whether the gate was open.
func (g *gate) close() bool {
	g.mu.Lock()
	wasOpen := !g.closed
	g.closed = true
	g.mu.Unlock()
	g.running.Wait()
	return wasOpen
}
