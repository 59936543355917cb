package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/aws"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

type awsInstancesCmd struct {
	Region   []string `placeholder:"REGION" help:"Where to look, such as eu-west-1,us-east-1. Can be repeated. Required, unless --from is given."`
	Filter   []string `sep:"none" placeholder:"NAME=VALUE[,VALUE]" help:"Only these instances, such as tag:role=web,db or instance-state-name=running; the filters of EC2's DescribeInstances. Can be repeated, and all must fit."`
	From     string   `placeholder:"FILE" complete:"file" help:"Read the instances from a file that aws ec2 describe-instances wrote, or - for stdin, and do not ask AWS."`
	Channel  string   `placeholder:"NAME" help:"What instances should run. Default: latest."`
	Artifact string   `placeholder:"NAMESPACE/NAME" help:"Only instances that run a version of this artifact."`
	Behind   bool     `help:"Only instances that are behind, or that run a revoked version."`
}

func (c *awsInstancesCmd) Help() string {
	return `An instance is behind when the channel, or latest, offers a newer version of its artifact than the one that its AMI is recorded as. Where several artifacts have the AMI, as (+1) says, it is behind or revoked if it is so in any of them. One whose AMI no artifact has shows a dash. Instances that are terminated or shutting down are left out.

AWS credentials are found where every AWS client finds them; they need the permission ec2:DescribeInstances. With --from none are needed: the file may hold several documents, and its instances name their regions themselves.

Examples:

    almanac aws instances --region eu-west-1,us-east-1 --channel production
    almanac aws instances --region eu-west-1 --filter tag:role=web --behind
    aws ec2 describe-instances --output json | almanac aws instances --from -`
}

func (c *awsInstancesCmd) Run(a *app) error {
	filters, err := c.arguments()
	if err != nil {
		return err
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	lookup, err := c.lookup(a, client)
	if err != nil {
		return err
	}
	instances, listErr := c.instances(a, filters)
	if listErr != nil && len(instances) == 0 {
		return listErr
	}
	machines, err := aws.Match(a.ctx, lookup, instances, c.Channel)
	if err != nil {
		return err
	}
	report := c.report(machines)
	if err := a.show(report, func() { c.print(a, report) }); err != nil {
		return err
	}
	if err := c.warnNoChannel(a, client, machines); err != nil {
		return err
	}
	// What of some regions is missing is told after the rest.
	return listErr
}

// lookup is what the instances are compared with: all that the token may read, or one artifact, which must be there.
func (c *awsInstancesCmd) lookup(a *app, client *client.Client) (aws.Lookup, error) {
	if c.Artifact == "" {
		return client, nil
	}
	if _, err := client.Artifact(a.ctx, c.Artifact); err != nil {
		return nil, missing(err, c.Artifact)
	}
	return aws.Within(client, c.Artifact), nil
}

// arguments checks the command line.
func (c *awsInstancesCmd) arguments() ([]aws.Filter, error) {
	var p problems
	filters := parseFilters(&p, c.Filter)
	if c.From == "" {
		checkRegions(&p, c.Region, "is missing; give the regions to look in, such as --region eu-west-1,us-east-1, or --from FILE")
	} else {
		if len(c.Filter) > 0 {
			p.add("--filter", "is a question to EC2, and does not go with --from")
		}
		if len(c.Region) > 1 {
			p.add("--region", "is for the instances in --from that do not say where they are; give one, or none")
		}
		for _, region := range c.Region {
			p.check("--region", aws.CheckRegion(region))
		}
	}
	if c.Channel != "" && c.Channel != registry.Latest {
		p.check("--channel", registry.CheckChannelName(c.Channel))
	}
	if c.Artifact != "" {
		_, err := registry.ParseArtifactName(c.Artifact)
		p.check("--artifact", err)
	}
	return filters, p.err("aws instances")
}

// instances are those of the file, or of EC2; then there may be some of them and an error.
func (c *awsInstancesCmd) instances(a *app, filters []aws.Filter) ([]aws.Instance, error) {
	if c.From != "" {
		return readInstances(a, c.From, strings.Join(c.Region, ""))
	}
	reader, err := aws.NewReader(a.ctx, userAgent())
	if err != nil {
		return nil, hinted(err, "")
	}
	instances, err := reader.Instances(a.ctx, c.Region, filters...)
	return instances, hinted(err, "")
}

// readInstances reads a list of instances from a file, or from stdin for "-".
func readInstances(a *app, path, region string) ([]aws.Instance, error) {
	input := io.NopCloser(a.stdin)
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("--from: %w", err)
		}
		input = f
	}
	defer func() { _ = input.Close() }()
	instances, err := aws.ReadInstances(input, region)
	if err != nil {
		return nil, hinted(fmt.Errorf("--from %s: %w", path, err), "")
	}
	return instances, nil
}

