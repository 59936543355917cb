package registry

import (
	"context"
	"io"
	"time"
)

// Store keeps metadata. Implementations hold no rules of the registry: they keep what they are
// given and find it again. Every implementation passes registrytest.TestStore.
//
// Contract of all methods:
//   - What does not exist is an [*Error] of kind NotFound; it needs no text.
//   - Every other error is of kind Unavailable where a later attempt may succeed (the database is
//     away, busy, or out of space), or of kind Internal.
//   - Times are kept to the microsecond and returned in UTC. Nil and empty slices and maps are the
//     same: both come back with length 0.
//   - A cancelled context ends a method with its error; nothing is half written.
//   - A limit is meant literally: 0 returns nothing.
//   - Names are found in the case in which they were given.
type Store interface {
	Reader

	// Update runs fn in one transaction: all that it wrote is there when Update returns nil, and
	// none of it otherwise. fn reads its own writes. When Update returned nil, the writes survive
	// a crash of the machine, and every later read, on any connection, sees them. fn may be run
	// more than once, so it must not have effects besides the Tx; an error of fn is returned as it
	// is.
	Update(ctx context.Context, fn func(Tx) error) error

	// Ping returns nil when the store can be read and written.
	Ping(ctx context.Context) error

	// Close waits for running methods and frees what the store holds.
	Close() error
}

// Reader is what a [Store] answers, within a transaction and without one. One call is one
// consistent view.
type Reader interface {
	// Artifact returns an artifact with its types, latest version and channels.
	Artifact(ctx context.Context, name ArtifactName) (Artifact, error)
	// Artifacts lists artifacts in the order of (namespace, name), with types, latest and channels.
	Artifacts(ctx context.Context, q ArtifactQuery) ([]Artifact, error)

	// Version returns the version that sel names, with everything that belongs to it.
	Version(ctx context.Context, name ArtifactName, sel Selector) (Version, error)
	// Folded returns the artifact whose name equals name but for upper and lower case.
	Folded(ctx context.Context, name ArtifactName) (ArtifactName, error)

	// Answers finds the answer ([Tx.SetAnswer]) of a version for a type, or those for all types where typ is "": at
	// most two, as one is all that a lookup can use. No answer is no error; one with an empty body can be left out
	// where typ is given.
	Answers(ctx context.Context, name ArtifactName, sel Selector, typ Type) ([]StoredAnswer, error)

	// Versions lists versions of one artifact, the highest number first. Their builds have
	// component, type, provider, architecture, CreatedAt and CreatedBy only, unless the query asks for more.
	Versions(ctx context.Context, name ArtifactName, q VersionQuery) ([]Version, error)

	// VersionIDs is Versions for those who need no more than the numbers and versions. An artifact that
	// does not exist has none.
	VersionIDs(ctx context.Context, name ArtifactName, q VersionQuery) ([]VersionID, error)

	// Channel returns a channel and its moves, the newest first, at most limit of them.
	Channel(ctx context.Context, name ArtifactName, channel string, limit int) (Channel, []ChannelMove, error)

	// RevokedLatest lists versions that [Tx.SetLatest] has set for some type, and that are revoked at a
	// time, each once, at most limit.
	RevokedLatest(ctx context.Context, at time.Time, limit int) ([]VersionKey, error)

	// ImageUses finds the builds of visible artifacts that have an image, of the version that was made
	// last first, at most limit.
	ImageUses(ctx context.Context, provider, region, id string, visible Visibility, limit int) ([]ImageUse, error)
	// BlobVisible says whether a visible artifact has a file or an attachment of that digest, or was granted the blob
	// ([Tx.GrantBlob]).
	BlobVisible(ctx context.Context, digest Digest, visible Visibility) (bool, error)

	// Events lists events with an ID above after, in the order of their IDs, at most limit.
	// An event is visible only when all with a lower ID are.
	Events(ctx context.Context, after int64, limit int) ([]Event, error)

	// TokenByDigest finds a token by the digest of its secret, revoked or not.
	TokenByDigest(ctx context.Context, digest Digest) (Token, error)
	// Tokens lists all tokens in the order of their creation.
	Tokens(ctx context.Context) ([]Token, error)

	// Secret returns a secret of the registry.
	Secret(ctx context.Context, name string) ([]byte, error)

	// Links lists the links from or to an artifact, or all for "", in the order of application and target.
	Links(ctx context.Context, name ArtifactName) ([]Link, error)
	// Run returns a run.
	Run(ctx context.Context, id int64) (Run, error)
	// Runs lists runs, the highest id first.
	Runs(ctx context.Context, q RunQuery) ([]Run, error)
	// NextRun returns the run of a link with the lowest id that is queued, or running with a lease that ended before now.
	NextRun(ctx context.Context, application, target ArtifactName, now time.Time) (Run, error)
	// RunLog returns the text of a run's log from an offset in bytes: the rest of the part ([Tx.AppendRunLog]) that it is in
	// and the parts after it, until there are at least limit bytes. At the end it is "".
	RunLog(ctx context.Context, id, offset int64, limit int) (string, error)

	// Upload returns an upload that has begun.
	Upload(ctx context.Context, id string) (Upload, error)
	// UploadsBefore lists uploads that began before a time, the oldest first, at most limit.
	UploadsBefore(ctx context.Context, t time.Time, limit int) ([]Upload, error)
}

