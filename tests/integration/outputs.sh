#!/bin/bash
# What whittle writes is read by skopeo, umoci, podman, buildah, tar and zstd.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

need_alpine "$U" amd64 arm64 armv7
user_env=(SOURCE_DATE_EPOCH=1700000000)
arch=$(host_arch)

context app <<'END'
FROM alpine:3.20
COPY f /srv/f
RUN echo made > /srv/made && chown 5:6 /srv/made && chmod 4755 /srv/made && rm /etc/motd
ENV K=V
CMD ["cat", "/srv/f"]
END
echo content >app/f

# out DESCRIPTION TYPE-AND-ATTRIBUTES [FLAG...]: one build with one output
out() {
	local desc=$1 spec=$2
	shift 2
	runs "$desc" "$U" build --progress plain -o "$spec" "$@" app
}
d=$scratch/$U/out

# --- OCI layout and archive -------------------------------------------------------------------------------
out "a layout" "type=oci,dest=$d/layout,tar=false,name=example.org/app:1"
is "$(cat "$d/layout/oci-layout")" '{"imageLayoutVersion":"1.0.0"}' "oci-layout says the version"
is "$(jq -r '.manifests | length' "$d/layout/index.json")" 1 "the index names one image"
is "$(jq -r '.manifests[0].annotations["org.opencontainers.image.ref.name"]' "$d/layout/index.json")" 1 "by its tag"
is "$(jq -r '.manifests[0].annotations["io.containerd.image.name"]' "$d/layout/index.json")" example.org/app:1 "and by its name"
digests_are_true() {
	(cd "$1/blobs/sha256" && for f in *; do [ "$(sha256sum <"$f")" = "$f  -" ] || return 1; done)
}
ok "every blob has the digest it is called by" digests_are_true "$d/layout"
is "$(find "$d/layout/blobs/sha256" -type f | wc -l)" \
	"$(($(image_manifest "$d/layout" | jq '[.layers[].digest] | unique | length') + 2))" "there is no blob too many"
is "$(image_manifest "$d/layout" | jq -r '[.layers[].mediaType] | unique | .[]' | grep -c zstd)" 1 "layers are zstd"
is "$(image_manifest "$d/layout" | jq -r .mediaType)" application/vnd.oci.image.manifest.v1+json "of OCI media types"
zstd_layers_are_true() {
	local l
	for l in $(image_manifest "$1" | jq -r '.layers[] | select(.mediaType | endswith("zstd")) | .digest'); do
		zstd -tq "$1/blobs/sha256/${l#sha256:}" || return 1
	done
}
ok "zstd reads them" zstd_layers_are_true "$d/layout"
image_tree "$d/layout" >layout.tree
like "$(cat layout.tree)" '/srv/made file 4755 5:6' "the tree holds what was made"
unlike "$(cat layout.tree)" '/etc/motd ' "and not what was removed"

out "an archive" "type=oci,dest=$d/app.oci.tar"
mkdir unpacked && tar -C unpacked -xf "$d/app.oci.tar"
image_tree unpacked >archive.tree
same_files layout.tree archive.tree "tar reads the archive; it holds the same image"
is "$(image_digest unpacked)" "$(image_digest "$d/layout")" "with the same digest"
cp "$d/app.oci.tar" first.tar
out "the archive again" "type=oci,dest=$d/app.oci.tar"
ok "is the same, byte for byte" cmp first.tar "$d/app.oci.tar"

out "gzip on request" "type=oci,dest=$d/gzip,tar=false,compression=gzip,force-compression=true,name=app:gz"
is "$(image_manifest "$d/gzip" | jq -r '[.layers[].mediaType] | unique | .[]')" application/vnd.oci.image.layer.v1.tar+gzip \
	"every layer says gzip"
image_tree "$d/gzip" >gzip.tree
same_files layout.tree gzip.tree "and holds the same files"
is "$(image_config "$d/gzip" | jq -c .rootfs)" "$(image_config "$d/layout" | jq -c .rootfs)" "with the same diffIDs"
out "no compression" "type=oci,dest=$d/plain,tar=false,compression=uncompressed,force-compression=true"
is "$(image_manifest "$d/plain" | jq -r '[.layers[].mediaType] | unique | .[]')" application/vnd.oci.image.layer.v1.tar \
	"every layer is plain"
