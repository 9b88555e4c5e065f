#!/bin/bash
# Unpacking a large gzip layer for a step, against igzip -dc | tar x (or gzip) on the same disk.
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"

arch=$(host_arch)
import_golang "$U" "$arch" || skip_all "$reason"
golang=$fixture
context base <<'END'
FROM golang:1.19
END
layout=$(dest "$U" base)
w "$U" build -q -o "type=oci,dest=$layout,tar=false,compression=gzip,force-compression=true" base || bail "a gzip layout" "$err"
context enter <<END
FROM oci-layout://$layout
RUN ["/bin/true"]
END

layer=$layout/blobs/sha256/$(image_manifest "$layout" | jq -r '.layers[0].digest' | cut -d: -f2)
tool=gzip
command -v igzip >/dev/null && tool=igzip
by_tar() {
	rm -rf "$scratch/by-tar"
	mkdir "$scratch/by-tar"
	$tool -dc <"$layer" | tar -x -p -C "$scratch/by-tar" && sync -f "$scratch/by-tar"
}
best_mine='' best_theirs=''
for _ in 1 2 3; do
	new_store "$U"
	mine=$(once w "$U" build -q enter)
	theirs=$(once by_tar)
	[[ -n $best_mine && $best_mine -le $mine ]] || best_mine=$mine
	[[ -n $best_theirs && $best_theirs -le $theirs ]] || best_theirs=$theirs
done
diag "$tool -dc | tar x, then sync:     $(ms "$best_theirs")  ($(stat -c %s "$layer") bytes of gzip, from $(stat -c %s "$golang"))"
diag "whittle build, digest and all: $(ms "$best_mine")"
mark "unpack of a gzip base" "$(ratio "$best_mine" "$best_theirs")" 1.2 "times $tool and tar"
done_testing
