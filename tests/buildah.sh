# shellcheck shell=bash
# buildah as the peer that tests and benchmarks compare with: root, an own storage below $scratch, no network.

# buildah_ready [FOLDER]: sets peer (the command), its storage below FOLDER ($scratch); 1 and $reason where it cannot be
buildah_ready() {
	local place=${1:-$scratch}
	command -v buildah >/dev/null || {
		reason="buildah is not installed"
		return 1
	}
	[ -n "$as_root" ] || {
		reason="buildah is run as root here, and this is not root"
		return 1
	}
	local driver
	for driver in overlay vfs; do
		peer=(buildah --root "$place/buildah-$driver" --runroot "$place/buildah-run-$driver" --storage-driver "$driver")
		"${peer[@]}" info >/dev/null 2>&1 && return
	done
	# shellcheck disable=SC2034 # for the caller
	reason="buildah has no storage driver here"
	return 1
}

# buildah_import ARCHIVE NAME ARCH [VARIANT]: a base image of a root file system archive
buildah_import() {
	local container
	container=$("${peer[@]}" from scratch) && "${peer[@]}" add "$container" "$1" / >/dev/null &&
		"${peer[@]}" config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --cmd /bin/sh \
			--arch "$3" ${4:+--variant "$4"} "$container" &&
		"${peer[@]}" commit -q --identity-label=false "$container" "$2" >/dev/null &&
		"${peer[@]}" rm "$container" >/dev/null
}

# buildah_build ARGUMENT...: what whittle build does
buildah_build() {
	"${peer[@]}" build --pull=never --isolation chroot --network host --identity-label=false "$@"
}

# buildah_leave: its mounts go, so that the scratch folder can
buildah_leave() {
	umount -l "$scratch"/buildah-*/overlay 2>/dev/null || true
}
