#!/bin/sh
# Puts packer and packer-plugin-amazon into the directory $1: links to those on the PATH where they are new
# enough, else built from the versions that tools/go.mod pins. Says what it does, because the first build takes minutes.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
bin=$1
case $bin in /*) ;; *) bin=$root/$bin ;; esac
mkdir -p "$bin"
bin=$(cd "$bin" && pwd -P)

# At least Packer 1.10: older ones cannot `packer plugins install --path`.
new_enough() {
	# cracklib has a program of that name, too, which reads words from its input.
	version=$(PACKER_CONFIG_DIR=$bin CHECKPOINT_DISABLE=1 "$1" version </dev/null 2>/dev/null | sed -n 's/^Packer v\([0-9]*\)\.\([0-9]*\)\..*/\1 \2/p' | head -n 1)
	[ -n "$version" ] || return 1
	# shellcheck disable=SC2086 # two words
	set -- $version
	[ "$1" -gt 1 ] || [ "$2" -ge 10 ]
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

build() {
	target=$bin/$1
	stamp=$bin/.$1.sum
	sum=$(cat "$root/tools/go.mod" "$root/tools/go.sum" | cksum)
	if [ -x "$target" ] && [ ! -L "$target" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ]; then
		echo "$1: $target, built earlier"
		return
	fi
	echo "building $1 from tools/go.mod; the first time this takes a few minutes and up to 3 GB of memory …"
	rm -f "$target"
	CGO_ENABLED=0 go build -C "$root/tools" -ldflags "-s -w" -o "$target" "github.com/hashicorp/$1" &
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

found=$(outside packer)
if [ -n "$found" ] && new_enough "$found"; then
	ln -sf "$found" "$bin/packer"
	echo "packer: $found"
else
	[ -z "$found" ] || echo "packer on the PATH ($found) is not Packer 1.10 or newer, and is not used"
	build packer
fi

found=$(outside packer-plugin-amazon)
if [ -n "$found" ]; then
	ln -sf "$found" "$bin/packer-plugin-amazon"
	echo "packer-plugin-amazon: $found"
else
	build packer-plugin-amazon
fi
