package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/aws"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

type awsAdoptCmd struct {
	Artifact string   `arg:"" help:"NAMESPACE/NAME; it is made if it does not exist."`
	Region   []string `placeholder:"REGION" help:"Where to look, such as eu-west-1,us-east-1. Can be repeated. Required."`
	Filter   []string `sep:"none" placeholder:"NAME=VALUE[,VALUE]" help:"Only these AMIs, such as 'name=app-*' or tag:role=app; the filters of EC2's DescribeImages. Can be repeated, and all must fit."`
	All      bool     `help:"All AMIs of the owners, where no --filter is given."`
	Owner    []string `placeholder:"ACCOUNT" help:"Account that owns the AMIs. Can be repeated. Default: self."`
	Channel  []string `sep:"none" placeholder:"NAME" help:"Channel to move to the newest version that is recorded. Can be repeated."`
	Yes      bool     `help:"Record; without it, only show what would be."`
}

func (c *awsAdoptCmd) Help() string {
	return `AMIs of the same name are one version: copies of each other in their regions and, where their architectures differ, several builds. Versions are recorded oldest first, so that their numbers tell the history; the creation dates are kept. Name, description, owner and tags of the oldest AMI become metadata: tag.KEY.

It can be run again: what is recorded stays, and copies in more regions are added to the version that has the original, or the name. AMIs are skipped that cannot be used, that an artifact has already, or that are older than what latest is. Two AMIs of one name and architecture in one region are a conflict. A new version waits, and all newer ones with it, until its name has no conflict and no pending AMI.

AWS credentials are found where every AWS client finds them; they need the permission ec2:DescribeImages. The token needs the role publish, promote for --channel, and read without --yes.

Exit codes: 0 done, 5 there are conflicts, and all else was done.

Examples:

    almanac aws adopt cargomedia/app --region eu-west-1,us-east-1 --filter 'name=app-*'
    almanac aws adopt cargomedia/app --region eu-west-1 --filter tag:role=app --channel production --yes`
}