// Tx is what can be written within [Store.Update].
type Tx interface {
	Reader

	// LockArtifact makes every other Update that locks the same artifact wait until this one ends.
	// It must come before the first read or write of the artifact. With create, an artifact that
	// does not exist (or was deleted) is made with the given time; one whose name differs from an
	// existing one in case alone is a Conflict. Without, what does not exist is NotFound.
	LockArtifact(ctx context.Context, name ArtifactName, create bool, now time.Time) (Counters, error)
	// PutArtifact sets description, summary, visibility and the time of the last change.
	PutArtifact(ctx context.Context, a Artifact) error
	// DeleteArtifact removes an artifact with its versions, channels and grants, and the links and runs from and to it. Its
	// events and uploads stay, and so do its counters: an artifact of the same name, in any case, that is made later
	// continues them.
	DeleteArtifact(ctx context.Context, name ArtifactName) error

	// InsertVersion adds a version without builds. The artifact follows: its last number, highest as
	// given, and the version's CreatedAt as the time of its last change, unless that is later.
	InsertVersion(ctx context.Context, v Version, highest string) error
	// UpdateVersion sets status, held, description, expect, requested channels, metadata, completion and revocation.
	UpdateVersion(ctx context.Context, v Version) error
	// InsertBuild adds a build with its images, files and attachments to a version.
	InsertBuild(ctx context.Context, name ArtifactName, number int64, b Build) error
	// DeleteVersion removes a version with all that belongs to it, also from channels, their history and what SetLatest
	// has set. Its number is not given again. NotFound: there is none.
	DeleteVersion(ctx context.Context, name ArtifactName, number int64) error
	// DeleteBuild removes a build with all that belongs to it. The answers of the version stay as they are. NotFound: there is none.
	DeleteBuild(ctx context.Context, name ArtifactName, number int64, component string) error
	// SetDefault sets [Build.Default]. NotFound: there is no such build.
	SetDefault(ctx context.Context, name ArtifactName, number int64, component string, on bool) error
	// PutPending adds a pending box to a version, or replaces the one of its component. NotFound: there is no such version.
	PutPending(ctx context.Context, name ArtifactName, number int64, p PendingBox) error
	// DeletePending removes a pending box; one that is gone is no error.
	DeletePending(ctx context.Context, name ArtifactName, number int64, component string) error
	// InsertImages adds images to a build.
	InsertImages(ctx context.Context, name ArtifactName, number int64, component string, images []Image) error

	// DeleteImages removes images of a build. NotFound: the build has no such image.
	DeleteImages(ctx context.Context, name ArtifactName, number int64, component string, images []Image) error
	// InsertAttachments adds attachments to a build.
	InsertAttachments(ctx context.Context, name ArtifactName, number int64, component string, attachments []Attachment) error
	// SetVerifications replaces what was found of images of a build. NotFound: the build has no such image.
	SetVerifications(ctx context.Context, name ArtifactName, number int64, component string, images []Image) error

	// SetAnswer sets the finished answer to lookups of a type in a complete version: texts that the store does
	// not look into.
	SetAnswer(ctx context.Context, name ArtifactName, number int64, typ Type, body, images string) error

	// SetLatest makes the version number what [Latest] finds for a type; typ is "" for the latest of any
	// type, number 0 removes it.
	SetLatest(ctx context.Context, name ArtifactName, typ Type, number int64) error
	// MoveChannel points a channel, which is made if it does not exist, to a version and adds the
	// move to its history.
	MoveChannel(ctx context.Context, name ArtifactName, channel string, move ChannelMove) error

	// DeleteChannel removes a channel; its moves stay, for one of its name that is made later. NotFound: there is none.
	DeleteChannel(ctx context.Context, name ArtifactName, channel string) error

	// AddSecret keeps a secret, unless there is one of its name: then that one stays.
	AddSecret(ctx context.Context, name string, value []byte) error

	// GrantBlob lets an artifact, which need not exist yet, refer to a blob. Granting twice is no error.
	GrantBlob(ctx context.Context, name ArtifactName, digest Digest) error

	// AppendEvent adds an event and gives it its ID. It comes last in a transaction, because others that
	// append wait for this one to end.
	AppendEvent(ctx context.Context, e Event) error

	// LockTokens makes every other Update that locks the tokens wait until this one ends. It comes
	// before they are read.
	LockTokens(ctx context.Context) error
	// PutToken adds a token, or replaces the one with its ID.
	PutToken(ctx context.Context, t Token) error

	// PutLink adds a link between two artifacts that exist; one that is there stays as it is.
	PutLink(ctx context.Context, l Link) error
	// DeleteLink removes a link; its runs stay. NotFound: there is none.
	DeleteLink(ctx context.Context, application, target ArtifactName) error
	// AddRun adds a run under the next id, which it returns: 1, 2, 3 … in the whole store. The run's own ID does not matter.
	// A run of the same application, its number, and target is there already: 0, and nothing changes. Both artifacts exist.
	AddRun(ctx context.Context, r Run) (int64, error)
	// UpdateRun sets everything of a run but its log and what it is of: application, version and target.
	UpdateRun(ctx context.Context, r Run) error
	// AppendRunLog adds text to the end of a run's log, which has offset bytes. Another offset is a Conflict.
	AppendRunLog(ctx context.Context, id, offset int64, text string) error
	// DeleteRunLog empties a run's log.
	DeleteRunLog(ctx context.Context, id int64) error

	// PutUpload adds an upload, or replaces the one with its ID. DeleteUpload removes one; one that is gone is no error.
	PutUpload(ctx context.Context, u Upload) error
	DeleteUpload(ctx context.Context, id string) error
}

