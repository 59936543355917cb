package main

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

// failure is an error as it is shown: as text, or with -o json as {"error": …}.
type failure struct {
	Kind    string                `json:"kind"`
	Message string                `json:"message"`
	Fields  []registry.FieldError `json:"fields,omitempty"`
	Choices []string              `json:"choices,omitempty"`
	Hint    string                `json:"hint,omitempty"`
	Exit    int                   `json:"exit_code"`
}

// report shows an error on stderr, if there is one, and returns the exit code.
func (a *app) report(err error) int {
	if err == nil {
		return exitOK
	}
	f := a.failure(err)
	if a.json {
		_ = writeJSON(a.stderr, map[string]failure{"error": f})
		return f.Exit
	}
	name := "almanac:"
	if a.colour(a.stderr) {
		name = red.paint(name)
	}
	message, choices := f.apart()
	lines := cleanLines
	if _, ok := errors.AsType[*registry.Error](err); ok {
		// It may come from a registry, and has one line: a second one would pass for a line of ours.
		lines = clean
	}
	fmt.Fprintf(a.stderr, "%s %s\n", name, lines(strings.TrimRight(message, " ")))
	for _, choice := range choices {
		fmt.Fprintf(a.stderr, "  %s\n", clean(choice))
	}
	for _, field := range f.Fields {
		fmt.Fprintf(a.stderr, "  %s\n", clean(field.Field+": "+field.Message))
	}
	if len(f.Choices) > 0 && !mentionsAll(f, f.Choices) {
		fmt.Fprintf(a.stderr, "Choices: %s\n", clean(strings.Join(f.Choices, ", ")))
	}
	if f.Hint != "" {
		fmt.Fprintf(a.stderr, "Try: %s\n", clean(f.Hint))
	}
	return f.Exit
}

// apart takes choices that are more than a word out of the sentence that lists them, to show each on
// a line of its own.
func (f failure) apart() (message string, choices []string) {
	message, found := strings.CutSuffix(f.Message, strings.Join(f.Choices, "; "))
	if len(f.Choices) == 0 || !found || !strings.Contains(f.Choices[0], ", ") {
		return f.Message, nil
	}
	return message, f.Choices
}

func (a *app) failure(err error) failure {
	f := failure{Kind: string(registry.KindOf(err)), Message: err.Error(), Exit: exitCode(err)}
	if e, ok := errors.AsType[*registry.Error](err); ok {
		// What was wrapped around the error says what it is about.
		about := strings.TrimSuffix(err.Error(), e.Error())
		f.Message, f.Fields, f.Choices = about+e.Msg, slices.Clone(e.Fields), e.Choices
		if e.Err != nil {
			// The cause is one of this machine, whose user may see it: a server does not send causes.
			f.Message = strings.TrimPrefix(f.Message+": "+e.Err.Error(), ": ")
		}
		f.Hint = a.hint(e)
	}
	if e, ok := errors.AsType[*cliError](err); ok {
		f.Hint = e.hint
	}
	switch f.Exit {
	case exitUsage:
		f.Kind = string(registry.Invalid)
	case exitInterrupted:
		f.Kind, f.Message, f.Hint = "interrupted", "interrupted; what was acknowledged stays, and the same command can be run again", ""
	}
	if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		f.Kind = "file"
	}
	f.Message = a.redact(f.Message)
	for i := range f.Fields {
		f.Fields[i].Message = a.redact(f.Fields[i].Message)
	}
	return f
}

// hint is what can be said about an error without knowing the command.
func (a *app) hint(e *registry.Error) string {
	switch e.Kind {
	case registry.Unavailable:
		if hint := a.hintTLS(e.Msg); hint != "" {
			return hint
		}
		return fmt.Sprintf("start a registry with almanac serve --data DIR, or set ALMANAC_ADDR to where it is (asked: %s)", a.address())
	case registry.Unauthorized:
		if token, err := a.token(); err == nil && token != "" {
			return "another token in ALMANAC_TOKEN or --token-file; an administrator makes one with almanac token create"
		}
		return "set ALMANAC_TOKEN, or --token-file FILE; the first start of a registry writes one to admin.token in its data directory"
	case registry.Forbidden:
		return "a token that may do this; an administrator makes one with almanac token create NAME --role ROLE --scope SCOPE"
	case registry.NotFound:
		return "almanac artifacts"
	}
	return ""
}

// hintTLS is for a server that is there, but not with the TLS that the address asks for; "" for all
// else. The client's sentences tell them apart, since it keeps no causes.
func (a *app) hintTLS(message string) string {
	_, host, _ := strings.Cut(a.address(), "://")
	switch {
	case strings.HasPrefix(message, "no trusted connection to "):
		return "SSL_CERT_FILE=FILE with the certificate of the authority that signed the server's; if the certificate is expired or for another host, its operator must renew it"
	case strings.Contains(message, "its address begins with https://"):
		return "--address https://" + host + ", or the same in ALMANAC_ADDR"
	case strings.Contains(message, "its address begins with http://"):
		return "--address http://" + host + ", or the same in ALMANAC_ADDR"
	}
	return ""
}

var secretShape = regexp.MustCompile(`alm_[A-Za-z0-9_-]{8,}`)

// redact removes secrets that came into a message by way of the arguments.
func (a *app) redact(text string) string {
	text = secretShape.ReplaceAllString(text, "alm_…")
	for _, secret := range []string{a.Token, a.getenv(client.EnvToken)} {
		if secret = strings.TrimSpace(secret); len(secret) >= 8 {
			text = strings.ReplaceAll(text, secret, "…")
		}
	}
	return text
}

// mentionsAll says whether the message lists the choices already.
func mentionsAll(f failure, choices []string) bool {
	text := f.Message
	for _, field := range f.Fields {
		text += "\n" + field.Message
	}
	return !slices.ContainsFunc(choices, func(choice string) bool { return !strings.Contains(text, choice) })
}
