#!/bin/bash
# What a step sees, what it cannot do, and that nothing of it outlives it.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

user_env=(LEAKED_FROM_THE_HOST=secret)

context facts <<'END'
FROM alpine:3.20
ENV FROM_IMAGE=yes
ARG FROM_ARG=arg
RUN mkdir /f
RUN ["/bin/ls", "/proc/self/fd"]
RUN ls /proc/self/fd | tr '\n' ' ' > /f/fds; readlink /proc/self/fd/0 > /f/stdin
RUN env | grep -v '^PWD=\|^OLDPWD=\|^SHLVL=\|^_=' | sort > /f/env
RUN cat /proc/self/status > /f/status; cat /proc/self/uid_map > /f/uid_map; cat /proc/self/gid_map > /f/gid_map
RUN cat /proc/self/mountinfo > /f/mountinfo; ls -1 /dev > /f/dev; stat -c '%n %F %a %t,%T' /dev/* > /f/devstat
RUN ls -1 /proc | grep -c '^[0-9]' > /f/processes; echo $$ > /f/pid; ulimit -c > /f/core
RUN mknod /f/kmem c 1 2; for c in 'mount -t tmpfs x /mnt' 'mount -t proc x /mnt' 'head -c 1 /f/kmem | grep .' 'unshare -U true' 'unshare -m true' \
	'hostname changed' 'dmesg' 'chroot /proc/1/root true' 'ls /proc/1/fd' 'cat /proc/1/environ' 'readlink /proc/1/exe' \
	'sysctl -w kernel.hostname=x' 'sh -c "echo 1 > /proc/sys/kernel/panic"' 'sh -c "echo b > /proc/sysrq-trigger"' \
	'cat /proc/kcore' 'head -c 1 /proc/keys | grep .' 'sh -c ": > /sys/kernel/uevent_helper"' 'nice -n -5 true' 'adjtimex -f 1'; do \
	if sh -c "$c" > /dev/null 2>&1; then echo "$c"; fi; done > /f/allowed
RUN for c in 'chown 1:2 /f/owned' 'chmod 4755 /f/owned' 'mknod /f/null c 1 3' 'su nobody -s /bin/sh -c true' 'chroot / true' 'ls /proc/self/task' 'kill -0 $$' \
	'head -c 4 /dev/urandom' 'echo x > /dev/null' 'echo x > /dev/shm/t' 'echo x > /dev/stdout' 'sh -c "(exec 3<>/dev/ptmx)"' \
	'mkfifo /f/p' 'ln -s a /f/s' 'cat /etc/resolv.conf' 'cat /etc/hosts' 'wc -l /proc/mounts' 'ls /sys/class' 'setsid true' 'nice true' 'ip link'; do \
	touch /f/owned; sh -c "$c" > /dev/null 2>&1 || echo "$c"; done > /f/refused
END
# the first step makes its init and its /dev, the second finds them made
context twice <<'END'
FROM alpine:3.20
COPY look /
RUN sh /look >/one; touch /dev/left /dev/shm/left; sleep 1
RUN sh /look >/two; sleep 1
RUN --network=none ls /sys/class/net >/net; sleep 1
RUN --mount=type=tmpfs,target=/mnt/t,size=1m df -k /dev/shm /mnt/t | tail -n 2 | awk '{ print $2 }' >/sizes
END
cat >twice/look <<'END'
awk '{ print $5, $6, $(NF - 2) }' /proc/self/mountinfo | sort # by age otherwise
grep -E '^(Uid|Gid|Groups|Sig|Cap|NoNew|Seccomp)' /proc/self/status
cat /proc/self/limits /proc/self/oom_score_adj /proc/self/cgroup
ls /proc | grep '^[0-9]'
ls /proc/self/fd
stat -c '%A %u %g %t,%T %n' /dev/* /dev/shm/* /dev/mqueue
tr '\0' ' ' </proc/1/cmdline
hostname
umask
pwd
END

line() { sed -n "s/^$1:[[:space:]]*//p" <<<"$status_of_step"; }
for user in "${users[@]}"; do
	need_alpine "$user"
	layout=$(dest "$user" facts)
	runs "$user builds" "$user" build --progress plain -o "type=oci,dest=$layout,tar=false" facts || continue
	fact() { cat_in "$layout" "/f/$1" 2>/dev/null; }
	is "$(fact fds)" "0 1 2 3 " "$user: descriptors 0, 1, 2 and the folder being listed"
	is "$(grep -cE '^#[0-9]+ [0-9.]+ [0-9]+$' <<<"$err")" 4 "$user: the same with no shell between"
	is "$(fact stdin)" /dev/null "$user: stdin is /dev/null"
	environment=$(fact env)
	like "$environment" 'FROM_IMAGE=yes' "$user: the image's environment is there"
	like "$environment" 'FROM_ARG=arg' "$user: and the build argument"
	unlike "$environment" 'LEAKED|WHITTLE|TMPDIR|LC_ALL|USER=' "$user: and nothing of the host's"
	like "$environment" 'HOME=/root' "$user: HOME is the image's"
	status_of_step=$(fact status)
	is "$(line CapBnd)" 00000000a80425fb "$user: the bounding set is the build set"
	is "$(line CapInh) $(line CapAmb)" "0000000000000000 0000000000000000" "$user: nothing inheritable, nothing ambient"
	is "$(line CapEff)" 00000000a80425fb "$user: root has the build set"
	is "$(line Seccomp)" 2 "$user: a seccomp filter is on"
	is "$(line Uid)" $'0\t0\t0\t0' "$user: the step is root"
	is "$(fact pid)" "$(fact pid | grep -E '^[0-9]{1,2}$')" "$user: in a pid namespace of its own"
	ok "$user: with nobody else in it" test "$(fact processes)" -le 6
	is "$(fact core)" 0 "$user: without core dumps"
	is "$(fact allowed)" "" "$user: what a step must not do is refused"
	is "$(fact refused)" "" "$user: what builds do is allowed"
	is "$(fact dev | tr '\n' ' ')" "$(fact dev | grep -xE 'console|core|fd|full|mqueue|null|ptmx|pts|random|shm|stderr|stdin|stdout|tty|urandom|zero' | tr '\n' ' ')" \
		"$user: /dev holds the usual nodes and no other"
	like "$(fact devstat)" '/dev/null character special file 666 1,3' "$user: /dev/null is the null device"
	unlike "$(fact mountinfo)" "$scratch" "$user: mountinfo shows no path of the host"
	uid=$(id -u "$user")
	if [ "$(awk '{ n += $3 } END { print n }' <<<"$(fact uid_map)")" -gt 1 ]; then
		like "$(fact uid_map)" "^ *0 +($uid|0) +1" "$user: root is the user, the rest is mapped"
	else
		is "$(fact uid_map | awk '{ print $1, $3 }')" "0 1" "$user: one id is mapped"
	fi
	case $user in
	wt-subid) is "$(awk '{ n += $3 } END { print n }' <<<"$(fact uid_map)")" 65537 "$user: itself and its 65536 subordinate ids" ;;
	wt-single) is "$(awk '{ n += $3 } END { print n }' <<<"$(fact uid_map)")" 1 "$user: has nothing else" ;;
	esac
	is "$(image_tree "$layout" | grep -cE '^/(dev|proc|sys)/')" "$(image_tree "$layout" | grep -cE '^/(dev|proc|sys)/.* (dir|file|link)')" \
		"$user: no device of the sandbox is in the layers"
	layout=$(dest "$user" twice)
	runs "$user builds steps one after the other" "$user" build --progress plain --no-cache --shm-size 64m \
		-o "type=oci,dest=$layout,tar=false" twice
	is "$(cat_in "$layout" /two)" "$(cat_in "$layout" /one)" "$user: the second step sees what the first saw"
	is "$(cat_in "$layout" /net)" lo "$user: and a later one its own network"
	is "$(cat_in "$layout" /sizes)" $'65536\n1024' "$user: and its mounts"
	layout=$(dest "$user" smaller)
	runs "$user builds them with less memory" "$user" build --progress plain --no-cache --shm-size 2m \
		-o "type=oci,dest=$layout,tar=false" twice
	is "$(cat_in "$layout" /sizes)" $'2048\n1024' "$user: and each has the /dev/shm that was asked for"
