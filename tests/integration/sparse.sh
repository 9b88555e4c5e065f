#!/bin/bash
# Archives with sparse members, for ADD and as contexts (dockerfile.md 3.3.10.2): GNU tar writes them in each of its
# forms, and what it extracts is what whittle must. Made by hand are those that no honest program writes.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

forms=(gnu posix-0.0 posix-0.1 posix-1.0)
user=$U

# tar_form FORM ARCHIVE NAME...: from the folder from
tar_form() {
	local version=${1#*-}
	[ "$version" != gnu ] || version=
	tar --format="${1%%-*}" --sparse ${version:+"--sparse-version=$version"} -C from -cf "$2" "${@:3}"
}

# b CONTEXT [FILE]: built, the context on stdin from FILE; sets layout
b() {
	layout=$(dest "$user" image)
	as_user "$user" timeout -k 10 "$time_limit" "$WHITTLE" build --progress plain \
		-o "type=oci,dest=$layout,tar=false" "$1" >"$scratch/out" 2>"$scratch/err" <"${2:-/dev/null}"
	status=$?
	err=$(tr -d '\0' <"$scratch/err")
}

# sums FOLDER: "/NAME DIGEST" of its files
sums() {
	(cd "$1" && find . -type f ! -name Dockerfile -exec sha256sum {} +) | sed -E 's,^(\S+)  \.(.*),\2 \1,' | sort
}
image_sums() {
	image_tree "$layout" | sed -nE 's,^(/out)?(/.*) file \S+ \S+ (\S+).*,\2 \3,p' | grep -v '^/Dockerfile ' | sort
}

mkdir -p from/d add
long=$(printf 'long%.0s' $(seq 40))
truncate -s 5M from/hole from/ends from/d/begins
echo end >>from/ends
echo begin | dd of=from/d/begins conv=notrunc status=none
for i in $(seq 60); do echo "part $i" | dd of="from/d/$long" bs=64k seek="$i" conv=notrunc status=none; done
truncate -s 4000001 "from/d/$long"
cp --sparse=always "from/d/$long" 'from/ä b'
echo plain >from/plain
printf '%s\n' 'FROM scratch' 'ADD t.tar /out/' 'ADD t.tar.gz /out/' >add/Dockerfile
printf '%s\n' 'FROM scratch' 'COPY . /out/' >from/Dockerfile
for form in "${forms[@]}"; do
	tar_form "$form" add/t.tar hole ends d 'ä b' plain
	gzip -c add/t.tar >add/t.tar.gz
	rm -rf theirs && mkdir theirs && tar -xf add/t.tar -C theirs
	like "$(du -b add/t.tar | cut -f1)" '^.{1,6}$' "$form: the archive has no holes" # under a megabyte
	sums theirs >expected
	for user in "${users[@]}"; do
		b add
		is "$(image_sums)" "$(cat expected)" "$user: $form: ADD extracts what GNU tar does"
	done
	tar_form "$form" context.tar Dockerfile hole ends d 'ä b' plain
	for user in "${users[@]}"; do
		b - context.tar
		is "$(image_sums)" "$(cat expected)" "$user: $form: a context has it too"
	done
done

# --- a large hole takes no space --------------------------------------------------------------------------
mkdir -p large
truncate -s 600M from/large
echo end >>from/large
tar_form posix-1.0 large/t.tar large
printf '%s\n' 'FROM scratch' 'ADD t.tar /out/' 'FROM scratch' 'COPY --from=0 /out/large /again' >large/Dockerfile
(cd from && tar --sparse -cf ../large.tar Dockerfile large)
store_size() { du -s "$scratch/$user/store" | cut -f1; }
for user in "${users[@]}"; do
	before=$(store_size)
	b large
	is "$status" 0 "$user: a hole of 600 megabytes, and a copy of it"
	b - large.tar
	is "$status" 0 "$user: it is in a context"
	grown=$(($(store_size) - before))
	if [ "$grown" -lt 100000 ]; then
		pass "$user: takes less than a hundred megabytes of the store"
	else
		fail "$user: takes less than a hundred megabytes of the store" "it takes $grown KB"
	fi
done
user=$U

# --- hostile ones -----------------------------------------------------------------------------------------
/usr/bin/python3 - <<'END'
import os, tarfile

def pad(b):
    return b + bytes(-len(b) % 512)

def octal(n):
    return b"%011o\0" % n if n < 1 << 33 else (1 << 95 | n).to_bytes(12, "big")

def header(name, kind, size, gnu=()):
    m = tarfile.TarInfo(name)
    m.type, m.size = kind, size
    h = bytearray(m.tobuf(tarfile.GNU_FORMAT if gnu else tarfile.USTAR_FORMAT)[-512:])
    if gnu:
        pairs, more, real = gnu
        for i, n in enumerate(pairs):
            h[386 + 12 * i:398 + 12 * i] = octal(n)
        h[482] = more
        h[483:495] = octal(real)
    h[148:156] = b" " * 8
    h[148:156] = b"%06o\0 " % sum(h)
    return bytes(h)

def pax(records, body, name="m", kind=b"0"):
    out = b""
    for key, value in records:
        r = " GNU.sparse.%s=%s\n" % (key, value)
        n = len(r.encode()) + 1
        while len(str(n)) + len(r.encode()) != n:
            n += 1
        out += (str(n) + r).encode()
    return header("x", b"x", len(out)) + pad(out) + header(name, kind, len(body)) + pad(body)

def v1(real, text, body, name="m"):
    records = [("major", 1), ("minor", 0), ("name", name), ("realsize", real)]
    return pax(records, pad(text.encode()) + body, "GNUSparseFile.0/m")

def v01(real, text, body, blocks):
    return pax([("name", "m"), ("size", real), ("numblocks", blocks), ("map", text)], body)

def make(name, data, end=bytes(1024)):
    os.mkdir(name)
    with open(name + "/t.tar", "wb") as f:
        f.write(data + end)
    with open(name + "/Dockerfile", "w") as f:
        f.write("FROM scratch\nADD t.tar /out/\n")

S = tarfile.GNUTYPE_SPARSE
# odd, but the same to everybody: empty parts, parts without a hole between, one that ends the file, no name
odd = header("m", S, 514, ((0, 0, 1, 0, 1, 512, 513, 2), 0, 515)) + pad(b"a" * 512 + b"bc")
odd += pax([("major", 1), ("minor", 0), ("realsize", 900)], pad(b"3\n7\n0\n9\n3\n900\n0\n") + b"xyz", "n")
odd += pax([("major", 0), ("minor", 1), ("size", 5), ("numblocks", 1), ("map", "0,5")], b"abcde", "o")
make("odd", odd, bytes(10240 - len(odd)))
make("inside", header("m", S, 5, ((2, 3, 7, 2), 0, 9)) + pad(b"abcde"))
make("short", v1(9, "1\n0\n5\n", b"abcde"))
make("overlap", header("m", S, 5, ((2, 3, 4, 2), 0, 9)) + pad(b"abcde"))
make("backwards", v1(9, "2\n7\n2\n2\n3\n", b"abcde"))
make("beyond", v01(6, "2,3,5,2", b"abcde", 2))
make("overflow", v1(9, "1\n9223372036854775807\n5\n", b"abcde"))
make("blocks", v01(5, "0,5", b"abcde", 1000000000))
make("count", v1(5, "1000000000\n0\n5\n", b"abcde"))
make("chain", header("m", S, 0, ((0,) * 8, 1, 5)) + (octal(0) * 42 + b"\1" + bytes(7)) * 4000)
make("exabytes", header("m", S, 0, ((1 << 60, 0), 0, 1 << 60)))
make("together", b"".join(header("m%d" % i, S, 0, ((1 << 35, 0), 0, 1 << 35)) for i in range(3)))
make("up", v1(1, "1\n0\n1\n", b"x", "../../escaped"))
make("absolute", v1(1, "1\n0\n1\n", b"x", "/absolute"))
make("truncated", header("m", S, 0, ((0,) * 8, 1, 5)) + octal(0) * 20, b"")
make("cut", v1(9, "5\n0\n1\n", b""))
END
hostile() { # hostile NAME MESSAGE
	b "$1"
	is "$status" 1 "$1: the build fails"
	like "$err" "archive 't.tar': .*'$2" "$1: the message names the member"
}
b odd
rm -rf theirs && mkdir theirs && tar -xf odd/t.tar -C theirs
is "$(image_sums)" "$(sums theirs)" "maps that are odd but well-formed are what they are to GNU tar"
hostile inside "m': its map has a part that ends inside a record"
hostile short "m': its map does not reach its end"
hostile overlap "m': its map overlaps or runs backwards"
hostile backwards "m': its map overlaps or runs backwards"
hostile beyond "m': its map goes beyond its size"
hostile overflow "m': its map goes beyond the end of any file"
hostile blocks "m': its map has not as many pairs as it says"
hostile count "m': its map has something that is no number"
hostile chain "m': its map is larger than allowed"
hostile exabytes "m': larger, with those before it, than any layer may be"
hostile together "m2': larger, with those before it, than any layer may be"
hostile up "\.\./\.\./escaped': a name with '\.\.'"
hostile truncated "m': the archive ends inside its map"
hostile cut "m': its map has something that is no number"
b absolute
like "$(image_tree "$layout" | grep absolute)" '^/out/absolute file' "an absolute name stays below the destination"
is "$(ls "$scratch/$user/store/tmp")" "" "nothing is left in the store"
done_testing
