// Package almanac is the Packer post-processor that records what a builder made in an Almanac
// registry: the images with their regions, the files, the metadata and how the build came to be.
//
// Packer hands it an artifact of any builder. What that is, is read in artifact.go; which type of
// build it becomes, and where its images and files come from, is in types.go and build.go; the rest
// is one upload per file and one publish call.
//
// Two rules shape it. Before a build starts, everything that could go wrong later is checked,
// against the registry, too, and all of it is reported at once. After a build, hardly anything is an error any more:
// Packer destroys an image whose post-processor fails, so what cannot be recorded is said loudly and left
// as a publish file (rescue.go), which one command sends. docs/adr/0005 has the exceptions, and why.
package almanac
