#!/bin/bash
# A real registry on loopback, and a proxy before it that corrupts, truncates and cuts.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

need_alpine "$U" amd64 arm64
start_registry || skip_all "$reason"
reg=localhost:$registry_port
user_env=(SOURCE_DATE_EPOCH=1700000000)

context app <<'END'
FROM alpine:3.20
COPY big /big
RUN echo made > /made
CMD ["cat", "/made"]
END
head -c 6000000 /dev/urandom >app/big

# --- push and pull ------------------------------------------------------------------------------------------
runs "a build for two platforms" "$U" build --progress plain --platform linux/amd64,linux/arm64 -t "$reg/team/app:1" app
runs "push" "$U" push "$reg/team/app:1"
digest=$(curl -fsSI -H 'Accept: application/vnd.oci.image.index.v1+json' "http://$reg/v2/team/app/manifests/1" |
	tr -d '\r' | sed -n 's/^[Dd]ocker-[Cc]ontent-[Dd]igest: //p')
like "$digest" '^sha256:' "the registry has an index"
[ -z "$(command -v skopeo)" ] || ok "skopeo inspects it" skopeo inspect --tls-verify=false "docker://$reg/team/app:1"
runs "push again" "$U" push "$reg/team/app:1"
runs "build straight into a registry" "$U" build --progress plain -o "type=registry,name=$reg/team/direct:1" app
ok "the registry has it" curl -fsS -o /dev/null -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
	"http://$reg/v2/team/direct/manifests/1"
runs "build --push" "$U" build --progress plain --push -t "$reg/team/pushed:1" app

new_store "$U"
runs "pull" "$U" pull "$reg/team/app:1"
runs "the image runs" "$U" run "$reg/team/app:1"
is "$out" made "as it was built"
new_store "$U"
context from <<END
FROM $reg/team/app:1
RUN cat /made > /seen && wc -c < /big >> /seen
END
layout=$(dest "$U" from)
runs "FROM a registry" "$U" build --progress plain --platform linux/amd64 -o "type=oci,dest=$layout,tar=false" from
is "$(cat_in "$layout" /seen)" $'made\n6000000' "reads its files"
sed -i "s|FROM .*|FROM $reg/team/app:1@$digest|" from/Dockerfile
runs "FROM with a digest" "$U" build --progress plain --platform linux/amd64 from
sed -i "s|@sha256:.*|@sha256:$(printf '0%.0s' {1..64})|" from/Dockerfile
fails 6 "FROM with a digest that is not there" "$U" build --progress plain from
if command -v skopeo >/dev/null; then
	# a base image that another tool wrote: docker media types, gzip
	need_alpine "$U" amd64
	as_user "$U" "$WHITTLE" build -q --platform linux/amd64 -o "type=docker,dest=$scratch/$U/out/d.tar,name=x:1" app >/dev/null 2>&1
	ok "skopeo pushes with docker's media types" skopeo copy --quiet --insecure-policy --dest-tls-verify=false --format v2s2 \
		"docker-archive:$scratch/$U/out/d.tar" "docker://$reg/team/docker:1"
	runs "pull of docker's media types" "$U" pull --platform linux/amd64 "$reg/team/docker:1"
	runs "that image runs" "$U" run "$reg/team/docker:1"
	is "$out" made "as it was built"
fi

# --- what is not there -----------------------------------------------------------------------------------------
fails 6 "a tag that is not there: status 6" "$U" pull "$reg/team/app:none"
like "$err" 'team/app:none' "names it"
fails 6 "a repository that is not there: status 6" "$U" pull "$reg/nobody/nothing:1"
sed -i "s|FROM .*|FROM $reg/team/app:1|" from/Dockerfile
w "$U" build --progress plain --platform linux/s390x from
isnt "$status" 0 "a platform that the image has not got"
like "$err" 'linux/amd64' "the message lists amd64"
like "$err" 'linux/arm64' "and arm64"
fails 7 "a registry that nobody runs: status 7" "$U" pull "localhost:1/a/b:1"
like "$err" 'localhost:1' "names it"
w "$U" push "localhost:1/a/b:1"
isnt "$status" 0 "push of what is not in the store"

# --- through the proxy -------------------------------------------------------------------------------------------
if start_proxy; then
	via=localhost:$proxy_port
	control() { printf '%s\n' "$@" >"$proxy_control"; }
	blobs_in_store() { as_user "$U" find "$scratch/$U/store/blobs" -type f 2>/dev/null | wc -l; }
	# the blob that the proxy spoils: the largest layer
	manifest=$(curl -fsS -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$reg/v2/team/direct/manifests/1")
	big=$(jq -r '.layers | max_by(.size) | .digest' <<<"$manifest")

	new_store "$U"
	control
	runs "pull through the proxy" "$U" pull "$via/team/direct:1"

	new_store "$U"
	control "corrupt ${big#sha256:} 100000"
	fails 1 "a blob with the wrong digest: status 1" "$U" pull "$via/team/direct:1"
	like "$err" 'digest' "the message speaks of the digest"
	not "the blob is not in the store" as_user "$U" test -e "$scratch/$U/store/blobs/sha256/${big#sha256:}"
	runs "images, after it" "$U" images
	unlike "$out" 'direct' "does not list the image"
	control
	runs "the next pull works" "$U" pull "$via/team/direct:1"
	runs "and its image runs" "$U" run "$via/team/direct:1"
	is "$out" made "as it was built"

	new_store "$U"
	control "truncate ${big#sha256:} 500000"
	w "$U" pull "$via/team/direct:1"
	isnt "$status" 0 "a truncated layer"
	not "is not in the store" as_user "$U" test -e "$scratch/$U/store/blobs/sha256/${big#sha256:}"
	control
	runs "the next pull works" "$U" pull "$via/team/direct:1"

	new_store "$U"
	: >"$scratch/proxy.requests"
	control "cut ${big#sha256:} 1500000 2" "log $scratch/proxy.requests"
	runs "a connection cut twice is resumed" "$U" pull "$via/team/direct:1"
	is "$(grep -c "GET .*${big#sha256:} bytes=[1-9]" "$scratch/proxy.requests")" 2 "from where it was cut"
	runs "the image runs" "$U" run "$via/team/direct:1"
	is "$out" made "as it was built"

	new_store "$U"
	control "status manifests 503 1"
	runs "a registry that is busy for a moment" "$U" pull "$via/team/direct:1"
	new_store "$U"
	control "corrupt manifests/$(curl -fsSI -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
		"http://$reg/v2/team/direct/manifests/1" | tr -d '\r' | sed -n 's/^[Dd]ocker-[Cc]ontent-[Dd]igest: //p') 10"
	context digest <<<"FROM $via/team/direct:1@$(curl -fsSI -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
		"http://$reg/v2/team/direct/manifests/1" | tr -d '\r' | sed -n 's/^[Dd]ocker-[Cc]ontent-[Dd]igest: //p')"
	fails 1 "a manifest that is not what its digest says: status 1" "$U" build --progress plain digest
	control "status manifests 401"
	fails 8 "a registry that wants credentials: status 8" "$U" pull "$via/team/direct:1"
	control
	need_alpine "$U"
	runs "a build to push" "$U" build -q -t "$via/team/up:1" app
	control "cut uploads 100000"
	w "$U" push "$via/team/up:1"
	like "$status" '^[79]$' "a push that fails: status 7 (the network) or 9"
	control
	runs "the image is kept, the next push works" "$U" push "$via/team/up:1"
else
	skip "the proxy" "$reason"
fi
done_testing
