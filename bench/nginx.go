package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

const noNginx = "nginx is not in the PATH; install nginx-light, which Debian puts into /usr/sbin, or nginx"

// nginxConfig is for one process that stays in the foreground. The temporary directories are named because those that nginx
// was built with belong to the system's own.
const nginxConfig = `
daemon off;
master_process off;
worker_processes 1;
pid nginx.pid;
error_log stderr;
events {}
http {
	access_log off;
	sendfile on;
	tcp_nopush on;
	default_type application/octet-stream;
	client_body_temp_path temporary;
	proxy_temp_path temporary;
	fastcgi_temp_path temporary;
	uwsgi_temp_path temporary;
	scgi_temp_path temporary;
	server {
		listen %s;
		root "%s";
	}
}
`

// startNginx serves the directory of a file with nginx, from a directory of its own.
func (b *bench) startNginx(nginx, file string) (child *process, address string, err error) {
	dir, err := os.MkdirTemp(b.scratch, "nginx-")
	if err != nil {
		return nil, "", err
	}
	if address, err = freeAddress(); err != nil {
		return nil, "", err
	}
	config := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, nginxConfig, address, filepath.Dir(file)), 0o600); err != nil {
		return nil, "", err
	}
	child, _, err = b.children.start(b.ctx, command{
		name: "nginx", core: b.cores.server, args: []string{nginx, "-e", "stderr", "-p", dir, "-c", config},
	})
	if err != nil {
		return nil, "", err
	}
	for deadline := time.Now().Add(startTime); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if conn, err := net.Dial("tcp", address); err == nil {
			return child, address, conn.Close()
		}
		if err := errors.Join(child.alive(), b.ctx.Err()); err != nil {
			return nil, "", errors.Join(err, b.children.stop(child))
		}
	}
	return nil, "", errors.Join(fmt.Errorf("nginx did not listen after %s%s", startTime, child.tail()), b.children.stop(child))
}

// freeAddress is one that nobody listens to: nginx does not say which port it was given.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
