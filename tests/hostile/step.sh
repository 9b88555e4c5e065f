#!/bin/bash
# A step that attacks its walls: attack.c tries every row from inside, as root of the step, and none may give way. One
# line per row says which hole of other builders and runtimes it is about.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

rows=(
	"proc1                 CVE-2019-5736: nothing of pid 1 can be opened, its program above all"
	"ptrace-init           CVE-2016-9962: pid 1 cannot be traced, read or have its descriptors taken"
	"signal-init           pid 1 cannot be killed from inside"
	"outer-processes       CVE-2021-3602: no environ or cmdline in /proc tells a secret of the host"
	"inherited-descriptors CVE-2024-21626: no descriptor above 2, no folder among them"
	"tiocsti               CVE-2017-5226, CVE-2019-10063: no typing into a terminal, high bits or not"
	"keyrings              keyrings of the user are out of reach"
	"abstract-socket       CVE-2020-15257: an abstract socket of the host cannot be connected to"
	"path-socket           neither can one with a path"
	"host-files            a file of the host has no path, however many .. it has"
	"nested-namespaces     CVE-2022-0185: no new namespace by unshare, clone, clone3 or setns"
	"mounting              CVE-2025-52881: no mount, and no cover of /proc can be taken off"
	"release-agent         CVE-2022-0492, CVE-2023-25809: no control group can be written or mounted"
	"socket-families       CVE-2026-31431: no AF_ALG, AF_VSOCK, packet or raw socket"
	"file-handles          CVE-2014-3519 (shocker): no file by its handle"
	"kernel-surface        no bpf, userfaultfd, perf, io_uring, kexec, module, reboot, clock"
	"kernel-knobs          no knob of /proc/sys, /sys, sysrq can be written"
	"masked-paths          CVE-2025-31133: what is covered is covered by the null device and an empty folder"
	"chroot-escape         chroot twice and go up: still the step's root"
	"device-nodes          no device that mknod makes can be read"
	"core-dump             no core dump, and the limit cannot be raised"
	"capabilities          CVE-2022-24769: nothing inheritable or ambient, nothing beyond the build set"
	"system-v-ipc          shared memory of the host is not there"
	"network-settings      interfaces of the host cannot be changed"
	"exhaust-dev           /dev is full long before the machine's memory"
	"exhaust-shm           so is /dev/shm"
	"oom-score             the step goes before the desktop does, and cannot change that"
)

canary=$scratch/canary
mkdir -m 0777 "$canary"
echo canary-secret >"$canary/file"
chmod 0666 "$canary/file"
canary_state() { find "$canary" -printf '%p %y %m %U:%G %T@ %n\n' | grep -v socket | sort; cat "$canary/file"; }
name=whittle-hostile-$$
key=$((0x57000000 + $$))

# The host's own things that a step must not reach: a listener on each kind of socket, a shared memory segment.
cat >"$scratch/host.py" <<'END'
import ctypes, os, select, socket, sys
path, name, key = sys.argv[1], sys.argv[2], int(sys.argv[3])
libc = ctypes.CDLL(None, use_errno=True)
shm = libc.shmget(key, 4096, 0o1666)
here, there = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
here.bind(path)
os.chmod(path, 0o777)
there.bind("\0" + name)
here.listen()
there.listen()
print("ready", flush=True)
while True:
    ready = select.select([here, there, 0], [], [])[0]
    if 0 in ready:
        break
    for s in ready:
        s.accept()
        print("REACHED", "path" if s is here else "abstract", flush=True)
libc.shmctl(shm, 0, None)
END

context attack <<END
FROM alpine:3.20
COPY attack /attack
RUN mkdir -p /tmp /mnt /r && (while :; do sleep 60; done &) ; /attack $canary/socket $canary/file $key $name > /r/rows 2>&1; true
RUN ["/attack", "$canary/socket", "$canary/file", "$key", "$name"]
RUN cp /bin/busybox /suid && chmod 6755 /suid && chmod 1777 /r
END
gcc -O1 -static -o attack/attack "$tests_dir/hostile/attack.c" || bail "the attacks can be compiled"
chmod 755 attack/attack
umask 022

for user in "${users[@]}"; do
	need_alpine "$user"
	rm -f "$canary/socket"
	mkfifo "$scratch/stop"
	(exec_as "$user" /usr/bin/python3 "$scratch/host.py" "$canary/socket" "$name" "$key" <"$scratch/stop" >"$scratch/host.out" 2>&1) &
	host_pid=$!
	kill_at_exit+=("$host_pid")
	exec 8>"$scratch/stop"
	wait_for 10 grep -q ready "$scratch/host.out" || bail "$user: the host's sockets listen" "$(cat "$scratch/host.out")"
	before=$(canary_state)
	hostname_before=$(hostname)
	layout=$(dest "$user" attack)
	user_env=(LEAKED=canary-secret)
	runs "$user: a step attacks" "$user" build --progress plain --label who=canary-secret --no-cache \
		-o "type=oci,dest=$layout,tar=false" attack || continue
	user_env=()
	result=$(cat_in "$layout" /r/rows)
	for row in "${rows[@]}"; do
		read -r id about <<<"$row"
		if grep -qx "held $id" <<<"$result" && ! grep -q "BROKEN $id$" <<<"$err"; then
			pass "$user: $id: $about"
			grep -A1 -x "row $id" <<<"$result" | sed -n 's/^- /# /p'
		else
			fail "$user: $id: $about" "$(grep -A2 -x "row $id" <<<"$result")" "$(grep -B1 "BROKEN $id$" <<<"$err")"
		fi
	done
	is "$(grep -c '^row ' <<<"$result")" "${#rows[@]}" "$user: every row was tried"
	is "$(canary_state)" "$before" "$user: the canary is untouched"
	is "$(hostname)" "$hostname_before" "$user: so is the name of the host"
	is "$(cat "$scratch/host.out")" ready "$user: nobody came to the host's sockets"
	unlike "$err" 'canary-secret' "$user: the secret of the environment was not printed"
	is "$(find "$scratch/$user/store" -perm /6000 -type f -user root 2>/dev/null)" "" \
		"$user: setuid files that a step leaves belong to nobody who matters"
	for other in "${users[@]}"; do
		[ "$other" != "$user" ] || continue
		not "$user: and $other cannot reach them" as_user "$other" find "$scratch/$user/store" -name suid
	done
	exec 8>&-
	wait "$host_pid"
	rm -f "$scratch/stop"
	ok "$user: no process is left" no_whittles
done
done_testing
