package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// sqlite is one file with one connection that writes and several that read. WAL lets readers go on
// while the writer works; a second writer would only wait for the first.
type sqlite struct {
	path            string // as openFiles knows it
	writer, readers *sessions
	// changes counts the transactions that may have changed something, before their Update returns.
	changes atomic.Uint64
	writing atomic.Bool
}

// openFiles are the files that belong to a [Store] of this process, by their paths. Two stores would not see
// each other's changes.
var openFiles sync.Map

func openSQLite(ctx context.Context, path string) (_ engine, err error) {
	if err := createPrivate(path); err != nil {
		return nil, err
	}
	real, err := filepath.EvalSymlinks(path)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil {
		return nil, fmt.Errorf("find the database: %w", err)
	}
	if _, taken := openFiles.LoadOrStore(real, true); taken {
		return nil, registry.Errorf(registry.Conflict, "the database %s is open already, and a SQLite file belongs to one store", path)
	}
	defer func() {
		if err != nil {
			openFiles.Delete(real)
		}
	}()
	dsn, err := sqliteURI(path)
	if err != nil {
		return nil, err
	}
	writer, err := sql.Open("sqlite", dsn+"&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	writer.SetMaxOpenConns(1)
	if err := migrate(ctx, goose.DialectSQLite3, writer); err != nil {
		return nil, errors.Join(err, writer.Close())
	}
	readers, err := sql.Open("sqlite", dsn+"&_query_only=1")
	if err != nil {
		return nil, errors.Join(err, writer.Close())
	}
	return &sqlite{
		path:    real,
		writer:  newSessions(writer, 1),
		readers: newSessions(readers, max(4, runtime.GOMAXPROCS(0))),
	}, nil
}

// createPrivate makes an empty file that its owner alone can read, unless there is one: SQLite would
// leave it to the umask. The files that SQLite puts beside it get the same mode.
func createPrivate(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("create the database: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("create the database: %w", err)
	}
	if runtime.GOOS == "windows" { // which cannot sync a directory, and need not
		return nil
	}
	// The name must survive a crash as the contents do.
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("create the database: %w", err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// sqliteURI is a URI, and not a path, because a path could have a "?" in it.
func sqliteURI(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	slashed := filepath.ToSlash(abs)
	if !strings.HasPrefix(slashed, "/") { // C:/…
		slashed = "/" + slashed
	}
	uri := url.URL{Scheme: "file", Path: slashed, RawQuery: url.Values{"_pragma": {
		"busy_timeout(5000)", // only another process can hold the lock
		"journal_mode(WAL)",
		"synchronous(FULL)", // a commit survives power loss
		"fullfsync(1)",      // on macOS too
		"foreign_keys(1)",
		"mmap_size(2147418112)", // the most there is; it takes addresses, not memory
		"cache_size(-16384)",
		"journal_size_limit(67108864)",
	}}.Encode()}
	return uri.String(), nil
}

func (s *sqlite) read(ctx context.Context, fn func(querier) error) error {
	session, err := s.readers.take(ctx)
	if err != nil {
		return err
	}
	defer func() { // also when fn panics
		if s.writing.Load() {
			session.forgetView()
		}
		s.readers.give(session)
	}()
	if err := session.refreshView(ctx, s.changes.Load()); err != nil {
		return err
	}
	return fn(session)
}

func (s *sqlite) update(ctx context.Context, fn func(querier) error) error {
	session, err := s.writer.take(ctx)
	if err != nil {
		return err
	}
	defer s.writer.give(session)
	s.writing.Store(true)
	defer s.writing.Store(false)
	s.readers.forgetViews()
	defer s.changes.Add(1)
	if err := session.begin(ctx); err != nil {
		return err
	}
	committed := false
	defer func() { // also when fn panics
		if !committed {
			session.rollback()
		}
	}()
	if err := fn(session); err != nil {
		return err
	}
	if _, err := session.ExecContext(ctx, "COMMIT"); err != nil {
		return err
	}
	committed = true
	return nil
}

// attempts is 1: with one writer nobody is given up, and a lock that another process holds has been
// waited for already.
func (s *sqlite) attempts() int { return 1 }

func (s *sqlite) close() error {
	defer openFiles.Delete(s.path)
	return errors.Join(s.readers.close(), s.writer.close())
}

// sessions is a pool of connections that keep their prepared statements. A [sql.DB] could keep them,
// too, but then one that is met first within a transaction would be prepared each time.
type sessions struct {
	db   *sql.DB
	idle chan *session
}

func newSessions(db *sql.DB, n int) *sessions {
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	p := &sessions{db: db, idle: make(chan *session, n)}
	for range n {
		p.idle <- nil // connected when it is needed
	}
	return p
}

func (p *sessions) take(ctx context.Context) (*session, error) {
	var s *session
	select {
	case s = <-p.idle:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s != nil {
		return s, nil
	}
	conn, err := p.db.Conn(ctx)
	if err != nil {
		p.idle <- nil
		return nil, err
	}
	return &session{conn: conn, statements: map[string]*sql.Stmt{}}, nil
}

func (p *sessions) give(s *session) {
	if s != nil && s.failed {
		s.close()
		s = nil
	}
	p.idle <- s
}

// close must be called when all sessions are idle.
func (p *sessions) close() error {
	for range cap(p.idle) {
		if s := <-p.idle; s != nil {
			s.close()
		}
	}
	return p.db.Close()
}

// forgetViews ends the views of the sessions that are idle. A writer does so before it begins: as long as somebody
// looks at the write-ahead log, SQLite cannot begin it anew, and it would grow.
func (p *sessions) forgetViews() {
	var idle []*session
	for range cap(p.idle) {
		select {
		case s := <-p.idle:
			idle = append(idle, s)
			continue
		default:
		}
		break
	}
	for _, s := range idle {
		if s != nil {
			s.forgetView()
		}
		p.give(s)
	}
}

// session is one connection.
type session struct {
	conn       *sql.Conn
	statements map[string]*sql.Stmt
	// failed is set by every error. It costs little to connect again, so nobody needs to know which
	// errors leave a connection in order.
	failed bool

	// view says that a transaction is open which reads. It is kept as long as nothing changes, because to lock and
	// unlock the file costs as much as a short statement. The file belongs to one [Store], so that this is exact.
	view bool
	// changes is what there was when the session was used last.
	changes uint64
}

// refreshView makes the session see all changes up to the given one. A transaction is begun when there was no
// change since the session was used last: where much is written, none is worth its price.
func (s *session) refreshView(ctx context.Context, changes uint64) error {
	switch {
	case s.view && s.changes != changes:
		s.forgetView()
	case !s.view && s.changes == changes:
		if _, err := s.ExecContext(ctx, "BEGIN"); err != nil {
			return err
		}
		s.view = true
	}
	s.changes = changes
	return nil
}

func (s *session) forgetView() {
	if s.view {
		s.view = false
		s.rollback()
	}
}

// maxStatements bounds what a session keeps. The statements are few, except those for lists of
// artifacts, whose text depends on how many namespaces a caller may see.
const maxStatements = 256

// begin starts a transaction that writes. The context is given to the driver here alone: only here
// can a statement wait, for another process. Elsewhere it is checked before the statement, which is
// cheaper than a goroutine that watches it.
func (s *session) begin(ctx context.Context) error {
	_, err := s.conn.ExecContext(ctx, "BEGIN IMMEDIATE")
	if err != nil {
		s.failed = true
	}
	return err
}

func (s *session) rollback() {
	if _, err := s.conn.ExecContext(context.Background(), "ROLLBACK"); err != nil {
		s.failed = true // closing the connection takes back what it wrote
	}
}

func (s *session) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	stmt, err := s.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	result, err := stmt.ExecContext(context.Background(), args...)
	if err != nil {
		s.failed = true
	}
	return result, err
}

func (s *session) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	stmt, err := s.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := stmt.QueryContext(context.Background(), args...)
	if err != nil {
		s.failed = true
	}
	return rows, err
}

func (s *session) statement(ctx context.Context, query string) (*sql.Stmt, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if stmt := s.statements[query]; stmt != nil {
		return stmt, nil
	}
	stmt, err := s.conn.PrepareContext(context.Background(), query)
	if err != nil {
		s.failed = true
		return nil, err
	}
	if len(s.statements) >= maxStatements {
		s.forget()
	}
	s.statements[query] = stmt
	return stmt, nil
}

func (s *session) forget() {
	for _, stmt := range s.statements {
		_ = stmt.Close()
	}
	clear(s.statements)
}

func (s *session) close() {
	s.forget()
	_ = s.conn.Close()
}
