#!/bin/bash
# Ctrl-C and SIGKILL in each phase: the next build works, and nothing of the killed one is left.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

need_alpine "$U"
arch=$(host_arch)
mark=86398

# start CONTEXT [FLAG...]: whittle build in the background, in a process group of its own; sets pid and log
start() {
	log=$scratch/$RANDOM.log
	(exec_as "$U" setsid "$WHITTLE" build --progress plain "${@:2}" "$1" >"$log" 2>&1) &
	pid=$!
}
says() { grep -q "$1" "$log"; }
left_behind() {
	whittles
	pgrep -f "^sleep $mark\$"
	mounts_below "$scratch"
}
nothing_left() { [ -z "$(left_behind)" ]; }
# whole_again DESCRIPTION: nothing runs, nothing is mounted, the next build works and leaves no temporary file
whole_again() {
	ok "$1: no process and no mount stays" wait_for 3 nothing_left
	[ -z "$(left_behind)" ] || diag "$(left_behind)"
	runs "$1: the next build works" "$U" build --progress plain -t next:1 next
	is "$(as_user "$U" find "$scratch/$U/store/tmp" -mindepth 1 -not -name 'partial-*' 2>/dev/null | wc -l)" 0 \
		"$1: no temporary file stays in its store"
	runs "$1: images" "$U" images
	unlike "$out" 'killed' "$1: nothing of the killed build is visible"
}

context next <<'END'
FROM alpine:3.20
RUN echo next > /next
END

# --- a step -----------------------------------------------------------------------------------------------------
context step <<END
FROM alpine:3.20
RUN echo step-runs; trap 'echo caught' INT TERM; sleep $mark & wait; sleep $mark
END
for signal in INT TERM; do
	start step -t killed:1
	wait_for 20 says step-runs || fail "the step starts" "$(cat "$log")"
	kill -$signal "$pid"
	SECONDS=0
	# a step that ignores the request is killed after its grace
	wait "$pid"
	code=$?
	is "$code" "$([ $signal = INT ] && echo 130 || echo 143)" "SIG$signal: its exit status"
	ok "SIG$signal: in time" test "$SECONDS" -le 15
	whole_again "SIG$signal in a step"
done
start step -t killed:1
wait_for 20 says step-runs
kill -INT "$pid"
kill -INT "$pid"
SECONDS=0
wait "$pid"
is "$?" 130 "a second SIGINT: its exit status"
ok "does not wait" test "$SECONDS" -le 6
whole_again "a second SIGINT"

# --- SIGKILL in each phase ---------------------------------------------------------------------------------------
# base.tar: large enough that unpacking it takes a while
fixture alpine "$arch"
mkdir big && gzip -dc "$fixture" >big.tar
for i in $(seq 40); do head -c 4000000 /dev/urandom >"big/$i"; done
tar -rf big.tar big
rm -rf big

# kill_when DESCRIPTION CONDITION...: kill -9 the running whittle as soon as the condition holds
kill_when() {
	local desc=$1
	shift
	if wait_for 30 "$@"; then
		kill -KILL "$pid" 2>/dev/null
		pass "$desc: it was caught in the act"
	else
		kill -KILL "$pid" 2>/dev/null
		fail "$desc: it was caught in the act" "$(tail -n 5 "$log")"
	fi
	wait "$pid" 2>/dev/null
	whole_again "$desc"
}
tmp_holds() { [ "$(as_user root find "$scratch/$U/store/tmp" -type f -size +1000k 2>/dev/null | wc -l)" -gt 0 ]; }
tmp_has_files() { [ "$(as_user root find "$scratch/$U/store/tmp" -mindepth 2 2>/dev/null | wc -l)" -gt 2 ]; }
if [ -z "$as_root" ]; then
	tmp_holds() { [ "$(find "$scratch/$U/store/tmp" -type f -size +1000k 2>/dev/null | wc -l)" -gt 0 ]; }
	tmp_has_files() { [ "$(find "$scratch/$U/store/tmp" -mindepth 2 2>/dev/null | wc -l)" -gt 2 ]; }
fi

log=$scratch/import.log
(exec_as "$U" "$WHITTLE" import big.tar killed:base --platform "linux/$arch" >"$log" 2>&1) &
pid=$!
kill_when "SIGKILL while importing" tmp_holds

runs "the big base" "$U" import big.tar big:1 --platform "linux/$arch" --cmd /bin/sh
context unpack <<'END'
FROM big:1
RUN echo step-runs
END
start unpack -t killed:1
kill_when "SIGKILL while unpacking" tmp_has_files

start step -t killed:1
kill_when "SIGKILL in a step" says step-runs

context copy <<'END'
FROM alpine:3.20
COPY many /many
RUN true
END
mkdir copy/many
for i in $(seq 30); do head -c 4000000 /dev/urandom >"copy/many/$i"; done
start copy -t killed:1
kill_when "SIGKILL in a COPY" tmp_has_files

start copy -o "type=oci,dest=$scratch/$U/out/killed.tar"
kill_when "SIGKILL while exporting" test -n "$(sleep 0.6; echo now)"
is "$(find "$scratch/$U/out" -name 'killed.tar' -size -1000k | wc -l)" 0 "no half output under its final name"

if start_registry; then
	runs "a push to pull from" "$U" build --progress plain --push -t "localhost:$registry_port/big:1" unpack
	new_store "$U"
	need_alpine "$U"
	printf 'FROM localhost:%s/big:1\nRUN true\n' "$registry_port" >unpack/Dockerfile
	start unpack -t killed:1
	kill_when "SIGKILL while pulling" tmp_holds
	runs "the pull is taken up again" "$U" build --progress plain unpack
else
	skip "SIGKILL while pulling" "$reason"
fi
done_testing
