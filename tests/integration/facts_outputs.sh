#!/bin/bash
# Outputs and their times (dockerfile.md 6.5 to 6.7, 9.2), named contexts that nobody needs, and what is refused, by number of fact.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/build.sh
. "$tests_dir/build.sh"

d=$scratch/$U/out
two=(--platform linux/amd64 --platform linux/arm64)
echo f >ctx-file
mkdir -p ctx && touch -d @1500000000 ctx/f

# --- platforms and names ----------------------------------------------------------------------------------------------
builds "one platform as a folder" <<<$'FROM scratch\nCOPY f /f'
runs "fact 250: (local)" "$U" build -q -o "type=local,dest=$d/one" ctx
is "$(ls "$d/one")" f "fact 250: one platform has no folder of its own"
runs "fact 250: (tar)" "$U" build -q -o "type=tar,dest=$d/one.tar" ctx
is "$(tar -tf "$d/one.tar")" f "fact 250: nor in an archive"
runs "fact 250: (two platforms)" "$U" build -q "${two[@]}" -o "type=local,dest=$d/two" ctx
is "$(cd "$d/two" && echo *)" "linux_amd64 linux_arm64" "fact 250: two have one each"
fails 2 "fact 250: two platforms in one archive are refused" "$U" build -q "${two[@]}" -o "type=tar,dest=$d/two.tar" ctx
names=example.org/x:1,example.org/y:2
runs "two names" "$U" build -q -o "type=oci,tar=false,dest=$d/names,\"name=$names\"" ctx
runs "two names in an archive" "$U" build -q -o "type=oci,dest=$d/names.tar,\"name=$names\"" ctx
tar -xOf "$d/names.tar" index.json >index.of.tar
for index in "$d/names/index.json" index.of.tar; do
	is "$(jq -r '.manifests[].annotations | .["io.containerd.image.name"] + " " + .["org.opencontainers.image.ref.name"]' "$index")" \
		$'example.org/x:1 1\nexample.org/y:2 2' "fact 251: a descriptor for each name"
	is "$(jq -r '[.manifests[].digest] | unique | length' "$index")" 1 "fact 251: of one image"
done

# --- the same again ------------------------------------------------------------------------------------------------------
builds "a build" <<<$'FROM scratch\nCOPY f /f\nWORKDIR /w\nLABEL a=b'
once=$(image_digest "$layout")
again
is "$(image_digest "$layout")" "$once" "fact 252: the same build gives the same digest"

# --- SOURCE_DATE_EPOCH ------------------------------------------------------------------------------------------------------
context base <<<$'FROM scratch\nCOPY f /base\nLABEL base=1'
touch -d @1600000000 base/f
w "$U" build -q -t base:1 base
base_layer=$(w "$U" inspect base:1 && jq -r '.manifest.layers[0].digest // .layers[0].digest' <<<"$out")
touch -d @1900000000 ctx/f
printf '%s\n' 'ARG SOURCE_DATE_EPOCH=1000000000' 'FROM base:1' 'COPY f /f' 'WORKDIR /w' 'ARG SOURCE_DATE_EPOCH' \
	'LABEL epoch=$SOURCE_DATE_EPOCH' >ctx/Dockerfile
