package aws_test

import (
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/cargomedia/packer-plugin-almanac/aws"
	"github.com/cargomedia/packer-plugin-almanac/internal/ec2sim"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// credentialProcess makes the AWS configuration ask a program that writes text.
func credentialProcess(t *testing.T, text string) (answer string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the program is a shell script")
	}
	dir := t.TempDir()
	answer = filepath.Join(dir, "answer")
	program := filepath.Join(dir, "credentials.sh")
	for path, content := range map[string]string{
		answer: text, program: "#!/bin/sh\ncat " + answer + "\n", filepath.Join(dir, "config"): "[default]\ncredential_process = " + program + "\n",
	} {
		if err := os.WriteFile(path, []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(dir, "config"))
	return answer
}

const secretKey = "wJalrXUtnFEMI-SECRET"

func TestCredentialsThatCannotBeReadAreNotTold(t *testing.T) {
	environment(t, "http://127.0.0.1:1")
	credentialProcess(t, "update available: v2.1\n{\"Version\":1,\"AccessKeyId\":\"AKIAX\",\"SecretAccessKey\":\""+secretKey+"\"}\n")
	_, err := verifier(t, aws.Options{}).Verify(t.Context(), []registry.Image{ami(eu, missingID)})
	wantError(t, err, registry.Invalid, "the credential_process of the AWS profile gave no credentials")
	for ; err != nil; err = unwrap(err) {
		if strings.Contains(err.Error(), secretKey) || strings.Contains(err.Error(), "AKIAX") {
			t.Errorf("the error tells the credentials: %v", err)
		}
	}
}

func unwrap(err error) error {
	if u, ok := err.(interface{ Unwrap() error }); ok {
		return u.Unwrap()
	}
	return nil
}

// Credentials are got again while images are waited for.
func TestCredentialsThatCannotBeRenewedAreNotTold(t *testing.T) {
	sim := ec2sim.New()
	environment(t, serve(t, sim))
	expires := time.Now().Add(time.Second).UTC().Format(time.RFC3339Nano)
	key := `"AccessKeyId":"AKIAX","SecretAccessKey":"` + secretKey + `"`
	answer := credentialProcess(t, `{"Version":1,`+key+`,"Expiration":"`+expires+`"}`)
	image := add(t, sim, eu, "app")
	inject(t, sim, ec2sim.Fault{Image: "app", State: "pending"})
	var log strings.Builder
	v := verifier(t, aws.Options{Timeout: 1500 * time.Millisecond, PollMin: 300 * time.Millisecond, PollMax: 300 * time.Millisecond, Log: func(format string, args ...any) {
		if err := os.WriteFile(answer, []byte("warning: x\n{"+key+"}"), 0o700); err != nil {
			t.Error(err)
		}
		log.WriteString(strings.TrimSpace(format) + "\n")
		for _, arg := range args {
			if err, ok := arg.(error); ok {
				log.WriteString(err.Error())
			}
		}
	}})
	_, err := v.Verify(t.Context(), []registry.Image{image})
	wantError(t, err, registry.Invalid, "the credential_process of the AWS profile gave no credentials", "asked for in eu-west-1")
	if err != nil && strings.Contains(err.Error()+log.String(), secretKey) {
		t.Errorf("the credentials are told: %v\n%s", err, &log)
	}
}

func TestPanicIsAnError(t *testing.T) {
	sim := simulate(t)
	ok := add(t, sim, us, "app")
	broken := counter(func(call func() (*http.Response, error)) (*http.Response, error) {
		panic("the client broke")
	})
	v := verifier(t, aws.Options{Load: []func(*config.LoadOptions) error{config.WithHTTPClient(broken)}})
	got, err := v.Verify(t.Context(), []registry.Image{ok, ami(eu, missingID)})
	wantError(t, err, registry.Internal, "has a defect; please report it", "eu-west-1, us-east-1", "panic: the client broke")
	for _, image := range got {
		wantOutcome(t, image, "nothing")
	}
}
