#!/bin/bash
# import, images, inspect, rmi, prune.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

arch=$(host_arch)
fixture alpine "$arch" || skip_all "$reason"

runs "import of a gzip archive" "$U" import "$fixture" base:1 --platform "linux/$arch" --env A=1 --env B=2 --cmd /bin/sh
like "$out" '^sha256:[0-9a-f]{64}$' "prints the image's digest"
id=$out
gzip -dc "$fixture" >plain.tar
runs "import of a plain archive" "$U" import plain.tar base:plain --platform "linux/$arch"
zstd -q plain.tar -o base.tar.zst
runs "import of a zstd archive" "$U" import base.tar.zst base:zstd --platform "linux/$arch"
runs "import from stdin's file" "$U" import "$fixture" base:1 --platform "linux/$arch" --env A=1 --env B=2 --cmd /bin/sh
is "$out" "$id" "the same import gives the same image"
runs "images" "$U" images
like "$out" 'base' "lists them"
runs "inspect by name" "$U" inspect base:1
ok "prints JSON" jq -e . "$scratch/out"
like "$out" '"A=1"' "with the environment"
like "$out" "\"$arch\"" "and the architecture"
runs "inspect by the start of the digest" "$U" inspect "${id:7:12}"

mkdir use && printf 'FROM base:1\nRUN echo "$A$B" > /ab\n' >use/Dockerfile
layout=$(dest "$U" use)
runs "a build from it" "$U" build --progress plain --load -t use:1 -o "type=oci,dest=$layout,tar=false" use
is "$(cat_in "$layout" /ab)" 12 "sees its environment"
is "$(image_config "$layout" | jq -c .config.Cmd)" '["/bin/sh"]' "and keeps its command"
runs "run of a command" "$U" run base:1 cat /etc/alpine-release
like "$out" '^3\.' "prints what the command printed"
w "$U" run base:1 sh -c 'exit 9'
is "$status" 9 "run gives the command's own status"
echo through | as_user "$U" timeout 60 "$WHITTLE" run base:1 cat >"$scratch/out" 2>"$scratch/err"
is "$(cat "$scratch/out")" through "run hands on stdin"

# several platforms of one name
if fixture alpine arm64; then
	runs "import of another platform under the same name" "$U" import "$fixture" base:multi --platform linux/arm64
	fixture alpine amd64
	runs "and of a third" "$U" import "$fixture" base:multi --platform linux/amd64
	layout=$(dest "$U" multi)
	printf 'FROM base:multi\nCMD ["x"]\n' >use/Dockerfile
	runs "both can be built from" "$U" build --progress plain --platform linux/amd64,linux/arm64 \
		-o "type=oci,dest=$layout,tar=false" use
fi

echo 'not an archive' >text
fails 1 "import of what is no archive" "$U" import text bad:1 || true
runs "images, after it" "$U" images
unlike "$out" 'bad' "does not list it"
head -c 1000000 "$fixture" >cut.tar.gz
w "$U" import cut.tar.gz bad:2 --platform "linux/$arch"
isnt "$status" 0 "import of a truncated archive"
fails 6 "import of a file that is not there" "$U" import no-such-file bad:3
fails 2 "import with a bad platform" "$U" import plain.tar bad:4 --platform 'linux'/'?'
fails 2 "import under a bad name" "$U" import plain.tar 'BAD NAME' --platform "linux/$arch"

# rmi and prune
runs "rmi" "$U" rmi base:plain base:zstd
runs "images, after it" "$U" images
unlike "$out" 'zstd' "does not list them"
like "$out" 'base' "but the others"
size() { as_user "$U" du -sk "$scratch/$U/store" | cut -f1; }
runs "rmi of all" "$U" rmi base:1 base:multi use:1
before=$(size)
runs "prune" "$U" prune
after=$(size)
ok "gives disk back ($before KiB, then $after KiB)" test "$after" -lt "$((before / 2))"
runs "and leaves a store that works" "$U" import plain.tar again:1 --platform "linux/$arch"
runs "to build in" "$U" run again:1 true
done_testing
