package almanac_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/aws"
	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/post-processor/almanac"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// A credential_process that says something else, too, before its JSON.
func TestCredentialsAreNeitherShownNorRecorded(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the credential_process is a shell script")
	}
	const secret = "wJalrXUtnFEMI-SECRET"
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	dir := t.TempDir()
	program := write(t, "#!/bin/sh\necho 'update available: v2.1'\necho '{\"Version\":1,\"AccessKeyId\":\"AKIAX\",\"SecretAccessKey\":\""+secret+"\"}'\n", dir, "program.sh")
	if err := os.Chmod(program, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"AWS_CONFIG_FILE": write(t, "[default]\ncredential_process = "+program+"\n", dir, "config"), "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(dir, "none"),
		"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_EC2_METADATA_DISABLED": "true", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
	} {
		t.Setenv(name, value)
	}
	p := newProxy(t, s)
	shown := record(t, options{"artifact": "cargomedia/app", "aws_verify": true}, core("amazon-ebs", "app"), ami())
	reason := version(t, s, "cargomedia/app", "1").Builds[0].Images[0].Verification.Reason
	if strings.Contains(shown+p.traffic(), secret) || !strings.Contains(reason, "could not be verified: the credential_process of the AWS profile gave no credentials") {
		t.Errorf("recorded %q; shown:\n%s", reason, shown)
	}
	p.answer(away)
	shown = record(t, options{"artifact": "cargomedia/app", "aws_verify": true, "fingerprint": "run-2", "retry_timeout": "10ms"}, core("amazon-ebs", "app"), ami())
	content, err := os.ReadFile(publishFile(t, cwd(t), shown))
	if err != nil || strings.Contains(shown+string(content), secret) {
		t.Errorf("%v\n%s\n%s", err, shown, content)
	}
}

// An AMI that EC2 shows late must not cost the build.
func TestANewAMIMayBeMissingForAWhile(t *testing.T) {
	for timeout, want := range map[string]time.Duration{"": 30 * time.Second, "5s": 5 * time.Second, "45s": 30 * time.Second} {
		s := servertest.New(t)
		environment(t, s, s.Token(t, "packer", "publish"))
		pp := new(almanac.PostProcessor)
		var got aws.Options
		almanac.SetVerifierOf(pp, func(o aws.Options) almanac.Verify {
			got = o
			return found(map[string]registry.Verification{"eu-west-1": {Status: registry.ImageAvailable}}, nil)
		})
		block := options{"artifact": "cargomedia/app", "aws_verify": true}
		if timeout != "" {
			block["aws_verify_timeout"] = timeout
		}
		if err := pp.Configure(block, core("amazon-ebs", "app")); err != nil {
			t.Fatal(err)
		}
		u, _ := ui()
		if _, _, _, err := pp.PostProcess(t.Context(), u, ami()); err != nil || got.Grace != want {
			t.Errorf("aws_verify_timeout %q: got a grace of %s, %v; want %s", timeout, got.Grace, err, want)
		}
	}
}
