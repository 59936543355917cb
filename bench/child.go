package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
)

// childArgument as the first argument makes this program one of its own children.
const childArgument = "child"

// child runs one of the children and returns the exit code. Servers print their address, and end when
// their standard input does.
func child(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	// Ctrl-C reaches the whole terminal; the parent says when it is over.
	signal.Ignore(os.Interrupt)
	if err := runChild(args, stdin, stdout); err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

func runChild(args []string, stdin io.Reader, stdout io.Writer) error {
	switch args[0] {
	case "load":
		return answerJSON(stdin, stdout, runLoad)
	case "fetch":
		return answerJSON(stdin, stdout, runFetch)
	case "publish":
		return answerJSON(stdin, stdout, runPublish)
	case "constant":
		return serveConstant(args[1:], stdin, stdout)
	case "files":
		return serveChild(fileServer(args[1]), stdin, stdout)
	}
	return fmt.Errorf("there is no child %q", args[0])
}

func answerJSON[In, Out any](stdin io.Reader, stdout io.Writer, run func(In) (Out, error)) error {
	var in In
	if err := json.NewDecoder(stdin).Decode(&in); err != nil {
		return err
	}
	out, err := run(in)
	if err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(out)
}

func serveChild(h http.Handler, stdin io.Reader, stdout io.Writer) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- http.Serve(listener, h) }()
	if _, err := fmt.Fprintln(stdout, listener.Addr()); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, stdin) // an error means that whoever holds the other end is gone
		close(ended)
	}()
	select {
	case err := <-failed:
		return err
	case <-ended:
		return nil
	}
}

// serveConstant answers /N with a prepared body of N bytes, for each N of sizes.
func serveConstant(sizes []string, stdin io.Reader, stdout io.Writer) error {
	mux := http.NewServeMux()
	for _, text := range sizes {
		size, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		body := constantBody(size)
		mux.HandleFunc("GET /"+text, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", text) // net/http counts up to 2 KiB only
			_, _ = w.Write(body)                   // an error is the client's to see
		})
	}
	return serveChild(mux, stdin, stdout)
}

// constantBody is a JSON object of size bytes.
func constantBody(size int) []byte {
	const frame = `{"id":""}`
	return []byte(`{"id":"` + strings.Repeat("a", max(0, size-len(frame))) + `"}`)
}

// fileServer sends a file in two ways: /sendfile as net/http does it, and /copy through a buffer of
// this process.
func fileServer(name string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sendfile", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, name) })
	mux.HandleFunc("GET /copy", func(w http.ResponseWriter, _ *http.Request) {
		if err := copyFile(w, name); err != nil {
			panic(http.ErrAbortHandler) // the client sees that bytes are missing
		}
	})
	return mux
}

func copyFile(w http.ResponseWriter, name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Length", strconv.FormatInt(info.Size(), 10))
	// The wrappers hide ReadFrom and WriteTo, with which the kernel would do it.
	_, err = io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{file}, make([]byte, 256<<10))
	return err
}
