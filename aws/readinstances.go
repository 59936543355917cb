package aws

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// listCommand makes what ReadInstances reads.
const listCommand = "aws ec2 describe-instances --region REGION --output json"

// maxNesting is how deep lists of instances may lie in lists: --query 'Reservations[].Instances' has two.
const maxNesting = 4

var instanceID = regexp.MustCompile(`^i-[0-9a-f]+$`)

// ReadInstances reads the JSON that aws ec2 describe-instances writes, several such documents one after another
// or in lists, instances on their own as --query leaves them, and the JSON of almanac aws instances. An
// instance's region is that of its availability zone; region is for those that have none, and may be "".
// Instances that are terminated or shutting down are left out, and one that is there twice counts as it was last.
// They are in the order of [CompareInstances]. Errors are of kind Invalid, for all bad instances at once.
func ReadInstances(r io.Reader, region string) ([]Instance, error) {
	in := instanceReader{region: region, at: map[string]int{}}
	decoder := json.NewDecoder(r)
	documents := 0
	for ; ; documents++ {
		var raw json.RawMessage
		if err := decoder.Decode(&raw); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, notJSON(err)
		}
		if err := in.read(raw, 0); err != nil {
			return nil, err
		}
	}
	switch {
	case documents == 0:
		return nil, registry.Errorf(registry.Invalid, "there is no list of instances; give what %s writes", listCommand)
	case in.cutOff:
		return nil, registry.Errorf(registry.Invalid, "the list of instances is cut off: it ends with a NextToken; write it without --max-items and --no-paginate")
	case len(in.bad) > 0:
		return nil, &registry.Error{Kind: registry.Invalid, Msg: "the list of instances cannot be used", Fields: in.bad}
	}
	list := slices.DeleteFunc(in.list, Instance.gone)
	slices.SortFunc(list, CompareInstances)
	return list, nil
}

// notJSON is the error of what cannot be decoded. One of the reader itself stays.
func notJSON(err error) error {
	syntax, isSyntax := errors.AsType[*json.SyntaxError](err)
	switch {
	case isSyntax:
		return registry.Errorf(registry.Invalid, "the list of instances is no JSON at byte %d (%v); give what %s writes", syntax.Offset, syntax, listCommand)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return registry.Errorf(registry.Invalid, "the list of instances ends in the middle of its JSON; give all that %s writes", listCommand)
	}
	return err
}

type instanceReader struct {
	region string
	list   []Instance
	at     map[string]int // where in list an instance is, by region and id
	count  int            // instances that were seen, bad ones included
	bad    []registry.FieldError
	cutOff bool // the last list had a token for the rest of it
}

// object is a JSON object by its exact keys: the decoder for structs takes Instances for instances.
type object map[string]json.RawMessage

func (o object) has(key string) bool { return o[key] != nil && string(o[key]) != "null" }