// VersionKey names a version of any artifact.
type VersionKey struct {
	Artifact ArtifactName
	Number   int64
}

// Counters are what an artifact remembers of all versions that it ever had.
type Counters struct {
	// LastNumber is the number given last; 0 before the first.
	LastNumber int64
	// Highest is the highest semantic version given; "" before the first.
	Highest string
}

// Selector names one version to a store. Exactly one field is set, besides Type.
type Selector struct {
	Number      int64
	Version     string
	Fingerprint string
	Channel     string
	// Latest finds what [Tx.SetLatest] set for Type ("" for any type).
	Latest bool
	Type   Type
}

// StoredAnswer is the finished answer to lookups of a type in a version.
type StoredAnswer struct {
	// Revocation is that of the version.
	Revocation   *Revocation
	Body, Images string
}

// ArtifactQuery narrows a list of artifacts.
type ArtifactQuery struct {
	Namespace string
	// Type keeps the artifacts for which [Tx.SetLatest] has set a version of this type.
	Type Type
	// Text keeps the artifacts whose name or description contains it, whatever its case.
	Text string
	// After is where the page begins: the first artifact after this name.
	After ArtifactName
	// Visible keeps the artifacts that a caller may know of.
	Visible Visibility
	Limit   int
}

// RunQuery narrows a list of runs.
type RunQuery struct {
	// Artifact keeps the runs of an application or for a target of this name; "" keeps all.
	Artifact ArtifactName
	// Status keeps runs of this status; "" keeps all.
	Status RunStatus
	// Before is where the page begins: the first id below it; 0 begins at the highest.
	Before int64
	Limit  int
}

