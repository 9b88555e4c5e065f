#!/bin/bash
# Other architectures: emulated in the build's own user namespace, with nothing registered on the host.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

[ "$(host_arch)" = amd64 ] || skip_all "the foreign platforms of this test are foreign to amd64"
command -v qemu-aarch64-static >/dev/null || skip_all "qemu-user-static is not installed"

host_state() {
	ls -A /proc/sys/fs/binfmt_misc 2>/dev/null
	grep binfmt_misc /proc/mounts
}
before=$(host_state)

context ctx <<'END'
FROM alpine:3.20
RUN uname -m > /machine && cat /proc/self/comm > /comm
RUN ["/bin/sh", "-c", "echo $0 $1 > /args", "zero", "one two"]
RUN printf '#!/bin/sh\necho script $1\n' > /script && chmod 755 /script && /script works > /scripted
RUN (exit 3) || echo "status $?" > /status; kill -l > /dev/null; for i in 1 2 3; do true & done; wait
END
digests=()
for user in "${users[@]}"; do
	import_alpine "$user" arm64 armv7 || bail "alpine can be imported" "$reason"
	for job in "linux/arm64 aarch64" "linux/arm/v7 armv7l"; do
		read -r platform machine <<<"$job"
		layout=$(dest "$user" "${platform//\//-}")
		runs "$user builds a stage of $platform" "$user" build --progress plain --platform "$platform" \
			--load -t "foreign-${platform//\//-}" -o "type=oci,dest=$layout,tar=false" ctx || continue
		is "$(cat_in "$layout" /machine)" "$machine" "it sees a $machine machine"
		is "$(cat_in "$layout" /args)" "zero one two" "arguments arrive"
		is "$(cat_in "$layout" /scripted)" "script works" "a script's interpreter is emulated too"
		is "$(cat_in "$layout" /status)" "status 3" "an exit status comes through"
		is "$(image_tree "$layout" | grep -c qemu)" 0 "no trace of qemu in the image"
		is "$(image_config "$layout" | jq -r '[.os, .architecture, .variant // empty] | join("/")')" "$platform" "the config says $platform"
		runs "$user runs the image" "$user" run --platform "$platform" "foreign-${platform//\//-}" uname -m
		is "$out" "$machine" "it sees a $machine machine"
		# the layers that need no emulation of ownership are the same for both kinds of users
		digests[${#digests[@]}]=$(image_tree "$layout" | sha256sum)
	done
done
[ ${#digests[@]} -lt 4 ] || is "${digests[0]} ${digests[1]}" "${digests[2]} ${digests[3]}" "both users give the same trees"

context owners <<'END'
FROM alpine:3.20
RUN adduser -D -u 77 app && touch /owned && chown app /owned && su app -c 'id -u; touch /tmp/mine' > /as-user
END
for user in "${users[@]}"; do
	layout=$(dest "$user" owners)
	runs "$user: owners in an emulated stage" "$user" build --progress plain --platform linux/arm64 \
		-o "type=oci,dest=$layout,tar=false" owners
	is "$(cat_in "$layout" /as-user)" 77 "$user: su works under emulation"
	like "$(image_tree "$layout" | grep '^/owned ')" 'file 0644 77:0' "$user: chown too"
	like "$(image_tree "$layout" | grep '^/tmp/mine ')" 'file 0644 77:77' "$user: and what that user makes is its own"
done
[ ${#users[@]} -gt 1 ] || skip "both kinds of users" "not started as root, so only $U was tested"
is "$(host_state)" "$before" "nothing is registered on the host"

# a stage of the build platform, cross-copied into one of the target's
context mixed <<'END'
FROM --platform=$BUILDPLATFORM alpine:3.20 AS tools
ARG TARGETPLATFORM
ARG TARGETARCH
ARG TARGETVARIANT
RUN echo "$(uname -m) builds for $TARGETPLATFORM $TARGETARCH ${TARGETVARIANT#v}" > /made
FROM alpine:3.20
COPY --from=tools /made /made
END
import_alpine "$U" amd64 || bail "alpine can be imported" "$reason"
layout=$(dest "$U" mixed)
if runs "--platform=\$BUILDPLATFORM" "$U" build --progress plain --platform linux/arm/v7,linux/arm64 \
	-o "type=oci,dest=$layout,tar=false" mixed; then
	sees() { image_tree "$layout" --platform "$1" >/dev/null && /usr/bin/python3 "$tests_dir/fixtures/image.py" cat "$layout" /made --platform "$1"; }
	is "$(sees linux/arm/v7)" "x86_64 builds for linux/arm/v7 arm 7" "runs natively, once for arm/v7"
	is "$(sees linux/arm64)" "x86_64 builds for linux/arm64 arm64 " "and once for arm64"
fi

# a variant below the one asked for will do; one above will not
context variant <<'END'
FROM alpine:3.20
CMD ["x"]
END
fixture alpine armv7 && w "$U" import "$fixture" v6:1 --platform linux/arm/v6
sed -i 's/alpine:3.20/v6:1/' variant/Dockerfile
runs "arm/v7 accepts an image of arm/v6" "$U" build --progress plain --platform linux/arm/v7 variant
w "$U" build --progress plain --platform linux/s390x variant
isnt "$status" 0 "s390x does not"
like "$err" 'linux/arm/v6' "and the message lists what there is"
done_testing
