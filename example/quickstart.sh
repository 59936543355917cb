#!/bin/sh
# The main job, for real and without an AWS account: a real `packer build` of this directory, with the unmodified
# amazon-ebs builder, is recorded in a registry, and Terraform gets the AMI of each region.
#
# Everything happens below .quickstart and on loopback. On a terminal the registry stays up until Ctrl-C.
set -eu

cd "$(dirname "$0")/.."
root=$(pwd)
work=$root/.quickstart
tools=$root/.tools/bin
mkdir -p "$work/data" "$work/bin" "$work/out" "$work/home"

bold= plain=
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
	bold=$(printf '\033[1m') plain=$(printf '\033[0m')
fi
step() { printf '\n%s==> %s%s\n' "$bold" "$*" "$plain"; }
run() {
	printf '%s$ %s%s\n' "$bold" "$*" "$plain"
	"$@"
}

pids=
stop() {
	for pid in $pids; do kill "$pid" 2>/dev/null || true; done
	for pid in $pids; do wait "$pid" 2>/dev/null || true; done
	pids=
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# await FILE PID LOG: a server writes its address into FILE when it is up.
await() {
	tries=0
	until [ -s "$1" ]; do
		tries=$((tries + 1))
		if [ $tries -gt 100 ] || ! kill -0 "$2" 2>/dev/null; then
			echo "a server did not start; its log is $3:" >&2
			tail -n 20 "$3" >&2
			exit 1
		fi
		sleep 0.1
	done
}

# plan runs Terraform over the file and one output. The provider is a stand-in for hashicorp/aws that asks the
# stand-in for EC2: the real one would be downloaded, and would ask AWS.
plan() {
	mkdir -p "$work/plan" "$work/mirror"
	cp "$work/out/app.tf" "$work/plan/app.tf"
	cat >"$work/plan/main.tf" <<-TF
		output "ami_of_eu_west_1" {
		  value = local.app.ami_ids["eu-west-1"]
		}
	TF
	TF_CLI_CONFIG_FILE=$(go run ./internal/tftest/cmd/tfstub "$work/mirror")
	export TF_CLI_CONFIG_FILE
	echo "(with a stand-in for the provider hashicorp/aws, which reads the images back from the stand-in for EC2)"
	run terraform -chdir=.quickstart/plan init -no-color -input=false >"$work/init.log" || { cat "$work/init.log" >&2; exit 1; }
	run terraform -chdir=.quickstart/plan plan -no-color -input=false
}

step "Building the programs"
make -s build
CGO_ENABLED=0 go build -o "$work/bin/ec2sim" ./internal/ec2sim/cmd/ec2sim
echo "bin/packer-plugin-almanac, bin/almanac"

step "Looking for packer and its amazon plugin"
make -s packer

step "Starting a stand-in for EC2, and the registry"
rm -f "$work/ec2sim.addr" "$work/almanac.addr"
"$work/bin/ec2sim" --addr-file "$work/ec2sim.addr" >"$work/ec2sim.log" 2>&1 &
pids="$pids $!"
await "$work/ec2sim.addr" "$!" "$work/ec2sim.log"
"$root/bin/almanac" serve --data "$work/data" --listen 127.0.0.1:0 --addr-file "$work/almanac.addr" >"$work/almanac.log" 2>&1 &
registry=$!
pids="$pids $registry"
await "$work/almanac.addr" "$registry" "$work/almanac.log"

ALMANAC_ADDR=$(cat "$work/almanac.addr")
ALMANAC_TOKEN=$(cat "$work/data/admin.token")
PATH=$root/bin:$tools:$PATH
export ALMANAC_ADDR ALMANAC_TOKEN PATH
export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1
echo "registry $ALMANAC_ADDR, EC2 $(cat "$work/ec2sim.addr"); the token is in .quickstart/data/admin.token"

step "packer build, with the unmodified amazon-ebs builder in three regions"
export CHECKPOINT_DISABLE=1 PACKER_CONFIG_DIR="$work/home" PACKER_PLUGIN_PATH="$work/plugins"
packer plugins install --path "$tools/packer-plugin-amazon" github.com/hashicorp/amazon >"$work/plugins.log" 2>&1 &&
	packer plugins install --path "$root/bin/packer-plugin-almanac" github.com/cargomedia/almanac >>"$work/plugins.log" 2>&1 ||
	{ cat "$work/plugins.log" >&2; exit 1; }

# Nothing here may reach a real account: the stand-in is the only endpoint, and no profile is read.
unset AWS_PROFILE AWS_SESSION_TOKEN
AWS_ENDPOINT_URL=$(cat "$work/ec2sim.addr")
export AWS_ENDPOINT_URL AWS_ACCESS_KEY_ID=quickstart AWS_SECRET_ACCESS_KEY=quickstart AWS_EC2_METADATA_DISABLED=true \
	AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null
run packer build -color=false -var "output=.quickstart/out" example

step "Asking the registry"
run almanac artifacts
run almanac show cargomedia/app staging
run almanac resolve cargomedia/app staging --type aws.ami --region eu-west-1
if command -v curl >/dev/null 2>&1; then
	url="$ALMANAC_ADDR/v1/resolve/cargomedia/app/staging?type=aws.ami&region=eu-west-1"
	# The token must not go to a proxy of the environment, which curl would ask for loopback, too.
	printf '%s$ curl -H "Authorization: Bearer $ALMANAC_TOKEN" -H "Accept: text/plain" "%s"%s\n' "$bold" "$url" "$plain"
	curl -fsS --noproxy '*' -H "Authorization: Bearer $ALMANAC_TOKEN" -H "Accept: text/plain" "$url"
else
	echo "(curl is not installed: the HTTP API answers the same)"
fi
run almanac pull cargomedia/app-box staging --dir .quickstart/out/pulled --force

step "Terraform: the file that the post-processor wrote"
run cat .quickstart/out/app.tf
run almanac terraform cargomedia/app --ref staging --out .quickstart/out/app.tf --force
run almanac terraform cargomedia/app --ref staging --out .quickstart/out/app.tf --check
if command -v terraform >/dev/null 2>&1; then
	plan
else
	echo "(terraform is not installed: nothing is planned; the file needs no more than \`terraform plan\`)"
fi

step "Done: region and AMI"
almanac resolve cargomedia/app staging --type aws.ami -o json | sed -n 's/^ *"\([a-z]*-[a-z]*-[0-9]\)": "\(ami-[0-9a-z]*\)".*/\1  \2/p'
cat <<TXT

Where to look next:
  example/app.pkr.hcl       the template that was built
  .quickstart/out/app.tf    the data blocks to commit
  docs/                     post-processor, server, CLI, HTTP API
TXT

if [ -t 0 ] && [ -t 1 ]; then
	cat <<TXT
  $ALMANAC_ADDR/docs    the HTTP API, while the registry runs

The registry keeps running until Ctrl-C. In another terminal:
  export ALMANAC_ADDR=$ALMANAC_ADDR ALMANAC_TOKEN=\$(cat .quickstart/data/admin.token)
  bin/almanac show cargomedia/app
TXT
	trap 'exit 0' INT TERM
	wait "$registry" || true
else
	cat <<TXT

The registry stops now. To look around in what it has recorded:
  bin/almanac serve --data .quickstart/data
TXT
fi
