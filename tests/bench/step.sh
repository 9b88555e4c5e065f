#!/bin/bash
# What one RUN step costs: 30 of them less 1 of them, divided by 29; against the same with buildah.
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"

arch=$(host_arch)
need_alpine "$U"
for n in 1 30; do
	context "steps$n" < <(
		echo FROM alpine:3.20
		for ((i = 0; i < n; i++)); do echo 'RUN ["/bin/true"]'; done
	)
done
per_step() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.0f", (a - b) / 29 }'; }

# shellcheck disable=SC2016 # for the user's shell
true_cost=$(as_user "$U" bash -c "$clock_loop" clock 50 /bin/true | middle)
for user in "${users[@]}"; do
	[ "$user" = "$U" ] || need_alpine "$user"
	one=$(median_as "$user" 5 "$WHITTLE" build -q --no-cache steps1)
	thirty=$(median_as "$user" 5 "$WHITTLE" build -q --no-cache steps30)
	mine=$(per_step "$thirty" "$one")
	diag "$user: 1 step $(ms "$one"), 30 steps $(ms "$thirty"): $(ms "$mine") a step (true alone: $(ms "$true_cost"))"
	[ "$user" = "$U" ] && first=$mine
	mark "a RUN step as $user" "$(awk -v u="$mine" 'BEGIN { printf "%.1f", u / 1000 }')" 15 ms
done
if buildah_ready && buildah_import "$fixture" alpine:3.20 "$arch"; then
	one=$(median 2 "${peer[@]}" build --pull=never --isolation chroot --network host --layers --no-cache -q steps1)
	thirty=$(median 2 "${peer[@]}" build --pull=never --isolation chroot --network host --layers --no-cache -q steps30)
	theirs=$(per_step "$thirty" "$one")
	diag "buildah (--layers, chroot): 1 step $(ms "$one"), 30 steps $(ms "$thirty"): $(ms "$theirs") a step, $(ratio "$theirs" "$first") times whittle's"
else
	diag "buildah: $reason"
fi
done_testing
