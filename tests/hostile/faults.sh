#!/bin/bash
# Each system call of entering the sandbox and of setting up a step made to fail in turn, as on a host, or in a container,
# that refuses it. Either whittle has another way, or it says which call, what for and what mends it, ends with status 10
# or 1, and leaves nothing behind.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

case $(uname -m) in
x86_64 | aarch64 | riscv64) ;;
*) skip_all "the filters of failcall read the low half of arguments as on little-endian 64-bit machines" ;;
esac
failcall=$scratch/bin/failcall
[ -x "$O/fixtures/failcall" ] || bail "$O/fixtures/failcall has been built" "run make check"
cp "$O/fixtures/failcall" "$failcall"

EPERM=1 ENOMEM=12 ENOSPC=28 ENOSYS=38 EMFILE=24 EAGAIN=11 EINVAL=22
# call[:value[:argument]]  errno  what is to happen: "works", or the status and a pattern that the message matches
table="
unshare                        $EPERM   10 mount.namespace.*unshare
unshare                        $ENOSPC  10 mount.namespace.*unshare.*max_
clone:0x10020011               $EPERM   10 user.namespace
clone:0x10020011               $ENOSPC  10 user.namespace.*max_user_namespaces
clone:0x2e000011               $EPERM   10 namespaces.of.the.step.*clone.*seccomp
clone:0x2e000011               $EAGAIN  10 namespaces.of.the.step.*clone.*limit.on.processes
clone:0x01200011               $EAGAIN  1  fork
clone:0x4111                   $ENOMEM  1  start.the.program
clone3                         $ENOSYS  works
clone3                         $EPERM   10 start.a.thread
mount                          $EPERM   10 private.*mount.*seccomp
open_tree                      $ENOSYS  10 clone.the.mount.*open_tree.*seccomp
open_tree                      $EPERM   10 clone.the.mount.*open_tree.*seccomp
move_mount                     $ENOSYS  10 mount.*move_mount.*seccomp
move_mount                     $EPERM   10 mount.*move_mount.*seccomp
fsopen                         $ENOSYS  10 fsopen.*seccomp
fsopen                         $EPERM   10 fsopen.*seccomp
fsconfig                       $EPERM   10 fsconfig.*seccomp
fsconfig:6:1                   $EPERM   10 overlay.*fsconfig
fsmount                        $EPERM   10 fsmount.*seccomp
fsmount                        $ENOSPC  11 fsmount
mount_setattr                  $ENOSYS  10 restrict.the.mount.*mount_setattr.*seccomp
mount_setattr                  $EPERM   10 restrict.the.mount.*mount_setattr.*seccomp
pivot_root                     $EPERM   10 pivot.*pivot_root.*seccomp
umount2                        $EPERM   10 old.root.*umount2
sethostname                    $EPERM   10 host.name.*sethostname
setgroups                      $EPERM   works
setresgid                      $EPERM   10 group
setresuid                      $EPERM   10 user
prctl:1                        $EPERM   10 parent.*prctl
prctl:4                        $EPERM   10 seal.*prctl
prctl:24                       $EPERM   10 bounding.set.*prctl
prctl:38                       $EPERM   nnp
prctl:47                       $EPERM   10 ambient.*prctl
seccomp                        $EPERM   10 filter.*seccomp
seccomp                        $ENOSYS  10 filter
capset                         $EPERM   10 capabilities.*capset
keyctl                         $EPERM   works
keyctl                         $ENOSYS  works
setsid                         $EPERM   1  session.*setsid
chdir                          $EPERM   10 enter.*store
pipe2                          $EMFILE  1  pipe
socketpair                     $EMFILE  1  socket.pair
close_range                    $ENOSYS  works
close_range                    $EPERM   works
close_range                    $EINVAL  works
memfd_create                   $ENOSYS  works
openat2                        $ENOSYS  works
openat2                        $EPERM   works
pidfd_open                     $ENOSYS  works
pidfd_open                     $EPERM   works
landlock_create_ruleset        $ENOSYS  works
landlock_create_ruleset        $EPERM   works
landlock_restrict_self         $EPERM   landlock
setns                          $EPERM   works
"

