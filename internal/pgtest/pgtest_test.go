package pgtest_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/cargomedia/packer-plugin-almanac/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestEveryDatabaseIsEmptyAndItsOwn(t *testing.T) {
	for range 2 {
		conn, err := pgx.Connect(t.Context(), pgtest.New(t))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), `CREATE TABLE mark (id int)`); err != nil {
			t.Errorf("the database is not empty: %v", err)
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
