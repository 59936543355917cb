package ec2sim

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// apiError is a refusal in the words of the EC2 API Reference, "Error codes".
type apiError struct {
	status  int
	code    string
	message string
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

// fail returns a client error, which EC2 answers with status 400.
func fail(code, format string, args ...any) error {
	return &apiError{http.StatusBadRequest, code, fmt.Sprintf(format, args...)}
}

func authFailure(format string, args ...any) error {
	return &apiError{http.StatusUnauthorized, "AuthFailure", fmt.Sprintf(format, args...)}
}

// errorDocument gives err the form of the service; without a known service,
// that of EC2.
func errorDocument(service, requestID string, err error) (status int, root, namespace string, content any) {
	var e *apiError
	if !errors.As(err, &e) {
		e = &apiError{http.StatusInternalServerError, "InternalError", err.Error()}
	}
	type detail struct {
		Code    string
		Message string
	}
	if service == "sts" {
		return e.status, "ErrorResponse", services[service].namespace, struct {
			Error     detail
			RequestID string `xml:"RequestId"`
		}{detail{e.code, e.message}, requestID}
	}
	return e.status, "Response", "", struct {
		Error     detail `xml:"Errors>Error"`
		RequestID string
	}{detail{e.code, e.message}, requestID}
}

// kind is a sort of resource that has ids of its own.
type kind struct {
	prefix    string
	malformed string
	notFound  string
	message   string
}

var (
	amiKind = kind{"ami-", "InvalidAMIID.Malformed", "InvalidAMIID.NotFound", "The image id '[%s]' does not exist"}

	instanceKind = kind{"i-", "InvalidInstanceID.Malformed", "InvalidInstanceID.NotFound", "The instance ID '%s' does not exist"}

	groupKind = kind{"sg-", "InvalidGroupId.Malformed", "InvalidGroup.NotFound", "The security group '%s' does not exist"}

	snapshotKind = kind{"snap-", "InvalidSnapshotID.Malformed", "InvalidSnapshot.NotFound", "The snapshot '%s' does not exist."}

	volumeKind = kind{"vol-", "InvalidVolumeID.Malformed", "InvalidVolume.NotFound", "The volume '%s' does not exist."}
)

var idSuffix = regexp.MustCompile(`^([0-9a-f]{8}|[0-9a-f]{17})$`)

// check refuses what cannot be an id of this kind.
func (k kind) check(id string) error {
	suffix, ok := strings.CutPrefix(id, k.prefix)
	if !ok || !idSuffix.MatchString(suffix) {
		return fail(k.malformed, "Invalid id: %q (expecting \"%s...\")", id, k.prefix)
	}
	return nil
}

// missing says that there is no such resource, or that id cannot be one.
func (k kind) missing(id string) error {
	if err := k.check(id); err != nil {
		return err
	}
	return fail(k.notFound, k.message, id)
}
