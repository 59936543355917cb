package tftest

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Config is the configuration of a client: what a user has in ~/.terraformrc.
type Config struct {
	// Mirrors are directories to install providers from.
	Mirrors []string
	// Direct are the patterns of the providers that come from their own registry, such as "127.0.0.1:8443/*/*".
	Direct []string
	// DevOverrides are directories with a provider's program, by its source. They need no init.
	DevOverrides map[string]string
	// Services are the addresses of services by host, for hosts that cannot be asked for them.
	Services map[string]map[string]string
	// Tokens are the credentials for hosts.
	Tokens map[string]string
}

// String is the content of a file for TF_CLI_CONFIG_FILE.
func (c Config) String() string {
	var b strings.Builder
	b.WriteString("provider_installation {\n")
	if len(c.DevOverrides) > 0 {
		b.WriteString("  dev_overrides {\n")
		for _, source := range slices.Sorted(maps.Keys(c.DevOverrides)) {
			fmt.Fprintf(&b, "    %q = %s\n", source, quotedPath(c.DevOverrides[source]))
		}
		b.WriteString("  }\n")
	}
	for _, mirror := range c.Mirrors {
		fmt.Fprintf(&b, "  filesystem_mirror {\n    path = %s\n  }\n", quotedPath(mirror))
	}
	if len(c.Direct) > 0 {
		fmt.Fprintf(&b, "  direct {\n    include = [%s]\n  }\n", quotedList(c.Direct))
	}
	b.WriteString("}\n")
	for _, host := range slices.Sorted(maps.Keys(c.Services)) {
		fmt.Fprintf(&b, "host %q {\n  services = {\n", host)
		for _, name := range slices.Sorted(maps.Keys(c.Services[host])) {
			fmt.Fprintf(&b, "    %q = %q\n", name, c.Services[host][name])
		}
		b.WriteString("  }\n}\n")
	}
	for _, host := range slices.Sorted(maps.Keys(c.Tokens)) {
		fmt.Fprintf(&b, "credentials %q {\n  token = %q\n}\n", host, c.Tokens[host])
	}
	return b.String()
}

// CLIConfig is the content of a file for TF_CLI_CONFIG_FILE that lets a client take all providers from a mirror.
func CLIConfig(mirror string) string { return Config{Mirrors: []string{mirror}}.String() }

func quotedPath(path string) string { return strconv.Quote(filepath.ToSlash(path)) }

func quotedList(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = strconv.Quote(s)
	}
	return strings.Join(quoted, ", ")
}
