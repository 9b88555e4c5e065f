#!/bin/bash
# What a host may refuse, simulated one by one: the doctor names it, and a build there either works or ends with the
# doctor's line; it never hangs.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

case_limit=60 # seconds for one run; a hang is a failure
filter=$scratch/bin/filter
[ -x "$O/fixtures/filter" ] || bail "$O/fixtures/filter has been built" "run make check-integration"
cp "$O/fixtures/filter" "$filter"
user_home() { mkdir -p "$scratch/$1/home" "$scratch/$1/tmp" && { [ -z "$as_root" ] || chown -R "$1:" "$scratch/$1"; }; }

# One RUN of a program that needs nothing.
mkdir small
echo 'int main(void) { return 0; }' | gcc -static -O1 -x c - -o small/true || bail "a static program can be linked"
cat >small/Dockerfile <<'END'
FROM scratch
COPY true /true
ARG CASE
RUN ["/true"]
END

# The world of a case: outer commands run as whoever started the test, inner ones as the user.
outer=() inner=() become=()
# in_world USER ARGUMENT...: whittle there; sets out, err and status as w() does
in_world() {
	local user=$1 as=("${become[@]}")
	shift
	[ ${#as[@]} -gt 0 ] || [ -z "$as_root" ] || [ "$user" = root ] ||
		as=(setpriv --reuid "$user" --regid "$user" --init-groups)
	"${outer[@]}" "${as[@]}" env -i "PATH=$PATH" LC_ALL=C.UTF-8 "HOME=$scratch/$user/home" \
		"WHITTLE_ROOT=$scratch/$user/store" "TMPDIR=$scratch/$user/tmp" ASAN_OPTIONS=detect_leaks=0 "${user_env[@]}" \
		"${inner[@]}" /usr/bin/timeout -k 5 "$case_limit" "$WHITTLE" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null
	status=$?
	out=$(tr -d '\0' <"$scratch/out")
	err=$(tr -d '\0' <"$scratch/err")
}

# judge DESCRIPTION USER: doctor and build agree; sets report (JSON) and refusal (text, empty where builds work)
judge() {
	local desc=$1 user=$2 verdict
	in_world "$user" doctor --json
	report=$out verdict=$status
	refusal=$(jq -r '.refusal // ""' <<<"$report" 2>/dev/null)
	if [ "$verdict" -ne 0 ] && [ "$verdict" -ne 10 ]; then
		fail "$desc: the doctor ends" "exit status $verdict: $err$out"
		return
	fi
	in_world "$user" build --progress plain --build-arg "CASE=$((++cases))" -o "type=oci,dest=$scratch/$user/tmp/o.tar" small
	if [ "$verdict" -eq 0 ]; then
		is "$status" 0 "$desc: a build works, as the doctor says"
		[ "$status" -eq 0 ] || diag "$(tail -n 5 <<<"$err")"
	elif [ "$status $(tail -n 1 <<<"$err")" = "10 whittle: $refusal" ]; then
		pass "$desc: a build is refused with the doctor's line"
	else
		fail "$desc: a build is refused with the doctor's line" "doctor: $refusal"$'\n'"build: $status $(tail -n 3 <<<"$err")"
	fi
}
cases=0

# check NAME FIELD: of the last report
check() { jq -r --arg n "$1" --arg f "$2" '[.checks[] | select(.name == $n)][0][$f] // ""' <<<"$report"; }
# mend NAME: its command or advice
mend() { jq -r --arg n "$1" '[.checks[] | select(.name == $n)][0] | (.command // .advice // "")' <<<"$report"; }
# works DESCRIPTION; refused REGEX DESCRIPTION: what judge() found
works() { is "$refusal" "" "$1: builds work"; }
refused() { like "$refusal" "$1" "$2: the reason"; }
# narrow DESCRIPTION: what was printed last
narrow() { ok "$1: the text fits 80 columns" test "$(awk '{ if (length($0) > m) m = length($0) } END { print m + 0 }' "$scratch/out")" -le 80; }
plain() { outer=() inner=() become=() user_env=(); }

# private COMMAND...: the outer world with mounts of its own, made by a script of sh
private() { outer=(unshare -m --propagation private sh -e -c "$1"' exec "$@"' sh); }

# --- as it is -------------------------------------------------------------------------------------------------------
for user in "${users[@]}"; do
	plain
	judge "$user" "$user"
	works "$user"
	is "$(check 'a step' state)" ok "$user: a step ran"
	is "$(check overlay state)" ok "$user: the overlay works"
	is "$(check "linux/$(host_arch | sed 's/armv7/arm\/v7/')" text)" native "$user: the host's platform is native"
	in_world "$user" doctor
	is "$status" 0 "$user: status 0"
	narrow "$user"
	is "$(ls "$scratch/$user/store/tmp")" "" "$user: nothing is left in the store"
	if has_range "$user"; then
		is "$(check 'subordinate ids' state)" ok "$user: has subordinate ids"
	else
		like "$(check 'subordinate ids' text)" 'no usable range' "$user: has none, and the doctor says why"
		like "$(mend 'subordinate ids')" "usermod --add-subuids [0-9]+-[0-9]+ --add-subgids [0-9]+-[0-9]+ $user|echo $user:" "$user: with the command"
	fi
done

# --- a filter as of a container -------------------------------------------------------------------------------------
user=${users[-1]}
for error in EPERM ENOSYS; do
	for call in clone-newuser unshare mount fsopen fsconfig fsmount move_mount open_tree mount_setattr openat2 pivot_root \
		umount2 sethostname keyctl close_range pidfd_open pidfd_send_signal seccomp setgroups memfd_create statx \
		copy_file_range setxattr prctl clone3 capset setresuid; do
		plain
		inner=("$filter" "$error" "$call")
		judge "$call gives $error" "$user"
		case $call in
		clone-newuser | unshare | mount | fsopen | fsconfig | fsmount | move_mount | open_tree | mount_setattr | pivot_root | umount2)
			refused 'seccomp' "$call gives $error"
			;;
		openat2 | keyctl | close_range | pidfd_open | statx | copy_file_range) works "$call gives $error" ;;
		esac
	done
