#!/bin/bash
# A build of the example in which nothing changed, from start to exit, against buildah build --layers of the same.
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"

arch=$(host_arch)
need_alpine "$U"
alpine=$fixture
import_golang "$U" "$arch" || skip_all "$reason"
golang=$fixture
mkdir example
cp "$top"/examples/golang-alpine/{main.go,go.mod,greeting.txt,Dockerfile,.dockerignore} example/

w "$U" build -q -t example example || bail "the example builds" "$err"
mine=$(median_as "$U" 20 "$WHITTLE" build -q -t example example)
diag "whittle build, all cached:           $(ms "$mine")"
if buildah_ready && buildah_import "$alpine" alpine:3.20 "$arch" && buildah_import "$golang" golang:1.19 "$arch" &&
	buildah_build -q --layers -t example example >"$scratch/log" 2>&1; then
	theirs=$(median 3 "${peer[@]}" build --pull=never --isolation chroot --network host --layers -q -t example example)
	diag "buildah build --layers, all cached:  $(ms "$theirs"), $(ratio "$theirs" "$mine") times whittle's"
else
	diag "buildah: ${reason:-$(tail -n 3 "$scratch/log")}"
fi
mark "cached build of the example" "$(awk -v u="$mine" 'BEGIN { printf "%.1f", u / 1000 }')" 50 ms
done_testing
