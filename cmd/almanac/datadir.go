package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// dataDir is the directory of a registry, which one server at a time may use:
//
//	almanac.db    the database (SQLite), with -wal and -shm beside it while a server runs
//	blobs/        the files, by their digest
//	uploads/      what was begun and not finished
//	admin.token   the first token; it may be moved elsewhere
//	lock          held by the server that runs
type dataDir struct {
	dir  string
	lock *os.File
	// open is true when others than the owner may enter the directory.
	open bool
}

func (d *dataDir) path(name string) string { return filepath.Join(d.dir, name) }

// openData makes the directory if it is not there, and locks it until Close.
func openData(dir string) (*dataDir, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	stat, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeData(dir); err != nil {
			return nil, fmt.Errorf("the data directory cannot be made: %w", err)
		}
		stat, err = os.Stat(dir)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("the data directory cannot be used: %w", err)
	case !stat.IsDir():
		return nil, registry.Errorf(registry.Invalid, "--data: %s is not a directory", dir)
	}
	d := &dataDir{dir: dir, open: openToOthers(stat)}
	if d.lock, err = os.OpenFile(d.path("lock"), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, fmt.Errorf("the data directory cannot be used: %w", err)
	}
	if err := tryLock(d.lock); err != nil {
		_ = d.lock.Close()
		if errors.Is(err, errLocked) {
			err := registry.Errorf(registry.Conflict, "another almanac serve uses the data directory %s", dir)
			return nil, hinted(err, "stop it first, or give each its own --data")
		}
		return nil, fmt.Errorf("the data directory %s cannot be locked: %w", dir, err)
	}
	if err := sweepTemporary(dir); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// makeData makes the directory for its owner alone, and its parents as usual. Another server that
// starts at the same time may have made it; the lock decides between the two.
func makeData(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

var errLocked = errors.New("somebody else holds the lock")

// Close gives the directory free. The file of the lock stays: to remove it would let two servers
// lock two files of that name.
func (d *dataDir) Close() error { return d.lock.Close() }
