#!/bin/bash
# --progress rawjson: the JSON lines that docker buildx writes, read by jq.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/web.sh
. "$tests_dir/web.sh"

need_alpine "$U"
json() { grep '^{' "$scratch/err" | jq -r "$@"; }
# state NAME: what the last update of the vertex called so says
state() {
	json --arg name "$1" -s 'def last_of: map(select(.name == $name)) | last;
		[.[].vertexes[]?] | last_of | "\(has("started")) \(has("completed")) \(.cached // false) \(.error // "")"' -r
}
b() { w "$U" build --progress rawjson "$@"; }

context t <<'END'
FROM alpine:3.20 as base
RUN echo to-stdout; echo to-stderr >&2; printf 'raw \303\n'
COPY f /f
END
echo f >t/f
b -t t:1 t
is "$status" 0 "a build"
is "$(wc -l <<<"$out")" 1 "stdout has the digest alone"
is "$(grep -vc '^{' <<<"$err")" 0 "stderr has JSON alone, one object a line"
ok "every line is JSON" jq -e -s 'length > 0' "$scratch/err"
is "$(json -s '[.[] | keys[]] | unique | join(" ")')" "logs vertexes warnings" "of three kinds"
is "$(json -s '[.[].vertexes[]? | keys[]] | unique | join(" ")')" "cached completed digest name started" "members of a vertex"
is "$(json -s '[.[].logs[]? | keys[]] | unique | join(" ")')" "data stream timestamp vertex" "of a log"
is "$(json -s '[.[].warnings[]? | keys[]] | unique | join(" ")')" "detail level range short sourceInfo url vertex" "of a warning"
time_form='^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{9}Z$'
is "$(json -s --arg form "$time_form" '[.. | objects | .started?, .completed?, .timestamp? | strings |
	test($form)] | unique | tostring')" "[true]" "times are RFC 3339 with nanoseconds"
now=$(date +%s)
ok "and those of now" test "$(json -s '[.[].vertexes[]?.completed | strings] | last | sub("\\.[0-9]+";"") | fromdate')" -ge $((now - 600))
is "$(json -s '[.[].vertexes[]? | select(.completed) | .started <= .completed] | unique | tostring')" "[true]" \
	"nothing ends before it starts"
is "$(json -s '[.[].vertexes[]? | .digest | test("^sha256:[0-9a-f]{64}$")] | unique | tostring')" "[true]" "digests"
is "$(json -s '([.[].vertexes[]?] | group_by(.digest) | map(map(.name) | unique | length) | unique | tostring)')" "[1]" \
	"name one vertex each"
is "$(json -s '[.[].vertexes[]?] | group_by(.digest) | map(any(.completed)) | unique | tostring')" "[true]" "which all end"
run=$(json -s '[.[].vertexes[]?.name | select(contains("RUN echo"))][0]')
like "$run" '^\[.*2/3\] RUN echo to-stdout' "the name of a step"
is "$(state "$run")" "true true false " "the step was started and completed"
json -s --arg name "$run" '([.[].vertexes[]? | select(.name == $name)][0].digest) as $d | [.[].logs[]? |
	select(.vertex == $d) | .data][]' | while read -r data; do base64 -d <<<"$data"; done >log
printf 'to-stdout\nto-stderr\nraw \303\n' >wanted
same_files log wanted "its log, to the byte"
is "$(json '.warnings[]? | .short | @base64d')" "FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)" \
	"a warning"
is "$(json '.warnings[]? | .detail[0] | @base64d' | grep -c .)" 1 "with what its rule is about"
is "$(json '.warnings[]? | "\(.level) \(.range[0].start.line) \(.sourceInfo.filename) \(.sourceInfo.language)"')" \
	"1 1 Dockerfile Dockerfile" "and its place"
json '.warnings[]? | .sourceInfo.data' | base64 -d >source
same_files source t/Dockerfile "and its source"
is "$(json -s '(.[].warnings[]?.vertex) as $d | [.[].vertexes[]? | select(.digest == $d)][0].name')" \
	"[internal] load build definition" "at the vertex of the Dockerfile"

b -t t:1 t
is "$(state "$run")" "true true true " "the same again is cached"
w "$U" build --progress quiet t
user_env=(BUILDKIT_PROGRESS=rawjson)
w "$U" build t
user_env=()
is "$(state "$run")" "true true true " "BUILDKIT_PROGRESS asks for it too"

start_web
head -c 300000 /dev/zero >"$web/big"
context fetch <<<$'FROM scratch\nADD '"$url"'/big /big'
b fetch
is "$(json -s '[.[].statuses[]? | keys[]] | unique | join(" ")')" "completed current id started timestamp total vertex" \
	"members of a status"
is "$(json -s '[.[].statuses[]?] | last | "\(.id) \(.current) \(.total) \(has("completed"))"')" "big 300000 300000 true" \
	"a download ends whole"
is "$(json -s '[.[].statuses[]? | .started <= .timestamp] | unique | tostring')" "[true]" "and begins before"
is "$(json -s '([.[].statuses[]?.vertex] | unique) as $d | [.[].vertexes[]? | select(.digest == $d[0])][0].name')" \
	"[internal] load $url/big" "at its vertex"

context bad <<<$'FROM alpine:3.20\nRUN echo "say \\"x\\""; exit 7'
b bad
is "$status" 4 "a step that fails"
like "$(json -s '[.[].vertexes[]? | select(.error)][0] | "\(.name) \(.completed) \(.error)"')" 'RUN echo .* 20.* 7' \
	"has an error, and is completed"
like "$err" $'\nwhittle: ' "the message for people comes last, as text"
context wrong <<<'FORM alpine'
b wrong
is "$status" 3 "a Dockerfile that is wrong"
like "$(json -s '[.[].vertexes[]?] | last | .error')" 'unknown instruction' "is an error of its vertex"
fails 2 "another style" "$U" build --progress json t
like "$err" 'use auto, plain, tty, quiet or rawjson' "names what there is"
done_testing
