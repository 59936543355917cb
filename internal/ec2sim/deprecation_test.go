package ec2sim

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestDeprecatedImages(t *testing.T) {
	server := New()
	base := server.regions["eu-west-1"].images[0]
	base.DeprecatedAt = time.Date(2026, time.March, 1, 0, 0, 0, 0, time.UTC)
	server.now = func() time.Time { return base.DeprecatedAt }

	tests := []struct {
		name  string
		param string
		shown bool
	}{
		{"left out", "", false},
		{"included", "&IncludeDeprecated=true", true},
		{"by id", "&ImageId.1=" + base.ID, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			request := httptest.NewRequest(http.MethodPost, "/",
				strings.NewReader("Action=DescribeImages&Version=2016-11-15"+test.param))
			request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu-west-1/ec2/aws4_request")
			recorder := httptest.NewRecorder()
			server.ServeHTTP(recorder, request)
			shown := strings.Contains(recorder.Body.String(), "<deprecationTime>2026-03-01T00:00:00.000Z</deprecationTime>")
			if recorder.Code != http.StatusOK || shown != test.shown {
				t.Errorf("got status %d, shown %t; want 200, %t: %s", recorder.Code, shown, test.shown, recorder.Body)
			}
		})
	}
}
