// Package servertest gives tests a whole server: the HTTP door over the real service, a SQLite
// database and blobs on disk, on a port of 127.0.0.1.
//
//	s := servertest.New(t)
//	c := s.Client(t, s.Token(t, "ci", "publish", "cargomedia/*"))
//	receipt, err := c.Publish(ctx, "cargomedia/app", publication)
package servertest

import (
	"context"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/blob"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
	"github.com/cargomedia/packer-plugin-almanac/registry/server"
	"github.com/cargomedia/packer-plugin-almanac/registry/sqlstore"
)

// Server is a running server.
type Server struct {
	// URL is where it listens, such as http://127.0.0.1:40123.
	URL string
	// AdminToken may do everything.
	AdminToken string
	// Service is what the server serves, for what is awkward to do over HTTP.
	Service *registry.Service
	// Dir holds the database, almanac.db, and the blobs.
	Dir string

	stop func() error
}

// Option changes the server that New starts.
type Option func(*config)

type config struct {
	dir     string
	admin   string
	grace   time.Duration
	server  server.Options
	service []registry.Option
}

// WithOptions gives the HTTP door other options: a logger, shorter times.
func WithOptions(o server.Options) Option { return func(c *config) { c.server = o } }

// WithClock gives the service another clock.
func WithClock(now func() time.Time) Option {
	return func(c *config) { c.service = append(c.service, registry.WithClock(now)) }
}

// InDir starts over what another server left behind in its Dir. adminToken is that server's.
func InDir(dir, adminToken string) Option {
	return func(c *config) { c.dir, c.admin = dir, adminToken }
}

// New starts a server, which stops when the test ends.
func New(t testing.TB, opts ...Option) *Server {
	t.Helper()
	c := config{grace: 10 * time.Second}
	for _, opt := range opts {
		opt(&c)
	}
	if c.dir == "" {
		c.dir = t.TempDir()
	}
	// Not the test's context: that one ends before the cleanups run.
	ctx, cancel := context.WithCancel(context.Background())
	store, err := sqlstore.Open(ctx, filepath.Join(c.dir, "almanac.db"))
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := blob.OpenDisk(filepath.Join(c.dir, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Service: registry.NewService(store, blobs, c.service...), Dir: c.dir, AdminToken: c.admin}
	if s.AdminToken == "" {
		s.AdminToken = registry.NewSecret()
		if _, err := s.Service.EnsureAdmin(ctx, s.AdminToken); err != nil {
			t.Fatal(err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.URL = "http://" + listener.Addr().String()
	done := make(chan error, 1)
	go func() {
		done <- server.New(s.Service, c.server).Serve(ctx, listener, server.ServeOptions{Grace: c.grace})
	}()
	s.stop = sync.OnceValue(func() error {
		cancel()
		err := <-done
		if closed := store.Close(); err == nil {
			err = closed
		}
		return err
	})
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Errorf("the server did not stop cleanly: %v", err)
		}
	})
	return s
}

// Stop shuts the server down: running requests finish first. New with InDir starts another over the
// same data.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if err := s.stop(); err != nil {
		t.Errorf("the server did not stop cleanly: %v", err)
	}
}

// Client returns a client with a token; "" is nobody's. It does not repeat calls: a test shall see
// what the server answers.
func (s *Server) Client(t testing.TB, token string) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{Address: s.URL, Token: token, UserAgent: "servertest", RetryMax: -1})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Token makes a token and returns its secret. Without scopes it covers everything.
func (s *Server) Token(t testing.TB, name, role string, scopes ...string) string {
	t.Helper()
	if len(scopes) == 0 {
		scopes = []string{string(registry.ScopeAll)}
	}
	admin := registry.WithPrincipal(context.Background(), registry.Principal{
		TokenID: "servertest", Name: "servertest", Role: registry.RoleAdmin, Scopes: []registry.Scope{registry.ScopeAll},
	})
	token, err := s.Service.CreateToken(admin, registry.TokenRequest{Name: name, Role: role, Scopes: scopes})
	if err != nil {
		t.Fatal(err)
	}
	return token.Secret
}
