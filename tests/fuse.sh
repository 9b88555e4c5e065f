# shellcheck shell=bash
# Sourced before tests/lib.sh by tests that run fuse-overlayfs: udev gives /dev/fuse the mode 0666, but a machine
# without udev leaves it to root. Then the test goes on in a mount namespace of its own with such a node.
if [ "$(id -u)" -eq 0 ] && [ -c /dev/fuse ] && [ "$(stat -c %a /dev/fuse)" != 666 ] && [ -z "${FUSE_NODE:-}" ]; then
	FUSE_NODE=$(mktemp -d /var/tmp/whittle-fuse.XXXXXX)
	export FUSE_NODE
	# shellcheck disable=SC2016 # for the inner shell
	unshare --mount --propagation private bash -c 'mknod -m 0666 "$FUSE_NODE/fuse" c 10 229 &&
		mount --bind "$FUSE_NODE/fuse" /dev/fuse && exec bash "$@"' fuse "$0" "$@"
	status=$?
	rm -rf "$FUSE_NODE"
	exit $status
fi

# fuse_ready: whether fuse-overlayfs can be run by the users of the tests; 1 and $reason if not
# shellcheck disable=SC2034 # for the tests
fuse_ready() {
	command -v fuse-overlayfs >/dev/null || { reason="fuse-overlayfs is not installed" && return 1; }
	as_user "$U" test -w /dev/fuse || { reason="$U cannot open /dev/fuse" && return 1; }
}
