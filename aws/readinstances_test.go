package aws_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/aws"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// described is what aws ec2 describe-instances writes, as far as it matters.
const described = `{
    "Reservations": [
        {
            "Groups": [],
            "Instances": [
                {
                    "AmiLaunchIndex": 0, "ImageId": "ami-0f3a94b1c2d5e6789", "InstanceId": "i-0b22a22eec53b9321",
                    "InstanceType": "t3.micro", "LaunchTime": "2026-03-04T08:15:30+00:00", "Monitoring": {"State": "disabled"},
                    "Placement": {"AvailabilityZone": "us-west-2-lax-1a", "GroupName": "", "Tenancy": "default"},
                    "State": {"Code": 16, "Name": "running"}, "Architecture": "x86_64",
                    "Tags": [{"Key": "Name", "Value": "web-1"}, {"Key": "role", "Value": "web"}]
                },
                {
                    "ImageId": "ami-0f3a94b1c2d5e6789", "InstanceId": "i-0b22a22eec53b9322",
                    "Placement": {"AvailabilityZone": "us-west-2a"}, "State": {"Code": 48, "Name": "terminated"}
                }
            ],
            "OwnerId": "123456789012", "ReservationId": "r-02a3f596d91211712"
        }
    ]
}
`

func other(id string) string {
	return strings.NewReplacer("i-0b22a22eec53b9321", id, "us-west-2-lax-1a", "eu-west-1a").Replace(described)
}

func TestReadInstances(t *testing.T) {
	bare := `{"InstanceId": "i-0a", "ImageId": "ami-0a"}`
	tests := []struct {
		name, text, region string
		want               string // region/id of each
	}{
		{"one document", described, "", "us-west-2/i-0b22a22eec53b9321"},
		{"documents one after another", described + other("i-0a"), "", "eu-west-1/i-0a us-west-2/i-0b22a22eec53b9321"},
		{"a list of documents", "[" + described + "," + other("i-0a") + "]", "", "eu-west-1/i-0a us-west-2/i-0b22a22eec53b9321"},
		{"the same twice", described + described, "", "us-west-2/i-0b22a22eec53b9321"},
		{"reservations of --query", `[{"Instances": [` + bare + `]}]`, "eu-west-1", "eu-west-1/i-0a"},
		{"instances of --query", "[[" + bare + "]]", "eu-west-1", "eu-west-1/i-0a"},
		{"an instance", bare, "eu-west-1", "eu-west-1/i-0a"},
		{"pages", strings.Replace(described, "{", `{"NextToken": "x",`, 1) + other("i-0a"), "", "eu-west-1/i-0a us-west-2/i-0b22a22eec53b9321"},
		{"a token that is none", strings.Replace(described, "{", `{"NextToken": null,`, 1), "", "us-west-2/i-0b22a22eec53b9321"},
		{"no instances", `{"Reservations": []}`, "", ""},
		{"an empty list", `[]`, "", ""},
		{"its zone goes before the region", described, "eu-west-1", "us-west-2/i-0b22a22eec53b9321"},
		{"what almanac wrote", `{"instances": [{"id": "i-0a", "image_id": "ami-0a", "region": "eu-west-1"}, {"id": "i-0b", "image_id": "ami-0a", "region": "eu-west-1", "state": "shutting-down"}], "total": 1}`, "us-east-1", "eu-west-1/i-0a"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := aws.ReadInstances(strings.NewReader(test.text), test.region)
			if err != nil {
				t.Fatal(err)
			}
			var found []string
			for _, i := range got {
				found = append(found, i.Region+"/"+i.ID)
			}
			if text := strings.Join(found, " "); text != test.want {
				t.Errorf("got %s, want %s", text, test.want)
			}
		})
	}
	t.Run("has what is known", func(t *testing.T) {
		got, err := aws.ReadInstances(strings.NewReader(described), "")
		if err != nil {
			t.Fatal(err)
		}
		i := got[0]
		if i.ImageID != "ami-0f3a94b1c2d5e6789" || i.Name != "web-1" || i.State != "running" || i.Type != "t3.micro" || i.Architecture != "x86_64" ||
			i.OwnerID != "123456789012" || i.LaunchedAt.Format("2006-01-02 15:04") != "2026-03-04 08:15" || i.Tags["role"] != "web" {
			t.Errorf("got %+v", i)
		}
	})
}

func TestReadInstancesErrors(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"nothing", " \n", []string{"there is no list of instances; give what aws ec2 describe-instances --region REGION --output json writes"}},
		{"no JSON", "INSTANCES\t0", []string{"is no JSON at byte 1", "--output json"}},
		{"half of it", described[:200], []string{"ends in the middle of its JSON"}},
		{"something else", `{"Images": []}`, []string{"it has no Reservations, Instances or InstanceId"}},
		{"a number", `1`, []string{"no list of instances"}},
		{"null", `null`, []string{"no list of instances"}},
		{"another shape", `{"Reservations": {}}`, []string{"another shape than EC2 gives it"}},
		{"state as --query leaves it", `{"InstanceId": "i-0a", "State": "running"}`, []string{"another shape"}},
		{"lists of lists", `[[[[[]]]]]`, []string{"lists in lists"}},
		{"cut off", strings.Replace(described, "{", `{"NextToken": "x",`, 1), []string{"is cut off", "--max-items"}},
		{"many mistakes", `[{"InstanceId": "a", "ImageId": "b", "LaunchTime": "now"}, {"InstanceId": "i-0a", "ImageId": "ami-0a"}]`, []string{
			`instances[0].LaunchTime: "now" is not a time`, `instances[0].InstanceId: "a" is not the id`, `instances[0].ImageId: "b" is not`,
			`instances[0].region: of a cannot be told`, `instances[1].region: of i-0a cannot be told: it has no availability zone`, "say which region the list is of with --region"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := aws.ReadInstances(strings.NewReader(test.text), "")
			wantError(t, err, registry.Invalid, test.want...)
		})
	}
}

func FuzzReadInstances(f *testing.F) {
	for _, text := range []string{described, "[" + described + "]", `{"instances":[{"id":"i-0","image_id":"ami-0","region":"eu-west-1"}]}`, `[[{"InstanceId":"i-0"}]]`, `{"Instances":null}`} {
		f.Add(text, "eu-west-1")
	}
	f.Fuzz(func(t *testing.T, text, region string) {
		got, err := aws.ReadInstances(strings.NewReader(text), region)
		if err != nil {
			if registry.KindOf(err) != registry.Invalid {
				t.Fatalf("got %v, want an error of kind invalid", err)
			}
			return
		}
		own, err := json.Marshal(map[string]any{"instances": got})
		if err != nil {
			t.Fatal(err)
		}
		again, err := aws.ReadInstances(strings.NewReader(string(own)), "")
		if err != nil || len(got) != len(again) || len(got) > 0 && !reflect.DeepEqual(got, again) {
			t.Fatalf("%s is read back as %+v, %v", own, again, err)
		}
	})
}
