#!/bin/sh
# Makes the smallest file that Vagrant accepts as a box: what a builder for virtual machines would leave behind.
set -eu

out=$1
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

printf '{"provider":"virtualbox","architecture":"amd64"}\n' >"$stage/metadata.json"
printf '<?xml version="1.0"?>\n<Envelope/>\n' >"$stage/box.ovf"
dd if=/dev/zero of="$stage/disk.vmdk" bs=1024 count=64 2>/dev/null

tar -C "$stage" -czf "$out/app.box" metadata.json box.ovf disk.vmdk
