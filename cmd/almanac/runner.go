package main

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/internal/runner"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

type runnerCmd struct {
	Link    []string      `required:"" sep:"none" placeholder:"APPLICATION:TARGET" help:"Link whose runs to do. Can be repeated."`
	Once    bool          `help:"Do one run, then end: with 0 if it is done, with 1 if it failed. Waits until there is one."`
	Name    string        `placeholder:"NAME" help:"What the registry calls this runner. Default: the name of the machine."`
	Poll    time.Duration `default:"5s" placeholder:"TIME" help:"How long to wait when there is nothing to do. Default: 5s."`
	Lease   time.Duration `default:"60s" placeholder:"TIME" help:"How long this runner may be silent before another one may take its run: 5s to 1h. Default: 60s."`
	WorkDir string        `placeholder:"DIR" complete:"dir" help:"Where applications are unpacked, each in a directory of its own. Default: the system's temporary directory."`
	Chdir   bool          `help:"Run the command in the unpacked application. Then its files are what the command finds first: whoever may push the application can replace templates and scripts. Without it the command runs in the runner's own directory, and the application is data."`
	Command []string      `arg:"" optional:"" passthrough:"partial" help:"The command and its arguments, after --."`
}

func (c *runnerCmd) Help() string {
	return `It takes the runs of links, one at a time, unpacks the version of the application, and runs the command. A run is done when the command has ended well and has recorded a version of the target with $ALMANAC_FINGERPRINT, which the post-processor and almanac publish use by themselves. The command has the runner's environment and $ALMANAC_APPLICATION, $ALMANAC_APPLICATION_VERSION, $ALMANAC_APPLICATION_DIR, $ALMANAC_RUN, $ALMANAC_TARGET, and the ATLAS_* variables of a build. What it says goes to the log of the run, too.

The token needs the role publish for the target, and must be able to read the application. The first SIGINT or SIGTERM ends the runner when the command that runs has ended, the second one interrupts that.

Examples:

    almanac runner --link cargomedia/app:cargomedia/app-image -- packer build image.pkr.hcl
    almanac runner --link cargomedia/app:cargomedia/app-image --once -- ./build.sh`
}

func (c *runnerCmd) Run(a *app) error {
	links, err := c.check()
	if err != nil {
		return err
	}
	again, forget := secondSignal()
	defer forget()
	token, err := a.token()
	if err != nil {
		return err
	}
	to, err := a.newClient(client.Options{})
	if err != nil {
		return err
	}
	output := a.stdout
	if a.json {
		output = a.stderr // stdout has the runs
	}
	var last registry.Run
	err = runner.Run(a.ctx, again, runner.Config{
		Registry: to, Links: links, Name: c.Name, Address: a.address(), Token: token,
		Command: c.Command, Chdir: c.Chdir, Environ: os.Environ(), WorkDir: c.WorkDir,
		Poll: c.Poll, Lease: c.Lease, Grace: runner.DefaultGrace, Once: c.Once, Output: output, Log: a.note,
		Finished: func(r registry.Run) {
			last = r
			switch {
			case a.json:
				_ = writeJSON(a.stdout, r)
			case r.Status == registry.RunDone && r.Result != nil:
				a.note("Run %d is done: %s %s", r.ID, r.Target, r.Result.Version)
			case !c.Once:
				a.note("Run %d failed: %s", r.ID, r.Message)
			}
		},
	})
	if err == nil && c.Once && last.Status == registry.RunFailed {
		err = &cliError{err: fmt.Errorf("run %d failed: %s", last.ID, last.Message), hint: fmt.Sprintf("almanac runs repeat %d", last.ID), code: exitError}
	}
	return hinted(err, "almanac links", registry.NotFound)
}

// check finds all mistakes of the arguments, and sets what was left out.
func (c *runnerCmd) check() ([]runner.Link, error) {
	var p problems
	var links []runner.Link
	for _, text := range c.Link {
		application, target, ok := strings.Cut(text, ":")
		if !ok {
			p.add("--link", "%q must be APPLICATION:TARGET, such as cargomedia/app:cargomedia/app-image", shorten(text, 80))
			continue
		}
		from, err := registry.ParseArtifactName(application)
		p.check("--link", err)
		to, err := registry.ParseArtifactName(target)
		p.check("--link", err)
		links = append(links, runner.Link{Application: from, Target: to})
	}
	if c.Poll <= 0 {
		p.add("--poll", "must be more than 0, such as 5s")
	}
	if c.Lease < 5*time.Second || c.Lease > time.Hour || c.Lease%time.Second != 0 {
		p.add("--lease", "%v must be 5s to 1h, in whole seconds", c.Lease)
	}
	if c.WorkDir != "" {
		if stat, err := os.Stat(c.WorkDir); err != nil {
			p.check("--work-dir", err)
		} else if !stat.IsDir() {
			p.add("--work-dir", "%s is not a directory", c.WorkDir)
		}
	}
	if len(c.Command) > 0 && c.Command[0] == "--" {
		c.Command = c.Command[1:]
	}
	if len(c.Command) == 0 || c.Command[0] == "" {
		p.add("COMMAND", "is missing; give it after --, such as: -- packer build image.pkr.hcl")
	} else if !c.Chdir || filepath.Base(c.Command[0]) == c.Command[0] {
		// One that is not there would fail all runs that wait, one after another.
		_, err := exec.LookPath(c.Command[0])
		p.check("COMMAND", err)
	}
	if c.Name == "" {
		name, err := os.Hostname()
		if err != nil {
			p.add("--name", "the name of the machine is not known (%v); give one", err)
		}
		c.Name = cmp.Or(name, "runner")
	}
	return links, p.err("runner")
}
