package registry

import (
	"fmt"
	"maps"
	"slices"
)

// compareBuilds returns the images that again has more than old, those that it drops, and all other
// differences. How a build came to be is not compared: it may be sent again by another program.
func compareBuilds(old, again Build) (added, dropped []Image, diff problems) {
	for _, text := range []struct{ field, old, again string }{
		{"build.type", string(old.Type), string(again.Type)},
		{"build.provider", old.Provider, again.Provider},
		{"build.architecture", old.Architecture, again.Architecture},
	} {
		if text.old != text.again {
			diff.add(text.field, "is %q, not %q", text.old, text.again)
		}
	}
	for _, key := range unionKeys(old.Metadata, again.Metadata) {
		was, had := old.Metadata[key]
		is, has := again.Metadata[key]
		field := fmt.Sprintf("build.metadata[%q]", clip(key))
		switch {
		case !has:
			diff.add(field, "is %q and is left out now", clip(was))
		case !had:
			diff.add(field, "was not there")
		case was != is:
			diff.add(field, "is %q, not %q", clip(was), clip(is))
		}
	}
	added, dropped = compareImageSets(&diff, old.Images, again.Images)
	compareFileSets(&diff, old.Files, again.Files)
	return added, dropped, diff
}

// compareImageSets takes an image without source and labels for the recorded one: who finishes a
// publication by hand knows neither. One that failed can be left out, or replaced: it was never handed out.
func compareImageSets(diff *problems, old, again []Image) (added, dropped []Image) {
	find := func(images []Image, i Image) int {
		return slices.IndexFunc(images, func(o Image) bool { return CompareImages(o, i) == 0 })
	}
	for _, image := range old {
		at := find(again, image)
		switch {
		case at < 0 && image.Verification != nil && image.Verification.Status == ImageFailed:
			dropped = append(dropped, image)
		case at < 0 && inPlaceOf(again, image) >= 0:
			at = inPlaceOf(again, image)
			diff.add(fmt.Sprintf("build.images[%d].id", at), "is %q in %s %s, not %q", clip(image.ID), image.Provider, clip(image.Region), clip(again[at].ID))
		case at < 0:
			diff.add("build.images", "%s is recorded and is left out now", clip(image.String()))
		case again[at].SourceID != "" && again[at].SourceID != image.SourceID || len(again[at].Labels) > 0 && !maps.Equal(again[at].Labels, image.Labels):
			diff.add(fmt.Sprintf("build.images[%d]", at), "%s is recorded with another source or other labels", clip(image.String()))
		}
	}
	// An image that replaces one in the same place was reported above.
	for _, image := range again {
		if find(old, image) < 0 {
			added = append(added, image)
		}
	}
	return added, dropped
}

// inPlaceOf finds the one image that is where another was; -1 is none, or several.
func inPlaceOf(images []Image, image Image) int {
	found := -1
	for i, other := range images {
		if other.Provider == image.Provider && other.Region == image.Region {
			if found >= 0 {
				return -1
			}
			found = i
		}
	}
	return found
}

func compareFileSets(diff *problems, old, again []File) {
	files := map[string]File{}
	for _, f := range old {
		files[f.Name] = f
	}
	for i, f := range again {
		was, ok := files[f.Name]
		delete(files, f.Name)
		switch {
		case !ok:
			diff.add(fmt.Sprintf("build.files[%d]", i), "%q was not there", clip(f.Name))
		case was != f:
			diff.add(fmt.Sprintf("build.files[%d]", i), "%q has the digest %s, not %s", clip(f.Name), was.SHA256, f.SHA256)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		diff.add("build.files", "%q is recorded and is left out now", clip(name))
	}
}

func unionKeys(a, b Metadata) []string {
	all := maps.Clone(a)
	if all == nil {
		all = Metadata{}
	}
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}
