#!/bin/bash
# Limits of steps, steps that misbehave, and that everything of a build dies within a second when it is to.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

need_alpine "$U"
mark=$((100000 + $$)) # seconds: nobody else sleeps so long
sleepers() { pgrep -f "^sleep $mark\$"; }
no_sleepers() { ! sleepers; }

# --- process limits and /dev/shm ----------------------------------------------------------------------------------------
context limits <<'END'
FROM alpine:3.20
ARG CASE
RUN mkdir /f; cat /proc/self/limits > /f/limits; df -k /dev/shm | tail -n 1 | awk '{ print $2 }' > /f/shm; \
	head -c 3000000 /dev/zero > /dev/shm/big 2> /dev/null; wc -c < /dev/shm/big > /f/big; true
END
limit() { cat_in "$layout" /f/limits | sed -n "s/^$1  *\([^ ]*\)  *\([^ ]*\).*/\1 \2/p"; }
for user in "${users[@]}"; do
	[ "$user" = "$U" ] || need_alpine "$user"
	layout=$(dest "$user" limits)
	runs "$user: a build without limits" "$user" build --progress plain -o "type=oci,dest=$layout,tar=false" limits
	is "$(limit 'Max core file size')" "0 0" "$user: no core dumps"
	is "$(cat_in "$layout" /f/shm)" 65536 "$user: /dev/shm is 64 MiB"
	layout=$(dest "$user" limits)
	runs "$user: a build with limits" "$user" build --progress plain --ulimit nofile=100:200 --ulimit nproc=4000 --ulimit fsize=123456789 \
		--ulimit core=4096 --ulimit locks=5 --ulimit stack=4194304:8388608 --shm-size 2m -o "type=oci,dest=$layout,tar=false" limits
	is "$(limit 'Max open files')" "100 200" "$user: soft and hard limit (fact 204)"
	is "$(limit 'Max processes')" "4000 4000" "$user: one number is both"
	is "$(limit 'Max file size')" "123456789 123456789" "$user: fsize"
	is "$(limit 'Max core file size')" "4096 4096" "$user: core, where it is asked for"
	is "$(limit 'Max stack size')" "4194304 8388608" "$user: stack"
	is "$(cat_in "$layout" /f/shm)" 2048 "$user: --shm-size (fact 204)"
	is "$(cat_in "$layout" /f/big)" 2097152 "$user: and no more fits"
done
hard=$(as_user "$U" sh -c 'ulimit -Hn')
if [ "$hard" != unlimited ]; then
	fails 10 "a limit above the user's own" "$U" build --ulimit nofile=$((hard + 1)) limits
	like "$err" "above the hard limit of this user, which is $hard .*limits.conf" "names it and the mend"
fi
for bad in nofile nofile= nofile=x =5 files=5 nofile=5:4 nofile=1:2:3 nofile=-2 nofile=99999999999999999999; do
	fails 2 "--ulimit $bad" "$U" build --ulimit "$bad" limits
done
for bad in "--shm-size 0" "--shm-size 1x" "--shm-size -1" "--memory 1m" "--memory-swap 1g" "--memory 1g --memory-swap 512m" "--cpus 0" \
	"--cpus two" "--cpus 1 --cpu-quota 5000" "--cpu-period 5000" "--cpu-quota 5" "--cpuset-cpus a-b" "--cgroup-parent /x"; do
	# shellcheck disable=SC2086 # the words are apart
	fails 2 "$bad" "$U" build $bad limits
done
w "$U" build --progress plain limits
runs "a build under other limits" "$U" build --progress plain --ulimit nofile=64 limits
unlike "$err" $'RUN mkdir[^\n]*\n#[0-9]+ CACHED' "is not cached: they are part of the key"
runs "whittle run under limits" "$U" run --ulimit nofile=77 --shm-size 1m alpine:3.20 sh -c 'ulimit -n; df -k /dev/shm | tail -n 1 | awk "{ print \$2 }"'
is "$out" $'77\n1024' "has them"

# --- memory and processors need a delegated cgroup ----------------------------------------------------------------------
context small <<'END'
FROM alpine:3.20
RUN true
END
if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then
	fails 10 "--memory on a host without cgroup v2" "$U" build --no-cache --memory 64m small
	like "$err" 'limits need cgroup v2.*unified_cgroup_hierarchy' "says what is missing and how to get it"
	fails 10 "--cpus" "$U" build --no-cache --cpus 1.5 small
elif [ "$(as_user "$U" sh -c 'test -w /sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup) && echo yes')" != yes ]; then
	fails 10 "--memory in a cgroup that is not delegated" "$U" build --no-cache --memory 64m small
	like "$err" 'systemd-run --user --scope -p Delegate=yes' "says how to get one"
else
	context hungry <<'END'
