package crashtest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // registers the driver "pgx"
	_ "modernc.org/sqlite"             // registers the driver "sqlite"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/blob"
	"github.com/cargomedia/packer-plugin-almanac/registry/server"
	"github.com/cargomedia/packer-plugin-almanac/registry/sqlstore"
)

// program is a server that can be started over the same data again and again.
type program interface {
	// prepare is called once, before the first start.
	prepare(t *testing.T)
	// command returns a process that is not started yet and that writes its URL to a file.
	command(addrFile string) *exec.Cmd
	// released waits until what a killed process had asked of its database has come to an end.
	released(ctx context.Context) error
	// token returns the administrator's token, once the server runs.
	token() (string, error)
	// directory holds blobs and uploads.
	directory() string
	// sql returns driver and name of the database.
	sql() (driver, dsn string)
}

// almanacServe is the command almanac serve.
type almanacServe struct{ data, binary string }

func (p *almanacServe) prepare(t *testing.T) {
	p.binary = filepath.Join(t.TempDir(), "almanac")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", p.binary, "../../cmd/almanac")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
}

func (p *almanacServe) command(addrFile string) *exec.Cmd {
	return exec.Command(p.binary, "serve", "--data", p.data, "--listen", "127.0.0.1:0", "--addr-file", addrFile, "--log-level", "error")
}

func (p *almanacServe) released(context.Context) error { return nil }
func (p *almanacServe) directory() string              { return p.data }
func (p *almanacServe) sql() (driver, dsn string) {
	return "sqlite", filepath.Join(p.data, "almanac.db")
}

func (p *almanacServe) token() (string, error) {
	content, err := os.ReadFile(filepath.Join(p.data, "admin.token"))
	return strings.TrimSpace(string(content)), err
}

// postgresServe is this test program as a server over a PostgreSQL database.
type postgresServe struct{ data, database, secret string }

// What the process is told by its environment.
const (
	databaseVariable = "ALMANAC_CRASHTEST_DATABASE"
	dataVariable     = "ALMANAC_CRASHTEST_DATA"
	secretVariable   = "ALMANAC_CRASHTEST_SECRET"
	addressVariable  = "ALMANAC_CRASHTEST_ADDR_FILE"
)

func (p *postgresServe) prepare(*testing.T) { p.secret = registry.NewSecret() }

func (p *postgresServe) command(addrFile string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), databaseVariable+"="+p.database, dataVariable+"="+p.data, secretVariable+"="+p.secret, addressVariable+"="+addrFile)
	return cmd
}

// released matters because a COMMIT that was sent before the kill is carried out after it.
func (p *postgresServe) released(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, p.database)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	others := -1
	for range 2000 {
		err := conn.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`).Scan(&others)
		if err != nil || others == 0 {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
	return fmt.Errorf("%d sessions of the killed server are still there", others)
}

func (p *postgresServe) token() (string, error)    { return p.secret, nil }
func (p *postgresServe) directory() string         { return p.data }
func (p *postgresServe) sql() (driver, dsn string) { return "pgx", p.database }

// servePostgres serves until it is killed, and returns the exit code if it cannot.
func servePostgres() int {
	err := func() error {
		ctx := context.Background()
		store, err := sqlstore.Open(ctx, os.Getenv(databaseVariable))
		if err != nil {
			return err
		}
		blobs, err := blob.OpenDisk(os.Getenv(dataVariable))
		if err != nil {
			return err
		}
		service := registry.NewService(store, blobs)
		if _, err := service.EnsureAdmin(ctx, os.Getenv(secretVariable)); err != nil {
			return err
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		// The reader must not find half of the address.
		temporary := os.Getenv(addressVariable) + ".tmp"
		if err := os.WriteFile(temporary, []byte("http://"+listener.Addr().String()), 0o600); err != nil {
			return err
		}
		if err := os.Rename(temporary, os.Getenv(addressVariable)); err != nil {
			return err
		}
		log := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
		return server.New(service, server.Options{Logger: log}).Serve(ctx, listener, server.ServeOptions{})
	}()
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// process is a server that runs.
type process struct {
	cmd    *exec.Cmd
	stderr *bytes.Buffer
	ended  chan struct{}
}

func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, stderr: &bytes.Buffer{}, ended: make(chan struct{})}
	cmd.Stderr = p.stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait() // it is killed
		close(p.ended)
	}()
	return p, nil
}

// kill ends the process with SIGKILL, by its id, and returns what it had to say.
func (p *process) kill() string {
	_ = p.cmd.Process.Kill() // or it has ended by itself, which its output tells
	<-p.ended
	return p.stderr.String()
}

// url waits until the process has written its address.
func (p *process) url(addrFile string) (string, error) {
	for range 3000 {
		if content, err := os.ReadFile(addrFile); err == nil && len(content) > 0 {
			return strings.TrimSpace(string(content)), nil
		}
		select {
		case <-p.ended:
			return "", fmt.Errorf("the server ended in its start; stderr:\n%s", p.stderr)
		case <-time.After(5 * time.Millisecond):
		}
	}
	return "", fmt.Errorf("the server does not listen")
}
