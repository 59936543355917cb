#!/bin/sh
# generate.sh PROVIDER TOOLS writes the documentation of the provider whose program is PROVIDER into terraform/provider/docs.
# It needs a client that can tell the whole schema, terraform 1.10 or tofu 1.11, and puts tfplugindocs into the directory
# TOOLS, where `make tools` puts tofu.
set -eu

cd "$(dirname "$0")/../.."
provider=$1
tools=$2

# tells_all CLIENT MINOR says whether CLIENT is there and of version 1.MINOR or newer.
tells_all() {
	minor=$(CHECKPOINT_DISABLE=1 TF_CLI_CONFIG_FILE=/dev/null "$1" version 2>/dev/null | sed -n 's/^[A-Za-z]* v1\.\([0-9]*\)\..*/\1/p' | head -n 1)
	[ -n "$minor" ] && [ "$minor" -ge "$2" ]
}

if tells_all terraform 10; then
	client=terraform
elif tells_all "$PWD/$tools/tofu" 11; then
	client=$PWD/$tools/tofu
else
	echo "the documentation of the provider is left as it is: it needs terraform 1.10 or newer, or tofu, which \`make tools\` builds"
	[ "${CI:-}" != true ]
	exit
fi

go build -C tools/tfdocs -o "$PWD/$tools/tfplugindocs" github.com/hashicorp/terraform-plugin-docs/cmd/tfplugindocs

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# tfplugindocs looks for the provider under this name.
address=registry.terraform.io/hashicorp/almanac
cat >"$work/main.tf" <<HCL
terraform {
  required_providers {
    almanac = { source = "$address" }
  }
}
HCL
cat >"$work/terraform.rc" <<HCL
provider_installation {
  dev_overrides {
    "$address" = "$PWD/$(dirname "$provider")"
  }
}
HCL
CHECKPOINT_DISABLE=1 TF_CLI_CONFIG_FILE=$work/terraform.rc "$client" -chdir="$work" providers schema -json >"$work/schema.json"

# tfplugindocs knows one prefix of types alone, so that atlas_artifact has another name while it works.
cp -R terraform/provider/examples "$work"
for kind in resources data-sources; do
	mv "$work/examples/$kind/atlas_artifact" "$work/examples/$kind/almanac_atlas_artifact"
done
sed 's/"atlas_artifact":/"almanac_atlas_artifact":/g' "$work/schema.json" >"$work/renamed.json"
"$tools/tfplugindocs" generate --provider-dir "$work" --provider-name almanac --rendered-provider-name Almanac \
	--providers-schema "$work/renamed.json" >"$work/log" || { cat "$work/log"; exit 1; }

find "$work/docs" -name 'atlas_artifact.md' | while read -r page; do
	sed 's/almanac_atlas_artifact/atlas_artifact/g' "$page" >"$work/page" && cat "$work/page" >"$page"
done
rm -rf terraform/provider/docs
cp -R "$work/docs" terraform/provider