FROM alpine:3.20
RUN head -c 300000000 /dev/zero | tail > /dev/null
END
	runs "--memory in a delegated cgroup" "$U" build --no-cache --memory 64m small
	fails 5 "a step that wants more memory" "$U" build --no-cache --memory 64m hungry
	like "$err" 'out of memory' "is said to have been killed for it (fact 204)"
fi

# --- steps that misbehave -------------------------------------------------------------------------------------------------
# misbehaves DESCRIPTION SECONDS COMMAND [OPTION...]: the build ends in time, with whatever status, and nothing is left
misbehaves() {
	printf 'FROM alpine:3.20\nRUN %s\n' "$3" >small/Dockerfile
	SECONDS=0
	w "$U" build --progress plain --no-cache "${@:4}" small
	ok "$1: the build ends in time" test $SECONDS -le "$2"
	ok "$1: nothing of it is left" wait_for 2 no_whittles
}
misbehaves "forks for ever" 60 'f() { f & f; }; f; sleep 1; exit 7' --ulimit nproc=150
misbehaves "closes its descriptors" 20 'exec 0<&- 1>&- 2>&-; sleep 0.5; exit 5'
is "$status" 4 "closes its descriptors: its status arrives all the same"
misbehaves "fills /dev/shm" 20 'cat /dev/zero > /dev/shm/x; cat /dev/zero > /dev/shm/y; true' --shm-size 1m
is "$status" 0 "fills /dev/shm: and is told that it is full"
misbehaves "writes a file beyond its limit" 20 'cat /dev/zero > /tmp/x' --ulimit fsize=1000000
is "$status" 4 "writes a file beyond its limit: fails"
misbehaves "ends with a stopped child" 20 '(sleep 86000 & echo $! > /tmp/pid; kill -STOP $(cat /tmp/pid)); true'
is "$status" 0 "ends with a stopped child: well"
misbehaves "leaves 500 zombies" 60 'for i in $(seq 500); do (true &) ; done; true'
is "$status" 0 "leaves 500 zombies: well"

# --- a gigabyte of log ------------------------------------------------------------------------------------------------
# The engine's own memory is what is bounded; VmHWM of a process that has one more line to write.
log_case() { # log_case DESCRIPTION COMMAND: sets peak (KiB) and size (bytes of output)
	printf 'FROM alpine:3.20\nRUN %s; sleep %s\n' "$2" $mark >small/Dockerfile
	mkfifo "$scratch/log.fifo"
	wc -c <"$scratch/log.fifo" >"$scratch/log.size" &
	local counter=$! pid
	(exec_as "$U" "$WHITTLE" build --progress plain --no-cache small 2>"$scratch/log.fifo") &
	pid=$!
	wait_for 240 sleepers || fail "$1: the step comes to its end"
	peak=$(sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\).*/\1/p' "/proc/$pid/status")
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null
	wait "$counter"
	size=$(cat "$scratch/log.size")
	rm -f "$scratch/log.fifo"
	diag "$1: peak memory of the engine $peak KiB, $((size / 1000000)) MB written"
}
log_case "a gigabyte of lines" "yes 'a line of the log, as compilers write them by the thousand, and more of it' | head -c 1000000000"
ok "a gigabyte of lines: all of it is handed on" test "$size" -gt 1000000000
ok "a gigabyte of lines: the engine stays under 32 MiB" test "${peak:-99999}" -lt 32768
log_case "a gigabyte without a line break" "head -c 1000000000 /dev/zero | tr '\\0' x"
ok "a gigabyte without a line break: all of it is handed on" test "$size" -gt 1000000000
ok "a gigabyte without a line break: the engine stays under 32 MiB" test "${peak:-99999}" -lt 32768