done
plain
inner=("$filter" listener)
judge "an outer listener" "$user"
works "an outer listener"
like "$(check 'call listener' state) $(check 'call listener' text)" 'limited.*outer supervisor' "an outer listener: is named"
plain
inner=("$filter" ENOSYS landlock_create_ruleset)
judge "no Landlock" "$user"
works "no Landlock"
is "$(check landlock state)" limited "no Landlock: is named"
in_world "$user" build --progress plain --no-cache small
is "$(grep -c '^note: network: steps can reach abstract Unix sockets' <<<"$err")" 1 "no Landlock: a build says what it lets through"
in_world "$user" build --progress plain --no-cache --network none small
unlike "$err" 'abstract Unix' "no Landlock: and nothing where it lets nothing through"

container_filter() { # container_filter USER
	plain
	inner=("$filter" docker)
	judge "docker's filter, $1" "$1"
	refused 'cannot create a user namespace.*seccomp.*to mend it' "docker's filter, $1"
	in_world "$1" doctor
	is "$status" 10 "docker's filter, $1: the doctor's status is 10"
	narrow "docker's filter, $1"
}
for user in "${users[@]}"; do container_filter "$user"; done

# --- what users can do to themselves ----------------------------------------------------------------------------------
nested() { inner=(unshare -Ur sh -e -c "$1"' exec "$@"' sh); }
for kind in user mnt pid ipc uts; do
	plain
	nested "echo 0 > /proc/sys/user/max_${kind}_namespaces;"
	judge "max_${kind}_namespaces=0" "$U"
	refused 'user.max_[a-z]+_namespaces.*to mend it, run: .*sysctl' "max_${kind}_namespaces=0"
done
plain
nested ':;'
judge "nested in a user namespace with one id" "$U"
works "nested in a user namespace with one id"
plain
inner=(unshare -U)
judge "nested without a map" "$U"
refused 'has no id for it' "nested without a map"
plain
inner=(setpriv --no-new-privs)
judge "no_new_privs" "$U"
works "no_new_privs"
has_range "$U" && like "$(check 'subordinate ids' text)" 'no_new_privs is set' "no_new_privs: is named"
plain
inner=(env PATH=/nowhere)
judge "PATH without newuidmap" "$U"
works "PATH without newuidmap"
like "$(check 'subordinate ids' text)" 'newuidmap is not in PATH' "PATH without newuidmap: is named"
like "$(mend 'subordinate ids')" 'uidmap|shadow' "PATH without newuidmap: with the package"
plain
inner=(sh -c 'ulimit -x 1000; exec "$@"' sh)
if sh -c 'ulimit -x 1000' 2>/dev/null; then
	judge "a limit on locks" "$U"
	like "$(check 'call listener' text)" 'RLIMIT_LOCKS' "a limit on locks: is named"