func (in *instanceReader) read(raw json.RawMessage, depth int) error {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil && list != nil {
		if depth == maxNesting {
			return registry.Errorf(registry.Invalid, "the list of instances has lists in lists of lists; give what %s writes", listCommand)
		}
		for _, element := range list {
			if err := in.read(element, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	var o object
	if json.Unmarshal(raw, &o) != nil {
		return unknownShape()
	}
	switch {
	case o.has("Reservations"):
		in.cutOff = o.has("NextToken")
		return in.readReservations(o["Reservations"])
	case o.has("Instances"):
		return in.readReservations(json.RawMessage("[" + string(raw) + "]"))
	case o.has("InstanceId"):
		return in.readInstance(raw, "")
	case o.has("instances"):
		return in.readOwn(o["instances"])
	}
	return unknownShape()
}

func unknownShape() error {
	return registry.Errorf(registry.Invalid, "there is JSON that is no list of instances: it has no Reservations, Instances or InstanceId; give what %s writes", listCommand)
}

func (in *instanceReader) readReservations(raw json.RawMessage) error {
	var reservations []struct {
		OwnerID   string `json:"OwnerId"`
		Instances []json.RawMessage
	}
	if err := json.Unmarshal(raw, &reservations); err != nil {
		return otherShape(err)
	}
	for _, reservation := range reservations {
		for _, instance := range reservation.Instances {
			if err := in.readInstance(instance, reservation.OwnerID); err != nil {
				return err
			}
		}
	}
	return nil
}

func otherShape(err error) error {
	return registry.Errorf(registry.Invalid, "the list of instances has another shape than EC2 gives it (%v); give what %s writes", err, listCommand)
}

// readInstance reads an instance in the words of EC2.
func (in *instanceReader) readInstance(raw json.RawMessage, owner string) error {
	var x struct {
		InstanceID   string `json:"InstanceId"`
		ImageID      string `json:"ImageId"`
		InstanceType string
		Architecture string
		LaunchTime   string
		State        struct{ Name string }
		Placement    struct{ AvailabilityZone string }
		Tags         []struct{ Key, Value string }
	}
	if err := json.Unmarshal(raw, &x); err != nil {
		return otherShape(err)
	}
	i := Instance{
		ID: x.InstanceID, ImageID: x.ImageID, State: x.State.Name, Type: x.InstanceType, OwnerID: owner,
		AvailabilityZone: x.Placement.AvailabilityZone, Architecture: x.Architecture,
	}
	for _, tag := range x.Tags {
		if i.Tags == nil {
			i.Tags = map[string]string{}
		}
		i.Tags[tag.Key] = tag.Value
	}
	i.Name = i.Tags["Name"]
	if x.LaunchTime != "" {
		at, err := time.Parse(time.RFC3339, x.LaunchTime)
		if err != nil {
			in.problem("LaunchTime", "%q is not a time such as 2026-01-01T12:00:00+00:00", x.LaunchTime)
		}
		i.LaunchedAt = at
	}
	in.add(i, "InstanceId", "ImageId")
	return nil
}

// readOwn reads instances as almanac aws instances writes them.
func (in *instanceReader) readOwn(raw json.RawMessage) error {
	var list []Instance
	if err := json.Unmarshal(raw, &list); err != nil {
		return otherShape(err)
	}
	for _, i := range list {
		in.add(i, "id", "image_id")
	}
	return nil
}

func (in *instanceReader) add(i Instance, idField, imageField string) {
	if i.LaunchedAt = i.LaunchedAt.UTC(); i.LaunchedAt.Year() < 1 || i.LaunchedAt.Year() > 9999 {
		in.problem("launch time", "is not in the years 1 to 9999")
	}
	if len(i.Tags) == 0 {
		i.Tags = nil
	}
	switch zone := ZoneRegion(i.AvailabilityZone); {
	case zone != "":
		i.Region = zone
	case i.Region == "":
		i.Region = in.region
	}
	if !instanceID.MatchString(i.ID) {
		in.problem(idField, "%q is not the id of an instance, such as i-0abc1234", i.ID)
	}
	if !amiID.MatchString(i.ImageID) {
		in.problem(imageField, "%q is not the id of an AMI, such as ami-0abc1234", i.ImageID)
	}
	if err := CheckRegion(i.Region); err != nil {
		in.problem("region", "of %s cannot be told: it has no availability zone, and %v; say which region the list is of with --region", clean(i.ID, maxQuoted), err)
	}
	in.count++
	key := i.Region + " " + i.ID
	if at, twice := in.at[key]; twice {
		in.list[at] = i
		return
	}
	in.at[key] = len(in.list)
	in.list = append(in.list, i)
}

func (in *instanceReader) problem(field, format string, args ...any) {
	if len(in.bad) >= registry.MaxProblems {
		return
	}
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = clean(text, maxQuoted)
		}
	}
	in.bad = append(in.bad, registry.FieldError{Field: fmt.Sprintf("instances[%d].%s", in.count, field), Message: fmt.Sprintf(format, args...)})
}
