package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// postgres is a pool of connections. pgx keeps the statements of each connection prepared.
type postgres struct {
	db *sql.DB
}

const (
	postgresConnections = 16
	// migrationLock keeps two servers that start at once from migrating at once. Other programs
	// that use goose on the same database have their own number.
	migrationLock = 0x616c6d616e6163 // "almanac"
)

func openPostgres(ctx context.Context, dsn string) (engine, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		// The text of err has the URL without its password, but the password may be what is wrong.
		return nil, &registry.Error{Kind: registry.Invalid, Msg: "the PostgreSQL URL is not valid; it must be postgres://USER:PASSWORD@HOST:PORT/DATABASE, with special characters in percent-encoding"}
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "almanac"
	}
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(postgresConnections)
	db.SetMaxIdleConns(postgresConnections)
	db.SetConnMaxIdleTime(5 * time.Minute)
	if err := migratePostgres(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &postgres{db: db}, nil
}

// createDomain makes the type of all text columns. It sorts by bytes, as SQLite does: otherwise the
// order of lists, and what lower() means for the names of artifacts, would depend on the locale of
// the database. Two servers may come here at once.
const createDomain = `
DO $$ BEGIN
	CREATE DOMAIN ctext AS text COLLATE "C";
EXCEPTION
	WHEN duplicate_object OR unique_violation THEN NULL;
END $$`

func migratePostgres(ctx context.Context, db *sql.DB) error {
	if _, err := db.ExecContext(ctx, createDomain); err != nil {
		return err
	}
	locker, err := lock.NewPostgresSessionLocker(
		lock.WithLockID(migrationLock),
		lock.WithLockTimeout(1, 300), // every second, for five minutes
	)
	if err != nil {
		return err
	}
	return migrate(ctx, goose.DialectPostgres, db, goose.WithSessionLocker(locker))
}

func (p *postgres) read(_ context.Context, fn func(querier) error) error { return fn(p.db) }

// update uses READ COMMITTED, because every transaction changes the counter of events: under a
// stricter level, all but one of those that run at the same time would fail there. The rows that a
// transaction depends on are those of an artifact that it has locked.
func (p *postgres) update(ctx context.Context, fn func(querier) error) error {
	tx, err := p.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // no effect after Commit; otherwise the connection's end does it
	if err := fn(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// attempts allows for deadlocks of transactions that lock several artifacts.
func (p *postgres) attempts() int { return 10 }

func (p *postgres) close() error { return p.db.Close() }
