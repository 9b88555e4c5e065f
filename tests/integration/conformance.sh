#!/bin/bash
# Conformance: many small Dockerfiles (tests/conformance) with whittle and with buildah, results compared path by path and
# field by field. CASES="NAME..." builds only these.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/buildah.sh
. "$tests_dir/buildah.sh"
# shellcheck source=tests/conformance/lib.sh
. "$tests_dir/conformance/lib.sh"

# buildah syncs a lot: its storage lies in memory where it can
fast=$scratch/fast
mkdir "$fast"
leave() {
	umount -l "$fast"/*/overlay "$fast" 2>/dev/null
	at_exit
}
[ -z "$as_root" ] || ! mount -t tmpfs -o mode=0755,size=2g tmpfs "$fast" 2>/dev/null || trap leave EXIT
buildah_ready "$fast" || skip_all "$reason"
[ "${peer[*]: -1}" = overlay ] || skip_all "buildah has no overlay storage here, which is what can be read"
buildah_storage=$fast/buildah-overlay
arch=$(host_arch)

for user in "${users[@]}"; do need_alpine "$user"; done
buildah_import "$fixture" alpine:3.20 "$arch" || bail "buildah makes a base image of alpine"
context base <<<'FROM alpine:3.20'
w "$U" build -o "type=oci,dest=$(dest "$U" base),tar=false" "$scratch/work/base" || bail "whittle builds from the base" "$err"

cases=$scratch/cases
mkdir "$cases"
touch -d '1 minute ago' "$cases/began"
for area in "$tests_dir"/conformance/*.sh; do
	# shellcheck source=/dev/null
	[ "$area" = "$tests_dir/conformance/lib.sh" ] || . "$area"
done
case_done
[ -z "${CASES:-}" ] || read -ra case_names <<<"$CASES"

export TMPDIR=$fast GOMAXPROCS=1 # there are two lanes
build_lane 0 &
build_lane 1 &
wait
judge_cases
done_testing
