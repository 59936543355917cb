package main

import (
	"cmp"
	"fmt"

	"github.com/cargomedia/packer-plugin-almanac/aws"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/terraform/emit"
)

type terraformImportCmd struct {
	Region      []string `placeholder:"REGION" help:"Where to look, such as eu-west-1,us-east-1. Can be repeated. Required, unless --from is given."`
	Filter      []string `sep:"none" placeholder:"NAME=VALUE[,VALUE]" help:"Only these instances, such as tag:role=web,db; the filters of EC2's DescribeInstances. Can be repeated, and all must fit."`
	From        string   `placeholder:"FILE" complete:"file" help:"Read the instances from a file that aws ec2 describe-instances wrote, or - for stdin, and do not ask AWS."`
	Channel     string   `placeholder:"NAME" help:"What the comments compare with. Default: latest."`
	Artifact    string   `placeholder:"NAMESPACE/NAME" help:"Only instances that run a version of this artifact."`
	All         bool     `help:"Also instances whose AMI no artifact has."`
	AutoScaling bool     `help:"Also instances of Auto Scaling groups, which launch and terminate their instances themselves."`
	ForEach     bool     `help:"One resource for all instances of an artifact, with for_each; it ignores new AMIs. Needs Terraform 1.7."`
	AWSProvider int      `name:"aws-provider" placeholder:"6|5" complete:"6,5" help:"Major version of hashicorp/aws, which matters for several regions. Default: 6."`
	Out         string   `placeholder:"FILE" complete:"file" help:"Write this file instead of printing."`
	Force       bool     `help:"Overwrite a file that is there, unless it has machines that would be lost. The file is for the first apply: after that, edit it instead."`
}

func (c *terraformImportCmd) Help() string {
	return `It writes an import block for each EC2 instance whose AMI is recorded. A comment says which version it was launched from, and what the channel, or latest, offers now. Nothing in AWS or in a state is changed: that is for terraform plan and apply.

The file is for the first apply. After that edit it, or write another one for machines that come later, with a --filter that only they fit. A file that has machines which the new one would lack is not overwritten, not even with --force: Terraform destroys what is no longer in the code. Instances of Auto Scaling groups are left out, because their group replaces them behind Terraform's back.

AWS credentials are found where every AWS client finds them; they need the permission ec2:DescribeInstances. With --from none are needed.

Examples:

    almanac terraform import --region eu-west-1 --channel production --out import.tf
    terraform plan -generate-config-out=generated.tf
    aws ec2 describe-instances --output json | almanac terraform import --from - --artifact cargomedia/app --for-each --out fleet.tf`
}

