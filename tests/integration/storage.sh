#!/bin/bash
# --storage overlay, fuse and copy: the same Dockerfile gives the same layers, byte for byte.
#
# Where they cannot be the same (sandbox/README.md, "Storage"), the last part says what each of them gives.
# shellcheck source=tests/fuse.sh
. "$(dirname "$0")/../fuse.sh"
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

# What steps make is newer and is clamped to this; what the base has is older and is not.
user_env=(SOURCE_DATE_EPOCH=1700000000)
kinds=(overlay copy)
if fuse_ready; then kinds+=(fuse); else skip "fuse" "$reason"; fi
gcc -static -O -o attr "$tests_dir/fixtures/attr.c" 2>"$scratch/gcc.log" ||
	bail "the helper for steps can be built" "$(cat "$scratch/gcc.log")"

# One line is one step and one layer: the name, then what it runs.
steps() {
	cat <<'END'
append|echo more >>/t/a/one; echo x >>/t/a/deep/er/file
replace|echo new >/t/a/n && mv /t/a/n /t/a/two; sed -i s/x/y/ /t/a/deep/er/sed
rename-file|mv /t/a/three /t/a/drei; mv /t/b/one /t/a/from-b
remove|rm /t/b/two; rm -r /t/b/sub
remove-all|rm -rf /t/b
again|mkdir -p /t/b/sub && echo again >/t/b/sub/s1
dir-to-file|rm -r /t/kinds/dir && echo file >/t/kinds/dir
file-to-dir|rm /t/kinds/file && mkdir /t/kinds/file && echo in >/t/kinds/file/in
dir-to-link|rm -r /t/kinds/dir2 && ln -s /t/a /t/kinds/dir2
link-to-dir|rm /t/kinds/link && mkdir /t/kinds/link && touch /t/kinds/link/x
recreate|rm -r /t/c && mkdir /t/c && echo c2 >/t/c/f2 && echo c9 >/t/c/f9
recreate-same|rm -r /t/same && mkdir /t/same && echo 1 >/t/same/1
recreate-many|rm -r /t/many && mkdir /t/many && echo one >/t/many/1
recreate-twice|rm -r /t/c; mkdir /t/c; rm -r /t/c; mkdir -p /t/c/f2/now/a/folder
rename-new|mkdir -p /t/new/x/y && echo n >/t/new/x/y/z && mv /t/new /t/newer && mv /t/newer/x /t/newer/w
rename-layer|mv /t/tree /t/baum
rename-in|mkdir /t/into && mv /t/baum/sub /t/into/
link-new|echo l >/t/l1; ln /t/l1 /t/l2; ln /t/l1 /t/a/l3
link-to-layer|ln /t/hard/1 /t/hard/new
link-remove|rm /t/hard/2
link-replace|sed -i s/h/H/ /t/hard/1
symlink|ln -sfn other /t/links/rel; ln -s /nowhere /t/links/dangling; rm /t/links/loop
chmod|chmod 600 /t/meta/mode; chmod 4755 /t/meta/suid; chmod 1777 /t/meta/dir
mtime|touch -d "2010-01-02 03:04:05" /t/meta/time; touch -d "2011-01-02 03:04:05" /t/meta/timedir
mtime-now|touch /t/meta/time2
unchanged|cat /t/a/one >/dev/null; chmod 644 /t/meta/same; touch -r /t/meta/same /t/meta/same
xattr|/attr set /t/meta/x user.new value && /attr set /t/meta/xdir user.d dir && /attr rm /t/meta/x2 user.old
xattr-keep|echo changed >>/t/meta/x3
sparse|truncate -s 300M /t/sparse; echo end >>/t/sparse; dd if=/dev/zero of=/t/sparse2 bs=1k seek=100k count=1 2>/dev/null
sparse-grow|truncate -s 400M /t/sparse
fifo|mkfifo -m 640 /t/fifo; rm /t/oldfifo
locked|mkdir -m 000 /t/locked; echo k >/t/lock; chmod 000 /t/lock; echo more >>/t/lock
names|touch '/t/a b' /t/-dash "/t/new
line" /t/ümläut '/t/back\slash' /t/.hidden '/t/c,o:lon'
empty|true
temporary|touch /t/meta/timedir2/f && rm /t/meta/timedir2/f; mkdir /t/meta/timedir3/d && rmdir /t/meta/timedir3/d
opened|: >>/t/meta/same; exec 3<>/t/meta/mode
cp-a|cp -a /t/a /t/copy-of-a
END
}