done
[ ${#users[@]} -gt 1 ] || skip "both kinds of users" "not started as root, so only $U was tested"

# --- the network ------------------------------------------------------------------------------------------------
context net <<'END'
FROM alpine:3.20
ARG CASE
RUN sed -n 's/^ *\([^:]*\):.*/\1/p' /proc/net/dev | sort > /interfaces
END
layout=$(dest "$U" net)
runs "--network none" "$U" build --progress plain --network none --build-arg CASE=1 -o "type=oci,dest=$layout,tar=false" net
is "$(cat_in "$layout" /interfaces)" lo "leaves only the loopback"
layout=$(dest "$U" net)
runs "--network host" "$U" build --progress plain --network host --build-arg CASE=2 -o "type=oci,dest=$layout,tar=false" net
is "$(cat_in "$layout" /interfaces)" "$(sed -n 's/^ *\([^:]*\):.*/\1/p' /proc/net/dev | sort)" "is the host's"

# --- what a step leaves running -----------------------------------------------------------------------------------
mark=86399 # seconds: nobody else sleeps so long
context bg <<END
FROM alpine:3.20
RUN (trap '' TERM HUP INT; sleep $mark) & (setsid sleep $mark &) ; nohup sleep $mark > /dev/null 2>&1 & echo started > /started
RUN ps | grep -v grep | grep -c 'sleep $mark' > /left; true
END
sleepers() { pgrep -f "^sleep $mark\$"; }
no_sleepers() { ! sleepers; }
layout=$(dest "$U" bg)
SECONDS=0
runs "a step that leaves processes behind" "$U" build --progress plain -o "type=oci,dest=$layout,tar=false" bg
ok "ends when its shell does" test "$SECONDS" -lt 20
is "$(cat_in "$layout" /left)" 0 "the next step does not see them"
ok "and they are dead" no_sleepers

context long <<END
FROM alpine:3.20
RUN (setsid sleep $mark &); trap '' TERM HUP INT; sleep $mark
END
# program: sets pid_of_program to a sleeper that is a child of init
program() {
	for pid_of_program in $(sleepers); do
		whittles | grep -qx "$(above "$pid_of_program" 1)" && return
	done
	return 1
}
# above PID N: its N-th ancestor
above() {
	local pid=$1 n
	for ((n = 0; n < $2; n++)); do pid=$(ps -o ppid= -p "$pid"); done
	echo "$((pid))"
}
for victim in engine holder supervisor init; do
	(exec_as "$U" "$WHITTLE" build --progress plain long >"$scratch/long.log" 2>&1) &
	pid=$!
	wait_for 20 program || bail "the step starts" "$(cat "$scratch/long.log")"
	case $victim in
	engine) kill -KILL "$pid" ;;
	holder) kill -KILL "$(above "$pid_of_program" 3)" ;;
	supervisor) kill -KILL "$(above "$pid_of_program" 2)" ;;
	init) kill -KILL "$(above "$pid_of_program" 1)" ;;
	esac
	wait "$pid" 2>/dev/null
	ok "SIGKILL of the $victim: the step's processes die within two seconds" wait_for 2 no_sleepers
	ok "and so does every process of whittle" wait_for 2 no_whittles
