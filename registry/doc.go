// Package registry is the domain of Almanac: what an artifact, a version, a build, an image, a
// file and a channel are, which of them are valid, who may do what with them, and how a lookup is
// answered. Every door (HTTP, CLI, the Packer plugin, foreign protocols) goes through [Service].
//
// A Service keeps metadata in a [Store] and bytes in a [BlobStore]; both are contracts with a
// conformance suite in package registrytest. The caller of a Service travels in the context:
//
//	svc := registry.NewService(store, blobs)
//	ctx = registry.WithPrincipal(ctx, principal)
//	receipt, err := svc.Publish(ctx, "cargomedia/app", publication)
//
// Every error that reaches a caller is, or wraps, an [*Error]; anything else is a defect of the
// registry and counts as [Internal].
//
// The package imports the standard library and a semver library only.
package registry
