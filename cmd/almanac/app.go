package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf16"

	"golang.org/x/term"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
	"github.com/cargomedia/packer-plugin-almanac/version"
)

// app is what a command has to work with.
type app struct {
	ctx    context.Context
	getenv func(string) string
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	// json is true when output and errors are for programs.
	json bool
	globals
}

// address is the registry to which commands talk.
func (a *app) address() string {
	if a.Address != "" {
		return a.Address
	}
	return client.DefaultAddress
}

// client returns a client of the registry with the caller's token, if there is one: artifacts that
// are public can be read without. Somebody waits for the answer, so it gives up soon.
func (a *app) client() (*client.Client, error) {
	return a.newClient(client.Options{RetryMax: 2, RetryWaitMin: 250 * time.Millisecond})
}

// transferClient is a client for commands that move files. It has the patience to live through a
// restart of the registry.
func (a *app) transferClient() (*client.Client, error) { return a.newClient(client.Options{}) }

func (a *app) newClient(o client.Options) (*client.Client, error) {
	token, err := a.token()
	if err != nil {
		return nil, err
	}
	o.Address, o.Token, o.UserAgent = a.address(), token, userAgent()
	c, err := client.New(o)
	return c, hinted(err, "--address "+client.DefaultAddress+", or ALMANAC_ADDR")
}

// userAgent is how the program calls itself to servers.
func userAgent() string { return "almanac/" + version.String() }

// token returns the secret that the flags or the environment give; "" when none does. An error
// never shows a part of it.
func (a *app) token() (string, error) {
	switch {
	case a.Token != "" && a.TokenFile != "":
		return "", &cliError{err: registry.Errorf(registry.Invalid, "--token and --token-file cannot be used together"), code: exitUsage}
	case a.Token != "":
		return checkSecret("--token", a.Token)
	case a.TokenFile != "":
		return readTokenFile(a.TokenFile)
	}
	return checkSecret(client.EnvToken, a.getenv(client.EnvToken))
}

const maxTokenFile = 4096

func readTokenFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	defer func() { _ = f.Close() }()
	content, err := io.ReadAll(io.LimitReader(f, maxTokenFile+1))
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	if len(content) > maxTokenFile {
		return "", registry.Errorf(registry.Invalid, "--token-file: %s is longer than any token; it must hold a token and nothing else", name)
	}
	secret, err := checkSecret("--token-file "+name, string(content))
	if err == nil && secret == "" {
		err = registry.Errorf(registry.Invalid, "--token-file: %s is empty; it must hold a token", name)
	}
	return secret, err
}

// checkSecret removes the space around a secret and refuses what cannot travel in a header.
func checkSecret(where, secret string) (string, error) {
	secret = strings.TrimSpace(secret)
	if strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", registry.Errorf(registry.Invalid, "%s holds more than a token: it has spaces or characters that no token has", where)
	}
	return secret, nil
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// colour says whether escape sequences may go to w.
func (a *app) colour(w io.Writer) bool {
	return !a.NoColor && a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb" && isTerminal(w)
}

// printf writes to stdout. Callers clean what others wrote.
func (a *app) printf(format string, args ...any) {
	fmt.Fprintf(a.stdout, format, args...)
}

// note tells a person something beside the result. Programs do not get it.
func (a *app) note(format string, args ...any) {
	if !a.json {
		fmt.Fprintln(a.stderr, clean(fmt.Sprintf(format, args...)))
	}
}

// warn tells something that people and programs should not miss.
func (a *app) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if a.json {
		_ = writeJSON(a.stderr, map[string]string{"warning": text})
		return
	}
	label := "warning:"
	if a.colour(a.stderr) {
		label = yellow.paint(label)
	}
	fmt.Fprintf(a.stderr, "almanac: %s %s\n", label, clean(text))
}

// show prints v for programs, or what forPeople prints.
func (a *app) show(v any, forPeople func()) error {
	if a.json {
		return writeJSON(a.stdout, v)
	}
	forPeople()
	return nil
}

func (a *app) printTable(t *table, indent string) {
	a.printf("%s", t.format(indent, a.colour(a.stdout)))
}

// paint colours text that is clean, for stdout.
func (a *app) paint(s style, text string) string {
	if a.colour(a.stdout) {
		return s.paint(text)
	}
	return text
}

// writeJSON writes v with indentation. Characters that a terminal would obey are escaped, beyond
// what JSON asks for.
func writeJSON(w io.Writer, v any) error {
	var raw bytes.Buffer
	e := json.NewEncoder(&raw)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	var out bytes.Buffer
	for _, r := range raw.String() {
		switch {
		case r == '\n' || !dangerous(r):
			out.WriteRune(r)
		case r > 0xffff:
			// A pair of surrogates, as JSON writes what is beyond the basic plane.
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	_, err := w.Write(out.Bytes())
	return err
}