done
# more than READY_SPEC_MAX: such a step makes its init itself
mkdir -p large
{
	echo FROM alpine:3.20
	for name in A B C; do echo "ENV $name=$(head -c 100000 /dev/zero | tr '\0' "$name")"; done
	echo 'RUN sleep 0.5'
	echo 'RUN test "${#A} ${#B} ${#C}" = "100000 100000 100000"'
} >large/Dockerfile
runs "a large environment reaches the second step too" "$U" build -q --no-cache large
is "$(mounts_below "$scratch")" "" "no mount is left on the host"

# --- an image that lays traps -----------------------------------------------------------------------------------
context traps <<'END'
FROM alpine:3.20
RUN rm -rf /mnt && ln -s /proc /mnt && rm -rf /srv && ln -s /etc /srv
RUN rm -rf /tmp && ln -s / /tmp && ls / > /dev/null
RUN mkdir /x && mv /etc/passwd /x/ && mkfifo /etc/passwd
RUN ["/bin/true"]
END
w "$U" build --progress plain traps
ok "a fifo as /etc/passwd blocks nobody" test "$status" -ne 124
context workdir <<'END'
FROM alpine:3.20
WORKDIR /proc/self/fd/7
RUN pwd > /where; ls .. > /there
END
w "$U" build --progress plain workdir
unlike "$err$out" "$scratch" "WORKDIR below /proc shows nothing of the host"
done_testing
