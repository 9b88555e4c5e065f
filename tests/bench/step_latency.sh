#!/bin/bash
# From the engine's request to the first instruction of a step's program, and to its end: whittle's sandbox, bubblewrap
# and crun side by side, each on the same root file system with the same static program that writes down the clock; and
# two lower bounds, the program alone ("plain") and in bare namespaces of a step's kinds ("floor").
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"

rounds=9 # of all of them in turn; ratios are made within a round, so that a change of the machine's mood meets each
runs=8   # of each in a round
harness=$scratch/bin/step_latency
[ -x "$O/bench/step_latency" ] || bail "$O/bench/step_latency has been built" "run make bench"
cp "$O/bench/step_latency" "$harness"

cat >"$scratch/tick.c" <<'END'
#include <time.h>
#include <unistd.h>
int main(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	unsigned long long ns = (unsigned long long)t.tv_sec * 1000000000 + t.tv_nsec;
	return write(1, &ns, sizeof(ns)) != sizeof(ns);
}
END
gcc -O2 -static -o "$scratch/bin/tick" "$scratch/tick.c" || bail "the program can be compiled"

# prepare USER: a store with one layer, and a bundle for crun with the same tree
prepare() {
	local d=$scratch/$1/latency
	rm -rf "$d"
	mkdir -p "$d/store/layer/"{proc,sys,dev,tmp,etc} "$d/bundle" "$d/state"
	cp "$scratch/bin/tick" "$d/store/layer/tick"
	: >"$d/store/layer/etc/hosts"
	: >"$d/store/layer/etc/resolv.conf"
	if command -v crun >/dev/null; then
		(cd "$d/bundle" && crun spec --rootless) && jq --arg root "$d/store/layer" \
			--argjson uid "$(id -u "$1")" --argjson gid "$(id -g "$1")" '
			.process.args = ["/tick"] | .process.terminal = false | .root.path = $root | .root.readonly = false |
			.linux.uidMappings = [{containerID: 0, hostID: $uid, size: 1}] |
			.linux.gidMappings = [{containerID: 0, hostID: $gid, size: 1}] | del(.linux.resources) |
			.linux.namespaces |= map(select(.type != "cgroup"))' "$d/bundle/config.json" >"$d/bundle/new" &&
			mv "$d/bundle/new" "$d/bundle/config.json"
	fi
	give "$1" "$d"
}

# fresh USER: empty uppers for the next round; those of the last belong to ids that only their namespace has
fresh() { rm -rf "$scratch/$1/latency/store/"{upper,work}*; }

# what USER NAME: the command line of each contestant
contest() {
	local d=$scratch/$1/latency
	case $2 in
	plain) echo spawn $runs "$d/store/layer/tick" ;;
	floor) echo floor $runs "$d/store/layer/tick" ;;
	whittle) echo steps "$d/store" layer $runs ;;
	bwrap) echo spawn $runs bwrap --unshare-user --unshare-pid --unshare-ipc --unshare-uts --uid 0 --gid 0 \
		--bind "$d/store/layer" / --proc /proc --dev /dev --ro-bind /sys /sys --die-with-parent /tick ;;
	crun) echo spawn $runs crun --cgroup-manager=disabled --root "$d/state" run -b "$d/bundle" "latency-$1" ;;
	esac
}

# measure USER NAME: one round of one contestant. crun refuses to start where cgroup v1 is mounted beside v2; root can
# show it v2 alone.
measure() {
	local command
	read -ra command < <(contest "$1" "$2")
	if [ "$2" = crun ] && [ -n "$as_root" ] && [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then
		# shellcheck disable=SC2016 # for the inner shell
		timeout 60 unshare -m --propagation private bash -c 'umount -l -R /sys/fs/cgroup &&
			mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec setpriv --reuid "$0" --regid "$0" --clear-groups "$@"' \
			"$1" "$harness" "${command[@]}"
	else
		as_user "$1" timeout 60 "$harness" "${command[@]}"
	fi
}

# beside A B: A's time to B's, the middle of the rounds
beside() {
	paste -d' ' "$scratch/middles.$1" "$scratch/middles.$2" | awk '$1 > 0 && $2 > 0 { printf "%.2f\n", $1 / $2 }' | middle
}

peers=(plain floor whittle)
for peer in bwrap crun; do
	if command -v $peer >/dev/null; then peers+=("$peer"); else diag "$peer is not installed"; fi
done

for user in "${users[@]}"; do
	prepare "$user"
	rm -f "$scratch"/times.* "$scratch"/middles.*
	for ((i = 0; i < rounds; i++)); do
		for peer in "${peers[@]}"; do
			fresh "$user"
			measure "$user" "$peer" >"$scratch/round" 2>"$scratch/latency.err" ||
				diag "$user: $peer: $(tail -n 2 "$scratch/latency.err")"
			cat "$scratch/round" >>"$scratch/times.$peer"
			cut -d' ' -f2 "$scratch/round" | middle >>"$scratch/middles.$peer"
		done
	done
	declare -A first=() whole=()
	for peer in "${peers[@]}"; do
		first[$peer]=$(cut -d' ' -f1 "$scratch/times.$peer" | middle)
		whole[$peer]=$(cut -d' ' -f2 "$scratch/times.$peer" | middle)
		[ -n "${whole[$peer]}" ] || continue
		diag "$user: $peer: first instruction after $(ms "${first[$peer]}"), ended after $(ms "${whole[$peer]}")" \
			"(least: $(ms "$(cut -d' ' -f2 "$scratch/times.$peer" | sort -n | head -n 1)"))"
	done
	for peer in bwrap crun; do
		[ -z "${whole[$peer]:-}" ] || diag "$user: $peer takes $(beside "$peer" whittle) times as long as whittle"
	done
	diag "$user: whittle takes $(beside whittle floor) times as long as the kernel for the bare namespaces and the program"
	[ -z "${whole[crun]:-}" ] || mark "$user: whittle's time to crun's" "$(beside whittle crun)" 0.5 ""
	mark "$user: request to end of the program" \
		"$(awk -v u="${whole[whittle]:-x}" 'BEGIN { printf "%.2f", u / 1000 }')" 5 ms
done
done_testing
