package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
)

// certificates is a TLS certificate in two files, which are read again when they change, so that a
// renewed certificate needs no restart.
type certificates struct {
	certFile, keyFile string

	mu      sync.Mutex
	current *tls.Certificate
	// stamp is that of the files that current was read from.
	stamp  [2]time.Time
	looked time.Time
}

// lookEvery is how often the files are looked at, at most.
const lookEvery = 10 * time.Second

// loadCertificates reads both files and checks that they belong together.
func loadCertificates(certFile, keyFile string) (*certificates, error) {
	c := &certificates{certFile: certFile, keyFile: keyFile}
	if err := c.load(); err != nil {
		return nil, err
	}
	if leaf := c.current.Leaf; leaf != nil && time.Now().After(leaf.NotAfter) {
		return nil, fmt.Errorf("the certificate in %s is not valid since %s; renew it", certFile, shortTime(leaf.NotAfter))
	}
	return c, nil
}

func (c *certificates) load() error {
	stamp, err := c.stamps()
	if err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("%s and %s are no certificate and its key: %w", c.certFile, c.keyFile, withoutPath(err))
	}
	c.current, c.stamp, c.looked = &pair, stamp, time.Now()
	return nil
}

func (c *certificates) stamps() (stamps [2]time.Time, err error) {
	for i, name := range []string{c.certFile, c.keyFile} {
		stat, err := os.Stat(name)
		if err != nil {
			return stamps, err
		}
		stamps[i] = stat.ModTime()
	}
	return stamps, nil
}

func withoutPath(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}

// config is for a listener: net/http serves HTTP/2 only where the listener offers it.
func (c *certificates) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get, NextProtos: []string{"h2", "http/1.1"}}
}

// get returns the certificate. One that cannot be read, perhaps because it is just being written,
// leaves the one before in use.
func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) >= lookEvery {
		c.looked = time.Now()
		if stamp, err := c.stamps(); err == nil && stamp != c.stamp {
			_ = c.load()
		}
	}
	return c.current, nil
}
