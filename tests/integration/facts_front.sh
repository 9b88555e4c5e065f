#!/bin/bash
# The facts of the specification (section 10) about variables, stages, targets and ignore files, by number: Dockerfiles
# are built, and the config or the files of the result are looked at. Those of the text alone are in
# tests/unit/test_dockerfile_facts.c.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

layout=$(dest "$U" facts)

# build_fact ARGUMENT...: build the Dockerfile of stdin into $layout
build_fact() {
	mkdir -p ctx
	cat >ctx/Dockerfile
	rm -rf "$layout"
	w "$U" build --progress plain -o "type=oci,tar=false,dest=$layout" "$@" ctx
}

# gives NUMBER JQ-EXPRESSION WANTED [ARGUMENT...]: the config of the image that the Dockerfile of stdin makes
gives() {
	local number=$1 expression=$2 wanted=$3
	shift 3
	if build_fact "$@"; then
		is "$(image_config "$layout" | jq -c "$expression")" "$wanted" "fact $number: $expression"
	else
		fail "fact $number: $expression" "exit status $status"$'\n'"$err"
	fi
}

# label NUMBER WANTED [ARGUMENT...]: the label r of that image
label() {
	local number=$1 wanted=$2
	shift 2
	gives "$number" .config.Labels.r "$(jq -nc --arg s "$wanted" '$s')" "$@"
}

# wrong NUMBER MESSAGE LINE [ARGUMENT...]: it fails with the message, blaming the line (0: none)
wrong() {
	local number=$1 message=$2 line=$3
	shift 3
	build_fact "$@"
	is "$status" 3 "fact $number: a wrong Dockerfile is status 3"
	if [[ $err == *"whittle: "*"$message"* ]]; then
		pass "fact $number: $message"
	else
		fail "fact $number: $message" "$err"
	fi
	[ "$line" = 0 ] || like "$err" $'\n'"Dockerfile:$line"$'\n' "fact $number: at line $line"
}

# has NUMBER DESCRIPTION PATH... : the files of the image are these
has() {
	local number=$1 what=$2
	shift 2
	is "$(image_tree "$layout" | awk '{ print substr($1, 2) }' | sort | tr '\n' ' ')" "$(printf '%s\n' "$@" | sort | tr '\n' ' ')" \
		"fact $number: $what"
}

# --- variables ---------------------------------------------------------------------------------------

gives 62 '.config.Env[1:]' '["abc=bye","def=hello","ghi=bye"]' <<'END'
FROM scratch
ENV abc=hello
ENV abc=bye def=$abc
ENV ghi=$abc
END
for value in unset empty given; do
	args=()
	wanted=my_arg=def_val
	[ $value != empty ] || args=(--build-arg my_arg=)
	[ $value != given ] || args=(--build-arg my_arg=x) wanted=my_arg=x
	gives "63 ($value)" '.config.Env[1:]' "[\"my_arg=$wanted\"]" "${args[@]}" <<-'END'
		FROM scratch
		ARG my_arg
		ENV my_arg "my_arg=${my_arg:-def_val}"
	END