// Visibility says which artifacts a caller may know of, besides those that are public. It is a value, so
// that a store can put it into its query.
type Visibility struct {
	// All is true when every artifact is visible; the other fields do not matter then.
	All        bool
	Namespaces []string
	Artifacts  []ArtifactName
}

// VersionQuery narrows a list of versions.
type VersionQuery struct {
	// Before is where the page begins: the first number below it; 0 begins at the highest.
	Before int64
	// Type keeps versions that have a build of this type.
	Type Type
	// Status keeps versions of this status; "" keeps all.
	Status Status
	// OfferedAt keeps versions that are complete and not revoked at this time; with a Type, the build of it
	// must have no image, or one that is [Image.Offered]. Zero keeps all.
	OfferedAt time.Time
	// Boxes keeps only builds of type vagrant.box, with their files and images, and adds the pending boxes.
	// It narrows no list of versions.
	Boxes bool
	Limit int
}

// ImageUse is a build that has an image.
type ImageUse struct {
	Artifact ArtifactName `json:"artifact"`
	VersionID
	Component string `json:"component"`
	Type      Type   `json:"type"`
	// Revocation is that of the version.
	Revocation *Revocation `json:"revocation,omitempty"`
	// Channels are those that point to the version now, sorted.
	Channels []string `json:"channels"`
}

// BlobStore keeps bytes by their digest. Every implementation passes registrytest.TestBlobStore.
//
// A blob comes into being by an upload: Create, then Append until all bytes are there, then Commit.
// An upload survives a crash up to the offset that Offset reports afterwards. While somebody appends
// to an upload, every other write to it is a Conflict at once.
//
// Errors: what does not exist is NotFound; no space or no access to the medium is Unavailable. A
// cancelled context ends a method with its error; an Append keeps what came before.
type BlobStore interface {
	// Stat returns the size of a blob in bytes.
	Stat(ctx context.Context, digest Digest) (int64, error)
	// Open returns a blob's bytes; the caller closes them. Where the bytes are a local file, it is
	// an *os.File, so that the kernel can send it.
	Open(ctx context.Context, digest Digest) (io.ReadSeekCloser, error)

	// Create begins an upload with an id that the caller has chosen: 1 to 64 characters out of
	// a-z 0-9. An id that exists is a Conflict.
	Create(ctx context.Context, id string) error
	// Offset returns how many bytes of an upload are safe.
	Offset(ctx context.Context, id string) (int64, error)
	// Sum returns the digest and the number of the bytes of an upload that are safe, for those who learn the digest of
	// what they are sent by receiving it. While somebody appends it is a Conflict. It costs no more than Commit.
	Sum(ctx context.Context, id string) (Digest, int64, error)
	// Append adds bytes at offset, which must be what Offset reports: another is a Conflict and
	// nothing is written. It returns the new offset. When r fails, what came before the failure is
	// kept, the new offset counts it and r's error is returned. The upload never grows beyond limit
	// bytes in all; more is TooLarge, and what was over the limit is not kept.
	Append(ctx context.Context, id string, offset, limit int64, r io.Reader) (int64, error)
	// Commit makes the bytes a blob and ends the upload. Bytes of another digest or size are Invalid
	// with both values in the text; nothing is kept then and the upload is gone. When Commit returns nil the blob
	// survives a crash of the machine. A blob that exists already is left as it is.
	Commit(ctx context.Context, id string, want Digest, size int64) error
	// Abort ends an upload; its bytes are gone. One that does not exist is no error.
	Abort(ctx context.Context, id string) error

	// Ping returns nil when bytes can be written.
	Ping(ctx context.Context) error
}
