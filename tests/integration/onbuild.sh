#!/bin/bash
# ONBUILD of base images and of stages, and what else is only an entry of the config: HEALTHCHECK, STOPSIGNAL, SHELL.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

# builds DESCRIPTION NAME [FLAG...]: sets layout
builds() {
	local desc="$user: $1" name=$2
	shift 2
	layout=$(dest "$user" "$name")
	runs "$desc" "$user" build --progress plain -o "type=oci,dest=$layout,tar=false" "$@" "$name"
}
f() { cat_in "$layout" "$1" 2>/dev/null; }
config() { image_config "$layout" | jq -c "$1"; }

for user in "${users[@]}"; do
	need_alpine "$user"

	context base <<'END'
FROM alpine:3.20
ENV WHERE=/fired
ONBUILD ARG LEVEL=none
ONBUILD COPY own.txt ${WHERE}.txt
ONBUILD RUN echo "$LEVEL" > $WHERE
ONBUILD RUN --mount=type=cache,target=/c,id=onbuild echo "cache=$(ls /c)" && touch /c/x
ONBUILD RUN <<EOF
#!/bin/sh
echo "script in $PWD" > /script
EOF
ONBUILD COPY --from=helper /made /made
ONBUILD WORKDIR /after
END
	runs "$user: an image with triggers" "$user" build --progress plain -t onbuild:1 base
	w "$user" inspect onbuild:1
	is "$(jq -c '.config.config.OnBuild | map(.[0:18])' <<<"$out")" \
		'["ARG LEVEL=none","COPY own.txt ${WHE","RUN echo \"$LEVEL\" ","RUN --mount=type=c","RUN <<EOF\n#!/bin/s","COPY --from=helper","WORKDIR /after"]' \
		"$user: keeps them as they are written, documents with them"

	context child <<'END'
FROM alpine:3.20 AS helper
RUN echo made > /made
FROM onbuild:1 AS mid
RUN pwd > /own
FROM mid
RUN test ! -e /again
LABEL child=yes
END
	echo "of the child" >child/own.txt
	if builds "an image built from it" child --build-arg LEVEL=given; then
		is "$(f /fired)|$(f /fired.txt)|$(f /made)" "given|of the child|made" "$user: its triggers see the arguments, context and stages of the child (facts 223, 226)"
		is "$(f /script)|$(f /own)" "script in /|/after" "$user: in order, before its own instructions; with documents (fact 57)"
		is "$(config '.config.OnBuild')" null "$user: and are gone"
		is "$(grep -c 'ONBUILD RUN echo' <<<"$(grep -E '^#[0-9]+ \[' <<<"$err" | sort -u)")" 1 "$user: they fire once (fact 224)"
		like "$err" '\[mid 8/8\] RUN pwd' "$user: they count among the steps"
		like "$err" '\[mid 4/8\] ONBUILD RUN --mount' "$user: and are called what they are"
		is "$(config '[.history[].created_by | select(test("^ARG LEVEL=given|^COPY own.txt /fired.txt|> .WHERE|^WORKDIR /after"))] | length')" 4 "$user: the history has what they did"
		is "$(config '.history | map(select(.empty_layer != true)) | length')" "$(config '.rootfs.diff_ids | length')" "$user: one entry per layer"
	fi

	context grandchild <<'END'
FROM alpine:3.20 AS helper
FROM alpine:3.20 AS a
ONBUILD RUN echo fired >> /count
FROM a AS b
RUN cat /count > /b
FROM b AS c
RUN cp /count /c
ONBUILD LABEL kept=yes
END
	if builds "stages with triggers" grandchild; then
		is "$(f /count)|$(f /b)|$(f /c)" "fired|fired|fired" "$user: fire in the stage built from them and not behind it (fact 225)"
		is "$(config '[.config.OnBuild, .config.Labels]')" '[["LABEL kept=yes"],null]' "$user: those of the last stage belong to the image"
	fi

	context nohelper <<<$'FROM onbuild:1\nRUN true'
	echo x >nohelper/own.txt
	w "$user" build --progress plain nohelper
	isnt "$status" 0 "$user: a trigger that names a stage which is not there fails"
	like "$err" 'Dockerfile:1' "$user: at the FROM that fired it"
	context bad <<<$'FROM alpine:3.20 AS a\nONBUILD NONSENSE x\nFROM a'
	fails 3 "$user: a trigger that is no instruction" "$user" build --progress plain bad
	like "$err" '3 \| >>> FROM a' "$user: fails where it fires"
	for inner in 'ONBUILD RUN x' 'FROM alpine' 'MAINTAINER me'; do
		context refused <<<$'FROM alpine:3.20\nONBUILD '"$inner"
		fails 3 "$user: ONBUILD $inner" "$user" build --progress plain refused
		like "$err" "isn't allowed" "$user: is refused"
	done

	context config <<'END'
FROM alpine:3.20 AS base
SHELL ["/bin/ash", "-ec"]
HEALTHCHECK --interval=1m30s --timeout=3s --start-period=5s --start-interval=1s --retries=3 CMD test -e /ok
STOPSIGNAL SIGRTMIN+3
FROM base
RUN false; touch /not-reached || true
HEALTHCHECK --retries=5 CMD ["/bin/true", "a b"]
CMD echo in the shell
END
	w "$user" build --progress plain config
	is "$status" 4 "$user: SHELL of the stage below applies (fact 277)"
	sed -i '/^RUN false/d' config/Dockerfile
	builds "HEALTHCHECK, STOPSIGNAL, SHELL" config
	is "$(config '.config.Healthcheck')" '{"Test":["CMD","/bin/true","a b"],"Retries":5}' "$user: a health check replaces the one below as a whole"
	is "$(config '[.config.StopSignal, .config.Shell, .config.Cmd]')" \
		'["SIGRTMIN+3",["/bin/ash","-ec"],["/bin/ash","-ec","echo in the shell"]]' "$user: the others are inherited, and used"
	like "$(config '[.history[].created_by]')" \
		'HEALTHCHECK \{Test:\[CMD-SHELL test -e /ok\] Interval:1m30s Timeout:3s StartPeriod:5s StartInterval:1s Retries:3\}' "$user: the history shows them"
done
done_testing