else
	inner=(prlimit --locks=1000:1000)
	judge "a limit on locks" "$U"
	like "$(check 'call listener' text)" 'RLIMIT_LOCKS' "a limit on locks: is named"
fi

# --- inside bubblewrap ------------------------------------------------------------------------------------------------
masked=(--ro-bind /dev/null /proc/interrupts --tmpfs /proc/fs --ro-bind /proc/sys /proc/sys)
if command -v bwrap >/dev/null; then
	for user in "${users[@]}"; do
		plain
		inner=(bwrap --unshare-user --unshare-pid --ro-bind / / --dev /dev --proc /proc --bind "$scratch" "$scratch" --die-with-parent)
		judge "bubblewrap, $user" "$user"
		works "bubblewrap, $user"
		inner+=("${masked[@]}")
		judge "bubblewrap with a masked /proc, $user" "$user"
		works "bubblewrap with a masked /proc, $user"
		like "$(check '/proc of a step' state) $(check '/proc of a step' text)" 'limited.*/proc/interrupts' \
			"bubblewrap with a masked /proc, $user: is named"
	done
else
	skip "inside bubblewrap" "bubblewrap is not installed"
fi

# --- a registry -------------------------------------------------------------------------------------------------------
plain
if start_registry; then
	in_world "$U" doctor --json --registry "127.0.0.1:$registry_port"
	report=$out
	is "$status $(check registry state)" "0 ok" "a registry answers"
	in_world "$U" doctor --json --registry "127.0.0.1:$registry_port" --offline
	report=$out
	like "$status $(check registry state) $(check registry text)" '0 limited.*not asked: --offline' "is not asked with --offline"
else
	skip "a registry answers" "$reason"
fi
in_world "$U" doctor --json --registry 127.0.0.1:1
report=$out
like "$status $(check registry state) $(check registry text)" '0 missing.*127.0.0.1:1' "a registry that is not there"
in_world "$U" doctor --json --registry 'Not a name'
report=$out
like "$status $(check registry state) $(check registry text)" '0 missing.*Not a name' "no name of a registry"
/usr/bin/python3 -c 'import socket, time
s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1], flush=True); time.sleep(600)' >"$scratch/silent" &
kill_at_exit+=($!)
wait_for 10 test -s "$scratch/silent"
SECONDS=0
in_world "$U" doctor --json --registry "127.0.0.1:$(cat "$scratch/silent")"
report=$out
like "$status $(check registry state) $(check registry text)" '0 missing.*(within 10 s|timed? ?out)' "a registry that says nothing"
ok "costs ten seconds and no more" test "$SECONDS" -le 20

