// Package version says which release this is. Release builds set the variables by the linker:
//
//	go build -ldflags "-X github.com/cargomedia/packer-plugin-almanac/version.Version=1.2.0
//	  -X github.com/cargomedia/packer-plugin-almanac/version.VersionPrerelease="
package version

var (
	// Version is MAJOR.MINOR.PATCH.
	Version = "0.1.0"
	// VersionPrerelease is "dev" between releases and empty for a release. Packer installs no plugin
	// that has another one (packer plugins install --path).
	VersionPrerelease = "dev"
	// Commit is the commit that was built; empty if nobody said it.
	Commit = ""
	// CommitTime is when that was committed, in seconds from 1970; empty if nobody said it.
	CommitTime = ""
)

// String returns the whole version, such as 1.2.0 or 0.1.0-dev.
func String() string {
	if VersionPrerelease == "" {
		return Version
	}
	return Version + "-" + VersionPrerelease
}
