package ec2sim

import (
	"maps"
	"slices"
	"strings"
)

type tagXML struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

func tagSet(tags map[string]string) []tagXML {
	set := make([]tagXML, 0, len(tags))
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		set = append(set, tagXML{key, tags[key]})
	}
	return set
}

// readTags reads the tags below a list parameter such as "Tag".
func (p params) readTags(name string) (map[string]string, error) {
	tags := make(map[string]string)
	for _, position := range p.positions(name) {
		key := p[position+".Key"]
		switch _, twice := tags[key]; {
		case key == "":
			return nil, fail("MissingParameter", "The request must contain the parameter %s.Key", position)
		case twice:
			return nil, fail("InvalidParameterValue", "Duplicate tag key '%s' specified.", key)
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return nil, fail("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
		}
		tags[key] = p[position+".Value"]
	}
	return tags, nil
}

// tagSpecifications reads the TagSpecification parameters: tags by resource
// type, with an entry for each of the types that the action makes.
func (p params) tagSpecifications(types ...string) (map[string]map[string]string, error) {
	specified := make(map[string]map[string]string)
	for _, t := range types {
		specified[t] = map[string]string{}
	}
	for _, position := range p.positions("TagSpecification") {
		t := p[position+".ResourceType"]
		if !slices.Contains(types, t) {
			return nil, fail("InvalidParameterValue", "'%s' is not a valid taggable resource type for this operation.", t)
		}
		tags, err := p.readTags(position + ".Tag")
		if err != nil {
			return nil, err
		}
		maps.Copy(specified[t], tags)
	}
	return specified, nil
}

// tagsOf returns the tags of any resource of the region, to read or to change.
func (r *region) tagsOf(id string) (map[string]string, error) {
	prefix, _, _ := strings.Cut(id, "-")
	switch prefix + "-" {
	case amiKind.prefix:
		image, err := r.image(id)
		if err != nil {
			return nil, err
		}
		return image.Tags, nil
	case snapshotKind.prefix:
		snapshot, err := r.snapshot(id)
		if err != nil {
			return nil, err
		}
		return snapshot.tags, nil
	case instanceKind.prefix:
		instance, err := r.instance(id)
		if err != nil {
			return nil, err
		}
		return instance.tags, nil
	case volumeKind.prefix:
		volume, err := r.volume(id)
		if err != nil {
			return nil, err
		}
		return volume.tags, nil
	case groupKind.prefix:
		group, err := r.group(id)
		if err != nil {
			return nil, err
		}
		return group.tags, nil
	}
	return nil, fail("InvalidID", "The ID '%s' is not valid", id)
}

// createTags is the action CreateTags: it tags all of the resources or none.
func createTags(c *call) (answer, error) {
	tags, err := c.params.readTags("Tag")
	if err != nil {
		return nil, err
	}
	var targets []map[string]string
	for _, id := range c.params.list("ResourceId") {
		target, err := c.region.tagsOf(id)
		if err != nil {
			return nil, err
		}
		targets = append(targets, target)
	}
	for _, target := range targets {
		maps.Copy(target, tags)
	}
	return &done{Return: true}, nil
}
