package ec2sim

import "strings"

// scope is the part of a SigV4 credential that says where a call goes.
type scope struct {
	region  string
	service string
}

// parseScope reads the credential scope of an Authorization header, as in
// "AWS4-HMAC-SHA256 Credential=AKIA…/20260101/eu-west-1/ec2/aws4_request, …".
// The signature itself is not looked at.
func parseScope(authorization string) (scope, error) {
	fields, ok := strings.CutPrefix(authorization, "AWS4-HMAC-SHA256 ")
	if !ok {
		return scope{}, authFailure("AWS was not able to validate the provided access credentials: the request is not signed")
	}
	for field := range strings.SplitSeq(fields, ",") {
		credential, ok := strings.CutPrefix(strings.TrimSpace(field), "Credential=")
		if !ok {
			continue
		}
		part := strings.Split(credential, "/")
		if len(part) != 5 || part[0] == "" || part[4] != "aws4_request" {
			break
		}
		return scope{region: part[2], service: part[3]}, nil
	}
	return scope{}, authFailure("AWS was not able to validate the provided access credentials: " +
		"the credential must be KEY/DATE/REGION/SERVICE/aws4_request")
}
