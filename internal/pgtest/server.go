package pgtest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// script makes a cluster and runs its server until its own standard input ends. So the server ends
// even if the test program is killed. $1 is initdb, $2 pg_ctl, $3 the directory, $4 the port.
const script = `
trap '' INT HUP
cd "$3" || exit 1
"$1" -D "$3/data" -U postgres -A trust --no-sync -E UTF8 --locale=C >"$3/initdb.log" 2>&1 || { cat "$3/initdb.log" >&2; exit 1; }
"$2" -D "$3/data" -w -l "$3/server.log" -o "-p $4 -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -c full_page_writes=off -c max_connections=200 -c shared_buffers=32MB -c deadlock_timeout=50ms" start >/dev/null 2>&1 || { cat "$3/server.log" >&2; exit 1; }
echo ready
read -r line
"$2" -D "$3/data" -m immediate stop >/dev/null 2>&1
rm -rf "$3"
`

const startTimeout = time.Minute

// start starts a server and returns the URL of its superuser.
func start() (superuser string, stop func(), err error) {
	initdb, err := program("initdb")
	if err != nil {
		return "", nil, err
	}
	pgctl, err := program("pg_ctl")
	if err != nil {
		return "", nil, err
	}
	for range 3 { // somebody may take the port first
		var port int
		if port, err = freePort(); err != nil {
			return "", nil, err
		}
		if stop, err = run(initdb, pgctl, port); err == nil {
			return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", port), stop, nil
		}
	}
	return "", nil, fmt.Errorf("start PostgreSQL: %w", err)
}

func run(initdb, pgctl string, port int) (stop func(), err error) {
	dir, err := os.MkdirTemp("", "pgtest-")
	if err != nil {
		return nil, err
	}
	command, err := asUnprivileged(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	command = append(command, "sh", "-c", script, "pgtest", initdb, pgctl, dir, strconv.Itoa(port))
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = "/"
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	ready := make(chan error, 1)
	go func() {
		_, err := bufio.NewReader(stdout).ReadString('\n')
		ready <- err
	}()
	select {
	case err = <-ready:
	case <-time.After(startTimeout):
		err = fmt.Errorf("not ready after %v", startTimeout)
	}
	stop = func() { end(cmd, stdin) }
	if err != nil {
		stop()
		return nil, errors.Join(fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String())), os.RemoveAll(dir))
	}
	return stop, nil
}

func end(cmd *exec.Cmd, stdin io.Closer) {
	_ = stdin.Close()
	_ = cmd.Wait() // it failed if the server did, which the tests have told
}

// asUnprivileged returns what goes before a command so that it runs as an ordinary user who owns dir:
// PostgreSQL refuses to run as root.
func asUnprivileged(dir string) ([]string, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	runuser, err := exec.LookPath("runuser")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root, and runuser was not found: %w", err)
	}
	postgres, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root: %w", err)
	}
	uid, err := strconv.Atoi(postgres.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(postgres.Gid)
	if err != nil {
		return nil, err
	}
	if err := os.Chown(dir, uid, gid); err != nil {
		return nil, err
	}
	return []string{runuser, "-u", "postgres", "--"}, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// debianVersions are the versions that Debian's packages have installed, the newest first.
func debianVersions() []int {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*")
	var versions []int
	for _, dir := range dirs {
		if n, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			versions = append(versions, n)
		}
	}
	slices.Sort(versions)
	slices.Reverse(versions)
	return versions
}