# --- the end, within a second --------------------------------------------------------------------------------------------
# A thousand sleepers once; with fewer for the rest, because starting them takes a loaded machine half a minute.
stubborn() {
	context stubborn <<END
FROM alpine:3.20
RUN trap '' TERM INT HUP QUIT; for i in \$(seq $crowd); do sleep $mark & done; \\
	for i in \$(seq 20); do (while :; do sleep 0.01 & wait; done) & done; \\
	(setsid sh -c 'sleep $mark & kill -STOP \$!; kill -STOP \$\$' &); echo all-run; kill -STOP \$\$; wait
END
}
all_run() { [ "$(sleepers | wc -l)" -ge "$crowd" ] && grep -q all-run "$scratch/stubborn.log"; }
# everything of the test's own builds, whatever it is called: no process is in a pid namespace of theirs
children_of() { # children_of PID: its children, by number
	ps -o pid= --ppid "$1" | tr -d ' '
}
start_stubborn() { # sets engine, holder, supervisor, init
	stubborn
	(exec_as "$U" "$WHITTLE" build --progress plain --no-cache stubborn >"$scratch/stubborn.log" 2>&1) &
	engine=$!
	wait_for 60 all_run || fail "$1: the step starts" "$(tail -n 3 "$scratch/stubborn.log")"
	holder=$(children_of "$engine" | head -n 1)
	supervisor=$(children_of "$holder" | head -n 1)
	init=$(children_of "$supervisor" | head -n 1)
	namespace=$(readlink "/proc/$init/ns/pid_for_children" 2>/dev/null || readlink "/proc/$init/ns/pid")
}
nothing_lives() {
	no_sleepers >/dev/null && no_whittles &&
		! find /proc -maxdepth 3 -path '/proc/[0-9]*/ns/pid' -lname "$namespace" 2>/dev/null | grep -q .
}
# Sends the signal(s) and watches every process of the build by its pidfd: looking through /proc takes a loaded machine
# longer than the dying does. Prints the milliseconds until the last was dead.
cat >"$scratch/die.py" <<'END'
import os, select, signal, sys, time
signals, target, pids = sys.argv[1].split("+"), int(sys.argv[2]), set(map(int, sys.argv[2:]))
poll, left = select.poll(), {}
for pid in pids:
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        continue
    left[fd] = pid
    poll.register(fd, select.POLLIN)
start = time.monotonic()
for s in signals:
    os.kill(target, getattr(signal, "SIG" + s))
while left and time.monotonic() < start + 30:
    for fd, _ in poll.poll(1000):
        poll.unregister(fd)
        del left[fd]
print(int((time.monotonic() - start) * 1000) if not left else "still there: %s" % list(left.values())[:5])
END
# A machine with more to do than processors gives each process the smaller part of a second.
allowed() { awk -v n="$(nproc)" '{ f = $1 / n; print int(1000 * (f < 1 ? 1 : f > 10 ? 10 : f)) }' /proc/loadavg; }
# dies DESCRIPTION SIGNAL[+SIGNAL] PID: everything is dead within a second of that
dies() {
	local took limit
	limit=$(allowed)
	# shellcheck disable=SC2046 # numbers
	took=$(/usr/bin/python3 "$scratch/die.py" "$2" "$3" "$engine" $(whittles) $(sleepers))
	diag "$1: $took ms (allowed, as busy as this machine is: $limit)"
	if [ "$took" -lt "$limit" ] 2>/dev/null; then pass "$1: everything is dead within a second"; else fail "$1: everything is dead within a second" "$took"; fi
	ok "$1: and nothing new has come up" wait_for 20 nothing_lives
}
crowd=1000
for signal in INT TERM HUP; do
	start_stubborn "SIG$signal"
	dies "SIG$signal to whittle" $signal "$engine"
	wait "$engine"
	is $? "$((128 + $(kill -l $signal)))" "SIG$signal: the exit status"
	like "$(cat "$scratch/stubborn.log")" 'CANCELED' "SIG$signal: the step is said to be cancelled"
	crowd=50
done
for victim in engine holder supervisor init; do
	start_stubborn "SIGKILL of the $victim"
	dies "SIGKILL of the $victim" KILL "${!victim}"
	wait "$engine" 2>/dev/null
	isnt $? 0 "SIGKILL of the $victim: the build fails"
done
start_stubborn "two signals" # two of a kind may arrive as one
dies "two signals" TERM+INT "$engine"
wait "$engine" 2>/dev/null

# the grace: a program that cleans up on SIGTERM has the time to, and its signal is that of the whole group
context graceful <<END
FROM alpine:3.20
RUN --network=none trap 'echo cleaned-up; exit 0' TERM; sleep $mark & echo step-runs; wait
END
(exec_as "$U" setsid "$WHITTLE" build --progress plain --no-cache graceful >"$scratch/graceful.log" 2>&1) &
engine=$!
wait_for 20 grep -q step-runs "$scratch/graceful.log"
kill -TERM -- "-$engine" # as timeout(1) does it: the whole group
wait "$engine"
is $? 143 "a step that cleans up: the status of whittle"
like "$(cat "$scratch/graceful.log")" 'cleaned-up' "it had the time to"
ok "and nothing is left" wait_for 1 no_sleepers

# whittle run: ten seconds, and the signal is handed on
(exec_as "$U" "$WHITTLE" run alpine:3.20 sh -c "trap 'sleep 2; echo cleaned-up; exit 0' TERM; sleep $mark & echo runs; wait" >"$scratch/run.log" 2>&1) &
engine=$!
wait_for 20 grep -q '^runs' "$scratch/run.log"
kill -TERM "$engine"
wait "$engine"
is $? 143 "whittle run: the status"
like "$(cat "$scratch/run.log")" 'cleaned-up' "whittle run: a program has longer"
is "$(mounts_below "$scratch")" "" "no mount is left on the host"
done_testing
