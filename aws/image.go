package aws

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// What the registry takes in a reason and in an attribute, in bytes.
const (
	maxReason    = 1000
	maxAttribute = 4096
)

// judge says what EC2's state of an image means for its use, and why it cannot be used, as the end of a
// sentence that begins with the image.
func judge(image types.Image) (registry.ImageStatus, string) {
	reason := ""
	if r := image.StateReason; r != nil && sdk.ToString(r.Message) != "" {
		reason = ": " + *r.Message
	}
	switch image.State {
	case types.ImageStateAvailable:
		return registry.ImageAvailable, ""
	case types.ImageStatePending, types.ImageStateTransient:
		return registry.ImagePending, "is still pending"
	case types.ImageStateDisabled:
		return registry.ImageFailed, "is disabled, so that nobody can start it" + reason
	}
	return registry.ImageFailed, "cannot be used, since its state is " + string(image.State) + reason
}

// attributes are those that the package documentation lists, without those that EC2 has no value for.
func attributes(image types.Image) registry.Metadata {
	m := registry.Metadata{}
	set := func(name, value string) {
		if value = clean(value, maxAttribute); value != "" {
			m[name] = value
		}
	}
	set("name", sdk.ToString(image.Name))
	set("architecture", string(image.Architecture))
	set("root_device_type", string(image.RootDeviceType))
	set("root_device_name", sdk.ToString(image.RootDeviceName))
	set("virtualization_type", string(image.VirtualizationType))
	if image.EnaSupport != nil {
		set("ena_support", strconv.FormatBool(*image.EnaSupport))
	}
	set("boot_mode", string(image.BootMode))
	set("owner_id", sdk.ToString(image.OwnerId))
	set("creation_date", sdk.ToString(image.CreationDate))
	set("deprecation_time", sdk.ToString(image.DeprecationTime))
	set("snapshot_ids", strings.Join(snapshots(image), ","))
	set("platform_details", sdk.ToString(image.PlatformDetails))
	set("imds_support", string(image.ImdsSupport))
	set("tpm_support", string(image.TpmSupport))
	return m
}

func snapshots(image types.Image) []string {
	var ids []string
	for _, device := range image.BlockDeviceMappings {
		if device.Ebs != nil && sdk.ToString(device.Ebs.SnapshotId) != "" {
			ids = append(ids, *device.Ebs.SnapshotId)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// clean makes text of one line, of valid UTF-8 and of at most limit bytes.
func clean(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	text = strings.TrimSpace(text)
	if len(text) <= limit {
		return text
	}
	const ellipsis = "…"
	cut := limit - len(ellipsis)
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + ellipsis
}
