package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

const pluginFigure = "post-processor, added to a build of one AMI"

var pluginLimits = atMost(500, 100)

// template builds one AMI; %s is the post-processor or nothing. Both templates load the same plugins.
const template = `packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.3.0"
    }
    almanac = {
      source  = "github.com/cargomedia/almanac"
      version = ">= 0.1.0"
    }
  }
}

source "amazon-ebs" "app" {
  region        = "us-east-1"
  instance_type = "t3.micro"
  ami_name      = "bench-${uuidv4()}"
  communicator  = "none"

  source_ami_filter {
    filters = {
      name                = "debian-12-amd64-*"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
    owners      = ["136693071363"]
    most_recent = true
  }
}

build {
  sources = ["source.amazon-ebs.app"]
%s}
`

const postProcessor = `
  post-processor "almanac" {
    artifact = "bench/ami"
    channels = ["staging"]
  }
`

// packer runs the real Packer, with nothing of the machine's own set-up.
type packer struct {
	*bench
	program string
	env     []string
}

// plugin measures what the post-processor adds to a build.
func (b *bench) plugin() (figures []figure, err error) {
	program, amazon := findTool(b.root, "packer"), findTool(b.root, "packer-plugin-amazon")
	if program == "" || amazon == "" {
		return []figure{missing(pluginFigure, "ms", "packer or packer-plugin-amazon is not there; run make tools", pluginLimits)}, nil
	}
	const versions = "github.com/cargomedia/packer-plugin-almanac/version"
	if err := errors.Join(
		b.buildProgram("ec2sim", "./internal/ec2sim/cmd/ec2sim", ""),
		b.buildProgram("packer-plugin-almanac", ".", "-X "+versions+".Version=0.1.0 -X "+versions+".VersionPrerelease=dev"),
	); err != nil {
		return nil, err
	}
	server, err := b.fresh("", false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.end(server, true)) }()
	sim, ec2, err := b.ec2sim()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.children.stop(sim)) }()
	token, err := server.adminToken()
	if err != nil {
		return nil, err
	}
	p := &packer{bench: b, program: program, env: packerEnv(b.scratch, server.url, token, ec2)}
	if err := errors.Join(
		p.run("plugins", "install", "--path", amazon, "github.com/hashicorp/amazon"),
		p.run("plugins", "install", "--path", b.built("packer-plugin-almanac"), "github.com/cargomedia/almanac"),
	); err != nil {
		return nil, err
	}
	return p.measure(server.url, token)
}

func (b *bench) ec2sim() (*process, string, error) {
	addrFile, err := b.temporary("ec2")
	if err != nil {
		return nil, "", err
	}
	sim, _, err := b.children.start(b.ctx, command{name: "ec2sim", args: []string{b.built("ec2sim"), "--addr-file", addrFile}})
	if err != nil {
		return nil, "", err
	}
	url, err := b.await(sim, addrFile)
	if err != nil {
		return nil, "", errors.Join(err, b.children.stop(sim))
	}
	return sim, url, nil
}

// packerEnv leaves no way to a real account: the stand-in is the only endpoint, and no profile is read.
func packerEnv(dir, url, token, ec2 string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "HOME=" + dir, "CHECKPOINT_DISABLE=1",
		"PACKER_CONFIG_DIR=" + filepath.Join(dir, "packer"), "PACKER_PLUGIN_PATH=" + filepath.Join(dir, "plugins"),
		"ALMANAC_ADDR=" + url, "ALMANAC_TOKEN=" + token, "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1",
		"AWS_ENDPOINT_URL=" + ec2, "AWS_ACCESS_KEY_ID=bench", "AWS_SECRET_ACCESS_KEY=bench", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
	}
}

func (p *packer) run(args ...string) error {
	cmd := exec.CommandContext(p.ctx, p.program, args...)
	cmd.Dir, cmd.Env = p.scratch, p.env
	// Packer ends its plugins when it is asked to end.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = stopTime
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("packer %s: %w\n%s", strings.Join(args, " "), err, output)
	}
	return nil
}

// measure builds in turn without and with the post-processor; the first pair warms up.
func (p *packer) measure(url, token string) ([]figure, error) {
	kinds := []*struct {
		file, post string
		took       []float64
	}{{file: "without.pkr.hcl"}, {file: "with.pkr.hcl", post: postProcessor}}
	for _, k := range kinds {
		if err := os.WriteFile(filepath.Join(p.scratch, k.file), fmt.Appendf(nil, template, k.post), 0o600); err != nil {
			return nil, err
		}
	}
	for round := range p.scale.Builds + 1 {
		p.say("plugin, round %d of %d", round, p.scale.Builds)
		for _, k := range kinds {
			begun := time.Now()
			if err := p.run("build", "-color=false", k.file); err != nil {
				return nil, err
			}
			if round > 0 {
				k.took = append(k.took, millis(time.Since(begun)))
			}
		}
	}
	if err := p.recorded(url, token); err != nil {
		return nil, err
	}
	without, with := kinds[0].took, kinds[1].took
	added := make([]float64, len(with))
	for i := range with {
		added[i] = with[i] - without[i]
	}
	return []figure{
		median(pluginFigure, "ms", added, pluginLimits),
		median("build of one AMI without the post-processor", "ms", without, nil),
		median("build of one AMI with it", "ms", with, nil),
	}, nil
}

// recorded makes sure that the registry has what was built: a build that records nothing is fast.
func (p *packer) recorded(url, token string) error {
	c, err := newClient(url, token)
	if err != nil {
		return err
	}
	r, err := c.Resolve(p.ctx, "bench/ami", "staging", registry.Question{Type: "amazon.image", Region: "us-east-1"})
	if err != nil {
		return err
	}
	if want := int64(p.scale.Builds + 1); r.Number != want {
		return fmt.Errorf("the registry has %d versions of the AMI; %d were built", r.Number, want)
	}
	return nil
}

// findTool looks where make tools puts programs, and then on the PATH.
func findTool(root, name string) string {
	path := filepath.Join(root, ".tools", "bin", name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	path, _ = exec.LookPath(name) // "" when it is nowhere
	return path
}
