package box

// Architecture is the name that Vagrant has for an architecture, such as amd64 for x86_64. It is empty for "unknown", by
// which Vagrant means that nobody said it, and s itself where Vagrant has no other name.
func Architecture(s string) string {
	switch s {
	case "unknown":
		return ""
	case "x86_64":
		return "amd64"
	case "aarch64":
		return "arm64"
	case "i686", "x86":
		return "i386"
	}
	return s
}
