#!/bin/bash
# --memory, --cpus and --cpuset-cpus in a part of cgroup v2 that root has delegated to the user. Which controllers there
# are is the host's: what is there must work, what is not must be refused by its name.
if [ "$(id -u)" = 0 ] && [ ! -e /sys/fs/cgroup/cgroup.controllers ] && [ -z "${CGROUP_ALONE:-}" ]; then
	# beside cgroup v1, or nowhere: in a namespace of this test it is where whittle looks
	# shellcheck disable=SC2016 # for the inner shell
	CGROUP_ALONE=1 exec unshare -m --propagation private bash -c \
		'mount -t cgroup2 cgroup2 /sys/fs/cgroup; exec bash "$0"' "$0"
fi
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

root=/sys/fs/cgroup
group=$root/whittle-test-$$
[ -n "$as_root" ] || skip_all "only root can delegate a cgroup"
mkdir "$group" 2>/dev/null || skip_all "this host lets nobody make a cgroup (container without a writable $root)"
for controller in cpu cpuset memory; do
	echo "+$controller" >"$root/cgroup.subtree_control"
	echo "+$controller" >"$group/cgroup.subtree_control"
done 2>/dev/null
mkdir "$group"/{shell,steps,own}
before=$(sed -n s/^0:://p /proc/self/cgroup)
has() { grep -qw "$1" "$group/steps/cgroup.controllers"; }
diag "controllers here: $(cat "$group/steps/cgroup.controllers")"

context limited <<'END'
FROM alpine:3.20
RUN for f in /sys/fs/cgroup/whittle-test-*/steps/whittle-*/*; do \
		case $f in */memory.max | */cpu.max | */cpuset.cpus) echo "${f##*/} $(cat $f)" ;; esac; \
	done >/limits; grep Cpus_allowed_list /proc/self/status | cut -f 2 >/processors
END
context spinning <<'END'
FROM alpine:3.20
RUN timeout 2 sh -c 'while :; do :; done'; cat /sys/fs/cgroup/whittle-test-*/steps/whittle-*/cpu.stat >/stat
END
context hungry <<'END'
FROM alpine:3.20
RUN head -c 300000000 /dev/zero | tail >/dev/null
END
context waiting <<'END'
FROM alpine:3.20
RUN sleep 86397
END
groups_left() { find "$group/steps" "$group/own" -mindepth 1 -type d; }
sleepers() { pgrep -f '^sleep 86397$'; }

for user in "${users[@]}"; do
	need_alpine "$user"
	chown -R "$user" "$group"
	echo $$ >"$group/shell/cgroup.procs"
	layout=$(dest "$user" limited)
	limit() { # limit DESCRIPTION OPTION...: the steps of a build see what is set
		runs "$user: $1" "$user" build --no-cache --cgroup-parent "/${group##*/}/steps" "${@:2}" \
			-o "type=oci,dest=$layout-$2,tar=false" limited
		seen=$(cat_in "$layout-$2" /limits)
		is "$(groups_left)" "" "$user: $1: no group is left"
	}
	refuse() { # refuse CONTROLLER OPTION...
		fails 10 "$user: a host without the $1 controller" "$user" build --no-cache --cgroup-parent "/${group##*/}/steps" \
			"${@:2}" limited
		like "$err" "the $1 controller" "$user: it is named"
	}
	if has cpu; then
		limit "--cpus" --cpus 0.25
		like "$seen" 'cpu.max 25000 100000' "$user: --cpus is what the kernel keeps to (fact 204)"
		layout=$(dest "$user" spinning)
		runs "$user: a step that wants more" "$user" build --no-cache --cgroup-parent "/${group##*/}/steps" --cpus 0.25 \
			-o "type=oci,dest=$layout,tar=false" spinning
		ok "$user: is held back" test "$(cat_in "$layout" /stat | awk '$1 == "nr_throttled" { print $2 }')" -gt 3
		(echo $BASHPID >"$group/own/cgroup.procs" && exec_as "$user" "$WHITTLE" build -q --no-cache --cpus 0.5 limited \
			>"$scratch/log" 2>&1)
		is "$?$(groups_left)$(cat "$group/own/cgroup.subtree_control" "$group/own/cgroup.procs")" 0 \
			"$user: in the group that it is started in, which it leaves as it was" || diag "$(cat "$scratch/log")"
	else
		refuse cpu --cpus 0.25
	fi
	if has cpuset; then
		layout=$(dest "$user" cpuset)
		limit "--cpuset-cpus" --cpuset-cpus 0
		is "$(cat_in "$layout---cpuset-cpus" /processors)" 0 "$user: --cpuset-cpus is what the kernel keeps to"
	else
		refuse cpuset --cpuset-cpus 0
	fi
	if has memory; then
		limit "--memory" --memory 64m
		like "$seen" 'memory.max 67108864' "$user: --memory is what the kernel keeps to (fact 204)"
		fails 5 "$user: a step that wants more memory" "$user" build --no-cache --cgroup-parent "/${group##*/}/steps" \
			--memory 64m hungry
		like "$err" 'out of memory' "$user: is said to have been killed for it"
	else
		refuse memory --memory 64m
	fi
	for controller in cpu memory; do
		has $controller || continue
		option=(--cpus 1)
		[ $controller = cpu ] || option=(--memory 64m)
		(exec_as "$user" "$WHITTLE" build -q --no-cache --cgroup-parent "/${group##*/}/steps" "${option[@]}" waiting \
			>"$scratch/log" 2>&1) &
		ok "$user: a step waits under ${option[*]}" wait_for 20 sleepers
		kill -KILL $!
		wait $! 2>/dev/null
		ok "$user: killed with its builder" wait_for 2 no_whittles
		runs "$user: the next build" "$user" build -q --no-cache --cgroup-parent "/${group##*/}/steps" "${option[@]}" limited
		is "$(groups_left)" "" "$user: removes the group that was left"
	done
	fails 10 "$user: a group of somebody else" "$user" build --no-cache --cgroup-parent / --memory 64m --cpus 1 limited
done
echo $$ >"$root$before/cgroup.procs"
rmdir "$group"/{shell,steps,own} "$group"
done_testing