base_step='mkdir -p /t/a/deep/er /t/b/sub /t/kinds/dir /t/kinds/dir2 /t/c /t/same /t/many /t/tree/sub/subsub /t/hard /t/links /t/meta/dir \
	/t/meta/timedir /t/meta/timedir2 /t/meta/timedir3 /t/meta/xdir; cd /t; \
	for i in one two three; do echo $i >a/$i; echo $i >b/$i; done; echo x >a/deep/er/file; echo x >a/deep/er/sed; echo s >b/sub/s1; \
	echo d >kinds/dir/in; echo f >kinds/file; echo d >kinds/dir2/in; ln -s dir kinds/link; for i in 1 2 3 4; do echo c$i >c/f$i; done; \
	for i in 1 2 3; do echo $i >same/$i; done; for i in $(seq 400); do echo $i >many/$i; done; \
	echo t >tree/t; echo s >tree/sub/s; echo s >tree/sub/subsub/ss; ln -s ../t links/into; ln a/two c/hard; \
	echo h >hard/1; ln hard/1 hard/2; ln hard/1 hard/3; ln -s target links/rel; ln -s /t/a links/abs; ln -s loop links/loop; \
	for i in mode suid time time2 same x x2 x3; do echo $i >meta/$i; done; \
	/attr set /t/meta/x2 user.old v; /attr set /t/meta/x3 user.keep v; mkfifo oldfifo; find /t -exec /attr time 981173106 123456789 {} +'

# owners CASE: steps that only a range of ids allows
owner_steps() {
	cat <<'END'
chown|chown 1:2 /t/meta/same; chown -h 3:4 /t/links/abs; chown 5:6 /t/meta/dir
chown-tree|chown -R 7:8 /t/into
as-user|su nobody -s /bin/sh -c 'echo mine >/tmp/mine'
END
}

make_context() {
	context same < <(
		echo FROM alpine:3.20
		echo 'COPY attr /attr'
		printf 'RUN %s\n' "$base_step"
		for name in "${names[@]}"; do printf 'RUN <<END_OF_STEP\n%s\nEND_OF_STEP\n' "${script[$name]}"; done
	)
	cp attr same/attr
}

# read_steps: from stdin, name|script with lines that go on
read_steps() {
	local line name=
	while IFS= read -r line; do
		if [[ $line =~ ^([a-z-]+)\|(.*)$ ]]; then
			name=${BASH_REMATCH[1]}
			names+=("$name")
			script[$name]=${BASH_REMATCH[2]}
		else
			script[$name]+=$'\n'$line
		fi
	done
}

layers_of() { image_manifest "$1" | jq -r '.layers[].digest'; }
# show_layer LAYOUT DIGEST
show_layer() { zstd -dcq "$1/blobs/sha256/${2#sha256:}" | tar -tvz --full-time 2>/dev/null || zstd -dcq "$1/blobs/sha256/${2#sha256:}" | tar -tv --full-time; }

for user in "${users[@]}"; do
	names=()
	declare -A script=()
	read_steps < <(steps)
	! has_range "$user" || read_steps < <(owner_steps)
	make_context
	need_alpine "$user"
	declare -A layers=()
	for kind in "${kinds[@]}"; do
		layout=$(dest "$user" "$kind")
		runs "$user: a build with --storage $kind" "$user" build --progress plain --no-cache --storage "$kind" \
			-o "type=oci,dest=$layout,tar=false" same || continue 2
		mapfile -t of < <(layers_of "$layout")
		is "${#of[@]}" "$((${#names[@]} + 3))" "$user: $kind gives a layer per step"
		i=3
		for name in "${names[@]}"; do
			layers[$kind.$name]=${of[$i]}
			i=$((i + 1))
		done
		layers[$kind.base]=${of[2]}
	done
	for kind in "${kinds[@]:1}"; do
		for name in base "${names[@]}"; do
			if [ "${layers[$kind.$name]:-none}" = "${layers[overlay.$name]:-missing}" ]; then
				pass "$user: $kind and overlay give the same layer for '$name'"
			else
				fail "$user: $kind and overlay give the same layer for '$name'" "$(diff \
					<(show_layer "$scratch/$user/out/overlay" "${layers[overlay.$name]:-none}" 2>&1) \
					<(show_layer "$scratch/$user/out/$kind" "${layers[$kind.$name]:-none}" 2>&1))"
			fi
		done
	done
done
done_testing