fixture alpine "$(host_arch)" || bail "there is an alpine" "$reason"
context step <<'END'
FROM alpine:3.20
RUN ["/bin/busybox", "touch", "/made"]
END
# the second one finds an init that waits
context steps <<'END'
FROM alpine:3.20
RUN sleep 1
RUN touch /made
END

# one_waits: while the first step runs; sets waiting to the pid of the init that has no program yet
one_waits() {
	local pid busy=
	waiting=
	for pid in $(whittles); do
		[ "$(readlink "/proc/$pid/ns/pid")" != "$(readlink /proc/self/ns/pid)" ] || continue
		if pgrep -P "$pid" >/dev/null; then busy=$pid; else waiting=$pid; fi
	done
	[ -n "$busy" ] && [ -n "$waiting" ]
}

# fault USER CALL ERRNO [CONTEXT]: build with it; sets out, err and status as w does
fault() {
	local who
	who=$(id -u "$1"):$(id -g "$1")
	env -i "PATH=$PATH" LC_ALL=C.UTF-8 "HOME=$scratch/$1/home" "USER=$1" "WHITTLE_ROOT=$scratch/$1/store" \
		"TMPDIR=$scratch/$1/tmp" ASAN_OPTIONS=detect_leaks=0 \
		timeout -k 10 60 "$failcall" "$who" "$2" "$3" "$WHITTLE" build --progress plain --no-cache "${4:-step}" \
		>"$scratch/out" 2>"$scratch/err" </dev/null
	status=$?
	err=$(tr -d '\0' <"$scratch/err")
}

# store_listing USER: what lies in the store besides its database when nothing of the step cache is wanted any more
store_listing() {
	w "$1" prune --all || fail "$1: the store can be pruned" "$err"
	(cd "$scratch/$1/store" && find . ! -name '*.db*' | sort)
}

# what is to happen depends on the user for no_new_privs, on the kernel for Landlock
expected() { # expected USER WANTED
	case $2 in
	nnp) if has_range "$1"; then echo works; else echo "10 no_new_privs.*prctl"; fi ;;
	landlock) if [ "$landlock" -ge 6 ]; then echo "10 Landlock.*landlock_restrict_self"; else echo works; fi ;;
	*) echo "$2" ;;
	esac
}
landlock=$(/usr/bin/python3 -c 'import ctypes; print(ctypes.CDLL(None).syscall(444, None, 0, 1))')

for user in "${users[@]}"; do
	need_alpine "$user"
	runs "$user: the build without a fault" "$user" build --progress plain step
	clean=$(store_listing "$user")
	while read -r call error wanted; do
		[ -n "$call" ] || continue
		# the second user is for what depends on its ids
		[ "$user" = "$U" ] || [[ $call =~ ^(set|prctl|clone:0x1002|unshare|seccomp|landlock|capset) ]] || continue
		wanted=$(expected "$user" "$wanted")
		read -r code pattern <<<"$wanted"
		fault "$user" "$call" "$error"
		name="$user: $call fails with $error"
		if [ "$code" = works ]; then
			is "$status $([ "$status" -eq 0 ] || tail -n 4 <<<"$err")" "0 " "$name: there is another way"
		elif [[ $status =~ ^($code)$ ]] && [[ $err =~ $pattern ]]; then
			pass "$name: status $status, and said"
		else
			fail "$name: status $code with $pattern" "status $status" "$(tail -n 3 <<<"$err")"
		fi
		wait_for 2 no_whittles || fail "$name: no process is left" "$(whittles)"
	done <<<"$table"
	fault "$user" setns $EPERM steps
	is "$status" 0 "$user: a host that forbids setns has each step make its init" || diag "$err"
	w "$user" build --progress plain --no-cache steps &
	ok "$user: an init waits for the second step" wait_for 20 one_waits
	kill -9 "$waiting"
	wait $!
	ok "$user: the second step does without the one that was killed" test $? = 0
	wait_for 2 no_whittles || fail "$user: no process is left" "$(whittles)"
	is "$(mounts_below "$scratch")" "" "$user: no mount is left"
	is "$(store_listing "$user")" "$clean" "$user: nor a file in the store"
	is "$(ls -A "$scratch/$user/tmp")" "" "$user: nor a temporary one"
done
done_testing