func (c *terraformImportCmd) Run(a *app) error {
	source := awsInstancesCmd{Region: c.Region, Filter: c.Filter, From: c.From, Channel: c.Channel, Artifact: c.Artifact}
	filters, err := source.arguments()
	if err := c.check(err, a.json); err != nil {
		return err
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	lookup, err := source.lookup(a, client)
	if err != nil {
		return err
	}
	// Code for some of the regions alone would look like all of it.
	instances, err := source.instances(a, filters)
	if err != nil {
		return err
	}
	machines, err := aws.Match(a.ctx, lookup, instances, c.Channel)
	if err != nil {
		return err
	}
	chosen, done := c.choose(machines)
	if len(chosen) == 0 {
		return c.nothing(done)
	}
	content, err := emit.Imports(chosen, c.options())
	if err != nil {
		return flagged(err)
	}
	if err := c.write(a, content, done); err != nil {
		return err
	}
	return source.warnNoChannel(a, client, machines)
}

// check adds what is wrong with these flags to what was found of those that other commands have, too.
func (c *terraformImportCmd) check(found error, asJSON bool) error {
	var p problems
	p.check("", found)
	if c.All && c.Artifact != "" {
		p.add("--all", "is for instances of no artifact, and does not go with --artifact")
	}
	p.check("", flagged(c.options().Validate()))
	if c.Out != "" {
		p.check("--out", emit.CheckNewPath(c.Out))
	} else if asJSON {
		p.add("--output", "json does not go with Terraform code; give --out FILE to write the code there")
	}
	return p.err("terraform import")
}

func (c *terraformImportCmd) options() emit.ImportOptions {
	return emit.ImportOptions{ForEach: c.ForEach, AWSProvider: c.AWSProvider}
}

// groupTag is what Auto Scaling gives every instance of a group.
const groupTag = "aws:autoscaling:groupName"

// choose returns the instances to write, and counts them and the others.
func (c *terraformImportCmd) choose(machines []aws.Machine) ([]emit.Instance, imported) {
	var chosen []emit.Instance
	done := imported{Path: c.Out}
	for _, m := range machines {
		_, inGroup := m.Tags[groupTag]
		switch {
		case m.Use == nil && !c.All:
			done.LeftOut++
		case inGroup && !c.AutoScaling:
			done.LeftOut++
			done.AutoScaling++
		default:
			chosen = append(chosen, emit.Instance{
				ID: m.ID, Region: m.Region, Name: m.Name, ImageID: m.ImageID, Type: m.Type, Tags: m.Tags,
				Use: m.Use, Ref: cmp.Or(c.Channel, registry.Latest), Current: m.Current,
			})
		}
	}
	done.Instances = len(chosen)
	return chosen, done
}

// nothing is the error when all instances that there are were left out.
func (c *terraformImportCmd) nothing(done imported) error {
	n := done.LeftOut
	switch {
	case n == 0 && c.From != "":
		return hinted(registry.Errorf(registry.NotFound, "%s has no instance that is not terminated", c.From), "another --from")
	case n == 0:
		return hinted(registry.Errorf(registry.NotFound, "no instance fits"), "another --region or --filter")
	case done.AutoScaling > 0:
		return hinted(registry.Errorf(registry.NotFound, "all that could be written (%d of %s) is of Auto Scaling groups, which replace their instances themselves", done.AutoScaling, counted(n, "instance")),
			"--auto-scaling, to write them all the same")
	case c.Artifact != "":
		return hinted(registry.Errorf(registry.NotFound, "none of %s runs a version of %s", counted(n, "instance"), c.Artifact), "almanac aws instances, which shows what they run")
	}
	return hinted(registry.Errorf(registry.NotFound, "none of %s runs an AMI that the registry knows", counted(n, "instance")),
		"almanac aws adopt, to record their AMIs; or --all, to write them all the same")
}

// imported says what was written, for programs.
type imported struct {
	Path      string `json:"path"`
	Instances int    `json:"instances"`
	// LeftOut are instances that were listed and not written.
	LeftOut int `json:"left_out"`
	// AutoScaling are those of LeftOut that would have been written if they were not of Auto Scaling groups.
	AutoScaling int `json:"left_out_auto_scaling"`
}

func (c *terraformImportCmd) write(a *app, content []byte, done imported) error {
	if c.Out == "" {
		if _, err := a.stdout.Write(content); err != nil {
			return err
		}
	} else if err := emit.WriteNew(c.Out, content, c.Force); err != nil {
		hint := "another --out, or --force"
		if c.Force {
			hint = "another --out"
		}
		return hinted(err, hint, registry.Conflict)
	}
	forPeople := func() {
		if c.Out != "" {
			a.note("%s imports %s.", c.Out, counted(done.Instances, "instance"))
		}
		if n := done.LeftOut - done.AutoScaling; n > 0 {
			a.note("%s.", c.leftOut(n))
		}
		if done.AutoScaling > 0 {
			a.note("Left out: %s, of Auto Scaling groups, which replace their instances themselves; --auto-scaling writes them, too.", counted(done.AutoScaling, "instance"))
		}
	}
	if c.Out == "" {
		forPeople()
		return nil
	}
	return a.show(done, forPeople)
}

func (c *terraformImportCmd) leftOut(n int) string {
	if c.Artifact != "" {
		return fmt.Sprintf("Left out: %s, not of %s", counted(n, "instance"), c.Artifact)
	}
	return fmt.Sprintf("Left out: %s, of AMIs that the registry does not know; --all writes them, too", counted(n, "instance"))
}