out "a level" "type=oci,dest=$d/level,tar=false,compression=zstd,compression-level=19"
ok "gives valid layers" zstd_layers_are_true "$d/level"

# --- other people's readers ---------------------------------------------------------------------------------
if command -v skopeo >/dev/null; then
	ok "skopeo inspects the layout" skopeo inspect "oci:$d/layout:1"
	ok "skopeo inspects the archive" skopeo inspect "oci-archive:$d/app.oci.tar"
	is "$(skopeo inspect "oci:$d/layout:1" 2>/dev/null | jq -r '.Env[]' | grep -c '^K=V$')" 1 "and sees the environment"
	ok "skopeo copies the layout" skopeo copy --quiet --insecure-policy "oci:$d/layout:1" "dir:$scratch/work/skopeo"
else
	skip "skopeo" "not installed"
fi
if ! command -v umoci >/dev/null; then
	skip "umoci" "not installed"
elif ok "umoci unpacks a gzip layout" umoci unpack --rootless --image "$d/gzip:gz" umoci-bundle; then
	is "$(cat umoci-bundle/rootfs/srv/f 2>/dev/null)" content "with the right content"
	not "and without what was removed" test -e umoci-bundle/rootfs/etc/motd
fi

out "a docker archive" "type=docker,dest=$d/docker.tar,name=app:docker"
is "$(tar -xOf "$d/docker.tar" manifest.json | jq -c '[.[0].RepoTags[] | sub("^docker.io/library/"; "")]')" '["app:docker"]' \
	"manifest.json names it"
is "$(tar -xOf "$d/docker.tar" manifest.json | jq -r '.[0].Layers | length')" \
	"$(image_config "$d/layout" | jq -r '.rootfs.diff_ids | length')" "and its layers"
[ -z "$(command -v skopeo)" ] || ok "skopeo inspects it" skopeo inspect "docker-archive:$d/docker.tar"

# podman and buildah keep their storage in the scratch folder, without overlay so that it works everywhere
tools=(--root "$scratch/containers" --runroot "$scratch/containers-run" --storage-driver vfs)
if [ -z "$as_root" ]; then
	skip "podman load and buildah pull" "not started as root"
else
	podman_loads() { podman "${tools[@]}" load -q -i "$d/docker.tar" && podman "${tools[@]}" image exists docker.io/library/app:docker; }
	podman_loads_oci() { podman "${tools[@]}" load -q -i "$d/app.oci.tar"; }
	buildah_pulls() { buildah "${tools[@]}" pull -q "oci-archive:$d/app.oci.tar"; }
	if command -v podman >/dev/null; then
		ok "podman loads the docker archive" podman_loads
		ok "podman loads the OCI archive" podman_loads_oci
	else
		skip "podman load" "not installed"
	fi
	if command -v buildah >/dev/null; then
		ok "buildah pulls the OCI archive" buildah_pulls
	else
		skip "buildah pull" "not installed"
	fi
fi

# --- tar and local ------------------------------------------------------------------------------------------
out "a root file system as tar" "type=tar,dest=$d/rootfs.tar"
is "$(tar -xOf "$d/rootfs.tar" srv/f 2>/dev/null || tar -xOf "$d/rootfs.tar" ./srv/f)" content "tar reads it"
like "$(tar --numeric-owner -tvf "$d/rootfs.tar" | grep 'srv/made$')" '^-rwsr-xr-x 5/6 ' "owner and setuid bit are in it"
unlike "$(tar -tf "$d/rootfs.tar")" 'etc/motd' "what was removed is not"
unlike "$(tar -tf "$d/rootfs.tar")" '\.wh\.' "nor any whiteout"
is "$(w "$U" build -q -o type=tar,dest=- app; sha256sum <"$scratch/out")" "$(sha256sum <"$d/rootfs.tar")" "- is stdout"
out "a folder" "type=local,dest=$d/local"
is "$(cat "$d/local/srv/f")" content "holds the files"
is "$(stat -c '%U' "$d/local/srv/made")" "$U" "which belong to the one who asked"
is "$(readlink "$d/local/bin/sh")" "$(tar -tvf "$d/rootfs.tar" | sed -n 's|.*bin/sh -> ||p')" "links are links"
out "the short form -o FOLDER" "$d/short"
is "$(cat "$d/short/srv/f")" content "is local"

