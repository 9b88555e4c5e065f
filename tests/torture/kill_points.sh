#!/bin/bash
# SIGKILL at many points of one build, one after the other into the same store; after each the store is whole: the
# next build works and gives the digest that an undisturbed build gives.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

points=${POINTS:-60}
user_env=(SOURCE_DATE_EPOCH=1700000000)
need_alpine "$U"
context ctx <<'END'
FROM alpine:3.20 AS a
COPY many /many
RUN cat /many/* > /all
FROM alpine:3.20
COPY --from=a /all /all
RUN rm -rf /etc/apk && echo done > /done
END
mkdir ctx/many
for i in $(seq 100); do head -c 100000 /dev/urandom >"ctx/many/$i"; done

layout=$(dest "$U" undisturbed)
SECONDS=0
start=${EPOCHREALTIME/./}
runs "the build undisturbed" "$U" build --progress plain -o "type=oci,dest=$layout,tar=false" ctx || bail "it works at all"
whole=$((${EPOCHREALTIME/./} - start))
wanted=$(image_digest "$layout")

for ((n = 1; n <= points; n++)); do
	# every third time from nothing, else on top of what the last one left
	if [ $((n % 3)) -eq 1 ]; then
		new_store "$U"
		need_alpine "$U"
	fi
	layout=$(dest "$U" killed)
	after=$(awk -v w=$whole -v n="$n" -v p="$points" 'BEGIN { printf "%.4f", w * n / p / 1e6 }')
	(exec_as "$U" "$WHITTLE" build --progress plain -o "type=oci,dest=$layout,tar=false" ctx >"$scratch/log" 2>&1) &
	pid=$!
	sleep "$after" # the point of the kill, not a wait for something
	kill -KILL "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	ok "killed after $after s: no process stays" wait_for 3 no_whittles
	layout=$(dest "$U" next)
	runs "killed after $after s: the next build works" "$U" build --progress plain -o "type=oci,dest=$layout,tar=false" ctx &&
		is "$(image_digest "$layout")" "$wanted" "killed after $after s: and gives the same digest"
done
runs "prune" "$U" prune
is "$(as_user "$U" find "$scratch/$U/store/tmp" -mindepth 1 2>/dev/null | wc -l)" 0 "no temporary file stays"
done_testing
