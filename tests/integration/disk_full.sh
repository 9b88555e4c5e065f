#!/bin/bash
# A store on a small file system: status 11, a message, and a store that works again when there is room.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

[ -n "$as_root" ] || skip_all "only root can mount a small file system"
arch=$(host_arch)
fixture alpine "$arch" || skip_all "$reason"

small=$scratch/small
mkdir "$small"
# ext4 in a file: overlayfs is at home on it; a tmpfs where there are no loop devices
truncate -s 64M "$scratch/small.img"
if mkfs.ext4 -q -m 0 "$scratch/small.img" && mount -o loop "$scratch/small.img" "$small" 2>/dev/null; then
	pass "a file system of 64 MiB on a loop device"
elif mount -t tmpfs -o size=64m,mode=0755 tmpfs "$small"; then
	pass "a file system of 64 MiB in memory"
else
	skip_all "no small file system can be mounted here"
fi
trap 'umount -l "$small"; at_exit' EXIT
mkdir "$small/store"
chown "$U:" "$small/store"
user_env=("WHITTLE_ROOT=$small/store")

runs "a small image fits" "$U" import "$fixture" base:1 --platform "linux/$arch" --cmd /bin/sh

context step <<'END'
FROM base:1
RUN dd if=/dev/urandom of=/big bs=1M count=200
END
w "$U" build --progress plain step
like "$status" '^(4|11)$' "a step that fills the disk: status 4 or 11"
like "$err" 'No space left' "with the reason"

context inodes <<'END'
FROM base:1
RUN mkdir /n && cd /n && seq 200000 | xargs touch
END
w "$U" build --progress plain inodes
like "$status" '^(4|11)$' "a step that takes every inode: status 4 or 11"
like "$err" 'No space left' "with the reason"
ok "and gives them back" test "$(df --output=iavail "$small" | tail -n 1)" -gt 1000

context copy <<'END'
FROM base:1
COPY big /big
RUN true
END
head -c 100000000 /dev/urandom >copy/big
fails 11 "a COPY that does not fit: status 11" "$U" build --progress plain copy
like "$err" '[Nn]o space left' "with the reason"

gzip -dc "$fixture" >big.tar
head -c 100000000 /dev/urandom >filler
tar -rf big.tar filler
fails 11 "an import that does not fit: status 11" "$U" import big.tar big:1 --platform "linux/$arch"
like "$err" '[Nn]o space left' "with the reason"
runs "images, after it" "$U" images
unlike "$out" 'big' "does not list it"

context good <<'END'
FROM base:1
RUN echo fits > /fits
END
runs "what fits still works" "$U" build --progress plain -t good:1 good
is "$(as_user root find "$small/store/tmp" -mindepth 1 -not -name 'partial-*' | wc -l)" 0 "no temporary file stays"
used=$(df --output=used -k "$small" | tail -n 1)
ok "the disk is not full of remains ($used KiB)" test "$used" -lt 40000

context out <<'END'
FROM base:1
CMD ["x"]
END
mkdir "$small/out"
chown "$U:" "$small/out"
head -c $(($(df --output=avail -B1 "$small" | tail -n 1) - 200000)) /dev/zero >"$small/filler"
w "$U" build --progress plain -o "type=tar,dest=$small/out/x.tar" out
is "$status" 11 "an output that does not fit: status 11"
not "and it is not there" test -e "$small/out/x.tar"
rm -f "$small/filler"
runs "with room again it works" "$U" build --progress plain -o "type=tar,dest=$small/out/x.tar" out
done_testing