func (c *awsAdoptCmd) Run(a *app) error {
	filters, err := c.arguments()
	if err != nil {
		return err
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	if c.Yes {
		// Before what can take long.
		if err := mayPublish(a.ctx, client, c.Artifact, c.Channel); err != nil {
			return err
		}
	}
	reader, err := aws.NewReader(a.ctx, userAgent())
	if err != nil {
		return hinted(err, "")
	}
	images, err := reader.Images(a.ctx, c.Region, c.Owner, filters...)
	if err != nil {
		// With AMIs of some regions only, an older version could come after a newer one.
		return hinted(err, "")
	}
	plan, err := aws.PlanAdoption(a.ctx, client, c.Artifact, images, c.Channel)
	if err != nil {
		return err
	}
	var recordErr error
	if c.Yes {
		recordErr = c.record(a, &plan)
	}
	if err := a.show(plan, func() { c.print(a, plan) }); err != nil {
		return err
	}
	conflicts := c.conflicts(plan)
	switch {
	case recordErr == nil:
		return conflicts
	case conflicts != nil:
		a.report(conflicts)
	}
	return recordErr
}

// arguments checks the command line.
func (c *awsAdoptCmd) arguments() ([]aws.Filter, error) {
	var p problems
	checkArtifact(&p, c.Artifact)
	checkRegions(&p, c.Region, "is missing; give the regions to look in, such as --region eu-west-1,us-east-1")
	filters := parseFilters(&p, c.Filter)
	switch {
	case len(c.Filter) == 0 && !c.All:
		p.add("--filter", "is missing; all AMIs that fit become versions of %s, so say which, such as --filter 'name=app-*', or --all", c.Artifact)
	case len(c.Filter) > 0 && c.All:
		p.add("--all", "does not go with --filter; leave one of them out")
	}
	for _, owner := range c.Owner {
		p.check("--owner", aws.CheckOwner(owner))
	}
	for _, channel := range c.Channel {
		p.check("--channel", registry.CheckChannelName(channel))
	}
	return filters, p.err("aws adopt")
}

func checkRegions(p *problems, regions []string, missing string) {
	if len(regions) == 0 {
		p.add("--region", "%s", missing)
	}
	for _, region := range regions {
		p.check("--region", aws.CheckRegion(region))
	}
}

func parseFilters(p *problems, texts []string) []aws.Filter {
	var filters []aws.Filter
	for _, text := range texts {
		filter, err := aws.ParseFilter(text)
		p.check("--filter", err)
		filters = append(filters, filter)
	}
	return filters
}

// record publishes what the plan has, with the patience to live through a restart of the registry.
func (c *awsAdoptCmd) record(a *app, plan *aws.Adoption) error {
	client, err := a.transferClient()
	if err != nil {
		return err
	}
	return hinted(plan.Record(a.ctx, client), "the same command again; what is recorded stays", registry.Unavailable)
}

// conflicts is the error for AMIs that somebody has to decide about; nil without any. Which they are is in the
// answer.
func (c *awsAdoptCmd) conflicts(plan aws.Adoption) error {
	n := len(plan.Conflicts())
	if n == 0 {
		return nil
	}
	var remedies []string
	for _, s := range plan.Conflicts() {
		if !slices.Contains(remedies, s.Remedy) {
			remedies = append(remedies, s.Remedy)
		}
	}
	err := registry.Errorf(registry.Conflict, "conflicts: %d of the AMIs that are skipped, because it cannot be told which is meant", n)
	return hinted(err, strings.Join(remedies, "; "))
}

func (c *awsAdoptCmd) print(a *app, plan aws.Adoption) {
	if len(plan.Builds)+len(plan.Skipped) == 0 {
		a.note("No AMI fits in %s.", strings.Join(c.Region, ", "))
		c.printChannels(a, plan)
		return
	}
	if len(plan.Builds) > 0 {
		t := newTable("VERSION", "NAME", "ARCHITECTURE", "CREATED", "REGIONS", "STATUS")
		for _, b := range plan.Builds {
			version := ""
			if b.Version != nil {
				version = b.Version.Version
			}
			t.add(orDash(version), b.Name, b.Architecture, shortTime(b.CreatedAt), regionList(b.AMIs), c.status(b))
		}
		a.printTable(t, "")
	}
	c.printSkipped(a, plan)
	for _, b := range plan.Builds {
		if len(b.LeftOut) > 0 {
			a.warn("%s is recorded without the tags %s: the registry takes no such metadata", b.Name, strings.Join(b.LeftOut, ", "))
		}
	}
	a.printf("%s\n", clean(c.summary(plan)))
	c.printChannels(a, plan)
	if !c.Yes {
		a.note("Nothing was recorded; run it again with --yes.")
	}
}

func (c *awsAdoptCmd) printSkipped(a *app, plan aws.Adoption) {
	if len(plan.Skipped) == 0 {
		return
	}
	if len(plan.Builds) > 0 {
		a.printf("\n")
	}
	t := newTable("SKIPPED", "REGION", "NAME", "REASON")
	for _, s := range plan.Skipped {
		t.add(s.ID, s.Region, s.Name, s.Reason)
	}
	a.printTable(t, "")
	a.printf("\n")
}

func regionList(images []aws.AMI) string {
	regions := make([]string, len(images))
	for i, image := range images {
		regions[i] = image.Region
	}
	slices.Sort(regions)
	return strings.Join(regions, ", ")
}

func (c *awsAdoptCmd) status(b aws.AdoptedBuild) cell {
	recorded, planned := "recorded", "to record"
	if b.Action == aws.AdoptAdd {
		recorded, planned = "added "+regionList(b.New), "to add: "+regionList(b.New)
	}
	switch {
	case b.Action == aws.AdoptRecorded:
		return cell{"recorded before", plain}
	case b.Receipt != nil:
		return cell{recorded, green}
	case c.Yes:
		return cell{"not recorded", red}
	}
	return cell{planned, yellow}
}

// summary counts versions; one that is not made yet has one name.
func (c *awsAdoptCmd) summary(plan aws.Adoption) string {
	actions := map[string]aws.AdoptAction{}
	for _, b := range plan.Builds {
		key := "name " + b.Name
		if b.Version != nil {
			key = "version " + b.Version.Version
		}
		switch {
		case b.Action == aws.AdoptRecorded && actions[key] != "":
		case b.Action != aws.AdoptRecorded && c.Yes && b.Receipt == nil: // what failed is told by an error
		default:
			actions[key] = b.Action
		}
	}
	counts := map[aws.AdoptAction]int{}
	for _, action := range actions {
		counts[action]++
	}
	return fmt.Sprintf("%s: %s, %d with more AMIs, %d recorded before, %s skipped.", plan.Artifact,
		counted(counts[aws.AdoptNew], "new version"), counts[aws.AdoptAdd], counts[aws.AdoptRecorded], counted(len(plan.Skipped), "AMI"))
}

func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// printChannels says what becomes of the channels.
func (c *awsAdoptCmd) printChannels(a *app, plan aws.Adoption) {
	for _, ch := range plan.Channels {
		name := clean(ch.Name)
		switch {
		case ch.Version != nil && ch.Points:
			a.printf("Channel %s points to %s.\n", name, clean(versionText(*ch.Version)))
		case ch.Version != nil:
			a.printf("Channel %s does not point to %s: %s\n", name, clean(versionText(*ch.Version)), clean(ch.Note))
		case ch.To == "" && ch.From == nil:
			a.note("Channel %s is not made: %s.", name, ch.Note)
		case ch.To == "":
			a.note("Channel %s stays at %s: %s.", name, versionText(*ch.From), ch.Note)
		case c.Yes: // what failed is told by an error
		case ch.From == nil:
			a.printf("Channel %s would be made, and point to the version of %s.\n", name, clean(ch.To))
		default:
			a.printf("Channel %s would move from %s to the version of %s.\n", name, clean(versionText(*ch.From)), clean(ch.To))
		}
	}
}