again --build-arg SOURCE_DATE_EPOCH=
base_times=$(config '[.history[:2][].created]')
again
is "$(config .created)$(config .config.Labels.epoch)" '"2001-09-09T01:46:40Z""1000000000"' "fact 254: the default of a global ARG counts"
like "$(line_of /w)" '@1000000000$' "fact 254: for folders that WORKDIR makes"
like "$(line_of /f)" '@1000000000$' "fact 253: later times in new layers become it"
like "$(line_of /base)" '@1600000000$' "fact 253: those of the base stay"
is "$(image_manifest "$layout" | jq -r '.layers[0].digest')" "$base_layer" "fact 253: its layer is the same, bit for bit"
is "$(config '[.history[:2][].created]')" "$base_times" "fact 253: its history keeps its times"
is "$(config '[.history[2:][].created] | unique')" '["2001-09-09T01:46:40Z"]' "fact 253: new entries have the epoch"
is "$(image_manifest "$layout" | jq -c '[.layers[].annotations]')" '[null,null,null]' "fact 253: no layer is annotated"
again --build-arg SOURCE_DATE_EPOCH=1234567890
is "$(config .created)$(config .config.Labels.epoch)" '"2009-02-13T23:31:30Z""1234567890"' "fact 254: a build argument overrides it"
again --build-arg SOURCE_DATE_EPOCH=
like "$(line_of /f)" '@1900000000$' "fact 254: an empty one is none"
for when in ",source-date-epoch=|1900000000" ",source-date-epoch=1111111111|1111111111" "|1000000000"; do
	layout=$(dest "$U" layout)
	w "$U" build -q -o "type=oci,tar=false,dest=$layout${when%|*}" ctx
	like "$(image_tree "$layout" --mtime | grep '^/f ')" "@${when#*|}$" "fact 254: an output${when%|*} has its own"
done
user_env=(SOURCE_DATE_EPOCH=1222222222)
again
is "$(config .created)" '"2008-09-24T02:10:22Z"' "fact 254: the environment is as good as a build argument"
user_env=()
again
local=$(dest "$U" local)
w "$U" build -q -o "type=local,dest=$local" -o "type=tar,dest=$d/t.tar,source-date-epoch=5" ctx
is "$(stat -c %Y "$local/f" "$local/base" | xargs)" "1000000000 1000000000" "fact 253: files of a folder have just the epoch"
is "$(tar --utc --full-time -tvf "$d/t.tar" | grep -c '1970-01-01 00:00:05')" 3 "fact 254: those of an archive its own"
new_store "$U"
b --build-arg SOURCE_DATE_EPOCH=3 <<<$'FROM scratch\nCOPY f /f'
like "$(line_of /f)" '@3$' "fact 252: under an epoch"
again
like "$(line_of /f)" '@1900000000$' "fact 252: and then without: what was built before leaves no trace"
fails 2 "fact 254: text as a build argument" "$U" build --build-arg SOURCE_DATE_EPOCH=soon ctx
like "$err" 'invalid SOURCE_DATE_EPOCH: soon' "fact 254: is named"
fails 2 "fact 254: text as an attribute" "$U" build -o "type=tar,dest=$d/x.tar,source-date-epoch=soon" ctx
refuses 3 'invalid SOURCE_DATE_EPOCH: soon' "fact 254: text as a default" <<<$'ARG SOURCE_DATE_EPOCH=soon\nFROM scratch\nLABEL a=b'
like "$err" 'Dockerfile:1' "fact 254: at its line"
refuses 3 'invalid SOURCE_DATE_EPOCH: context' "fact 255: no name stands for a time" <<<$'ARG SOURCE_DATE_EPOCH=context\nFROM scratch'

# --- contexts ------------------------------------------------------------------------------------------------------------------
builds "fact 239: named contexts that nobody needs are not looked at" --build-context unused=docker-image://nowhere.invalid/x \
	--build-context other=/no/such/folder --build-context third=foo://x --offline <<<$'FROM scratch\nCOPY f /f'

# --- attestations, caches of others ---------------------------------------------------------------------------------------------
for flag in --sbom=true --provenance=true --attest=type=sbom --cache-to=type=inline; do
	fails 2 "facts 252, 260, 261: $flag is refused" "$U" build "$flag" ctx
	like "$err" 'supported by this whittle' "facts 252, 260, 261: $flag, and says why"
done
builds "fact 260: the arguments of scanning are known, and do nothing" --build-arg BUILDKIT_SBOM_SCAN_STAGE=true \
	--build-arg BUILDKIT_SBOM_SCAN_CONTEXT=true <<<$'FROM nowhere.invalid/x AS never\nFROM scratch\nARG BUILDKIT_SBOM_SCAN_STAGE\nCOPY f /f'
unlike "$err" 'not consumed' "fact 260: without a warning"
is "$(jq -r '.manifests[].annotations["vnd.docker.reference.type"] // "none"' "$layout/index.json")" none "fact 260: no document comes with an image"
done_testing
