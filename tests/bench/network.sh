#!/bin/bash
# What the network of a step costs: builds of one and of ten steps on none and on private against the same on host.
if [ "$(id -u)" -eq 0 ] && [ "${OWN_TUN:-}" != 1 ]; then
	OWN_TUN=1 exec unshare --mount --propagation private bash "$0" "$@" # a /dev/net/tun that is open to all
fi
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"

if [ -n "$as_root" ]; then
	mknod -m 0666 "$scratch/tun" c 10 200 && mount --bind "$scratch/tun" /dev/net/tun
fi
command -v pasta >/dev/null || skip_all "pasta is not installed"
need_alpine "$U"
declare -A cost
for n in 1 10; do
	context "steps$n" < <(
		echo FROM alpine:3.20
		for ((i = 0; i < n; i++)); do echo 'RUN ["/bin/true"]'; done
	)
	for mode in host none private; do
		cost[$mode$n]=$(median_as "$U" 7 "$WHITTLE" build -q --no-cache --network $mode "steps$n")
	done
done
for mode in none private; do
	diag "$mode: 1 step $(ms "${cost[${mode}1]}") against $(ms "${cost[host1]}"), 10 steps $(ms "${cost[${mode}10]}") against $(ms "${cost[host10]}")"
	diag "$mode: a further step costs $(ratio "$((${cost[${mode}10]} - ${cost[${mode}1]}))" "$((${cost[host10]} - ${cost[host1]}))") times one on the host's network"
done
mark "ten steps on none" "$(ratio "${cost[none10]}" "${cost[host10]}")" 1.5 "times host"
mark "ten steps on a private network, its helper started once" "$(ratio "${cost[private10]}" "${cost[host10]}")" 4 "times host"
done_testing
