#!/bin/bash
# Base images as root file system archives, made once and cached: tests/fixtures.sh NAME ARCH | all
#
#   NAME  alpine (3.20), golang (Debian's packages) or debian (configured, with the tools that change owners)
#   ARCH  amd64, arm64 or armv7 (golang: amd64 and arm64; debian: that of this machine, amd64)
#
# Prints the path of the archive. Exit status 77 and a reason on stderr where it cannot be had here.
#   WHITTLE_TEST_CACHE  the cache, by default build/cache below the checkout
#   WHITTLE_SHARED      a folder with data/alpine/ in it, by default ../shared beside the checkout
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
alpine_version=3.20.3

give_up() {
	echo "$*" >&2
	exit 77
}

choose_cache() {
	local dir
	for dir in "${WHITTLE_TEST_CACHE:-}" "$top/build/cache" "/var/tmp/whittle-cache-$(id -u)"; do
		[ -n "$dir" ] || continue
		mkdir -p "$dir" 2>/dev/null && [ -w "$dir" ] && echo "$dir" && return
	done
	give_up "no folder for the cache can be written: set WHITTLE_TEST_CACHE"
}

# The distribution's own name of an architecture: alpine_arch armv7 -> armv7
alpine_arch() {
	case $1 in
	amd64) echo x86_64 ;;
	arm64) echo aarch64 ;;
	armv7) echo armv7 ;;
	*) give_up "no alpine for the architecture '$1'" ;;
	esac
}

