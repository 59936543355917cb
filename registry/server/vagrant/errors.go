package vagrant

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry/problem"
)

// fail answers with an error in the form that Vagrant and Packer since 1.5.6 read. They know no 400 and no 409.
func fail(w http.ResponseWriter, _ *http.Request, p problem.Problem) {
	status := p.Status
	if status == http.StatusBadRequest || status == http.StatusConflict {
		status = http.StatusUnprocessableEntity
	}
	body, err := json.Marshal(struct {
		Errors  []string `json:"errors"`
		Success bool     `json:"success"`
	}{Errors: texts(p)})
	if err != nil {
		panic(err) // it is strings and a boolean
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// An error means that the client is gone.
	_, _ = w.Write(append(body, '\n'))
}

// texts are all that is wrong, each in a sentence of its own.
func texts(p problem.Problem) []string {
	var all []string
	// How many mistakes there are is seen from the list.
	if len(p.Fields) == 0 || !strings.HasPrefix(p.Detail, "the request has ") {
		all = append(all, p.Detail)
	}
	for _, f := range p.Fields {
		all = append(all, f.Field+": "+f.Message)
	}
	return all
}
