package ec2sim

import (
	"encoding/json"
	"io"
	"net/http"
)

// Control is a handler for tests that cannot call the Server's methods, since
// it runs in another process: POST adds the fault in the body (JSON, the fields
// of [Fault]), GET lists the faults, DELETE takes all back. A fault that makes
// no sense is answered with 400 and a sentence.
func (s *Server) Control() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodPost:
			s.postFault(w, r)
		case http.MethodGet:
			w.Header().Set("Content-Type", "application/json")
			if err := json.NewEncoder(w).Encode(s.Faults()); err != nil {
				s.log.DebugContext(r.Context(), "client went away", "error", err)
			}
		case http.MethodDelete:
			s.ClearFaults()
			w.WriteHeader(http.StatusNoContent)
		default:
			w.Header().Set("Allow", "DELETE, GET, POST")
			http.Error(w, "faults are added with POST, listed with GET and taken back with DELETE", http.StatusMethodNotAllowed)
		}
	})
}

func (s *Server) postFault(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var fault Fault
	if err == nil {
		fault, err = ParseFault(body)
	}
	if err == nil {
		err = s.Inject(fault)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