// instanceReport is the answer for programs. aws.ReadInstances reads it, too.
type instanceReport struct {
	Instances []aws.Machine `json:"instances"`
	// The counts are of all instances, also where --behind leaves some out.
	Total       int `json:"total"`
	Behind      int `json:"behind"`
	Revoked     int `json:"revoked"`
	NotRecorded int `json:"not_recorded"`
}

// report sorts machines by region, artifact and name, counts them, and keeps those that are wanted.
func (c *awsInstancesCmd) report(machines []aws.Machine) instanceReport {
	slices.SortStableFunc(machines, compareMachines)
	r := instanceReport{Instances: []aws.Machine{}}
	for _, m := range machines {
		if c.Artifact != "" && m.Use == nil {
			continue
		}
		r.Total++
		if m.Behind {
			r.Behind++
		}
		if m.Revoked {
			r.Revoked++
		}
		if m.Use == nil {
			r.NotRecorded++
		}
		if !c.Behind || m.Behind || m.Revoked {
			r.Instances = append(r.Instances, m)
		}
	}
	return r
}

// compareMachines puts what is not recorded after the rest of its region.
func compareMachines(a, b aws.Machine) int {
	key := func(m aws.Machine) string {
		if m.Use == nil {
			return m.Region + " 1"
		}
		return m.Region + " 0" + string(m.Use.Artifact)
	}
	if c := strings.Compare(key(a), key(b)); c != 0 {
		return c
	}
	return aws.CompareInstances(a.Instance, b.Instance)
}

func (c *awsInstancesCmd) print(a *app, r instanceReport) {
	if len(r.Instances) > 0 {
		t := newTable("INSTANCE", "NAME", "REGION", "STATE", "ARTIFACT", "VERSION", "CURRENT", "BEHIND")
		for _, m := range r.Instances {
			var artifact, version, current string
			if m.Use != nil {
				artifact, version = string(m.Use.Artifact), m.Use.Version
			}
			if n := len(m.Others); n > 0 {
				artifact += fmt.Sprintf(" (+%d)", n)
			}
			if m.Current != nil {
				current = m.Current.Version
			}
			t.add(m.ID, orDash(m.Name), m.Region, orDash(m.State), orDash(artifact), orDash(version), orDash(current), behindCell(m))
		}
		a.printTable(t, "")
	}
	if r.Total == 0 {
		a.note("No instance fits.")
		return
	}
	a.printf("%s: %d behind, %d on a revoked version, %d not recorded.\n", counted(r.Total, "instance"), r.Behind, r.Revoked, r.NotRecorded)
}

// warnNoChannel tells when none of the artifacts has the channel: its name may be mistyped.
func (c *awsInstancesCmd) warnNoChannel(a *app, client *client.Client, machines []aws.Machine) error {
	if c.Channel == "" || c.Channel == registry.Latest {
		return nil
	}
	var artifacts []string
	add := func(artifact string) {
		if !slices.Contains(artifacts, artifact) {
			artifacts = append(artifacts, artifact)
		}
	}
	for _, m := range machines {
		if m.Current != nil {
			return nil
		}
		if m.Use != nil {
			add(string(m.Use.Artifact))
		}
		for _, other := range m.Others {
			add(string(other.Artifact))
		}
	}
	if c.Artifact != "" {
		add(c.Artifact)
	}
	for _, artifact := range artifacts {
		_, err := client.Channel(a.ctx, artifact, c.Channel)
		if registry.KindOf(err) != registry.NotFound {
			return err
		}
	}
	if len(artifacts) > 0 {
		a.warn("there is no channel %s in %s; almanac show NAMESPACE/NAME lists the channels", c.Channel, strings.Join(artifacts, ", "))
	}
	return nil
}

func behindCell(m aws.Machine) cell {
	var answer cell
	switch {
	case m.Behind:
		answer = cell{"yes" + elsewhere(m, m.BehindIn), yellow}
	case m.Current == nil:
		answer = cell{"-", plain}
	default:
		answer = cell{"no", green}
	}
	if m.Revoked {
		answer = cell{strings.TrimPrefix(answer.text+", revoked"+elsewhere(m, m.RevokedIn), "-, "), red}
	}
	return answer
}

// elsewhere names the artifacts of which something is true, where that of the same row is none of them.
func elsewhere(m aws.Machine, artifacts []registry.ArtifactName) string {
	if slices.Contains(artifacts, m.Use.Artifact) {
		return ""
	}
	names := make([]string, len(artifacts))
	for i, name := range artifacts {
		names[i] = string(name)
	}
	return " (" + strings.Join(names, ", ") + ")"
}
