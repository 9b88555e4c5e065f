#!/bin/bash
# What --storage fuse and copy cost against the kernel's overlay: a step that does nothing, and one that unpacks 20,000
# files. The base is Alpine; a copy costs more with a larger one.
# shellcheck source=tests/fuse.sh
. "$(dirname "$0")/../fuse.sh"
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"

kinds=(overlay copy)
if fuse_ready; then kinds+=(fuse); else diag "fuse: $reason"; fi
need_alpine "$U"
for n in 1 6; do
	context "steps$n" < <(
		echo FROM alpine:3.20
		for ((i = 0; i < n; i++)); do echo 'RUN ["/bin/true"]'; done
	)
done
context untar <<'END'
FROM alpine:3.20
COPY files.tar /
RUN mkdir /files && tar -x -C /files -f /files.tar
END
mkdir files
for ((d = 0; d < 200; d++)); do
	mkdir "files/$d"
	(cd "files/$d" && for ((f = 0; f < 100; f++)); do echo "$d $f" >"$f"; done)
done
tar -cf untar/files.tar -C files .

measure() { median_as "$U" 3 "$WHITTLE" build -q --no-cache --storage "$@"; }
declare -A step untar
for kind in "${kinds[@]}"; do
	one=$(measure "$kind" steps1)
	step[$kind]=$((($(measure "$kind" steps6) - one) / 5))
	untar[$kind]=$(measure "$kind" untar)
	diag "$kind: a step $(ms "${step[$kind]}"), a build that unpacks 20,000 files $(ms "${untar[$kind]}")"
done
for kind in "${kinds[@]:1}"; do
	mark "$kind: a step against the overlay's" "$(ratio "${step[$kind]}" "${step[overlay]}")" 200 times
	mark "$kind: unpacking 20,000 files against the overlay's" "$(ratio "${untar[$kind]}" "${untar[overlay]}")" 4 times
done
done_testing
