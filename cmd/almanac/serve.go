package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/blob"
	"github.com/cargomedia/packer-plugin-almanac/registry/server"
	"github.com/cargomedia/packer-plugin-almanac/registry/sqlstore"
	"github.com/cargomedia/packer-plugin-almanac/version"
)

type serveCmd struct {
	Data        string        `required:"" placeholder:"DIR" complete:"dir" help:"Directory of all that the registry keeps; made if it is not there."`
	Listen      string        `placeholder:"ADDR" default:"127.0.0.1:7480" help:"Address to listen on. Default: 127.0.0.1:7480."`
	TLSCert     string        `name:"tls-cert" placeholder:"FILE" complete:"file" help:"Certificate chain (PEM). Both files are read again when they change."`
	TLSKey      string        `name:"tls-key" placeholder:"FILE" complete:"file" help:"Private key of the certificate (PEM)."`
	BehindProxy bool          `help:"Allow a public address without TLS, because a proxy in front of it does TLS. Its X-Forwarded-Proto and X-Forwarded-Host are trusted."`
	URL         string        `name:"url" placeholder:"URL" help:"Where clients reach the registry, such as https://almanac.example.com, for the addresses that it gives to Vagrant. Default: what a request was sent to."`
	MaxFile     string        `placeholder:"SIZE" help:"Largest file that is taken, such as 64GiB. Default: no limit."`
	LogFormat   string        `enum:"auto,text,json" default:"auto" placeholder:"FORMAT" help:"text, json, or auto: text on a terminal."`
	LogLevel    string        `enum:"debug,info,warn,error" default:"info" placeholder:"LEVEL" help:"debug, info, warn or error."`
	Grace       time.Duration `default:"30s" placeholder:"TIME" help:"How long a shutdown waits for what runs. Default: 30s."`
	Providers   string        `placeholder:"DIR" complete:"dir" help:"Where zips of the Terraform provider are, for Terraform to install it from the registry. Default: providers, beside the program, if it is there."`
	NoProvider  bool          `help:"Do not record the Terraform provider in the registry."`
	AddrFile    string        `placeholder:"FILE" complete:"file" help:"Write the registry's URL to this file when it listens; for --listen 127.0.0.1:0."`

	options []registry.Option
}

func (c *serveCmd) Help() string {
	return `The first start writes a token for the administrator to DIR/admin.token. SIGINT or SIGTERM ends it after what runs is finished, a second one at once.

Examples:

    almanac serve --data /var/lib/almanac
    almanac serve --data /var/lib/almanac --listen :443 --tls-cert cert.pem --tls-key key.pem`
}

// serverGCPercent lets the heap of a server grow to five times what it holds, which is a few megabytes: at the
// usual 100 it would be collected dozens of times a second under load, for a tenth of the time. GOGC overrides it.
const serverGCPercent = 400

func (c *serveCmd) Run(a *app) error {
	certificates, err := c.check()
	if err != nil {
		return err
	}
	if a.getenv("GOGC") == "" {
		debug.SetGCPercent(serverGCPercent)
	}
	again, forget := secondSignal()
	defer forget()
	log := c.logger(a.stderr)
	data, err := openData(c.Data)
	if err != nil {
		return err
	}
	defer func() { _ = data.Close() }()
	if data.open {
		log.Warn("others on this machine can read the data directory; run chmod 700", "dir", data.dir)
	}
	// A port that is taken ends the start before the database and the token are made.
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return hinted(fmt.Errorf("cannot listen: %w", err), "another --listen, such as 127.0.0.1:7481")
	}
	defer func() { _ = listener.Close() }()
	store, err := sqlstore.Open(a.ctx, data.path("almanac.db"))
	if err != nil {
		return hinted(fmt.Errorf("the database %s cannot be opened: %w", data.path("almanac.db"), err), "")
	}
	defer func() {
		if err := store.Close(); err != nil {
			log.Error("the database was not closed in order", "error", err)
		}
	}()
	blobs, err := blob.OpenDisk(data.dir)
	if err != nil {
		return hinted(fmt.Errorf("the files in %s cannot be opened: %w", data.dir, err), "")
	}
	service := registry.NewService(store, blobs, c.options...)
	if err := c.ensureAdmin(a.ctx, log, data, store, service); err != nil {
		return err
	}
	return c.serve(a.ctx, again, log, service, listener, certificates)
}

