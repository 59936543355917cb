package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

const eventStream = "text/event-stream"

// listEventsOperation describes both forms of the audit log.
func listEventsOperation(schemas huma.Registry) huma.Operation {
	o := op("listEvents", "GET", "/v1/events", tagEvents, needToken, "Read or follow the audit log",
		"What happened after a position, the oldest first, as far as the token may read. With Accept: text/event-stream the answer is a stream of server-sent events that stays open: id is the position, event the action, data the event as JSON. A stream begins behind Last-Event-ID, if that header is there. It ends when the server stops or the token becomes invalid; clients connect again.")
	number := &huma.Schema{Type: huma.TypeInteger, Format: "int64"}
	o.Parameters = []*huma.Param{
		{Name: "after", In: "query", Description: "Position to begin behind: last of the page before. 0, or left out, begins at the start.", Schema: number},
		{Name: "limit", In: "query", Description: "Most entries of a page, 1 to 500; 50 if left out. Not for streams.", Schema: number},
		{Name: "Last-Event-ID", In: "header", Description: "Position to begin a stream behind; wins over after.", Schema: number},
	}
	o.Responses = map[string]*huma.Response{"200": {Description: http.StatusText(http.StatusOK), Content: map[string]*huma.MediaType{
		"application/json": {Schema: schemas.Schema(reflect.TypeFor[registry.EventPage](), true, "EventPage")},
		eventStream:        {Schema: &huma.Schema{Type: huma.TypeString}},
	}}}
	return o
}

func (s *Server) listEvents(x *exchange, r *http.Request) error {
	after, limit, err := eventPosition(r)
	if err != nil {
		return err
	}
	if r.Method == http.MethodGet && preferred(r.Header["Accept"], "application/json", eventStream) == eventStream {
		return s.streamEvents(x, r, after)
	}
	page, err := s.svc.Events(r.Context(), after, limit)
	if err != nil {
		return err
	}
	x.hold()
	x.Header()["Content-Type"] = jsonType
	return writeJSON(x, page)
}

// eventPosition reads after, limit and Last-Event-ID.
func eventPosition(r *http.Request) (after int64, limit int, err error) {
	var found mistakes
	number := func(field, text string) int64 {
		if text == "" {
			return 0
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			found.add(func() registry.FieldError {
				return registry.FieldError{Field: field, Message: "must be a whole number"}
			})
		}
		return n
	}
	query := r.URL.Query()
	after = number("after", query.Get("after"))
	limit = int(min(number("limit", query.Get("limit")), 1<<31-1))
	if query.Has("limit") && limit == 0 && found.count == 0 {
		limit = -1 // the service knows 0 as "not given"
	}
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		after = number("Last-Event-ID", id)
	}
	return after, limit, found.err()
}

// streamEvents sends events as they come, until the client goes or the server stops.
func (s *Server) streamEvents(x *exchange, r *http.Request, after int64) error {
	const pageSize = 500
	page, err := s.svc.Events(r.Context(), after, pageSize)
	if err != nil {
		return err
	}
	stream := &sseWriter{x: x, control: http.NewResponseController(x.ResponseWriter)}
	h := x.Header()
	h["Content-Type"] = []string{eventStream}
	h["X-Accel-Buffering"] = []string{"no"} // a proxy that buffers would hold events back
	x.WriteHeader(http.StatusOK)
	// The comment makes the header leave at once, so that the client knows that it is connected.
	if !stream.send(": connected\n\n") {
		return nil
	}
	poll := time.NewTicker(s.opts.EventPoll)
	defer poll.Stop()
	quiet := time.Now()
	for {
		for _, e := range page.Events {
			if !stream.event(e) {
				return nil
			}
			quiet = time.Now()
		}
		if time.Since(quiet) >= s.opts.Heartbeat {
			if !stream.send(": still here\n\n") {
				return nil
			}
			quiet = time.Now()
		}
		// A full page means that there is more.
		if len(page.Events) < pageSize {
			select {
			case <-r.Context().Done():
				return nil
			case <-s.draining:
				return nil
			case <-poll.C:
			}
		}
		after = page.Last
		// The token may have been revoked since. Any error ends the stream: the client connects
		// again and is told why.
		if _, err := s.authenticate(x, r, bearer); err != nil {
			return nil
		}
		if page, err = s.svc.Events(r.Context(), after, pageSize); err != nil {
			return nil
		}
	}
}

// sseWriter writes server-sent events (HTML standard, 9.2).
type sseWriter struct {
	x       *exchange
	control *http.ResponseController
}

// event sends one event and says whether the client is still there.
func (w *sseWriter) event(e registry.Event) bool {
	var data bytes.Buffer
	if err := json.NewEncoder(&data).Encode(e); err != nil {
		panic(err) // an Event is strings, numbers and times
	}
	// JSON has no newlines of its own, so one data line is enough.
	return w.send(fmt.Sprintf("id: %d\nevent: %s\ndata: %s\n", e.ID, e.Action, data.Bytes()))
}

func (w *sseWriter) send(text string) bool {
	_ = w.control.SetWriteDeadline(time.Now().Add(w.x.server.opts.StallTimeout))
	if _, err := w.x.Write([]byte(text)); err != nil {
		return false
	}
	return w.control.Flush() == nil
}
