// Package ec2sim is a local stand-in for the EC2 Query API and STS
// GetCallerIdentity. It knows what an amazon-ebs build of
// packer-plugin-amazon asks for, and what lists of images and instances need, in
// any number of regions, and refuses everything else with the error that EC2
// gives:
//
//	ts := httptest.NewServer(ec2sim.New())
//	defer ts.Close()
//	// AWS_ENDPOINT_URL=ts.URL packer build …
//
// One address serves all regions: the region and the service of a call come
// from its SigV4 credential scope. State is kept in memory, per region; a [Seed]
// puts an account there that has been in use.
//
// Everything it makes is ready at once. What goes wrong in AWS (images that stay
// pending or are somebody else's, throttling, denials, eventual consistency)
// goes wrong here when a [Fault] says so.
//
// A pass against it does not prove anything about signatures (they are not
// verified), IAM policies, quotas, KMS, or SSH into an instance.
package ec2sim

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// maxBody is ample for every known action: the largest single value is user
// data, which EC2 limits to 16 KiB.
const maxBody = 256 << 10

// Server answers EC2 and STS calls. It is safe for concurrent use.
type Server struct {
	seed     string
	log      *slog.Logger
	now      func() time.Time
	onCall   func(Call)
	pageSize int

	mu      sync.Mutex
	regions map[string]*region
	faults  []*fault
}

// Option changes a Server that New makes.
type Option func(*Server)

// WithSeed makes the ids of new resources a function of the seed and of the
// order of calls in each region. Without it they differ from one Server to the
// next. Within one Server no id is ever given twice either way.
func WithSeed(seed string) Option {
	return func(s *Server) { s.seed = seed }
}

// WithLogger writes one line per call. Without it nothing is logged.
func WithLogger(log *slog.Logger) Option {
	return func(s *Server) { s.log = log }
}

// Call is a call that a hook of [WithOnCall] is shown.
type Call struct {
	Region string
	Action string
	Client string // The User-Agent.
	Params map[string]string
}

// WithOnCall runs a hook before each call is answered, and without any lock: it
// may block, to hold calls back, and may use the Server.
func WithOnCall(hook func(Call)) Option {
	return func(s *Server) { s.onCall = hook }
}

// WithPageSize limits how many images or instances a page of a Describe action
// has, also where the caller allows more. Without it a page has up to
// [MaxPageSize].
func WithPageSize(n int) Option {
	return func(s *Server) { s.pageSize = min(max(n, 1), MaxPageSize) }
}

// New returns a Server in which every region holds the public base image, and
// nothing else of the account.
func New(options ...Option) *Server {
	s := &Server{
		seed:     rand.Text(),
		log:      slog.New(slog.DiscardHandler),
		now:      time.Now,
		onCall:   func(Call) {},
		pageSize: MaxPageSize,
		regions:  make(map[string]*region, len(regionNames)),
	}
	for _, option := range options {
		option(s)
	}
	for _, name := range regionNames {
		s.regions[name] = newRegion(name, s.seed)
	}
	return s
}

// call is one request to one action, after its parameters were checked
// against what the action declares.
type call struct {
	server *Server
	scope  scope
	client string // The User-Agent.
	action string
	region *region
	params params
}

// answer is the content of a reply document; every reply embeds replyHeader.
type answer interface {
	setRequestID(string)
}

// replyHeader is what all EC2 replies have in common.
type replyHeader struct {
	RequestID string `xml:"requestId,omitempty"`
}

func (h *replyHeader) setRequestID(id string) { h.RequestID = id }

// done is the reply of actions that only confirm.
type done struct {
	replyHeader
	Return bool `xml:"return"`
}

// ServeHTTP answers one Query API call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	requestID := newRequestID()
	c := &call{server: s, client: r.UserAgent()}
	reply, err := c.serve(w, r)

	status, root, content := http.StatusOK, c.action+"Response", any(reply)
	namespace := services[c.scope.service].namespace
	if err != nil {
		status, root, namespace, content = errorDocument(c.scope.service, requestID, err)
	} else if c.scope.service == "ec2" {
		// STS has it in ResponseMetadata, which clients do without.
		reply.setRequestID(requestID)
	}
	c.log(r.Context(), status, err)

	body, err := encode(root, namespace, content)
	if err != nil {
		s.log.ErrorContext(r.Context(), "encode reply", "action", c.action, "error", err)
		http.Error(w, "reply could not be encoded", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
	w.Header().Set("X-Amzn-Requestid", requestID)
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil {
		s.log.DebugContext(r.Context(), "client went away", "error", err)
	}
}

// serve finds the action and runs it. It fills in c as far as it gets, so that
// errors can be answered in the form of the right service.
func (c *call) serve(w http.ResponseWriter, r *http.Request) (answer, error) {
	if r.Method != http.MethodPost {
		return nil, &apiError{http.StatusMethodNotAllowed, "UnsupportedOperation", "The Query API is served by POST only"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, &apiError{http.StatusRequestEntityTooLarge, "RequestEntityTooLarge",
			fmt.Sprintf("The request body is larger than %d bytes", maxBody)}
	}
	if err != nil {
		return nil, fail("InvalidRequest", "The request body could not be read: %v", err)
	}
	if c.scope, err = parseScope(r.Header.Get("Authorization")); err != nil {
		return nil, err
	}
	service, ok := services[c.scope.service]
	if !ok {
		return nil, authFailure("Credential should be scoped to correct service: 'ec2' or 'sts', not '%s'", c.scope.service)
	}
	if c.region, ok = c.server.regions[c.scope.region]; !ok {
		return nil, authFailure("Credential should be scoped to a valid region, not '%s'", c.scope.region)
	}

	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fail("MalformedQueryString", "The query string contains a syntax error: %v", err)
	}
	c.action = values.Get("Action")
	if c.action == "" {
		return nil, fail("MissingAction", "The request is missing an action")
	}
	action, ok := service.actions[c.action]
	if !ok {
		return nil, fail("InvalidAction", "The action %s is not valid for this web service.", c.action)
	}
	if version := values.Get("Version"); version != service.version {
		return nil, fail("NoSuchVersion", "The requested version (%s) is not %s", version, service.version)
	}
	if c.params, err = checkParams(values, action.params); err != nil {
		return nil, err
	}

	c.server.onCall(Call{Region: c.region.name, Action: c.action, Client: c.client, Params: maps.Clone(c.params)})
	// One lock for all regions, since CopyImage reads one and writes another.
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	if err := c.refusal(); err != nil {
		return nil, err
	}
	return action.run(c)
}

func (c *call) log(ctx context.Context, status int, err error) {
	level, attrs := slog.LevelInfo, []slog.Attr{
		slog.String("service", c.scope.service), slog.String("region", c.scope.region),
		slog.String("action", c.action), slog.Int("status", status),
	}
	if err != nil {
		level, attrs = slog.LevelWarn, append(attrs, slog.Any("error", err))
	}
	c.server.log.LogAttrs(ctx, level, "call", attrs...)
}

// encode makes an XML document of which the root element's name is only known
// at run time.
func encode(root, namespace string, content any) ([]byte, error) {
	start := xml.StartElement{Name: xml.Name{Local: root}}
	if namespace != "" {
		start.Attr = []xml.Attr{{Name: xml.Name{Local: "xmlns"}, Value: namespace}}
	}
	buffer := bytes.NewBufferString(xml.Header)
	if err := xml.NewEncoder(buffer).EncodeElement(content, start); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

func newRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // It never fails, by its contract.
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
