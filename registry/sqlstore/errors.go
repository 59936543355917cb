package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	sqlitedriver "modernc.org/sqlite"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// asError turns an error of a database into one of the domain. Errors of the domain stay as they are,
// and a context that is done explains every other error.
func asError(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*registry.Error](err); ok {
		return err
	}
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return errNotFound()
	case ctx.Err() != nil:
		return ctx.Err()
	case isAway(err):
		return &registry.Error{Kind: registry.Unavailable, Msg: "the registry's database is not available; try again later", Err: err}
	default:
		return &registry.Error{Kind: registry.Internal, Msg: "the registry's database failed", Err: err}
	}
}

func errNotFound() error { return &registry.Error{Kind: registry.NotFound} }

// The primary result codes of SQLite (sqlite.org/rescode.html) after which a later attempt may
// succeed: somebody else has the file, or the disk has no room or a fault.
var sqliteAway = map[int]bool{
	5:  true, // SQLITE_BUSY
	6:  true, // SQLITE_LOCKED
	7:  true, // SQLITE_NOMEM
	8:  true, // SQLITE_READONLY
	9:  true, // SQLITE_INTERRUPT
	10: true, // SQLITE_IOERR
	13: true, // SQLITE_FULL
	14: true, // SQLITE_CANTOPEN
}

// The classes and codes of PostgreSQL (appendix A of its manual) of the same sort.
var postgresAway = []string{
	"08",    // connection exceptions
	"25006", // read-only: this host is a standby
	"28",    // authorisation, which is changed on the server
	"40",    // the transaction was given up in favour of others
	"53",    // no memory, disk or connections
	"55P03", // lock not available
	"57",    // shutting down, starting up, cancelled by an operator
	"58",    // errors of the system
}

func isAway(err error) bool {
	if e, ok := errors.AsType[*sqlitedriver.Error](err); ok {
		return sqliteAway[e.Code()&0xff]
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		for _, prefix := range postgresAway {
			if strings.HasPrefix(e.Code, prefix) {
				return true
			}
		}
		return false
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	_, isPath := errors.AsType[*fs.PathError](err)
	return isPath || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || pgconn.SafeToRetry(err)
}

// isContention says whether PostgreSQL gave a transaction up because of others: a serialization
// failure or a deadlock.
func isContention(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code == "40001" || e.Code == "40P01")
}

// backOff waits before another attempt, for a random time so that those who collided part.
func backOff(ctx context.Context, attempt int) error {
	const most = 200 * time.Millisecond
	limit := min(most, time.Millisecond<<attempt)
	timer := time.NewTimer(time.Duration(1 + rand.Int64N(int64(limit))))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