done
label 64 'd box' <<'END'
FROM scratch AS busybox
FROM scratch
ENV var=define image=idlebox
LABEL r="${var%%e*} ${image#idle}"
END
gives 64 '.config.Labels' '{"here":"1"}' <<'END'
ARG image=idlebox
FROM scratch AS busybox
LABEL here=1
FROM busy${image#idle}
END
wrong 65 'FOO: custom error' 1 <<'END'
ARG BAR=${FOO:?"custom error"}
FROM scratch
END
gives 65 '.os' '"linux"' --build-arg FOO=x <<'END'
ARG FOO
ARG BAR=${FOO:?"custom error"}
FROM scratch
END
wrong 66 'FOO: foo missing' 2 <<'END'
FROM scratch
ARG BAR=${FOO:?"foo missing"}
END
label 66 given --build-arg BAR=given <<'END'
FROM scratch
ARG BAR=${FOO:?"foo missing"}
LABEL r=$BAR
END
label 67 'aXbab aXbXb' <<'END'
FROM scratch
ENV FOO=aabab
LABEL r="${FOO/ab/Xb} ${FOO//ab/Xb}"
END
wrong 67 "syntax error: missing '/' in \${}" 2 <<'END'
FROM scratch
LABEL r=${FOO/x}
END
label 68 'something-v something-v-t' <<'END'
FROM scratch
ENV V=v TV= TW=t
LABEL r="something-${V}${TV:+-${TV}} something-${V}${TW:+-${TW}}"
END
wrong 69 'unsupported modifier (:=) in substitution' 2 <<'END'
FROM scratch
LABEL r=${a:=b}
END
wrong 69 'unsupported modifier (=) in substitution' 2 <<'END'
FROM scratch
LABEL r=${a=b}
END
wrong 69 'unsupported modifier (:#) in substitution' 2 <<'END'
FROM scratch
LABEL r=${a:#x}
END
mkdir -p ctx && echo content >ctx/bar && echo odd >'ctx/$x'
build_fact <<'END'
FROM scratch
ENV FOO bar
COPY $FOO baz
COPY \$x /odd
END
has 70,79 "expanded and escaped names" baz odd
build_fact <<'END'
FROM scratch
WORKDIR /w
ENV empty=""
COPY bar $empty
END
has 71 "an empty destination is the working directory" w w/bar
gives 72 '.config.ExposedPorts' '{"3000/tcp":{},"4000/udp":{}}' <<'END'
FROM scratch
ARG PORTS="3000 4000/udp"
EXPOSE $PORTS
END
gives 73 '.config.Env[1]' '"myenv=foo%sbar"' <<'END'
FROM scratch
ENV myenv foo%sbar
END
build_fact <<'END'
FROM scratch
ARG group=7
ENV owner=5
COPY --chown=${owner}:${group} bar /
END
like "$(image_tree "$layout")" '5[:/ ]7' "fact 78: --chown of an ENV and an ARG"

# --- scope of arguments --------------------------------------------------------------------------------

label 80 latest --build-arg tag=latest <<'END'
ARG tag=nosuchtag
FROM scratch AS latest
LABEL r=latest
FROM ${tag}
END
label 81 'one two' <<'END'
ARG a2=one
ARG a3="$a2 two"
FROM scratch
ARG a3
LABEL r=$a3
END
label 82 'g3/1 2/g1' <<'END'
ARG a1=g1
ARG a3=g3
FROM scratch
ARG a3 a4="1 2" a1
LABEL r="$a3/$a4/$a1"
END
label 83 stage <<'END'
ARG X=global
FROM scratch
ARG X=stage
LABEL r=$X
END
label 84 'no:' <<'END'
FROM scratch
ARG FOO
ARG BAR=
LABEL r=${FOO-no}:${BAR-no}
END
label 85 '' --build-arg nobody=x <<'END'
FROM scratch
LABEL r=$nobody
END
label 88 ':Here' --target Here <<'END'
FROM scratch AS here
ENV a=$TARGETSTAGE
ARG TARGETSTAGE
LABEL r=$a:$TARGETSTAGE
END
label 88 default <<'END'
FROM scratch
ARG TARGETSTAGE
LABEL r=$TARGETSTAGE
END
label 88 last <<'END'
FROM scratch AS Last
ARG TARGETSTAGE
LABEL r=$TARGETSTAGE
END
label 89 'darwin/ppc64le freebsd' --platform darwin/ppc64le --build-arg TARGETOS=freebsd <<'END'
FROM --platform=$BUILDPLATFORM scratch
ARG TARGETPLATFORM TARGETOS
LABEL r="$TARGETPLATFORM $TARGETOS"
END
label 90 linux <<'END'
FROM scratch AS build-darwin
LABEL r=darwin
FROM scratch AS build-linux
LABEL r=linux
FROM build-${TARGETOS}
END
label 91 '|a|a|a' <<'END'
ARG ABC=|a
ARG FOO=${FOO}${ABC}
ARG FOO=${FOO}${ABC}
ARG FOO=${FOO}${ABC}
FROM scratch
ARG FOO
LABEL r=$FOO
END
label 92 1 <<'END'
FROM scratch AS base
ARG x=1
FROM base
LABEL r=$x
END
gives 93 '[.config.Env[1], .config.Labels.r]' '["X=env","env"]' --build-arg X=arg <<'END'
FROM scratch
ARG X
ENV X=env
LABEL r=$X
END
gives 93 '[.config.Env[1], .config.Labels.r]' '["X=1","2"]' <<'END'
FROM scratch
ENV X=1
ARG X=2
LABEL r=$X
END
label 295 default --build-arg K <<'END'
FROM scratch
ARG K=default
LABEL r=$K
END
label 296 '' --build-arg K= <<'END'
FROM scratch
ARG K=default
LABEL r=$K
END
label 298 b <<'END'
FROM scratch AS A
ARG X=a
FROM a
ARG X=b
LABEL r=$X
END

# --- stages and targets --------------------------------------------------------------------------------

label 94 1 --target Stage1 <<'END'
FROM scratch AS STAge0
COPY bar /
FROM scratch AS stage1
COPY --from=staGE0 bar /
LABEL r=1
FROM scratch
END
wrong 96 'target stage "bulid" could not be found (did you mean build?)' 0 --target bulid <<'END'
FROM scratch AS build
END
wrong 98 'cannot copy from stage "later", it needs to be defined before current stage "first"' 2 --target first <<'END'
FROM scratch AS first
COPY --from=later a /
FROM scratch AS later
END
wrong 99 'circular dependency detected on stage: a' 2 <<'END'
FROM scratch AS a
COPY --from=a f /
END
wrong 99 'circular dependency detected on stage: a' 4 <<'END'
FROM scratch AS a
COPY --from=b f /
FROM scratch AS b
COPY --from=a f /
END
build_fact <<'END'
FROM scratch
COPY bar /
FROM scratch
COPY --from=0 bar /copied
END
has 101 "COPY --from=0 is the first stage" copied
wrong 101,103 'invalid stage index 99' 2 <<'END'
FROM scratch AS unreachable
COPY --from=99 a /
FROM scratch
END
gives 102 '.os' '"linux"' <<'END'
FROM never.invalid/image:1 AS unreachable
RUN false
FROM scratch
END
label 104 second <<'END'
FROM scratch AS a
LABEL r=first
FROM scratch AS A
LABEL r=second
FROM a
END
like "$err" 'DuplicateStageName: Duplicate stage name "a", stage names should be unique \(line 3\)' "fact 104: with a warning"
wrong 107 "base name (\$IMAGE) should not be blank" 1 <<'END'
FROM $IMAGE
END
wrong 108 "empty platform value from expression \$BULIDPLATFORM (did you mean BUILDPLATFORM?)" 1 <<'END'
FROM --platform=$BULIDPLATFORM scratch
END
build_fact <<'END'
FROM Scratch
END
isnt "$status" 0 "fact 262: FROM Scratch is no stage and no scratch"
like "$err" 'Scratch' "fact 262: and is named"
build_fact <<'END'
FROM scratch AS Stage0
FROM Stage0
END
isnt "$status" 0 "fact 95: FROM compares names of stages with their case"
gives 297 '.os' '"linux"' <<'END'
FROM --platform=$TARGETPLATFORM scratch
END
like "$err" '1 warning found.*RedundantTargetPlatform' "fact 297: with one warning"

# --- values in the config ------------------------------------------------------------------------------

gives 270 '.config.WorkingDir' '"/a"' <<'END'
FROM scratch
WORKDIR /a
WORKDIR $nothing
END
gives 271 '.config.WorkingDir' '"/b"' <<'END'
FROM scratch
WORKDIR a/../b/
END
gives 272 '.config.ExposedPorts' '{"8000/udp":{},"8001/udp":{},"8002/udp":{}}' <<'END'
FROM scratch
EXPOSE 8000-8002/UDP
END
like "$err" "ExposeProtoCasing: Defined protocol '8000-8002/UDP'" "fact 272: with a warning"
wrong 272 'invalid containerPort: 9-8' 2 <<'END'
FROM scratch
EXPOSE 9-8
END
wrong 272 'invalid port: "80/foo": invalid proto: foo' 2 <<'END'
FROM scratch
EXPOSE 80/foo
END
wrong 272 'invalid port: "/tcp": no port specified' 2 <<'END'
FROM scratch
EXPOSE /tcp
END
gives 274 '.config.Env[1:]' '["A=2","B=1"]' <<'END'
FROM scratch
ENV A=1 B=1 A=2
END
wrong 222 'invalid signal: foo' 2 <<'END'
FROM scratch
STOPSIGNAL foo
END
gives 222 '.config.StopSignal' '"sigterm"' <<'END'
FROM scratch
STOPSIGNAL sigterm
END
build_fact <<'END'
FROM scratch
ARG x=1
COPY <<"A" <<B <<-C /
$x${y}\n"'
A
$x\$x\\"'\
B
	tab
	C
END
is "$(cat_in "$layout" A)" '$x${y}\n"'"'" "fact 43,279: a quoted delimiter keeps the body"
unlike "$err" UndefinedVar "fact 279: and nothing in it is undefined"
is "$(cat_in "$layout" B)" '1$x\"'"'" "fact 42: quotes stay, a backslash protects"
is "$(cat_in "$layout" C)" tab "fact 45: tabs are stripped"

# --- the ignore file -----------------------------------------------------------------------------------

fresh() {
	rm -rf ctx
	mkdir -p ctx
	for file; do
		mkdir -p "ctx/$(dirname "$file")"
		echo "$file" >"ctx/$file"
	done
}
fresh foo bar bay baz
printf 'ba*\n!bay\nDockerfile\n.dockerignore\n' >ctx/.dockerignore
build_fact <<'END'
FROM scratch
COPY . /
END
has 228 "patterns, an exception, the Dockerfile itself" foo bay
printf '!\n' >ctx/.dockerignore
build_fact <<'END'
FROM scratch
COPY . /
END
isnt "$status" 0 "fact 229: a lone ! is an error"
like "$err" 'illegal exclusion pattern: "!"' "fact 229: that says so"
fresh foo bar
printf 'foo\n' >ctx/.dockerignore
printf 'bar\n' >ctx/Dockerfile2.dockerignore
printf 'FROM scratch\nCOPY [fb]* /\n' >ctx/Dockerfile2
build_fact -f ctx/Dockerfile2 </dev/null
has 230 "the ignore file of the Dockerfile alone" foo
fresh f
printf 'FROM scratch\nCOPY f /\n' >ctx/dockerfile
rm -rf "$layout"
runs "fact 231: lower-case dockerfile" "$U" build -q -o "type=oci,tar=false,dest=$layout" ctx
mv ctx/dockerfile ctx/real && ln -s real ctx/Dockerfile
runs "fact 231: a link" "$U" build -q -o "type=oci,tar=false,dest=$layout" ctx
fresh f
mkdir -p other && printf 'FROM scratch\nCOPY f /\n' >other/D
runs "fact 232: a Dockerfile outside of the context" "$U" build -q -f other/D -o "type=oci,tar=false,dest=$layout" ctx
fresh dir/keep dir/drop out
printf 'dir\n!dir/keep\n.dockerignore\nDockerfile\n' >ctx/.dockerignore
build_fact <<'END'
FROM scratch
COPY . /
END
has 287 "an exception below an excluded folder" dir dir/keep out
fresh '# not a comment' f
printf ' # not a comment\n# comment\n\nDockerfile\n.dockerignore\n' >ctx/.dockerignore
build_fact <<'END'
FROM scratch
COPY . /
END
has 288 "a pattern that begins with a number sign" f

# --- checks --------------------------------------------------------------------------------------------

rm -f ctx/.dockerignore
build_fact <<'END'
# check=skip=all;error=true
FROM scratch as a
END
is "$status" 0 "fact 242: skip=all with error=true"
build_fact <<'END'
# check=error=true
FROM scratch AS Abc
END
is "$status" 12 "fact 242: a violation is status 12"
like "$err" 'lint violation found for rules: StageNameCasing' "fact 242: that names the rule"
build_fact --debug <<'END'
FROM scratch AS Abc
END
like "$err" $'\n''WARNING: StageNameCasing - https://.*'$'\n''   1 \| >>> FROM' "with --debug findings are shown at length"
build_fact -q <<'END'
FROM scratch AS Abc
END
is "$err" "" "with --quiet they are not shown"
build_fact --build-arg BUILDKIT_DOCKERFILE_CHECK=skip=StageNameCasing <<'END'
# check=error=true
FROM scratch AS Abc
END
is "$status" 0 "fact 243: the build argument replaces the directive"
build_fact --build-arg BUILDKIT_DOCKERFILE_CHECK=error=true <<'END'
FROM scratch AS Abc
END
is "$status" 12 "fact 243: and can ask for errors"
build_fact <<'END'
FROM scratch
# check=skip=LegacyKeyValueFormat
ENV a b
ENV c d
END
like "$err" '1 warning found' "fact 244: a comment exempts one instruction"
like "$err" 'LegacyKeyValueFormat: .*\(line 4\)' "fact 244: and no other"
build_fact <<'END'
FROM scratch AS Abc
BOGUS x
END
is "$status" 3 "fact 245: an unknown instruction"
like "$err" 'StageNameCasing' "fact 245: warnings before it are reported"
like "$err" 'unknown instruction: BOGUS' "fact 245: and so is it"
printf 'FROM scratch\nENV a b\nFROM scratch\n' >ctx/Dockerfile
fails 12 "fact 246: --check" "$U" build --check ctx
like "$out" 'LegacyKeyValueFormat' "fact 246: looks at stages that nobody needs"
runs "fact 246: a build" "$U" build --progress plain ctx
unlike "$err" 'warning' "fact 246: does not"
fresh .x f
for pattern in '.*' '*' '**/*'; do
	printf '%s\n' "$pattern" >ctx/.dockerignore
	printf 'FROM scratch\nCOPY . .\n' >ctx/Dockerfile
	w "$U" build --check ctx
	if [ "$pattern" = '.*' ]; then
		unlike "$out" CopyIgnoredFile "fact 247: $pattern leaves something"
	else
		like "$out" 'CopyIgnoredFile.*'$'\n''Attempting to Copy file "\."' "fact 247: $pattern leaves nothing"
	fi
done
printf '*\n!f\n' >ctx/.dockerignore
w "$U" build --check ctx
unlike "$out" CopyIgnoredFile "fact 247: with an exception nobody can tell"
printf 'f\n' >ctx/.dockerignore
printf 'FROM scratch AS a\nFROM scratch\nCOPY --from=a f /\n' >ctx/Dockerfile
w "$U" build --check ctx
unlike "$out" CopyIgnoredFile "fact 248: COPY --from takes nothing from the context"
rm ctx/.dockerignore
for case in 'ENV a=${' 'COPY --oops a b' 'USER "x' 'FROM $none' $'ENV a=1 \\\n b=${'; do
	printf 'FROM scratch\n%s\n' "$case" >ctx/Dockerfile
	fails 3 "fact 249: ${case//$'\n'/ }" "$U" build --check ctx
	like "$err" '   2 \| >>> ' "fact 249: shows its line"
done
like "$err" '   3 \| >>>  b' "fact 249: and the second line of one that has two"
cat >ctx/Dockerfile <<'END'
# base_tag what to build on
ARG base_tag=1
ARG unused=1
FROM scratch AS one
ARG used=a$base_tag
FROM scratch AS other
ARG foreign=1
FROM one AS final
ARG name=key
RUN --mount=type=secret,id=$name,required --mount=type=ssh true
END
runs "fact 258: outline" "$U" build --call=outline --build-arg used=mine ctx
is "$out" 'TARGET:   final

BUILD ARG   VALUE   DESCRIPTION
used        mine
name        key

SECRET   REQUIRED
key      true

SSH       REQUIRED
default' "fact 258: what the target and its stages take, with their values"
runs "fact 258: without the build argument" "$U" build --call=outline,format=json ctx
is "$(jq -c '[.args[].name]' <<<"$out")" '["used","name"]' "fact 258: a global that no FROM uses is none"
runs "fact 259: targets" "$U" build --call=targets,json ctx
is "$(jq -c '[.targets[] | [.name, .default]]' <<<"$out")" '[["one",null],["other",null],["final",true]]' \
	"fact 259: the last is the default"
printf 'FROM scratch\nFROM scratch AS x\n# y the end\nFROM x\n' >ctx/Dockerfile
runs "fact 259: unnamed stages" "$U" build --call=targets ctx
is "$out" 'TARGET      DESCRIPTION

x
(default)' "fact 259: have no name"
done_testing
