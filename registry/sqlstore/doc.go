// Package sqlstore keeps the registry's metadata in SQLite or in PostgreSQL.
//
//	store, err := sqlstore.Open(ctx, "/var/lib/almanac/almanac.db")
//	store, err := sqlstore.Open(ctx, "postgres://almanac@db.example.com/almanac")
//
// There is one schema and one text of every statement for both engines; what differs is how a
// connection and a transaction are had (sqlite.go, postgres.go) and how errors look (errors.go).
//
// Every method of [registry.Reader] is one statement. A statement sees one state of the database,
// on both engines and inside and outside of transactions, so no read needs a transaction for its
// view, and a lookup costs PostgreSQL one round trip.
//
// The database is migrated when it is opened.
package sqlstore
