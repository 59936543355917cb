#!/bin/sh
# ensure.sh DIR NAME... puts programs into a directory: packer, packer-plugin-amazon or tofu. They are links to those
# on the PATH where they are new enough, else built from the versions that the go.mod files below tools pin. Says what
# it does, because the first build takes minutes.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
bin=$1
shift
case $bin in /*) ;; *) bin=$root/$bin ;; esac
mkdir -p "$bin"
bin=$(cd "$bin" && pwd -P)

# new_enough PROGRAM NAME MINOR says whether PROGRAM calls itself NAME and is at least of version 1.MINOR.
new_enough() {
	# cracklib has a program named packer, too, which reads words from its input.
	version=$(PACKER_CONFIG_DIR=$bin CHECKPOINT_DISABLE=1 "$1" version </dev/null 2>/dev/null | sed -n "s/^$2 v\\([0-9]*\\)\\.\\([0-9]*\\)\\..*/\\1 \\2/p" | head -n 1)
	[ -n "$version" ] || return 1
	minor=$3
	# shellcheck disable=SC2086 # two words
	set -- $version
	[ "$1" -gt 1 ] || [ "$2" -ge "$minor" ]
}

# outside NAME prints where NAME is on the PATH, leaving out the directory that we fill.
outside() {
	old_ifs=$IFS
	IFS=:
	for dir in $PATH; do
		dir=$(cd "$dir" 2>/dev/null && pwd -P) || continue
		if [ "$dir" != "$bin" ] && [ -x "$dir/$1" ] && [ ! -d "$dir/$1" ]; then
			IFS=$old_ifs
			echo "$dir/$1"
			return
		fi
	done
	IFS=$old_ifs
}

# build NAME MODULE PACKAGE makes NAME from the package, in the version of the go.mod in the directory MODULE.
build() {
	target=$bin/$1
	stamp=$bin/.$1.sum
	sum=$(cat "$root/$2/go.mod" "$root/$2/go.sum" | cksum)
	if [ -x "$target" ] && [ ! -L "$target" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ]; then
		echo "$1: $target, built earlier"
		return
	fi
	echo "building $1 from $2/go.mod; the first time this takes a few minutes and up to 3 GB of memory …"
	rm -f "$target"
	CGO_ENABLED=0 go build -C "$root/$2" -ldflags "-s -w" -o "$target" "$3" &
	pid=$!
	# A sign of life, so that nobody takes a long compile for a hang.
	trap 'kill $pid 2>/dev/null || true' INT TERM
	waited=0
	while kill -0 $pid 2>/dev/null; do
		sleep 1
		waited=$((waited + 1))
		[ $((waited % 15)) -ne 0 ] || echo "  … still compiling $1 (${waited}s)"
	done
	wait $pid
	trap - INT TERM
	echo "$sum" >"$stamp"
	echo "built $1 in ${waited}s"
}

# Packer before 1.10 cannot `packer plugins install --path`.
ensure_packer() {
	found=$(outside packer)
	if [ -n "$found" ] && new_enough "$found" Packer 10; then
		ln -sf "$found" "$bin/packer"
		echo "packer: $found"
	else
		[ -z "$found" ] || echo "packer on the PATH ($found) is not Packer 1.10 or newer, and is not used"
		build packer tools github.com/hashicorp/packer
	fi
}

ensure_amazon() {
	found=$(outside packer-plugin-amazon)
	if [ -n "$found" ]; then
		ln -sf "$found" "$bin/packer-plugin-amazon"
		echo "packer-plugin-amazon: $found"
	else
		build packer-plugin-amazon tools github.com/hashicorp/packer-plugin-amazon
	fi
}

# OpenTofu before 1.8 lacks what the tests of the provider use.
ensure_tofu() {
	found=$(outside tofu)
	if [ -n "$found" ] && new_enough "$found" OpenTofu 8; then
		ln -sf "$found" "$bin/tofu"
		echo "tofu: $found"
	else
		[ -z "$found" ] || echo "tofu on the PATH ($found) is not OpenTofu 1.8 or newer, and is not used"
		build tofu tools/tofu github.com/opentofu/opentofu/cmd/tofu
	fi
}

for name; do
	case $name in
	packer) ensure_packer ;;
	packer-plugin-amazon) ensure_amazon ;;
	tofu) ensure_tofu ;;
	*)
		echo "ensure.sh knows packer, packer-plugin-amazon and tofu, not $name" >&2
		exit 2
		;;
	esac
done