# --- whittle inside a step of whittle ---------------------------------------------------------------------------------
mkdir -p nested/tree/ctx && cp small/* nested/tree/ctx/ && cp "$WHITTLE" nested/tree/whittle
ldd "$WHITTLE" | grep -o '/[^ ]*' | while read -r lib; do install -D "$lib" "nested/tree$lib"; done
mkdir -p nested/tree/tmp
sed -i /^ARG/d nested/tree/ctx/Dockerfile
for command in '"doctor", "--json"' '"build", "--progress", "plain", "/ctx"'; do
	cat >nested/Dockerfile <<-END
		FROM scratch
		COPY tree /
		ENV WHITTLE_ROOT=/store HOME=/ PATH=/
		RUN ["/whittle", $command]
	END
	fails 4 "whittle in a step: ${command%%,*} ends" "$U" build --progress plain nested
	like "$err" 'exit code: 10' "whittle in a step: with status 10"
	case $command in
	*doctor*)
		nested=$(sed -nE 's/^#[0-9]+ [0-9.]+ +"refusal": "(.*)",$/\1/p' <<<"$err" | head -n 1)
		like "$nested" 'cannot create a user namespace.*seccomp' "whittle in a step: the doctor says why"
		;;
	*) ok "whittle in a step: a build is refused with the doctor's line" grep -qF "whittle: $nested" "$scratch/err" ;;
	esac
done

# --- what root can do to a user ---------------------------------------------------------------------------------------
if [ -z "$as_root" ]; then
	skip "worlds that only root can make" "not started as root"
	done_testing
fi
user_home root
plain
judge "root" root
works "root"
container_filter root

# /etc/subuid and /etc/subgid: name, content of both, what becomes of it
me=$(id -u wt-subid)
while IFS='|' read -r name content expected; do
	printf '%b' "$content" >"$scratch/subid"
	plain
	private "mount --bind $scratch/subid /etc/subuid; mount --bind $scratch/subid /etc/subgid;"
	judge "subordinate ids: $name" wt-subid
	works "subordinate ids: $name"
	like "$(check 'subordinate ids' state) $(check 'subordinate ids' text)" "$expected" "subordinate ids: $name: what the doctor says"
done <<END
none||limited.*no usable range
by number|$me:655360000:65536\\n|^ok
garbage|wt-subid\\nwt-subid:\\nwt-subid:a:b\\n:::\\nwt-subid:1:2:3\\nwt-subid:-5:10\\nwt-subid:1e9:65536\\n\\0\\0\\n|limited.*no usable range
garbage and one good line|#\\n\\nwt-subid:x:1\\nwt-subid:655360000:65536\\n|^ok
overlapping|wt-subid:655360000:65536\\nwt-subid:655360000:65536\\nwt-subid:655390000:65536\\n|^ok
huge|wt-subid:1:4294967295\\nwt-subid:4294967295:4294967295\\nwt-subid:99999999999999999999:1\\n|limited.*no usable range
holding the user's own id|wt-subid:0:65536\\n|limited.*no usable range
a small range|wt-subid:655360000:1000\\n|limited.*1001 user
END
head -c 5000000 /dev/zero | tr '\0' x >"$scratch/subid"
plain
private "mount --bind $scratch/subid /etc/subuid;"
judge "a subuid file over the limit" wt-subid
works "a subuid file over the limit"
like "$(check 'subordinate ids' text)" 'no usable range' "a subuid file over the limit: counts as none"
plain
echo 'subid: sss' >"$scratch/nsswitch"
private "mount --bind $scratch/nsswitch /etc/nsswitch.conf;"
judge "a directory service" wt-single
works "a directory service"
like "$(check 'subordinate ids' text)" 'come from sss' "a directory service: is named"
# what it says is asked of getsubids; newuidmap then does not know the range, and says so
mkdir "$scratch/dir-bin"
printf '#!/bin/sh\n[ "$1" = -g ] && shift\necho "0: $1 655360000 65536"\n' >"$scratch/dir-bin/getsubids"
chmod 0755 "$scratch/dir-bin/getsubids"
user_env=("PATH=$scratch/dir-bin:$PATH")
judge "a directory service with a range" wt-single
works "a directory service with a range"
like "$(check 'subordinate ids' text)" 'refused the range' "a directory service with a range: it was tried"

helper=$(command -v newuidmap)
plain
cp "$helper" "$scratch/newuidmap" && chmod 0755 "$scratch/newuidmap"
private "mount --bind $scratch/newuidmap $helper;"
judge "newuidmap without privilege" wt-subid
works "newuidmap without privilege"
like "$(check 'subordinate ids' text)" 'neither setuid' "newuidmap without privilege: is named"
plain
private "mount --bind $(dirname "$helper") $(dirname "$helper"); mount -o remount,bind,nosuid $(dirname "$helper");"
judge "newuidmap on a nosuid mount" wt-subid
works "newuidmap on a nosuid mount"
like "$(check 'subordinate ids' text)" 'nosuid' "newuidmap on a nosuid mount: is named"
plain
become=(setpriv "--bounding-set=-setuid,-setgid" --reuid wt-subid --regid wt-subid --init-groups)
judge "CAP_SETUID outside the bounding set" wt-subid
works "CAP_SETUID outside the bounding set"
like "$(check 'subordinate ids' text)" 'CAP_SETUID' "CAP_SETUID outside the bounding set: is named"

# distributions: ID, what installs newuidmap there; the doctor tells the same story in other words
while IFS='|' read -r id like package; do
	printf 'ID=%s\nID_LIKE="%s"\n' "$id" "$like" >"$scratch/os-release"
	plain
	private "mount --bind $scratch/os-release $(realpath /etc/os-release);"
	inner=(env PATH=/nowhere)
	in_world wt-single doctor --json
	report=$out
	is "$status $(mend 'subordinate ids')" "0 $package" "the command of $id"
done <<-END
	debian||sudo apt-get install uidmap
	ubuntu|debian|sudo apt-get install uidmap
	raspbian|debian|sudo apt-get install uidmap
	fedora||sudo dnf install shadow-utils
	alpine||doas apk add shadow-uidmap
	unheard-of||install the package with newuidmap (uidmap or shadow-utils)
END

# emulators
plain
judge "qemu" wt-subid
for platform in arm64 arm/v7; do
	[ "$platform" = "$(host_arch)" ] && continue
	is "$(check "linux/$platform" state)" ok "linux/$platform: a program of it ran"
	like "$(check "linux/$platform" text)" 'qemu|native' "linux/$platform: and by what"
done
plain
private "for q in /usr/bin/qemu-*; do mount --bind $scratch/os-release \$q; done;"
judge "no qemu" wt-subid
works "no qemu"
for platform in arm64 amd64; do
	[ "$platform" = "$(host_arch)" ] && continue
	like "$(check "linux/$platform" state) $(check "linux/$platform" text)" 'missing.*no qemu-user' "no qemu: linux/$platform is missing"
	like "$(mend "linux/$platform")" 'install|apk add' "no qemu: with the command"
done
is "$(check "linux/$(host_arch | sed 's/armv7/arm\/v7/')" state)" ok "no qemu: the host's own platform is ok"

# /proc with covers: name, script, regular expression for the text of the check, or for the refusal
for user in wt-subid wt-single; do
	while IFS='|' read -r name script expected; do
		plain
		private "$script"
		judge "$name, $user" "$user"
		works "$name, $user"
		like "$(check '/proc of a step' state) $(check '/proc of a step' text)" "$expected" "$name, $user: what the doctor says"
	done <<-END
		/proc masked by a file|mount --bind /dev/null /proc/interrupts;|limited.*/proc/interrupts
		/proc masked by a tmpfs|mount -t tmpfs none /proc/fs;|limited.*/proc/fs
		/proc masked by a read-only bind|mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys;|limited.*/proc/sys
	END
