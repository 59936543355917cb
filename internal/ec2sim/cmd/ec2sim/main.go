// Command ec2sim serves the EC2 stand-in of package ec2sim on a loopback
// address, until it gets SIGINT or SIGTERM:
//
//	ec2sim [--listen 127.0.0.1:0] [--addr-file FILE] [--page-size N] [--fault JSON]...
//
// It writes "ec2sim listening on URL" to stdout once it serves, the bare URL to
// FILE, which appears complete or not at all, and a line per call to stderr.
//
// A fault is a JSON object with the fields of ec2sim.Fault. More of them can be
// set, and all of them taken back, while it runs:
//
//	ec2sim --fault '{"action":"DescribeImages","error":"RequestLimitExceeded","count":2}'
//	curl -d '{"image":"base-1","state":"pending","client":"almanac"}' URL/_faults
//	curl URL/_faults            # those that still act
//	curl -X DELETE URL/_faults
//
// What the account has from before is added in the same way, as an ec2sim.Seed:
//
//	curl -d '{"images":[{"region":"eu-west-1","name":"app-1"}],
//	  "instances":[{"region":"eu-west-1","image":"app-1","count":100}]}' URL/_seed
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/internal/ec2sim"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run returns the exit code: 2 for wrong arguments, 1 for other failures.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("ec2sim", flag.ContinueOnError)
	flags.SetOutput(stderr)
	listen := flags.String("listen", "127.0.0.1:0", "loopback `address` to listen on; port 0 takes a free one")
	addrFile := flags.String("addr-file", "", "`file` to write the URL to once it is served")
	pageSize := flags.Int("page-size", ec2sim.MaxPageSize, "most images or instances of a page, 1 to 1000")
	var faults []ec2sim.Fault
	flags.Func("fault", "`JSON` of a fault, as in the package documentation; may be repeated", func(text string) error {
		fault, err := ec2sim.ParseFault([]byte(text))
		faults = append(faults, fault)
		return err
	})
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "ec2sim: unexpected argument %q\n", flags.Arg(0))
		return 2
	}
	addr, err := net.ResolveTCPAddr("tcp", *listen)
	if err != nil {
		fmt.Fprintf(stderr, "ec2sim: --listen: %v\n", err)
		return 2
	}
	if !addr.IP.IsLoopback() {
		fmt.Fprintf(stderr, "ec2sim: --listen: %q is not a loopback address; use 127.0.0.1:PORT or [::1]:PORT\n", *listen)
		return 2
	}
	if *pageSize < 1 || *pageSize > ec2sim.MaxPageSize {
		fmt.Fprintf(stderr, "ec2sim: --page-size: %d is not between 1 and %d\n", *pageSize, ec2sim.MaxPageSize)
		return 2
	}
	sim := ec2sim.New(ec2sim.WithLogger(slog.New(slog.NewTextHandler(stderr, nil))), ec2sim.WithPageSize(*pageSize))
	for _, fault := range faults {
		if err := sim.Inject(fault); err != nil {
			fmt.Fprintf(stderr, "ec2sim: --fault: %v\n", err)
			return 2
		}
	}
	if err := serve(ctx, sim, addr, *addrFile, stdout); err != nil {
		fmt.Fprintf(stderr, "ec2sim: %v\n", err)
		return 1
	}
	return 0
}

// serve answers until ctx is done, and lets calls under way finish.
func serve(ctx context.Context, sim *ec2sim.Server, addr *net.TCPAddr, addrFile string, stdout io.Writer) error {
	listener, err := net.ListenTCP("tcp", addr)
	if err != nil {
		return err
	}
	url := "http://" + listener.Addr().String()
	if addrFile != "" {
		// The listener takes connections already, so whoever reads it may call.
		if err := writeFile(addrFile, url+"\n"); err != nil {
			return fmt.Errorf("--addr-file: %w", errors.Join(err, listener.Close()))
		}
	}
	mux := http.NewServeMux()
	mux.Handle("/", sim)
	mux.Handle("/_faults", sim.Control())
	mux.Handle("/_seed", sim.SeedControl())
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	fmt.Fprintf(stdout, "ec2sim listening on %s\n", url)

	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	timeout, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return server.Shutdown(timeout)
}

// writeFile replaces the file in one step, so that nobody reads half of it.
func writeFile(name, content string) error {
	temporary, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	_, err = temporary.WriteString(content)
	if err = errors.Join(err, temporary.Close()); err == nil {
		err = os.Rename(temporary.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	return nil
}
