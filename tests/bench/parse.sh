#!/bin/bash
# Reading Dockerfiles and ignore files takes time in proportion to their length: each kind of input at 256 KiB and at
# 1 MiB, without and with build checks, and 200 patterns against 25,000 and 100,000 paths. Processor time is measured.
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"

parse=$O/bench/parse
[ -x "$parse" ] || bail "$parse has been built" "run make bench"

# linear KIND SMALL LARGE LIMIT DESCRIPTION: LARGE is four times SMALL and may take six times as long: caches are left, and LIMIT ms
linear() {
	local small large
	small=$("$parse" "$1" "$2") && large=$("$parse" "$1" "$3") || bail "parse $1 runs"
	diag "$5: $(ms "$small") and $(ms "$large")"
	mark "$5, four times as much" "$(ratio "$large" "$small")" 6 "times as long"
	mark "$5" "$(awk -v u="$large" 'BEGIN { printf "%.1f", u / 1000 }')" "$4" ms
}

for kind in continuations heredocs substitutions; do
	linear $kind $((256 << 10)) $((1 << 20)) 100 "1 MiB of $kind"
	linear $kind+ $((256 << 10)) $((1 << 20)) 250 "1 MiB of $kind with build checks"
done
linear ignore 25000 100000 500 "200 patterns over 100,000 paths"
done_testing
