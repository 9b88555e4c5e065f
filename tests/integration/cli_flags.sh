#!/bin/bash
# The options of whittle build, those of docker buildx build and of buildah among them: each works, or is refused in
# one line that says what to use instead (dockerfile.md 9).
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

context c <<'END'
FROM scratch
ARG used=default
COPY <<EOF /f
$used
EOF
ENV a=b
END
lay=$(dest "$U" lay)
oci=(-o "type=oci,dest=$lay,tar=false")

# --- every option of the others is known ---------------------------------------------------------------
fresh() { lay=$(dest "$U" lay); }
# accepted FLAG...: does no harm
accepted() { ok "$* is accepted" w "$U" build --progress quiet "${oci[@]}" "$@" c; }
# refused FLAG...: one line on stderr with a way out
refused() {
	w "$U" build "$@" c
	is "$status $(wc -l <"$scratch/err")" "2 1" "$1 is refused in one line" || diag "$err"
	like "$err" 'no meaning here: .{8}' "$1: which says what to do"
}
for flag in --layers --layers=true --rm --force-rm=false --compress --skip-unused-stages --disable-content-trust \
	--format=oci --jobs=2 --pull --no-cache --quiet --load; do
	accepted $flag
done
# docker buildx build and buildah build, each option of their help that is none of ours
for flag in all-platforms allow annotation arch attest authfile build-arg build-context builder cache-from cache-to \
	cache-ttl cap-add cap-drop cert-dir cgroup-parent cgroupns cpp-flag creds decryption-key device \
	disable-compression dns dns-option dns-search env file from hooks-dir http-proxy identity-label ignorefile iidfile ipc isolation \
	jobs label layers load logfile logsplit manifest memory metadata-file network no-cache no-cache-filter no-hosts \
	omit-history os os-feature os-version output pid platform policy progress provenance pull push quiet retry \
	retry-delay rm runtime runtime-flag sbom secret security-opt shm-size sign-by squash ssh stdin tag target \
	timestamp tls-verify ulimit unsetenv userns userns-gid-map userns-gid-map-group userns-uid-map userns-uid-map-user \
	uts variant volume; do
	w "$U" build "--$flag=x" c
	unlike "$err" 'unknown option' "--$flag is known"
done
for flag in arch=arm64 authfile=x creds=a:b from=alpine ignorefile=x manifest=x os=linux runtime=crun security-opt=x \
	tls-verify=false userns=host variant=v7 volume=/a:/b squash; do
	refused "--$flag"
done
refused -v /a:/b
w "$U" build --format docker c
like "$status $err" '2 .*type=docker' "--format docker is refused with a way"
w "$U" build --layers=false c
like "$status $err" '2 .*--no-cache' "--layers=false as well"
w "$U" build --jobs x c
is "$status" 2 "--jobs takes a number"
w "$U" build --help
is "$(awk 'length > 80' "$scratch/out")" "" "the help fits 80 columns"
for flag in build-context annotation metadata-file jobs timestamp; do
	like "$out" "--$flag" "the help has --$flag"
done

# --- --metadata-file -------------------------------------------------------------------------------------
meta=$(dest "$U" meta.json)
fresh
runs "--metadata-file" "$U" build "${oci[@]}" -t a.example/b:1 -t c --metadata-file "$meta" c
is "$(jq -r '."containerimage.digest"' "$meta")" "$(image_digest "$lay")" "has the digest"
is "$(jq -c '."containerimage.descriptor" | [.mediaType, .digest]' "$meta")" \
	"[\"application/vnd.oci.image.manifest.v1+json\",\"$(image_digest "$lay")\"]" "the descriptor"
is "$(jq -r '."containerimage.descriptor".size' "$meta")" \
	"$(stat -c %s "$lay/blobs/sha256/$(image_digest "$lay" | cut -d: -f2)")" "with its size"