done
plain
private "mount -o remount,bind,ro /proc;"
judge "/proc read-only" wt-single
refused '/proc is read-only' "/proc read-only"

# stores
plain
private "mkdir -p $scratch/t; mount -t tmpfs none $scratch/t; mkdir -m 0777 $scratch/t/s;"
user_env=("WHITTLE_ROOT=$scratch/t/s/store")
judge "a store on tmpfs" wt-subid
works "a store on tmpfs"
plain
private "mkdir -p $scratch/t; mount -t tmpfs none $scratch/t; cd $scratch/t; mkdir l u w m; mount -t overlay -o lowerdir=l,upperdir=u,workdir=w none m; chmod 0777 m; cd $scratch/work;"
user_env=("WHITTLE_ROOT=$scratch/t/m/store")
judge "a store on an overlay" wt-subid
works "a store on an overlay"
like "$(check overlay state) $(check overlay text)" 'limited.*the store is on overlay' "a store on an overlay: the reason"

# chroots
tree="c=$scratch/c; mkdir -p \$c/proc \$c/dev \$c/etc \$c/var \$c/usr; for d in bin sbin lib lib64; do [ -L /\$d ] && ln -sfn usr/\$d \$c/\$d; done;
for d in usr etc dev var; do mount --rbind /\$d \$c/\$d; done;"
plain
private "$tree mount --rbind /proc \$c/proc; cd \$c; set -- chroot . sh -c 'cd $scratch/work; exec \"\$@\"' sh \"\$@\";"
judge "a chroot" wt-subid
refused 'this is a chroot' "a chroot"
plain
private "$tree cd \$c; set -- chroot . sh -c 'cd $scratch/work; exec \"\$@\"' sh \"\$@\";"
judge "a chroot without /proc" wt-subid
refused 'no procfs at /proc' "a chroot without /proc"
plain
private "mkdir -p $scratch/c; mount --rbind / $scratch/c; cd $scratch/c; set -- chroot . sh -c 'cd $scratch/work; exec \"\$@\"' sh \"\$@\";"
judge "a chroot into a mount point" wt-subid
refused 'chroot' "a chroot into a mount point"
plain
done_testing