// check finds all mistakes of the arguments before anything is touched.
func (c *serveCmd) check() (*certificates, error) {
	var p problems
	var certs *certificates
	if (c.TLSCert == "") != (c.TLSKey == "") {
		p.add("--tls-cert, --tls-key", "one is of no use without the other; give both")
	} else if c.TLSCert != "" {
		var err error
		certs, err = loadCertificates(c.TLSCert, c.TLSKey)
		p.check("--tls-cert, --tls-key", err)
	}
	secured := c.TLSCert != "" || c.TLSKey != ""
	p.check("--listen", server.CheckListen(c.Listen, secured, c.BehindProxy))
	if c.URL != "" {
		p.check("--url", server.CheckURL(c.URL))
	}
	if c.MaxFile != "" {
		p.check("--max-file", c.limitFiles())
	}
	if c.AddrFile != "" {
		if stat, err := os.Stat(filepath.Dir(c.AddrFile)); err != nil {
			p.check("--addr-file", err)
		} else if !stat.IsDir() {
			p.add("--addr-file", "%s is not a directory", filepath.Dir(c.AddrFile))
		}
	}
	if stat, err := os.Stat(c.Providers); c.Providers != "" && err != nil {
		p.check("--providers", err)
	} else if err == nil && !stat.IsDir() {
		p.add("--providers", "%s is not a directory", c.Providers)
	}
	if c.Providers != "" && c.NoProvider {
		p.add("--providers, --no-provider", "one contradicts the other; give one of them")
	}
	if c.Grace <= 0 {
		p.add("--grace", "must be more than 0, such as 30s")
	}
	return certs, p.err("serve")
}

// limitFiles reads the size of the largest file that is taken.
func (c *serveCmd) limitFiles() error {
	size, err := humanize.ParseBytes(c.MaxFile)
	if err != nil || size == 0 || size > math.MaxInt64 {
		return fmt.Errorf("%q is no size; write a number with a unit, such as 500MB or 64GiB", shorten(c.MaxFile, 40))
	}
	c.options = append(c.options, registry.WithMaxFile(int64(size)))
	return nil
}

func (c *serveCmd) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.LogLevel)) // the parser has checked it
	options := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" || c.LogFormat == "auto" && !isTerminal(w) {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

func (c *serveCmd) ensureAdmin(ctx context.Context, log *slog.Logger, data *dataDir, store registry.Store, service *registry.Service) error {
	path, err := ensureAdmin(ctx, data, store, service)
	if err != nil {
		return hinted(fmt.Errorf("the administrator's token could not be made: %w", err), "")
	}
	if path != "" {
		log.Info("first start: the administrator's token is in a file; move it to a safe place", "file", path)
	}
	return nil
}

func (c *serveCmd) serve(ctx, again context.Context, log *slog.Logger, service *registry.Service, listener net.Listener, certs *certificates) error {
	url := "http://" + dialable(listener.Addr())
	if certs != nil {
		url = "https://" + dialable(listener.Addr())
		listener = tls.NewListener(listener, certs.config())
	}
	if c.AddrFile != "" {
		if err := writeFileAtomically(c.AddrFile, []byte(url+"\n"), 0o644); err != nil {
			return fmt.Errorf("--addr-file: %w", err)
		}
		defer func() { _ = os.Remove(c.AddrFile) }()
	}
	log.Info("listening", "url", url, "version", version.String())
	background, stop := context.WithCancel(ctx)
	defer stop()
	go sweep(background, log, service)
	recorded := make(chan struct{})
	go func() {
		defer close(recorded)
		if !c.NoProvider {
			c.recordProvider(background, log, service)
		}
	}()
	s := server.New(service, server.Options{Version: version.String(), Logger: log, URL: c.URL, BehindProxy: c.BehindProxy})
	err := s.Serve(ctx, listener, server.ServeOptions{Grace: c.Grace, Kill: again})
	stop()
	// What it has begun is given up in order, unless there is no time.
	select {
	case <-recorded:
	case <-again.Done():
	}
	if err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}

// dialable is a listening address as a client on this machine can use it.
func dialable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return addr.String()
	}
	return net.JoinHostPort("127.0.0.1", fmt.Sprint(tcp.Port))
}

const sweepEvery = time.Minute

// sweep does, now and every minute, what comes with time and with no request: uploads that were never
// finished are dropped, and lists follow revocations that were set for later.
func sweep(ctx context.Context, log *slog.Logger, service *registry.Service) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		for _, task := range []struct {
			run          func(context.Context) (int, error)
			done, failed string
		}{
			{service.ExpireUploads, "dropped uploads that were never finished", "old uploads could not be dropped"},
			{service.RefreshLatest, "revocations took effect", "latest could not follow revocations"},
		} {
			switch count, err := task.run(ctx); {
			case ctx.Err() != nil:
				return
			case err != nil:
				log.Error(task.failed, "error", err)
			case count > 0:
				log.Info(task.done, "count", count)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
