#!/bin/bash
# What recorded ownership costs: the same work in one step of isolation single and of subid, by turns, and under
# fakeroot(1) in the latter. The clock runs inside the step.
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"

has_range "$U" || skip_all "$U has no subordinate ids to compare with"
[ "$(host_arch)" = amd64 ] || skip_all "the Debian tree of this benchmark is for amd64"
fixture debian amd64 || skip_all "$reason"
runs "the Debian tree is imported" "$U" import "$fixture" debian:12 || {
	done_testing
	exit
}

mkdir -p owner
cat >owner/work.sh <<'END'
#!/bin/bash
# work.sh NAME: do it once unmeasured where that is possible, then print the nanoseconds of each of three runs
clock() { local s e; s=$(date +%s%N); "$@" >/dev/null 2>&1 || echo "failed: $*"; e=$(date +%s%N); echo $((e - s)); }
unpack() { rm -rf /dev/shm/x; mkdir /dev/shm/x; clock tar -C /dev/shm/x -xpf /tree.tar; } # no disk: its writing back would drown it
execs() { for ((i = 0; i < 500; i++)); do /bin/true; done; }
apt() { dpkg --purge big >/dev/null 2>&1; clock apt-get -qq install -y --no-install-recommends /big.deb; }
case $1 in
find) find /tree -newer /etc/hostname >/dev/null; for i in 1 2 3; do clock find /tree -newer /etc/hostname; done ;;
ls) ls -lR /tree >/dev/null; for i in 1 2 3; do clock ls -lR /tree; done ;;
unpack) for i in 1 2 3; do unpack; done ;;
execs) for i in 1 2 3; do clock execs; done ;;
compile) for i in 1 2 3; do clock gcc -O2 -c -o /tmp/o.o /source.c; done ;;
apt) for i in 1 2; do apt; done ;;
esac
END
cat >owner/prepare.sh <<'END'
#!/bin/bash
# 20,000 files in 200 folders, a tenth of them somebody else's; a source of 300 functions; a package of 4,000 files
set -e
for ((d = 0; d < 200; d++)); do
	mkdir -p /tree/$d
	for ((f = 0; f < 100; f++)); do echo $d.$f >/tree/$d/$f; done
done
chown -R 1000:1000 /tree/1?
tar -C / -cf /tree.tar tree
for ((i = 0; i < 300; i++)); do
	echo "int f$i(int a, int b) { int s = 0; for (int i = 0; i < a; i++) s += i * b + (s >> $((i % 7))); return s ^ $i; }"
done >/source.c
mkdir -p /big/DEBIAN /big/opt/big
printf 'Package: big\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n' >/big/DEBIAN/control
for ((i = 0; i < 4000; i++)); do head -c 4000 /dev/urandom >/big/opt/big/$i; done
dpkg-deb --root-owner-group -Zgzip -b /big /big.deb >/dev/null
rm -r /big
END
chmod 755 owner/*.sh
printf 'FROM debian:12\nCOPY prepare.sh work.sh /\nRUN /prepare.sh\n' >owner/Dockerfile
for isolation in subid single; do
	runs "prepared ($isolation)" "$U" build -q --isolation $isolation -t work:$isolation owner
done

least() { grep -E '^[0-9]+$' | sort -n | head -n 1; }
# work ISOLATION NAME [WRAPPER]: the shortest of its runs, in nanoseconds
work() {
	local isolation=$1 name=$2
	shift 2
	as_user "$U" "$WHITTLE" run --shm-size 512m --isolation "$isolation" "work:$isolation" "$@" /work.sh "$name" 2>>"$scratch/work.log"
}

# compare NAME MARK: three rounds by turns
compare() {
	local name=$1 limit=$2 round mapped="" recorded="" fake=""
	for round in 1 2 3; do
		mapped+=$(work subid "$name")$'\n'
		recorded+=$(work single "$name")$'\n'
		[ $round -gt 1 ] || fake+=$(work subid "$name" fakeroot)$'\n'
	done
	if grep -q failed <<<"$mapped$recorded"; then
		fail "$name" "$(grep -h failed <<<"$mapped$recorded" | head -n 2)"
		return
	fi
	mapped=$(least <<<"$mapped") recorded=$(least <<<"$recorded") fake=$(least <<<"$fake")
	diag "$name: subid $((mapped / 1000000)) ms, single $((recorded / 1000000)) ms, fakeroot $((${fake:-0} / 1000000)) ms ($(ratio "$fake" "$mapped"))"
	mark "$name, single against subid" "$(ratio "$recorded" "$mapped")" "$limit" times
	mark "$name, single against fakeroot" "$(ratio "$recorded" "$fake")" 1 times
}

compare find 1.2
compare ls 1.2
compare unpack 1.8
compare execs 1.25
compare compile 1.05
compare apt 1.15
done_testing
