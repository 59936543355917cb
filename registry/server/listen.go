package server

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// CheckListen refuses an address to listen on that would let tokens travel in the clear: one that
// is not of this machine alone, without TLS and without a proxy in front that does it. The address
// is host:port, as for [net.Listen]; an empty host is every address there is. All errors are of kind
// Invalid.
func CheckListen(addr string, tls, behindProxy bool) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return registry.Errorf(registry.Invalid, "the address to listen on, %q, must be host:port, such as 127.0.0.1:7480", clip(addr))
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return registry.Errorf(registry.Invalid, "the address to listen on, %q, must have a port of 0 to 65535, not %q", clip(addr), clip(port))
	}
	if tls || behindProxy || isLoopback(host) {
		return nil
	}
	return registry.Errorf(registry.Invalid, "%s can be reached from other machines, and tokens would travel unencrypted; give --tls-cert and --tls-key, or --behind-proxy if a proxy in front does TLS, or listen on 127.0.0.1:%s", clip(addr), port)
}

// isLoopback knows localhost and the addresses that never leave the machine. Other names are not
// looked up: what they stand for can change after the check.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// CheckURL refuses an address that clients cannot reach a server under: one that is not http or https and a host,
// and perhaps a port. A path is refused, because the clients of other registries ask for paths at the root. All errors
// are of kind Invalid.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Opaque != "":
		return registry.Errorf(registry.Invalid, "%q must be an address such as https://almanac.example.com", clip(s))
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Path != "" && u.Path != "/":
		return registry.Errorf(registry.Invalid, "%q must end with its host or port, such as https://almanac.example.com: the registry is at the root", clip(u.Redacted()))
	}
	return nil
}
