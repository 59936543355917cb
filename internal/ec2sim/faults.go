package ec2sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Fault is something that goes wrong, until it has done so Count times. It is
// either of images, with one of State, Missing and Owner, or of calls, with
// Error. Of several that fit, the one that was set last acts. Only DescribeImages
// looks at faults of images; every other action sees the images as they are.
type Fault struct {
	// Region limits the fault to a region.
	Region string `json:"region,omitempty"`
	// Client limits the fault to callers that have this text in their
	// User-Agent: with "almanac" the plugin amazon sees nothing of it.
	Client string `json:"client,omitempty"`
	// Count is how many calls of an action the fault makes fail, or how many
	// calls of DescribeImages that ask for an image it changes the answer of,
	// counted for each image; 0 is for ever.
	Count int `json:"count,omitempty"`

	// Image is the id or the name of the images that DescribeImages shows
	// otherwise than they are, also of images that do not exist yet; without
	// it, all of the account.
	Image string `json:"image,omitempty"`
	// State is the state that they are in, such as pending, failed or disabled.
	State string `json:"state,omitempty"`
	// StateReason goes with State.
	StateReason string `json:"state_reason,omitempty"`
	// Missing leaves them out.
	Missing bool `json:"missing,omitempty"`
	// Owner is the account that they belong to, of 12 digits.
	Owner string `json:"owner,omitempty"`

	// Action is the action that Error is the answer of; without it, every one.
	Action string `json:"action,omitempty"`
	// Error is the code of an error: AuthFailure, InternalError,
	// RequestExpired, RequestLimitExceeded, Throttling, Unavailable or
	// UnauthorizedOperation.
	Error string `json:"error,omitempty"`
}

// callErrors are the errors that a fault can make, by their codes.
var callErrors = map[string]*apiError{
	"AuthFailure": {http.StatusUnauthorized, "AuthFailure",
		"AWS was not able to validate the provided access credentials"},
	"InternalError":         {http.StatusInternalServerError, "InternalError", "An internal error has occurred"},
	"RequestExpired":        {http.StatusBadRequest, "RequestExpired", "Request has expired."},
	"RequestLimitExceeded":  {http.StatusServiceUnavailable, "RequestLimitExceeded", "Request limit exceeded."},
	"Throttling":            {http.StatusBadRequest, "Throttling", "Rate exceeded"},
	"Unavailable":           {http.StatusServiceUnavailable, "Unavailable", "The service is unavailable. Please try again shortly."},
	"UnauthorizedOperation": {http.StatusForbidden, "UnauthorizedOperation", "You are not authorized to perform this operation."},
}

// imageStates are the states that the API Reference has for an image.
var imageStates = []string{"available", "deregistered", "disabled", "error", "failed", "invalid", "pending", "transient"}

var accountID = regexp.MustCompile(`^[0-9]{12}$`)

// ParseFault reads a JSON object with the fields of Fault.
func ParseFault(text []byte) (Fault, error) {
	var f Fault
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&f); err != nil {
		return Fault{}, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Fault{}, errors.New("there is more than one JSON object")
	}
	return f, f.check()
}

// check returns all that is wrong with the fault.
func (f Fault) check() error {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	effects := 0
	for _, is := range []bool{f.State != "", f.Missing, f.Owner != "", f.Error != ""} {
		if is {
			effects++
		}
	}
	if effects != 1 {
		bad("a fault has exactly one of state, missing, owner and error; this one has %d", effects)
	}
	if f.Count < 0 {
		bad("count %d is negative; 0 is for ever", f.Count)
	}
	if f.Region != "" && !slices.Contains(regionNames, f.Region) {
		bad("region %q is not one of %s", f.Region, strings.Join(regionNames, ", "))
	}
	if f.State != "" && !slices.Contains(imageStates, f.State) {
		bad("state %q is not one of %s", f.State, strings.Join(imageStates, ", "))
	}
	if f.StateReason != "" && f.State == "" {
		bad("state_reason goes with state")
	}
	if f.Owner != "" && !accountID.MatchString(f.Owner) {
		bad("owner %q is not an account id of 12 digits", f.Owner)
	}
	if f.Error != "" && callErrors[f.Error] == nil {
		bad("error %q is not one of %s", f.Error, strings.Join(slices.Sorted(maps.Keys(callErrors)), ", "))
	}
	if f.Error != "" && f.Image != "" {
		bad("image goes with state, missing or owner, not with error")
	}
	if f.Action != "" && f.Error == "" {
		bad("action goes with error")
	}
	if _, inEC2 := ec2Actions[f.Action]; f.Action != "" && !inEC2 && stsActions[f.Action].run == nil {
		bad("action %q is not one that ec2sim knows", f.Action)
	}
	return errors.Join(problems...)
}

// fault is a Fault and how often it acted: on each image, or "" for calls.
type fault struct {
	Fault
	acted map[string]int
}

// Inject adds a fault. It fails if the fault makes no sense.
func (s *Server) Inject(f Fault) error {
	if err := f.check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &fault{f, map[string]int{}})
	return nil
}

// Faults are those that have been added and not been cleared, but for faults of
// calls that have acted as often as they were to.
func (s *Server) Faults() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []Fault{}
	for _, f := range s.faults {
		if f.Error == "" || f.left("") {
			list = append(list, f.Fault)
		}
	}
	return list
}

// ClearFaults takes all faults back.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// left says whether the fault still acts on a key of acted.
func (f *fault) left(key string) bool { return f.Count == 0 || f.acted[key] < f.Count }

// concerns says whether the fault is of this call's place and client.
func (f *fault) concerns(c *call) bool {
	return (f.Region == "" || f.Region == c.region.name) && strings.Contains(c.client, f.Client)
}

// refusal is the error that a fault has for the call; nil without one.
func (c *call) refusal() error {
	for _, f := range slices.Backward(c.server.faults) {
		if f.Error != "" && f.concerns(c) && (f.Action == "" || f.Action == c.action) && f.left("") {
			f.acted[""]++
			return callErrors[f.Error]
		}
	}
	return nil
}

// view is how the call sees images: those that a fault is of as it says, all
// others as they are.
func (c *call) view(images []*Image) []*Image {
	seen := make([]*Image, 0, len(images))
	for _, image := range images {
		f := c.faultOf(image)
		if f == nil {
			seen = append(seen, image)
			continue
		}
		f.acted[c.region.name+"/"+image.ID]++
		if f.Missing {
			continue
		}
		changed := image.clone()
		if f.State != "" {
			changed.State, changed.StateReason = f.State, f.StateReason
		}
		if f.Owner != "" {
			changed.Owner = f.Owner
		}
		seen = append(seen, &changed)
	}
	return seen
}

func (c *call) faultOf(image *Image) *fault {
	for _, f := range slices.Backward(c.server.faults) {
		named := f.Image == image.ID || f.Image == image.Name || f.Image == "" && image.Owner == AccountID
		if f.Error == "" && named && f.concerns(c) && f.left(c.region.name+"/"+image.ID) {
			return f
		}
	}
	return nil
}
