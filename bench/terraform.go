package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const terraformFigure = "terraform plan, data sources / locals-only modules"

var terraformLimits = atMost(2, 1.5)

// terraformSource is the address under which the provider is overridden; nothing is asked there.
const terraformSource = "bench.example.com/cargomedia/almanac"

// plan is a directory that the real Terraform plans, with nothing of the machine's own set-up.
type plan struct {
	dir string
	env []string
	// outputs is how many the plan must show: one that reads nothing is fast.
	outputs int
	took    []float64
}

// terraform compares a plan that reads artifacts with one whose modules have the same regions as locals. The plan that reads
// them as remote states shows what of it is Terraform's own: no provider is in it.
func (b *bench) terraform() (figures []figure, err error) {
	program, err := exec.LookPath("terraform")
	if err != nil {
		return []figure{missing(terraformFigure, "x", "terraform is not on the PATH", terraformLimits)}, nil
	}
	if err := b.buildProgram("terraform-provider-almanac", "./cmd/terraform-provider-almanac", ""); err != nil {
		return nil, err
	}
	data, err := b.dataset(b.scale.Big)
	if err != nil {
		return nil, err
	}
	server, err := b.serve(data.dir, "", false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.end(server, false)) }()
	read, state, local, err := b.plans(server.url, data)
	if err != nil {
		return nil, err
	}
	if err := local.terraform(b, program, "get"); err != nil {
		return nil, err
	}
	for round := range b.scale.Rounds + 1 {
		b.say("terraform, round %d of %d", round, b.scale.Rounds)
		for _, p := range []*plan{read, state, local} {
			begun := time.Now()
			if err := p.terraform(b, program, "plan", "-input=false", "-no-color"); err != nil {
				return nil, err
			}
			if round > 0 { // the first warms up
				p.took = append(p.took, time.Since(begun).Seconds())
			}
		}
	}
	over := func(p *plan) []float64 {
		ratios := make([]float64, len(p.took))
		for i := range ratios {
			ratios[i] = p.took[i] / local.took[i]
		}
		return ratios
	}
	count := strconv.Itoa(read.outputs)
	return []figure{
		median(terraformFigure, "x", over(read), terraformLimits),
		median("terraform plan, Terraform's own remote state of the same / locals-only modules", "x", over(state), nil),
		median("terraform plan of "+count+" data sources", "s", read.took, nil),
		median("terraform plan of "+count+" remote states", "s", state.took, nil),
		median("terraform plan of "+count+" locals-only modules", "s", local.took, nil),
	}, nil
}

// plans writes the configurations.
func (b *bench) plans(url string, data dataset) (read, state, local *plan, err error) {
	n := data.Shape.Artifacts
	config := filepath.Join(b.scratch, "terraform.tfrc")
	overrides := fmt.Sprintf("provider_installation {\n  dev_overrides {\n    %q = %q\n  }\n}\n", terraformSource, filepath.Dir(b.built("terraform-provider-almanac")))
	env := []string{
		"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "HOME=" + b.scratch, "CHECKPOINT_DISABLE=1", "TF_CLI_CONFIG_FILE=" + config,
		"ALMANAC_ADDR=" + url, "ALMANAC_TOKEN=" + data.Token, "TF_HTTP_USERNAME=bench", "TF_HTTP_PASSWORD=" + data.Token, "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1",
	}
	read = &plan{dir: filepath.Join(b.scratch, "read"), env: env, outputs: n}
	state = &plan{dir: filepath.Join(b.scratch, "state"), env: env, outputs: n}
	local = &plan{dir: filepath.Join(b.scratch, "local"), env: env, outputs: n}
	files := map[string]string{config: overrides}
	sources := fmt.Sprintf("terraform {\n  required_providers {\n    almanac = {\n      source = %q\n    }\n  }\n}\n", terraformSource)
	var modules, states strings.Builder
	for i := range n {
		name := fmt.Sprintf("app_%04d", i+1)
		sources += fmt.Sprintf("\ndata \"almanac_artifact\" %[1]q {\n  name    = %[2]q\n  type    = \"amazon.image\"\n  channel = %[3]q\n}\n\noutput %[1]q {\n  value = data.almanac_artifact.%[1]s.ami_ids\n}\n", name, artifactName(i), channel)
		fmt.Fprintf(&states, "data \"terraform_remote_state\" %[1]q {\n  backend = \"http\"\n  config = {\n    address = \"%[2]s/tf/state/%[3]s/amazon.image/%[4]s\"\n  }\n}\n\noutput %[1]q {\n  value = data.terraform_remote_state.%[1]s.outputs.ami_ids\n}\n\n", name, url, artifactName(i), channel)
		fmt.Fprintf(&modules, "module %[1]q {\n  source = \"./%[1]s\"\n}\n\noutput %[1]q {\n  value = module.%[1]s.ami_ids\n}\n\n", name)
		files[filepath.Join(local.dir, name, "main.tf")] = localsModule(i, data.Shape.Regions)
	}
	files[filepath.Join(read.dir, "main.tf")] = sources
	files[filepath.Join(state.dir, "main.tf")] = states.String()
	files[filepath.Join(local.dir, "main.tf")] = modules.String()
	for path, content := range files {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
			return nil, nil, nil, err
		}
	}
	return read, state, local, nil
}

// localsModule has as many regions as a version of the data set.
func localsModule(artifact, count int) string {
	var b strings.Builder
	b.WriteString("locals {\n  ami_ids = {\n")
	for _, region := range slices.Sorted(slices.Values(regions[:count])) {
		fmt.Fprintf(&b, "    %q = \"ami-%017x\"\n", region, artifact)
	}
	b.WriteString("  }\n}\n\noutput \"ami_ids\" {\n  value = local.ami_ids\n}\n")
	return b.String()
}

func (p *plan) terraform(b *bench, program string, args ...string) error {
	cmd := exec.CommandContext(b.ctx, program, args...)
	cmd.Dir, cmd.Env = p.dir, p.env
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = stopTime
	output, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("terraform %s in %s: %w\n%s", strings.Join(args, " "), filepath.Base(p.dir), err, output)
	}
	if shown := bytes.Count(output, []byte("\n  + app_")); args[0] == "plan" && shown != p.outputs {
		return fmt.Errorf("the plan in %s shows %d of %d outputs:\n%.2000s", filepath.Base(p.dir), shown, p.outputs, output)
	}
	return nil
}
