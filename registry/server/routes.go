package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// Groups of the API's description.
const (
	tagArtifacts  = "Artifacts"
	tagVersions   = "Versions"
	tagLookups    = "Lookups"
	tagChannels   = "Channels"
	tagBytes      = "Bytes"
	tagRuns       = "Runs"
	tagEvents     = "Events"
	tagTokens     = "Tokens"
	tagOperations = "Operations"
)

// Rights that an operation needs, as its description says them. The service checks them.
const (
	needNothing = ""
	needRead    = "read" // or a public artifact
	needToken   = "any"
	needPublish = "publish"
	needPromote = "promote"
	needAdmin   = "admin"
)

// routes is every route there is.
func (s *Server) routes() {
	const (
		artifact = "/v1/artifacts/{namespace}/{name}"
		version  = artifact + "/versions/{ref}"
		channel  = artifact + "/channels/{channel}"
		upload   = "/v1/uploads/{id}"
		link     = "/v1/links/{namespace}/{name}/{target_namespace}/{target_name}"
		run      = "/v1/runs/{id}"
	)
	schemas := s.api.OpenAPI().Components.Schemas

	typed(s, op("listArtifacts", "GET", "/v1/artifacts", tagArtifacts, needRead, "List artifacts",
		"In the order of their names. Without a token, those that are public."), s.listArtifacts)
	typed(s, op("getArtifact", "GET", artifact, tagArtifacts, needRead, "Show an artifact",
		"With its types, its latest version and its channels."), s.getArtifact)
	typed(s, op("putArtifact", "PUT", artifact, tagArtifacts, needAdmin, "Set an artifact's description and visibility",
		"Makes the artifact if it is not there."), s.putArtifact)
	typed(s, op("deleteArtifact", "DELETE", artifact, tagArtifacts, needAdmin, "Delete an artifact",
		"With all its versions and channels. Its numbers are never given again."), s.deleteArtifact)
	typed(s, op("getAccess", "GET", artifact+"/access", tagArtifacts, needToken, "Ask what the token may do",
		"The artifact need not exist: a build asks before it starts."), s.getAccess)

	typed(s, op("listVersions", "GET", artifact+"/versions", tagVersions, needRead, "List versions",
		"The highest number first. Builds come without metadata, images and files."), s.listVersions)
	typed(s, op("getVersion", "GET", version, tagVersions, needRead, "Show a version",
		"Numbers, versions and fingerprints find open and revoked versions, too."), s.getVersion)
	typed(s, op("publish", "POST", artifact+"/publish", tagVersions, needPublish, "Publish a build",
		"Records one build of one version, in one step. The same publication again changes nothing and answers the same; other content under the same fingerprint and component is a conflict that lists what differs. Naming channels needs the role promote, and a terraform.provider the role admin."), s.publish)
	typed(s, op("verifyVersion", "POST", version+"/verify", tagVersions, needPublish, "Tell what was found of images",
		"Records whether images of one build are available at their provider. A version that waited for them becomes complete, or failed. An image that is handed out already cannot be taken back this way: revoke the version. The ref must not be one that can float."), s.verifyVersion)
	typed(s, op("revokeVersion", "POST", version+"/revoke", tagVersions, needPromote, "Revoke a version",
		"Takes it out of what latest, constraints and catalogs offer, now or at a later time. The ref must not be one that can float."), s.revokeVersion)
	typed(s, op("restoreVersion", "POST", version+"/restore", tagVersions, needPromote, "Restore a revoked version",
		"Takes no body."), s.restoreVersion)

	plain(s, resolveOperation(schemas), s.resolve)
	typed(s, op("search", "POST", artifact+"/search", tagLookups, needRead, "Search as the clients of Atlas did",
		"Builds of one type, all of one version: by its number, the latest, or with any the newest that has the metadata. No match is an empty list. It changes nothing."), s.search)
	typed(s, op("findImage", "GET", "/v1/images/{provider}/{region}/{id...}", tagLookups, needRead, "Find out what an image is",
		"The builds that have it, the newest first, at most 100. An id may contain slashes; write %2F for one that it starts with."), s.findImage)

	typed(s, op("getChannel", "GET", channel, tagChannels, needRead, "Show a channel and its history", ""), s.getChannel)
	typed(s, op("setChannel", "PUT", channel, tagChannels, needPromote, "Move a channel, or roll it back",
		"Makes the channel if it is not there."), s.setChannel)
	typed(s, op("deleteChannel", "DELETE", channel, tagChannels, needPromote, "Delete a channel",
		"What it pointed to stays. A channel of its name that is made later goes on with its history."), s.deleteChannel)

	plain(s, getBlobOperation(), s.getBlob)
	typed(s, op("grantDownload", "POST", artifact+"/downloads", tagBytes, needRead, "Get an address of a file that needs no token",
		"For tools that cannot send one. The address is good for 15 minutes, for whoever has it."), s.grantDownload)
	s.mountDownload()
	typed(s, created("beginUpload", "POST", "/v1/uploads", tagBytes, needPublish, "Begin an upload",
		"201 with its Location; or 200 with done = true, when the registry has these bytes already and nothing is to be sent."), s.beginUpload)
	typed(s, op("getUpload", "GET", upload, tagBytes, needPublish, "Ask how far an upload is", ""), s.getUpload)
	plain(s, appendUploadOperation(), s.appendUpload)
	typed(s, op("commitUpload", "PUT", upload, tagBytes, needPublish, "Finish an upload",
		"Verifies size and digest. Takes no body. While bytes are missing it gets 409, with the header Upload-Offset, and can go on. Bytes that are not what was announced are refused and dropped."), s.commitUpload)
	typed(s, op("abortUpload", "DELETE", upload, tagBytes, needPublish, "Give an upload up", ""), s.abortUpload)

	typed(s, op("listLinks", "GET", "/v1/links", tagRuns, needToken, "List links",
		"As far as the token may read both ends."), s.listLinks)
	typed(s, op("link", "PUT", link, tagRuns, needPublish, "Link an application to what is built from it",
		"Each new version of the application that is complete and has a build of type archive asks for a run then. Makes the artifacts that are not there. Takes no body. Needs the role for both ends."), s.link)
	typed(s, op("unlink", "DELETE", link, tagRuns, needPublish, "End a link",
		"Runs that wait for a runner fail; one that a runner has goes on. Needs the role for both ends."), s.unlink)
	typed(s, op("listRuns", "GET", "/v1/runs", tagRuns, needToken, "List runs",
		"The newest first, as far as the token may read both artifacts. A page can be short, or empty, before the list ends."), s.listRuns)
	typed(s, op("getRun", "GET", run, tagRuns, needToken, "Show a run", ""), s.getRun)
	typed(s, op("claimRun", "POST", "/v1/runs/claim", tagRuns, needPublish, "Take the next run of a link",
		"The oldest that is queued, or whose runner fell silent; no run when there is nothing to do. The answer has the lease, a secret that all that is about the run is sent with. A run whose lease ends goes to the next runner that asks. What a runner publishes must have the fingerprint of the run. Needs the role for the target, and read for the application."), s.claimRun)
	typed(s, op("renewRun", "POST", run+"/renew", tagRuns, needPublish, "Say that the runner is alive",
		"A conflict says that the run is another runner's by now, or has ended: this one must stop."), s.renewRun)
	typed(s, op("appendRunLog", "POST", run+"/log", tagRuns, needPublish, "Add to the log of a run",
		"A part that is there already changes nothing, so that it can be sent again. The log is kept up to 8 MiB."), s.appendRunLog)
	typed(s, op("getRunLog", "GET", run+"/log", tagRuns, needPublish, "Read the log of a run",
		"A piece from a place on. Who follows a run asks again with next, until ended."), s.getRunLog)
	typed(s, op("finishRun", "POST", run+"/finish", tagRuns, needPublish, "Report how a run ended",
		"A run that ended well is done if the target has a complete version with its fingerprint; without one it failed. The same report again changes nothing."), s.finishRun)
	typed(s, op("repeatRun", "POST", run+"/repeat", tagRuns, needPublish, "Ask again for a run that failed",
		"It makes a version of its own then, with another fingerprint. A run that did not fail is a conflict. Takes no body."), s.repeatRun)

	plain(s, listEventsOperation(schemas), s.listEvents)

	typed(s, op("listTokens", "GET", "/v1/tokens", tagTokens, needAdmin, "List tokens",
		"In force or not, as far as they cover nothing beyond what the caller's own token covers."), s.listTokens)
	typed(s, created("createToken", "POST", "/v1/tokens", tagTokens, needAdmin, "Create a token",
		"The answer has the secret, this one time."), s.createToken)
	typed(s, op("revokeToken", "DELETE", "/v1/tokens/{token}", tagTokens, needAdmin, "Revoke a token", "At once."), s.revokeToken)

	open(s, op("health", "GET", "/healthz", tagOperations, needNothing, "Is the process alive?", ""), "text/plain", s.healthz)
	open(s, op("ready", "GET", "/readyz", tagOperations, needNothing, "Can it serve?", "503 while a store is away, and while the server shuts down."), "text/plain", s.readyz)
	open(s, op("metrics", "GET", "/metrics", tagOperations, needNothing, "Metrics for Prometheus", ""), "text/plain", s.serveMetrics)
	open(s, op("openapi", "GET", "/openapi.json", tagOperations, needNothing, "This description, as OpenAPI 3.1", ""), "application/json", s.serveOpenAPI)
	open(s, op("docs", "GET", "/docs", tagOperations, needNothing, "This description, as a page", ""), "text/html", s.serveDocs)
	s.mux.HandleFunc("GET /{$}", (&route{server: s, path: "/", open: true, handler: toDocs}).serve)
}

