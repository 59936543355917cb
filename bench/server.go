package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// startTime bounds the start of a server.
const startTime = 30 * time.Second

// almanac is a running `almanac serve`.
type almanac struct {
	*process
	url string
	dir string
}

func (a *almanac) address() string { return strings.TrimPrefix(a.url, "http://") }

// serve starts the registry over a data directory.
func (b *bench) serve(dir, core string, silent bool) (*almanac, error) {
	addrFile, err := b.temporary("addr")
	if err != nil {
		return nil, err
	}
	defer os.Remove(addrFile)
	child, _, err := b.children.start(b.ctx, command{
		name: "almanac serve", core: core, silent: silent,
		args: []string{b.program, "serve", "--data", dir, "--listen", "127.0.0.1:0", "--addr-file", addrFile},
	})
	if err != nil {
		return nil, err
	}
	url, err := b.await(child, addrFile)
	if err != nil {
		return nil, errors.Join(err, b.children.stop(child))
	}
	return &almanac{process: child, url: url, dir: dir}, nil
}

// fresh starts the registry over a new, empty data directory.
func (b *bench) fresh(core string, silent bool) (*almanac, error) {
	dir, err := os.MkdirTemp(b.scratch, "data-")
	if err != nil {
		return nil, err
	}
	return b.serve(filepath.Join(dir, "registry"), core, silent)
}

// adminToken is what the first start has left.
func (a *almanac) adminToken() (string, error) {
	content, err := os.ReadFile(filepath.Join(a.dir, "admin.token"))
	return strings.TrimSpace(string(content)), err
}

// end stops the registry and removes the directory of one that [bench.fresh] started.
func (b *bench) end(a *almanac, remove bool) error {
	err := b.children.stop(a.process)
	if remove {
		err = errors.Join(err, os.RemoveAll(filepath.Dir(a.dir)))
	}
	return err
}

// await waits until a server has written its URL into a file.
func (b *bench) await(child *process, file string) (string, error) {
	for deadline := time.Now().Add(startTime); time.Now().Before(deadline); {
		if content, err := os.ReadFile(file); err == nil && len(content) > 0 {
			return strings.TrimSpace(string(content)), nil
		}
		if err := errors.Join(child.alive(), b.ctx.Err()); err != nil {
			return "", err
		}
		time.Sleep(time.Millisecond)
	}
	return "", fmt.Errorf("%s was not up after %s%s", child.name, startTime, child.tail())
}

// ready waits for the first 200 of /readyz.
func (b *bench) ready(a *almanac) error {
	for deadline := time.Now().Add(startTime); time.Now().Before(deadline); {
		response, err := http.Get(a.url + "/readyz")
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		if err := errors.Join(a.alive(), b.ctx.Err()); err != nil {
			return err
		}
		time.Sleep(time.Millisecond)
	}
	return fmt.Errorf("%s was not ready after %s%s", a.name, startTime, a.tail())
}
