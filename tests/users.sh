# shellcheck shell=bash
# The ordinary users that tests, demo and benchmarks run whittle as where they are started as root:
#   wt-subid   has a range of subordinate ids
#   wt-single  has none

# make_users: both, unless they are there. Needs root.
make_users() {
	local first=655360000
	(
		flock 9
		touch /etc/subuid /etc/subgid
		if ! getent passwd wt-subid >/dev/null; then
			useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /bin/sh wt-subid
		fi
		if ! grep -q '^wt-subid:' /etc/subuid || ! grep -q '^wt-subid:' /etc/subgid; then
			usermod --add-subuids $first-$((first + 65535)) --add-subgids $first-$((first + 65535)) wt-subid
		fi
		if ! getent passwd wt-single >/dev/null; then
			useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /bin/sh \
				-K SUB_UID_COUNT=0 -K SUB_GID_COUNT=0 wt-single
		fi
	) 9>/var/lock/whittle-test-users >&2
}