// op describes an operation. needs is the right that its caller must have.
func op(id, method, path, tag, needs, summary, description string) huma.Operation {
	return huma.Operation{
		OperationID: id, Method: method, Path: path, Tags: []string{tag}, Summary: summary, Description: description,
		Security: security(needs), Metadata: map[string]any{"needs": needs},
		// A route checks all three before huma sees the request.
		MaxBodyBytes: -1, BodyReadTimeout: -1, SkipValidateBody: true,
	}
}

// created is an op that makes something.
func created(id, method, path, tag, needs, summary, description string) huma.Operation {
	o := op(id, method, path, tag, needs, summary, description)
	o.DefaultStatus = http.StatusCreated
	return o
}

// typed mounts a handler whose input and output huma decodes, validates and describes.
func typed[I, O any](s *Server, o huma.Operation, handle func(context.Context, *I) (*O, error)) {
	huma.Register(s.api, o, handle)
}

// plain mounts a handler of bytes or streams, whose operation says it all itself.
func plain(s *Server, o huma.Operation, handle handler) {
	s.api.OpenAPI().AddOperation(&o)
	s.mount(&o, &route{handler: handle})
}

// open mounts a handler for everybody. It looks at no token.
func open(s *Server, o huma.Operation, media string, handle handler) {
	o.Responses = map[string]*huma.Response{"200": {Description: http.StatusText(http.StatusOK), Content: map[string]*huma.MediaType{
		media: {Schema: &huma.Schema{Type: huma.TypeString}},
	}}}
	s.api.OpenAPI().AddOperation(&o)
	s.mount(&o, &route{open: true, handler: handle})
}
