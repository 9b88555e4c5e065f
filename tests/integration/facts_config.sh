#!/bin/bash
# The config and the history of an image (dockerfile.md 3.4 to 3.14, 6.1 to 6.6), by number of fact.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/build.sh
. "$tests_dir/build.sh"

need_alpine "$U"
path=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
layers() { config '[.history[] | .empty_layer == true | not]'; }

# --- from nothing -------------------------------------------------------------------------------------------
builds "FROM scratch and ENV" <<<$'FROM scratch\nENV foo=bar'
is "$(config .config.Env)" "[\"$path\",\"foo=bar\"]" "fact 215: PATH and the variable"
is "$(config '[.config.WorkingDir, .rootfs.type, .rootfs.diff_ids, [.history[] | [.created_by, .empty_layer]]]')" \
	'["/","layers",[],[["ENV foo=bar",true]]]' "fact 215: a working folder, no layer, one entry of history"
builds "a Windows target" --platform windows/amd64 <<<$'FROM scratch\nCMD dir\nENTRYPOINT ["x"]'
is "$(config '[.os, .config.Cmd, .config.Env]')" '["windows",["cmd","/S","/C","dir"],null]' "fact 214: its shell, and no PATH"

# --- WORKDIR ------------------------------------------------------------------------------------------------
builds "WORKDIR on nothing" <<<$'FROM scratch\nWORKDIR /foo\nWORKDIR /'
like "$(line_of /foo)" 'dir 0755 0:0' "fact 209: makes the folder"
is "$(history)" $'WORKDIR /foo\nWORKDIR /' "fact 209: both are in the history"
is "$(layers)" '[true,false]' "fact 209: that of / has no layer"
builds "relative ones" <<<$'FROM scratch\nWORKDIR /test1\nWORKDIR test2\nCOPY <<E f\nE\nWORKDIR ..\nCOPY <<E g\nE'
is "$(paths)" "/test1 /test1/g /test1/test2 /test1/test2/f " "fact 211: add to the one before"
is "$(config .config.WorkingDir)" '"/test1"' "fact 211: .. goes up"
builds "WORKDIR of a user" <<'END'
FROM alpine:3.20
RUN adduser -D -u 1234 -g x user && mkdir /theirs && chown 7:8 /theirs && chmod 700 /theirs
USER user
WORKDIR /mydir/sub
WORKDIR /theirs
END
like "$(line_of /mydir)" 'dir 0755 1234:1234' "fact 210: belongs to the user"
like "$(line_of /mydir/sub)" 'dir 0755 1234:1234' "fact 210: with what is above it"
like "$(line_of /theirs)" 'dir 0700 7:8' "fact 210: one that exists stays as it is"
user_env=(SOURCE_DATE_EPOCH=1000000000)
builds "WORKDIR under an epoch" <<<$'FROM scratch\nWORKDIR /a/b'
once=$(image_digest "$layout")
new_store "$U"
builds "the same in an empty store" <<<$'FROM scratch\nWORKDIR /a/b'
is "$(image_digest "$layout")" "$once" "fact 212: the same image, bit for bit"
like "$(line_of /a/b)" '@1000000000$' "fact 212: with the time of the epoch"
user_env=()
need_alpine "$U"

# --- ENTRYPOINT, CMD, SHELL, HEALTHCHECK ----------------------------------------------------------------------
builds "ENTRYPOINT over a CMD of the base" <<'END'
FROM alpine:3.20
SHELL ["ls"]
ENTRYPOINT my entrypoint
HEALTHCHECK CMD test -e /x
END
is "$(config '[.config.Cmd, .config.Entrypoint]')" '[null,["ls","my entrypoint"]]' "fact 213: clears it, and uses SHELL"
is "$(config .config.Healthcheck.Test)" '["CMD-SHELL","test -e /x"]' "fact 278: HEALTHCHECK does not"
builds "CMD []" <<<$'FROM alpine:3.20\nCMD []'
is "$(config '.config.Cmd // []')" '[]' "fact 276: is an empty list"
is "$(history | tail -n 1)" 'CMD []' "fact 276: in the history too"
builds "ENTRYPOINT []" <<<$'FROM alpine:3.20\nENTRYPOINT []'
is "$(config '[.config.Entrypoint, .config.Cmd]')" '[null,null]' "fact 276: leaves neither"
for order in 'CMD ["y"]|["e"]|["y"]' 'ENTRYPOINT ["e"]|["e"]|null'; do
	IFS='|' read -r first entrypoint cmd <<<"$order"
	second='ENTRYPOINT ["e"]'
	builds "$first, $second (6.6)" <<<$'FROM alpine:3.20\n'"$first"$'\n'"$second"
	is "$(config '[.config.Entrypoint, .config.Cmd]')" "[$entrypoint,$cmd]" "$first, $second: the table of 6.6"
