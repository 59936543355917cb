// Package blob keeps the bytes of the registry: it holds the implementations of
// [registry.BlobStore]. [Disk] keeps them in a local directory.
//
//	store, err := blob.OpenDisk("/var/lib/almanac")
//	err = store.Create(ctx, "1f7c0a")
//	offset, err := store.Append(ctx, "1f7c0a", 0, 10<<30, body)
//	err = store.Commit(ctx, "1f7c0a", digest, offset)
//	file, err := store.Open(ctx, digest)
package blob