is "$(jq -r '."containerimage.config.digest"' "$meta")" "$(image_manifest "$lay" | jq -r .config.digest)" "the config"
is "$(jq -r '."image.name"' "$meta")" "a.example/b:1,docker.io/library/c:latest" "and the names"
files=$(dest "$U" files)
runs "of a folder of files" "$U" build -o "type=local,dest=$files" --metadata-file "$meta" c
is "$(jq -c . "$meta")" '{}' "has no image"

# --- --annotation -----------------------------------------------------------------------------------------
fresh
runs "--annotation" "$U" build "${oci[@]}" --annotation k=v --annotation manifest:url=http://x/y:z=1 \
	--annotation "manifest[$(platform_of "$(host_arch)")]:p=q" --annotation "manifest[linux/s390x]:no=no" c
is "$(image_manifest "$lay" | jq -c .annotations)" '{"k":"v","p":"q","url":"http://x/y:z=1"}' "are in the manifest"
fails 2 "of an index without one" "$U" build "${oci[@]}" --annotation index:a=b c
fails 2 "without a value" "$U" build "${oci[@]}" --annotation a c
fails 2 "of an unknown place" "$U" build "${oci[@]}" --annotation "manifest[x:a=b" c
fresh
runs "of an index" "$U" build "${oci[@]}" --build-arg BUILDKIT_MULTI_PLATFORM=1 --annotation index,manifest:a=b \
	--annotation manifest-descriptor:d=e c
index=$lay/blobs/sha256/$(image_digest "$lay" | cut -d: -f2)
is "$(jq -c '[.annotations, .manifests[0].annotations]' "$index")" '[{"a":"b"},{"d":"e"}]' "are in the index and its entry"
is "$(image_manifest "$lay" | jq -c .annotations)" '{"a":"b"}' "and in the manifest"
fails 2 "BUILDKIT_MULTI_PLATFORM=0 for several platforms" "$U" build "${oci[@]}" --platform linux/amd64,linux/arm64 \
	--build-arg BUILDKIT_MULTI_PLATFORM=0 c

# --- build arguments ----------------------------------------------------------------------------------------
fresh
runs "build arguments that nobody asks for (fact 85)" "$U" build --progress plain "${oci[@]}" --build-arg used=1 \
	--build-arg nobody=2 --build-arg neither=3 --build-arg http_proxy=x --build-arg BUILDKIT_INLINE_CACHE=1 c
like "$err" '\[Warning\] One or more build-args \[nobody neither\] were not consumed' "are warned of, and no others"
is "$(cat_in "$lay" /f)" 1 "the one that is declared counts"
fresh
runs "an argument of the environment that is unset (fact 295)" "$U" build "${oci[@]}" --build-arg used c
is "$(cat_in "$lay" /f)" default "leaves the default"
fresh
runs "an empty one (fact 296)" "$U" build "${oci[@]}" --build-arg used= c
is "$(cat_in "$lay" /f)" "" "overrides it"
fresh
runs "--timestamp" "$U" build "${oci[@]}" --timestamp 1234567890 c
is "$(image_config "$lay" | jq -r .created)" 2009-02-13T23:31:30Z "is the time of the image"

# --- # syntax= ------------------------------------------------------------------------------------------------
context s <<'END'
# syntax=nowhere.example/frontend:1
FROM scratch
COPY <<EOF /x
x
EOF
END
runs "# syntax= is never fetched" "$U" build --offline "${oci[@]}" s
runs "nor is BUILDKIT_SYNTAX" "$U" build --offline "${oci[@]}" --build-arg BUILDKIT_SYNTAX=nowhere.example/x c

# --- stages of --no-cache-filter ---------------------------------------------------------------------------------
context stages <<'END'
FROM scratch AS one
COPY <<EOF /x
1
EOF
FROM scratch AS two
COPY <<EOF /y
2
EOF
FROM scratch
COPY --from=one /x /x
COPY --from=two /y /y
END
w "$U" build --progress plain stages
runs "--no-cache-filter with a list" "$U" build --progress plain --no-cache-filter ONE,two stages
like "$err" '\[one 1/1\][^#]*#[0-9]+ DONE' "runs the first anew (fact 256)"
like "$err" '\[two 1/1\][^#]*#[0-9]+ DONE' "and the second"
done_testing