done
builds "CMD sets ArgsEscaped (3.10)" <<<$'FROM scratch\nCMD ["a"]'
is "$(config .config.ArgsEscaped)" true "CMD sets ArgsEscaped"

# --- ENV, LABEL, EXPOSE, MAINTAINER -----------------------------------------------------------------------------
context env <<<$'FROM scratch\nENV A=1 B=2\nLABEL from=base over=base\nEXPOSE 1 \nVOLUME /v'
w "$U" build -q -t env:1 env
builds "ENV, LABEL, EXPOSE and VOLUME over a base image" --label over=flag --label own=2 --label empty <<'END'
FROM env:1
ENV A=3 C=4
LABEL over=file here="1 2"
EXPOSE 2375 5000 1234/udp
VOLUME /w
MAINTAINER x
END
is "$(config .config.Env)" "[\"$path\",\"A=3\",\"B=2\",\"C=4\"]" "fact 275: ENV replaces in place and appends"
is "$(config .config.Labels)" '{"empty":"","from":"base","here":"1 2","over":"flag","own":"2"}' "fact 216: LABEL and --label"
is "$(history | tail -n 3)" $'EXPOSE [1234/udp 2375/tcp 5000/tcp]\nVOLUME [/w]\nMAINTAINER x' \
	"fact 217: the ports are sorted in the history"
is "$(config '[.config.ExposedPorts, .config.Volumes] | map(keys)')" '[["1/tcp","1234/udp","2375/tcp","5000/tcp"],["/v","/w"]]' \
	"fact 217: those of the base stay"
is "$(config .author)" '"x"' "fact 220: MAINTAINER is the author"

# --- history ------------------------------------------------------------------------------------------------------
builds "a history" <<'END'
FROM scratch AS other
LABEL other=1
FROM alpine:3.20 AS parent
ARG foo=bar bar=123
LABEL parent=1
FROM parent
ARG foo=bar2
RUN true
RUN ["true", "a b"]
ARG unset
RUN true
COPY --chown=1:2 --chmod=0644 --from=other / /x/
COPY <<one <<two /heredocs/
1
one
2
two
STOPSIGNAL 9
SHELL ["/bin/sh", "-c"]
LABEL "a b"=c d='e"f'
RUN <<EOF
true
true
EOF
USER u:$foo
END
is "$(history | tail -n +"$(history | grep -n '^ARG foo=bar bar' | cut -d: -f1)")" 'ARG foo=bar bar=123
LABEL parent=1
ARG foo=bar2
RUN |2 foo=bar2 bar=123 /bin/sh -c true # buildkit
RUN |2 foo=bar2 bar=123 true a b # buildkit
ARG unset
RUN |3 foo=bar2 bar=123 unset= /bin/sh -c true # buildkit
COPY --chown=1:2 --chmod=0644 / /x/ # buildkit
COPY <<one <<two /heredocs/ # buildkit
STOPSIGNAL 9
SHELL [/bin/sh -c]
LABEL a b=c d=e"f
RUN |3 foo=bar2 bar=123 unset= /bin/sh -c true
true
 # buildkit
USER u:bar2' "facts 218, 219: every instruction of the chain of the target, and of no other stage"
is "$(config '[.history[] | select(.empty_layer != true)] | length')" "$(config '.rootfs.diff_ids | length')" \
	"fact 208: a RUN that changes nothing has an entry and a layer"
is "$(image_manifest "$layout" | jq '.layers | length')" "$(config '.rootfs.diff_ids | length')" "fact 208: in the manifest too"
is "$(config '[.history[] | select(.created_by | startswith("USER"))] | .[0] | keys')" \
	'["comment","created","created_by","empty_layer"]' "entries have no author (6.3)"

# --- the image and its base: times -----------------------------------------------------------------------------------
user_env=(SOURCE_DATE_EPOCH=1000000000)
w "$U" build -q -t old:1 env
user_env=()
before=$(date -u +%Y-%m-%dT%H:%M:%S)
builds "an image context" --build-context named=docker-image://old:1 <<<$'FROM named\nCOPY <<E /f\nE'
isnt "$(config .created)" '"2001-09-09T01:46:40Z"' "fact 240: the created time of the base is not kept"
ok "fact 240: it is a fresh one" test "$(config .created | tr -d '"')" \> "$before"
is "$(config '.history[0].created')" '"2001-09-09T01:46:40Z"' "fact 240: entries of the base keep theirs"
done_testing
