# shellcheck shell=bash
# Sourced by every shell test: TAP output, a scratch folder, users, fixtures, servers.
#
#   O          the build folder (build/release unless the runner says otherwise)
#   scratch    the test's own folder, removed at exit; the working directory is $scratch/work
#   users      whom to run whittle as: wt-subid and wt-single, or the one who started the test
#   U          the first of them, for tests where it makes no difference
#   out err status  what the last w() gave
#
# A test ends with done_testing. What cannot run here is a skip with its reason; with MUST_WORK=1 that fails.

set -u
shopt -s lastpipe # what a test pipes into ok or builds is counted here, not in a subshell
umask 022
tests_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$tests_dir/.." && pwd)
O=${O:-build/release}
case $O in /*) ;; *) O=$top/$O ;; esac
# shellcheck source=tests/users.sh
. "$tests_dir/users.sh"

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C.UTF-8
unset WHITTLE_ROOT SOURCE_DATE_EPOCH DOCKER_CONFIG REGISTRY_AUTH_FILE DOCKER_DEFAULT_PLATFORM BUILDKIT_PROGRESS
unset http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY

tap_n=0
tap_failed=0
time_limit=300 # seconds for one run of whittle; a hang is a failure, not a stuck suite
user_env=()    # NAME=value pairs added to the environment of as_user
kill_at_exit=()

# --- TAP ------------------------------------------------------------------------------------------

diag() { printf '%s\n' "$*" | sed 's/^/# /'; }

pass() {
	tap_n=$((tap_n + 1))
	echo "ok $tap_n - $1"
}

# fail DESCRIPTION [DETAIL...]
fail() {
	tap_n=$((tap_n + 1))
	tap_failed=$((tap_failed + 1))
	echo "not ok $tap_n - $1"
	shift
	[ $# -eq 0 ] || diag "$@"
}

# skip DESCRIPTION REASON
skip() {
	if [ "${MUST_WORK:-}" = 1 ]; then
		fail "$1" "skipped where MUST_WORK=1 forbids it: $2"
	else
		tap_n=$((tap_n + 1))
		echo "ok $tap_n - $1 # SKIP $2"
	fi
}

# skip_all REASON: the whole file, which ends here
skip_all() {
	skip "$(basename "$0" .sh)" "$1"
	done_testing
}

done_testing() {
	echo "1..$tap_n"
	[ "$tap_failed" -eq 0 ]
	exit $?
}

bail() {
	fail "$1" "${2:-the rest of this file depends on it}"
	done_testing
}

# ok DESCRIPTION COMMAND...: the command succeeds
ok() {
	local desc=$1
	shift
	if "$@" >"$scratch/ok.log" 2>&1; then
		pass "$desc"
	else
		fail "$desc" "$* (exit status $?)"$'\n'"$(tail -n 15 "$scratch/ok.log" | tr -d '\0')"
	fi
}

# not DESCRIPTION COMMAND...: the command fails
not() {
	local desc=$1
	shift
	if "$@" >"$scratch/ok.log" 2>&1; then
		fail "$desc" "succeeded: $*"
	else
		pass "$desc"
	fi
}

# is GOT WANTED DESCRIPTION
is() {
	if [ "$1" = "$2" ]; then
		pass "$3"
	else
		fail "$3" "got:    ${1:0:4000}"$'\n'"wanted: ${2:0:4000}"
	fi
}

# isnt GOT UNWANTED DESCRIPTION
isnt() {
	if [ "$1" != "$2" ]; then pass "$3"; else fail "$3" "got what it must not be: $1"; fi
}

# like TEXT REGEX DESCRIPTION (extended regular expression, anywhere in the text)
like() {
	if [[ $1 =~ $2 ]]; then
		pass "$3"
	else
		fail "$3" "no match for: $2"$'\n'"in: $(tail -n 25 <<<"$1")"
	fi
}

# unlike TEXT REGEX DESCRIPTION
unlike() {
	if [[ $1 =~ $2 ]]; then
		fail "$3" "matches $2: ${BASH_REMATCH[0]}"
	else
		pass "$3"
	fi
}

# same_files A B DESCRIPTION: equal text, else the difference is shown
same_files() {
	local difference
	if difference=$(diff -u "$1" "$2" 2>&1); then
		pass "$3"
	else
		fail "$3" "$(head -n 40 <<<"$difference")"
	fi
}

# --- the scratch folder and the users ---------------------------------------------------------------

# Files of subordinate ids can only be removed inside their user namespace.
remove_tree() {
	rm -rf --one-file-system "$1" 2>/dev/null && return
	chmod -R u+rwX "$1" 2>/dev/null
	rm -rf --one-file-system "$1" 2>/dev/null && return
	unshare --map-root-user --map-auto rm -rf --one-file-system "$1" 2>/dev/null || rm -rf "$1"
}

at_exit() {
	local pid
	trap - EXIT INT TERM
	for pid in "${kill_at_exit[@]}"; do
		kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
	done
	cd /
	[ -n "${KEEP_SCRATCH:-}" ] && diag "kept: $scratch" && return
	remove_tree "$scratch"
}

scratch=$(mktemp -d "${WHITTLE_TEST_SCRATCH:-/var/tmp}/whittle-test.XXXXXX")
trap at_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
chmod 0755 "$scratch"
mkdir "$scratch/bin" "$scratch/work"
cd "$scratch/work" || exit 1

as_root=
[ "$(id -u)" -ne 0 ] || as_root=1
if [ -n "$as_root" ]; then
	make_users || {
		fail "the users of the tests can be made"
		done_testing
	}
	users=(wt-subid wt-single)
else
	users=("$(id -un)")
fi
# shellcheck disable=SC2034 # for the tests
U=${users[0]}
for user in "${users[@]}"; do
	mkdir -p "$scratch/$user/home" "$scratch/$user/tmp" "$scratch/$user/out"
	[ -z "$as_root" ] || chown -R "$user:" "$scratch/$user"
done

# The checkout may lie where the users cannot go.
WHITTLE=$scratch/bin/whittle
if [ -x "$O/whittle" ]; then
	cp "$O/whittle" "$WHITTLE"
else
	bail "$O/whittle has been built" "run make"
fi

# exec_as USER COMMAND...: become USER with an environment of its own; does not return
exec_as() {
	local user=$1 become=()
	shift
	[ -z "$as_root" ] || [ "$user" = root ] || become=(setpriv --reuid "$user" --regid "$user" --init-groups)
	exec "${become[@]}" env -i "PATH=$PATH" LC_ALL=C.UTF-8 "HOME=$scratch/$user/home" "USER=$user" \
		"WHITTLE_ROOT=$scratch/$user/store" "TMPDIR=$scratch/$user/tmp" \
		"ASAN_OPTIONS=detect_leaks=0" "${user_env[@]}" "$@"
}

# as_user USER COMMAND...
as_user() {
	(exec_as "$@")
}

# w USER ARGUMENT...: run whittle; sets out, err and status
w() {
	local user=$1
	shift
	as_user "$user" timeout -k 10 "$time_limit" "$WHITTLE" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null
	status=$?
	# shellcheck disable=SC2034 # for the tests
	out=$(tr -d '\0' <"$scratch/out")
	err=$(tr -d '\0' <"$scratch/err")
	return $status
}

# runs DESCRIPTION USER ARGUMENT...: whittle ends with status 0
runs() {
	local desc=$1
	shift
	if w "$@"; then
		pass "$desc"
	else
		fail "$desc" "whittle ${*:2}"$'\n'"exit status $status"$'\n'"$(tail -n 25 <<<"$err")"
		return 1
	fi
}

# fails STATUS DESCRIPTION USER ARGUMENT...: whittle ends with that status
fails() {
	local wanted=$1 desc=$2
	shift 2
	w "$@"
	if [ "$status" = "$wanted" ]; then
		pass "$desc"
	else
		fail "$desc" "whittle ${*:2}"$'\n'"exit status $status, not $wanted"$'\n'"$(tail -n 25 <<<"$err")"
		return 1
	fi
}

# has_range USER: whether the user has subordinate ids, without which a step cannot give files to others
has_range() { grep -q "^$1:" /etc/subuid 2>/dev/null && grep -q "^$1:" /etc/subgid 2>/dev/null; }

# new_store USER: an empty store from here on
new_store() {
	remove_tree "$scratch/$1/store"
}

# --- fixtures ---------------------------------------------------------------------------------------

# fixture NAME ARCH: sets fixture to the path of an archive that every user can read; 1 and $reason if there is none
fixture() {
	local path
	if ! path=$("$tests_dir/fixtures.sh" "$1" "$2" 2>"$scratch/fixture.err"); then
		reason=$(tail -n 1 "$scratch/fixture.err")
		return 1
	fi
	fixture=$path
	if [ -n "$as_root" ] && ! setpriv --reuid wt-single --regid wt-single --clear-groups test -r "$path"; then
		fixture=$scratch/$(basename "$path")
		[ -e "$fixture" ] || cp "$path" "$fixture"
	fi
}

# The names of an architecture: platform_of armv7 -> linux/arm/v7
platform_of() {
	case $1 in
	armv7) echo linux/arm/v7 ;;
	*) echo "linux/$1" ;;
	esac
}

host_arch() {
	case $(uname -m) in
	x86_64) echo amd64 ;;
	aarch64) echo arm64 ;;
	armv7l) echo armv7 ;;
	*) uname -m ;;
	esac
}

# import_alpine USER [ARCH...]: alpine:3.20 into the user's store; the host's architecture by default.
# Gives 1 and sets reason where there is none.
import_alpine() {
	local user=$1 arch
	shift
	[ $# -gt 0 ] || set -- "$(host_arch)"
	for arch; do
		fixture alpine "$arch" || return 1
		w "$user" import "$fixture" alpine:3.20 --platform "$(platform_of "$arch")" --cmd /bin/sh \
			--env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin || {
			reason="whittle import: $err"
			return 1
		}
	done
}

# import_golang USER ARCH...
import_golang() {
	local user=$1 arch
	shift
	for arch; do
		fixture golang "$arch" || return 1
		w "$user" import "$fixture" golang:1.19 --platform "$(platform_of "$arch")" --cmd /bin/sh \
			--env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin || {
			reason="whittle import: $err"
			return 1
		}
	done
}

# need_alpine USER [ARCH...]: the same, or the file ends here
need_alpine() {
	import_alpine "$@" || bail "alpine can be imported" "$reason"
}

# context NAME: make $scratch/work/NAME empty and enter its Dockerfile from stdin
context() {
	rm -rf "${scratch:?}/work/$1"
	mkdir -p "$scratch/work/$1"
	cat >"$scratch/work/$1/Dockerfile"
}

# give USER PATH...: files whose mode keeps others out belong to the one who is to read them
give() {
	[ -z "$as_root" ] || chown -R -h "$1:" "${@:2}"
}

# dest USER NAME: a path that the user may write an output to, with nothing there yet
dest() {
	rm -rf "${scratch:?}/$1/out/$2"
	echo "$scratch/$1/out/$2"
}

# --- looking at images with other people's tools -----------------------------------------------------

# image_tree LAYOUT [--platform P] [--mtime]: one line per path of the image's root file system
image_tree() {
	/usr/bin/python3 "$tests_dir/fixtures/image.py" tree "$@"
}

# image_config LAYOUT [--platform P]: the config as JSON
image_config() {
	/usr/bin/python3 "$tests_dir/fixtures/image.py" config "$@"
}

# image_manifest LAYOUT [--platform P]: the manifest as JSON
image_manifest() {
	/usr/bin/python3 "$tests_dir/fixtures/image.py" manifest "$@"
}

# image_digest LAYOUT: of what index.json names: a manifest or an index
image_digest() {
	jq -r '.manifests[0].digest' "$1/index.json"
}

# cat_in LAYOUT PATH: the content of a file of the image
cat_in() {
	/usr/bin/python3 "$tests_dir/fixtures/image.py" cat "$@"
}

# --- servers ----------------------------------------------------------------------------------------

# wait_for SECONDS COMMAND...: until it succeeds
wait_for() {
	local n=$(($1 * 50))
	shift
	while ! "$@" >/dev/null 2>&1; do
		n=$((n - 1))
		[ "$n" -gt 0 ] || return 1
		sleep 0.02
	done
}

registry_says_port() {
	registry_port=$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$scratch/registry.log" | head -n 1)
	[ -n "$registry_port" ]
}

# start_registry: docker-registry on a free loopback port; sets registry_port; 1 and $reason if it cannot be
start_registry() {
	command -v docker-registry >/dev/null || {
		reason="docker-registry is not installed"
		return 1
	}
	mkdir -p "$scratch/registry"
	cat >"$scratch/registry.yml" <<-END
		version: 0.1
		log: {level: info}
		storage:
		  filesystem: {rootdirectory: $scratch/registry}
		  delete: {enabled: true}
		http: {addr: 127.0.0.1:0}
	END
	docker-registry serve "$scratch/registry.yml" >"$scratch/registry.log" 2>&1 &
	kill_at_exit+=($!)
	wait_for 10 registry_says_port || {
		reason="docker-registry did not start: $(tail -n 3 "$scratch/registry.log")"
		return 1
	}
}

proxy_says_port() {
	proxy_port=$(head -n 1 "$scratch/proxy.out" | tr -dc 0-9)
	[ -n "$proxy_port" ]
}

# start_proxy: regproxy before the registry; sets proxy_port and proxy_control (a file that steers it)
start_proxy() {
	[ -x "$O/fixtures/regproxy" ] || {
		reason="$O/fixtures/regproxy has not been built"
		return 1
	}
	proxy_control=$scratch/proxy.control
	: >"$proxy_control"
	"$O/fixtures/regproxy" 0 "$registry_port" "$proxy_control" >"$scratch/proxy.out" 2>"$scratch/proxy.log" &
	kill_at_exit+=($!)
	wait_for 10 proxy_says_port || {
		reason="regproxy did not start: $(tail -n 3 "$scratch/proxy.log")"
		return 1
	}
}

# --- what is left behind ------------------------------------------------------------------------------

# processes_of USER: pids of everything that runs as the user, or as one of its subordinate ids
processes_of() {
	local uid first count pid rest
	uid=$(id -u "$1")
	IFS=: read -r _ first count < <(grep "^$1:" /etc/subuid 2>/dev/null || echo "x:0:0")
	ps -eo uid=,pid=,stat=,comm= | while read -r owner pid rest; do
		case $rest in Z*) continue ;; esac
		if [ "$owner" = "$uid" ] || { [ "$owner" -ge "$first" ] && [ "$owner" -lt $((first + count)) ]; }; then
			echo "$pid $rest"
		fi
	done
}

# whittles: pids of the processes of this test's own copy of whittle, its sandbox included
whittles() {
	find /proc -mindepth 2 -maxdepth 2 -name exe -lname "$WHITTLE*" 2>/dev/null | sed 's,/proc/\(.*\)/exe,\1,'
}

no_whittles() { [ -z "$(whittles)" ]; }

# mounts_below FOLDER: in the namespace of the test
mounts_below() {
	awk -v d="$1" 'index($5, d) == 1 { print $5 }' /proc/self/mountinfo
}