# busybox_rootfs ARCH OUT: the smallest root file system that can stand in for Alpine, of Debian's busybox-static
busybox_rootfs() {
	local arch=$1 out=$2 deb dir apt applet
	[ "$arch" != armv7 ] || arch=armhf
	dir=$(mktemp -d "$cache/busybox.XXXXXX")
	# apt's own state is left alone: another root for its lists, so that no foreign architecture is added here
	apt=(-o "APT::Architecture=$arch" -o "APT::Architectures::=$arch" -o "Dir::State=$dir/state"
		-o "Dir::State::status=$dir/status" -o "Dir::Cache=$dir/cache" -o Debug::NoLocking=1
		-o APT::Sandbox::User=root)
	mkdir -p "$dir/state/lists/partial" "$dir/cache/archives/partial" "$dir/tree"
	: >"$dir/status"
	if ! (cd "$dir" && apt-get -qq "${apt[@]}" update; apt-get -qq "${apt[@]}" download busybox-static) >&2; then
		rm -rf "$dir"
		give_up "no Alpine archive here, no network to its place, and no busybox-static for $arch by apt-get"
	fi
	deb=$(echo "$dir"/busybox-static_*.deb)
	mkdir -p "$dir/tree/"{bin,dev,etc/apk,home,lib/apk/db,media,mnt,opt,proc,root,run,sbin,srv,sys,tmp} \
		"$dir/tree/"usr/{bin,lib,sbin,share/misc,local/bin} "$dir/tree/"var/{cache,lib,log}
	chmod 1777 "$dir/tree/tmp"
	dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$dir/tree" ./bin/busybox
	for applet in sh ash ls cat cp mv rm rmdir mkdir ln chmod chown chgrp touch echo test true false uname id env stat \
		find grep egrep fgrep sed awk sleep head tail wc sort tr cut dd tar gzip gunzip zcat sha256sum sha1sum md5sum \
		mknod mkfifo mktemp ps kill killall pidof nc ip ifconfig printf seq su timeout setsid setpriv adjtimex renice \
		readlink realpath dirname basename date df du diff cmp expr hostname nproc od xxd hexdump paste pwd tee tty \
		truncate uniq unlink unshare chroot mount umount which whoami xargs yes sync usleep link ionice nsenter; do
		ln -s busybox "$dir/tree/bin/$applet"
	done
	# Debian's busybox leaves these two out; enough of them for the tests
	cat >"$dir/tree/usr/sbin/adduser" <<-'END'
		#!/bin/sh
		id=1000
		while [ $# -gt 1 ]; do case $1 in -u) id=$2; shift 2 ;; *) shift ;; esac; done
		echo "$1:x:$id:$id::/home/$1:/bin/sh" >>/etc/passwd
		echo "$1:x:$id:" >>/etc/group
		mkdir -p "/home/$1" && chown "$id:$id" "/home/$1"
	END
	cat >"$dir/tree/bin/nice" <<-'END'
		#!/bin/sh
		if [ "$1" = -n ]; then renice -n "$2" -p $$ >/dev/null || exit 1; shift 2; fi
		exec "$@"
	END
	chmod 755 "$dir/tree/usr/sbin/adduser" "$dir/tree/bin/nice"
	echo "a stand-in for Alpine" >"$dir/tree/etc/motd"
	: >"$dir/tree/usr/share/misc/empty"
	echo "root:x:0:0:root:/root:/bin/sh" >"$dir/tree/etc/passwd"
	echo "nobody:x:65534:65534:nobody:/:/bin/false" >>"$dir/tree/etc/passwd"
	printf 'root:x:0:root\nnobody:x:65534:\n' >"$dir/tree/etc/group"
	echo "$alpine_version" >"$dir/tree/etc/alpine-release"
	tar -c -C "$dir/tree" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@1700000000 . | gzip -n >"$out"
	rm -rf "$dir"
}

# make_alpine ARCH OUT
make_alpine() {
	local name shared dir=$cache url
	name=alpine-minirootfs-$alpine_version-$(alpine_arch "$1").tar.gz
	shared=${WHITTLE_SHARED:-$top/../shared}/data/alpine
	if [ -r "$shared/$name" ]; then
		cp "$shared/$name" "$2"
		(cd "$shared" && grep -F " $name" SHA256SUMS) | sed "s|  *$name|  $2|" | sha256sum -c --quiet -
		return
	fi
	# A mirror of the distribution, where the network has one: WHITTLE_ALPINE_MIRROR=https://HOST/alpine
	url=${WHITTLE_ALPINE_MIRROR:-}/v${alpine_version%.*}/releases/$(alpine_arch "$1")
	if [ -n "${WHITTLE_ALPINE_MIRROR:-}" ] &&
		curl -fsSL --connect-timeout 5 --max-time 60 -o "$2" "$url/$name" 2>/dev/null &&
		curl -fsSL --connect-timeout 5 --max-time 20 -o "$dir/$name.sha256" "$url/$name.sha256" 2>/dev/null &&
		[ "$(sha256sum <"$2" | cut -d' ' -f1)" = "$(cut -d' ' -f1 "$dir/$name.sha256")" ]; then
		return
	fi
	busybox_rootfs "$1" "$2"
}

# make_golang ARCH OUT: Debian's golang extracted, not configured. Its maintainer scripts never run, so a
# foreign architecture needs no emulation; base-passwd's would have made the two files copied by the hook.
make_golang() {
	local arch=$1 out=$2 mode=auto suite=bookworm packages
	case $arch in amd64 | arm64) ;; *) give_up "no golang for the architecture '$arch'" ;; esac
	command -v mmdebstrap >/dev/null || give_up "mmdebstrap is not installed"
	packages=golang,ca-certificates,base-files,base-passwd,bash,dash,coreutils,diffutils,findutils,grep,sed
	if [ "$(id -u)" -eq 0 ]; then
		mode=root
	elif ! unshare --map-root-user --map-auto true 2>/dev/null; then
		mode=chrootless # no subordinate ids: everything belongs to root in the archive, and nothing is run
	fi
	# shellcheck disable=SC2016 # the hooks are for mmdebstrap's shell
	SOURCE_DATE_EPOCH=1700000000 mmdebstrap --quiet --mode=$mode --variant=extract --architectures="$arch" \
		--include=$packages \
		--extract-hook='cd "$1" && cp usr/share/base-passwd/passwd.master etc/passwd &&
			cp usr/share/base-passwd/group.master etc/group' \
		--extract-hook='cd "$1" && rm -rf usr/share/doc usr/share/man usr/share/info usr/share/locale \
			usr/share/lintian usr/share/go-*/test usr/share/go-*/api usr/lib/go-*/pkg/linux_*/cmd' \
		--extract-hook='cd "$1" && rm -rf var/cache/apt var/lib/apt var/log/*; : >etc/resolv.conf' \
		"$suite" - 2>"$out.log" | tar --delete --wildcards './dev/*' >"$out" || {
		tail -n 5 "$out.log" >&2
		rm -f "$out.log"
		give_up "mmdebstrap could not make a golang tree for $arch"
	}
	rm -f "$out.log"
}

# make_debian ARCH OUT: Debian 12, configured by its own maintainer scripts
make_debian() {
	local out=$2 mode=root
	[ "$1 $(uname -m)" = "amd64 x86_64" ] || give_up "the debian tree is made on amd64 for amd64"
	command -v mmdebstrap >/dev/null || give_up "mmdebstrap is not installed"
	if [ "$(id -u)" -ne 0 ]; then
		mode=unshare
		unshare --map-root-user --map-auto true 2>/dev/null || give_up "making a debian tree needs subordinate ids"
	fi
	# shellcheck disable=SC2016 # the hook is for mmdebstrap's shell
	SOURCE_DATE_EPOCH=1700000000 mmdebstrap --quiet --mode=$mode --variant=apt \
		--include=adduser,passwd,libcap2-bin,git,rsync,gcc,libc6-dev,python3-pip,nodejs,npm,procps,fakeroot \
		--customize-hook='cd "$1" && rm -rf usr/share/doc usr/share/man usr/share/locale var/lib/apt/lists/* \
			usr/lib/gcc/x86_64-linux-gnu/*/lto1' \
		bookworm - 2>"$out.log" | tar --delete --wildcards './dev/*' >"$out" || {
		tail -n 5 "$out.log" >&2
		rm -f "$out.log"
		give_up "mmdebstrap could not make a debian tree"
	}
	rm -f "$out.log"
}

# fixture NAME ARCH: make it unless it is there, print its path
fixture() {
	local name=$1 arch=$2 file
	case $name in
	alpine) file=$cache/alpine-$alpine_version-$arch.tar.gz ;;
	golang | debian) file=$cache/$name-$arch.tar ;;
	*) give_up "no fixture is called '$name'" ;;
	esac
	exec 9>"$file.lock"
	flock 9 # two test files may ask at once
	if [ ! -s "$file" ]; then
		rm -f "$file.tmp"
		"make_$name" "$arch" "$file.tmp" 9>&-
		chmod 0644 "$file.tmp"
		mv "$file.tmp" "$file"
	fi
	exec 9>&-
	echo "$file"
}

cache=$(choose_cache)
if [ "${1:-}" = all ]; then
	for arch in amd64 arm64 armv7; do
		fixture alpine $arch
	done
	for arch in amd64 arm64; do
		fixture golang $arch
	done
elif [ $# -eq 2 ]; then
	fixture "$1" "$2"
else
	echo "usage: tests/fixtures.sh alpine|golang|debian amd64|arm64|armv7, or: tests/fixtures.sh all" >&2
	exit 2
fi
