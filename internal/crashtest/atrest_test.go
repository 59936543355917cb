package crashtest

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// halves find what no transaction leaves behind. They run on both databases.
var halves = map[string]string{
	"versions without a build": `SELECT count(*) FROM version v WHERE NOT EXISTS (
		SELECT 1 FROM build b WHERE b.artifact_id = v.artifact_id AND b.number = v.number)`,
	"builds without content": `SELECT count(*) FROM build b WHERE NOT EXISTS (
		SELECT 1 FROM image i WHERE i.artifact_id = b.artifact_id AND i.number = b.number AND i.ordinal = b.ordinal) AND NOT EXISTS (
		SELECT 1 FROM file f WHERE f.artifact_id = b.artifact_id AND f.number = b.number AND f.ordinal = b.ordinal)`,
	"heads that name what is not complete": `SELECT count(*) FROM head h JOIN version v
		ON v.artifact_id = h.artifact_id AND v.number = h.number WHERE v.status <> 'complete'`,
	"channels that name what is not complete": `SELECT count(*) FROM channel c JOIN version v
		ON v.artifact_id = c.artifact_id AND v.number = c.number WHERE v.status <> 'complete'`,
	"complete builds without a written answer": `SELECT count(*) FROM build b JOIN version v
		ON v.artifact_id = b.artifact_id AND v.number = b.number WHERE v.status = 'complete' AND NOT EXISTS (
		SELECT 1 FROM answer a WHERE a.artifact_id = b.artifact_id AND a.number = b.number AND a.type = b.type)`,
	"heads whose answer is not that of their version": `SELECT count(*) FROM head h JOIN answer a
		ON a.artifact_id = h.artifact_id AND a.number = h.number AND a.type = h.type
		WHERE a.body <> h.body OR a.images <> h.images OR COALESCE(a.revoked_at, 0) <> COALESCE(h.revoked_at, 0)`,
	"artifacts whose last number is not that of a version": `SELECT count(*) FROM artifact a WHERE a.last_number <> (
		SELECT count(*) FROM version v WHERE v.artifact_id = a.id)`,
}

// checkAtRest looks into the database and the directory of a server that was killed.
func (h *harness) checkAtRest() {
	h.t.Helper()
	if err := h.program.released(h.ctx); err != nil {
		h.t.Fatal(err)
	}
	driver, dsn := h.program.sql()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if driver == "sqlite" {
		h.checkIntegrity(db)
	}
	for what, query := range halves {
		var n int
		if err := db.QueryRowContext(h.ctx, query).Scan(&n); err != nil || n != 0 {
			h.t.Errorf("%d %s, %v", n, what, err)
		}
	}
	h.checkBlobFiles()
	h.checkUploadDirs(db)
}

// checkIntegrity lets SQLite look at all its pages, indexes and references.
func (h *harness) checkIntegrity(db *sql.DB) {
	var verdict string
	if err := db.QueryRowContext(h.ctx, `PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
		h.t.Errorf("PRAGMA integrity_check: %s, %v", verdict, err)
	}
	rows, err := db.QueryContext(h.ctx, `PRAGMA foreign_key_check`)
	if err != nil {
		h.t.Error(err)
		return
	}
	defer func() { _ = rows.Close() }()
	if rows.Next() {
		h.t.Error("PRAGMA foreign_key_check found rows that refer to nothing")
	}
	if err := rows.Err(); err != nil {
		h.t.Error(err)
	}
}

// checkBlobFiles reads every file in the directory of blobs, which must be one that was sent and have the
// digest that it is named by, and looks for those that versions refer to.
func (h *harness) checkBlobFiles() {
	paths, err := filepath.Glob(filepath.Join(h.program.directory(), "blobs", "*", "*"))
	if err != nil {
		h.t.Fatal(err)
	}
	there := map[registry.Digest]int64{}
	for _, path := range paths {
		digest := registry.Digest(filepath.Base(path))
		got, size, err := digestOfFile(path)
		if err != nil || got != digest || filepath.Base(filepath.Dir(path)) != string(digest)[:2] || !h.contents[digest] {
			h.t.Errorf("%s has the digest %s, %v; it was sent: %v", path, got, err, h.contents[digest])
		}
		there[digest] = size
		h.count("blobs at rest", 1)
		h.count("bytes at rest", size)
	}
	for digest, f := range h.referenced() {
		if size, ok := there[digest]; !ok || size != f.Size {
			h.t.Errorf("%q refers to the blob %s of %d bytes, which is there: %v, with %d bytes", f.Name, digest, f.Size, ok, size)
		}
		h.count("blobs that versions refer to", 1)
	}
}

func digestOfFile(path string) (registry.Digest, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	size, err := io.Copy(sum, f)
	return registry.Digest(hex.EncodeToString(sum.Sum(nil))), size, err
}

// checkUploadDirs makes sure that no bytes are left of which the registry does not know: they would
// never be swept.
func (h *harness) checkUploadDirs(db *sql.DB) {
	entries, err := os.ReadDir(filepath.Join(h.program.directory(), "uploads"))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, e := range entries {
		var n int
		if err := db.QueryRowContext(h.ctx, `SELECT count(*) FROM upload WHERE id = $1`, e.Name()).Scan(&n); err != nil || n != 1 {
			h.t.Errorf("the upload %s is on disk and not in the database, %v", e.Name(), err)
		}
	}
	h.count("uploads left on disk", int64(len(entries)))
}
