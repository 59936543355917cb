package main

import (
	"cmp"
	"slices"
)

// report shows what became of all boxes.
func (im *importer) report(boxes []importedBox) error {
	return im.show(map[string][]importedBox{"boxes": slices.Concat([]importedBox{}, boxes)}, func() {
		if len(boxes) == 0 {
			im.note("The source has no box that is meant.")
			return
		}
		t := newTable("ARTIFACT", "VERSION", "PROVIDER", "ARCHITECTURE", "SIZE", "RESULT", "REASON")
		counts := map[string]int{}
		var bytes int64
		for _, b := range boxes {
			counts[b.Outcome]++
			size, reason := "-", b.Reason
			if b.Size > 0 {
				size = byteSize(b.Size)
			}
			if b.Outcome == boxBrought {
				bytes += b.Size
			}
			if b.Artifact == "" {
				reason = b.Source + ": " + reason
			}
			t.add(orDash(b.Artifact), orDash(cmp.Or(b.Version, b.SourceVersion)), orDash(b.Provider), orDash(b.Architecture), size, outcomeCell(b), orDash(reason))
		}
		im.printTable(t, "")
		im.renamed(boxes)
		if im.dryRun {
			im.printf("%d to bring, %d there already, %d skipped.\n", counts[boxPlanned], counts[boxPresent], counts[boxSkipped])
			return
		}
		im.printf("%d brought (%s), %d there already, %d skipped.\n", counts[boxBrought], byteSize(bytes), counts[boxPresent], counts[boxSkipped])
	})
}

// renamed tells which versions have another name in the registry.
func (im *importer) renamed(boxes []importedBox) {
	told := map[string]bool{}
	for _, b := range boxes {
		if b.Outcome != boxSkipped && b.Version != b.SourceVersion && !told[b.SourceVersion] {
			told[b.SourceVersion] = true
			im.printf("Version %s is recorded as %s.\n", clean(b.SourceVersion), clean(b.Version))
		}
	}
}

func outcomeCell(b importedBox) cell {
	switch b.Outcome {
	case boxBrought:
		return cell{b.Outcome, green}
	case boxSkipped:
		return cell{b.Outcome, red}
	case boxPresent:
		return cell{"there already", plain}
	}
	return cell{"to bring", plain}
}
