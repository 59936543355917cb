package main

import (
	"maps"
	"slices"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func (a *app) showBuild(b registry.Build) {
	a.printf("\n%s\n", a.paint(bold, "Build "+clean(b.Component)))
	t := newTable()
	t.add("Type", string(b.Type))
	if b.Provider != "" {
		t.add("Provider", b.Provider)
	}
	if b.Architecture != "" {
		architecture := b.Architecture
		if b.Default {
			architecture += " (default)"
		}
		t.add("Architecture", architecture)
	}
	t.add("Recorded", shortTime(b.CreatedAt)+" by "+b.CreatedBy)
	a.printTable(t, "  ")
	a.showImages(b.Images)
	if len(b.Files) > 0 {
		a.printf("\n")
		files := newTable("FILE", "SIZE", "SHA256")
		for _, f := range b.Files {
			files.add(f.Name, byteSize(f.Size), string(f.SHA256))
		}
		a.printTable(files, "  ")
	}
	if len(b.Attachments) > 0 {
		a.printf("\n")
		attachments := newTable("ATTACHMENT", "KIND", "FORMAT", "SIZE", "SHA256")
		for _, f := range b.Attachments {
			attachments.add(f.Name, string(f.Kind), orDash(f.Format), byteSize(f.Size), string(f.SHA256))
		}
		a.printTable(attachments, "  ")
	}
	a.showMap("Metadata", "  ", b.Metadata)
	a.showFindings(b.Images)
	a.showProvenance(b.Provenance)
}

// showImages has columns for what was found of the images, where somebody looked.
func (a *app) showImages(images []registry.Image) {
	if len(images) == 0 {
		return
	}
	header := []string{"REGION", "PROVIDER", "IMAGE", "SOURCE"}
	looked := slices.ContainsFunc(images, func(i registry.Image) bool { return i.Verification != nil })
	reasons := slices.ContainsFunc(images, func(i registry.Image) bool { return i.Verification != nil && i.Verification.Reason != "" })
	if looked {
		header = append(header, "STATUS", "LOOKED AT")
	}
	if reasons {
		header = append(header, "REASON")
	}
	t := newTable(header...)
	for _, i := range images {
		row := []any{orDash(i.Region), i.Provider, i.ID, orDash(i.SourceID)}
		status, at, reason := cell{text: "-"}, "never", ""
		if v := i.Verification; v != nil {
			status, at, reason = verificationCell(v), shortTime(v.At), v.Reason
		}
		if looked {
			row = append(row, status, at)
		}
		if reasons {
			row = append(row, orDash(reason))
		}
		t.add(row...)
	}
	a.printf("\n")
	a.printTable(t, "  ")
}

// showFindings prints what the providers say of the images: once what they say of all, and by region what
// differs.
func (a *app) showFindings(images []registry.Image) {
	var found []registry.Image
	keys := map[string]bool{}
	for _, i := range images {
		if i.Verification == nil || len(i.Verification.Attributes) == 0 {
			continue
		}
		found = append(found, i)
		for key := range i.Verification.Attributes {
			keys[key] = true
		}
	}
	if len(found) == 0 {
		return
	}
	a.printf("\n  %s\n", a.paint(bold, "Found at the provider"))
	t := newTable()
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		first, same := found[0].Verification.Attributes[key], true
		for _, i := range found {
			same = same && i.Verification.Attributes[key] == first
		}
		if same {
			t.add(key, "", first)
			continue
		}
		for _, i := range found {
			if value := i.Verification.Attributes[key]; value != "" {
				t.add(key, orDash(i.Region), value)
			}
		}
	}
	t.dropEmpty(1)
	a.printTable(t, "    ")
}

// origins are the groups in which provenance is shown. The keys are those of package provenance, of the
// post-processor and of this program.
var origins = []struct {
	title string
	keys  []string
}{
	{"Template", []string{"template_path", "template_sha256"}},
	{"Git", []string{"git_commit", "git_ref", "git_author", "git_dirty"}},
	{"CI", []string{"ci", "ci_run", "ci_run_attempt", "ci_run_url", "ci_job", "ci_job_url"}},
	{"Build", []string{"build_name", "builder_type", "builder_id", "artifact_id", "packer_run_uuid"}},
	{"Source", []string{
		"source_ami", "source_ami_name", "source_ami_creation_date", "source_ami_owner", "source_ami_owner_name", "build_region",
		"source_image_name", "source_image_sha256", "source_image_digest", "image_sha256", "digest",
	}},
	{"Tools", []string{"packer_version", "plugin_version", "almanac_version"}},
	{"Host", []string{"host_os", "host_arch"}},
}

// showProvenance prints how a build came to be, in groups. What is in no group comes last.
func (a *app) showProvenance(m registry.Metadata) {
	if len(m) == 0 {
		return
	}
	a.printf("\n  %s\n", a.paint(bold, "Provenance"))
	t := newTable()
	rest := maps.Clone(m)
	group := func(title string, keys []string) {
		for _, key := range keys {
			if value, ok := rest[key]; ok {
				t.add(title, key, value)
				delete(rest, key)
				title = ""
			}
		}
	}
	for _, o := range origins {
		group(o.title, o.keys)
	}
	group("Other", slices.Sorted(maps.Keys(rest)))
	a.printTable(t, "    ")
}