# --- several at once, several platforms ------------------------------------------------------------------------
w "$U" build --progress plain -o "type=oci,dest=$d/two-a,tar=false" -o "type=tar,dest=$d/two-b.tar" -t two:1 app
is "$status" 0 "several outputs of one build"
ok "the first" test -s "$d/two-a/index.json"
ok "the second" test -s "$d/two-b.tar"

out "three platforms" "type=oci,dest=$d/multi,tar=false,name=app:multi" --platform linux/amd64,linux/arm64,linux/arm/v7
index=$d/multi/blobs/sha256/$(image_digest "$d/multi" | cut -d: -f2)
is "$(jq -r '.manifests[0].mediaType' "$d/multi/index.json")" application/vnd.oci.image.index.v1+json "are one index"
is "$(jq -c '[.manifests[].platform | [.os, .architecture, .variant // ""]]' "$index")" \
	'[["linux","amd64",""],["linux","arm64",""],["linux","arm","v7"]]' "in the order that was asked for"
for p in linux/amd64 linux/arm64 linux/arm/v7; do
	like "$(image_tree "$d/multi" --platform "$p" | grep '^/srv/made ')" 'file 4755 5:6' "$p was built"
	is "$(image_config "$d/multi" --platform "$p" | jq -r '[.os, .architecture, .variant // empty] | join("/")')" "$p" "and says so"
done
is "$(image_digest "$d/layout")" "$(jq -r --arg a "$arch" '.manifests[] | select(.platform.architecture == $a) | .digest' "$index")" \
	"one of several platforms is the same image as it is alone"
[ -z "$(command -v skopeo)" ] || ok "skopeo reads the index" skopeo inspect --raw "oci:$d/multi:multi"
out "several platforms as folders" "type=local,dest=$d/multi-local" --platform linux/amd64,linux/arm/v7
is "$(cat "$d/multi-local/linux_amd64/srv/f" "$d/multi-local/linux_arm_v7/srv/f" | tr '\n' ' ')" "content content " \
	"have a folder each (fact 250)"
fails 2 "several platforms do not fit into a docker archive" "$U" build -o "type=docker,dest=$d/x.tar" \
	--platform linux/amd64,linux/arm64 app || [ "$status" != 0 ]
w "$U" build -q -t multi:1 --platform linux/amd64,linux/arm64 app
is "$status" 0 "several platforms into the store"
runs "each of which runs" "$U" run --platform linux/arm64 multi:1
is "$out" content "and prints"

# --- what is asked for wrongly -----------------------------------------------------------------------------------
fails 2 "an output without a type" "$U" build -o dest=x app
fails 2 "an unknown type" "$U" build -o type=zip,dest=x app
like "$err" zip "is named"
fails 2 "a layout without a place" "$U" build -o type=oci,tar=false app
fails 2 "two outputs to stdout" "$U" build -o type=tar,dest=- -o type=oci,dest=- app
fails 2 "an unknown compression" "$U" build -o "type=oci,dest=$d/x,compression=lzma" app
like "$err" lzma "is named"
fails 2 "a compression level out of range" "$U" build -o "type=oci,dest=$d/x,compression-level=99" app
w "$U" build --progress plain -o "type=tar,dest=$scratch/not/there/x.tar" app
isnt "$status" 0 "a place that does not exist"
like "$err" 'not/there' "is named"
w "$U" build --progress plain -o "type=tar,dest=$d/full.tar" app
ok "an output leaves no temporary file beside it" test "$(find "$d" -maxdepth 1 -name '*tmp*' | wc -l)" = 0

# --- reading back -------------------------------------------------------------------------------------------------
new_store "$U"
context back <<END
FROM oci-layout://$d/layout
RUN cat /srv/f > /seen && echo "\$K" >> /seen
END
layout=$(dest "$U" back)
runs "FROM oci-layout://" "$U" build --progress plain -o "type=oci,dest=$layout,tar=false" back
is "$(cat_in "$layout" /seen)" $'content\nV' "reads what was written, its environment too"
is "$(image_manifest "$layout" | jq -c '.layers[:2]')" "$(image_manifest "$d/layout" | jq -c '.layers[:2]')" \
	"the base's layers are kept as they were"
sed -i "s|oci-layout://.*|oci-archive:$d/app.oci.tar|" back/Dockerfile
runs "FROM oci-archive:" "$U" build --progress plain -t back:1 back
runs "pull of a layout with several platforms" "$U" pull --platform linux/arm64 "oci-layout://$d/multi"
done_testing
