#!/bin/bash
# The error texts of dockerfile.md 3.6 to 5, each with the line that it blames, through a whole build.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/build.sh
. "$tests_dir/build.sh"

# says TEXT LINE...: behind FROM scratch, these lines are status 3 with the text, at the second line
says() {
	local text=$1
	shift
	printf '%s\n' 'FROM scratch' "$@" >ctx/Dockerfile
	again
	if [ "$status" = 3 ] && [[ $err == *"whittle: "*"$text"* ]] && [[ $err == *$'\nDockerfile:2\n'* ]]; then
		pass "$1: $text"
	else
		fail "$1: $text" "exit status $status"$'\n'"$err"
	fi
}
mkdir -p ctx

says 'VOLUME specified can not be an empty string' 'VOLUME [""]'
says 'invalid port: "80/icmp": invalid proto: icmp' 'EXPOSE 80/icmp'
says 'invalid port: "/udp": no port specified' 'EXPOSE /udp'
says 'invalid containerPort: 65536' 'EXPOSE 65536'
says 'invalid containerPort: 9-8' 'EXPOSE 9-8'
says 'invalid hostPort: x' 'EXPOSE x:80'
says 'invalid ranges specified for container and host Ports: 80-81 and 1-3' 'EXPOSE 1-3:80-81'
says 'invalid IP address: nowhere' 'EXPOSE nowhere:1:80'
p='dockerfile parse error on line 2: '
says "${p}SHELL requires the arguments to be in JSON form" 'SHELL /bin/sh'
says "${p}SHELL requires at least one argument" 'SHELL []'
says "${p}HEALTHCHECK NONE takes no arguments" 'HEALTHCHECK NONE x'
says "${p}Missing command after HEALTHCHECK CMD" 'HEALTHCHECK CMD'
says "${p}Unknown type \"PING\" in HEALTHCHECK (try CMD)" 'HEALTHCHECK ping x'
for option in interval timeout start-period start-interval; do
	says "${p}Interval \"$option\" cannot be less than 1ms" "HEALTHCHECK --$option=50ns CMD x"
done
says "${p}--retries cannot be negative (-1)" 'HEALTHCHECK --retries=-1 CMD x'
b <<<$'FROM scratch\nHEALTHCHECK --interval=0ms CMD x'
is "$status $(config .config.Healthcheck)" '0 {"Test":["CMD-SHELL","x"]}' "fact 221: an interval of zero is none"
says 'invalid signal: SIGFOO' 'STOPSIGNAL SIGFOO'
says 'invalid signal: 0' 'STOPSIGNAL 0'

# --- the ignore file, stages, contexts ------------------------------------------------------------------------------
echo x >ctx/f
echo '!' >ctx/.dockerignore
refuses 1 'illegal exclusion pattern: "!"' "a lone ! in the ignore file" <<<$'FROM scratch\nCOPY f /'
rm ctx/.dockerignore
refuses 3 'target stage "bulid" could not be found (did you mean build?)' "a target that is not there" --target bulid \
	<<<$'FROM scratch AS build'
refuses 3 'target stage "0" could not be found' "a number is no target" --target 0 <<<$'FROM scratch AS build'
refuses 3 'circular dependency detected on stage: a' "stages in a circle, that nobody needs" \
	<<<$'FROM scratch AS a\nCOPY --from=b / /\nFROM scratch AS b\nCOPY --from=a / /\nFROM scratch'
refuses 1 'unsupported context source foo for ctx' "a context of an unknown kind" --build-context ctx=foo://x \
	<<<$'FROM scratch\nCOPY --from=ctx f /'
fails 2 "both from stdin" "$U" build - -f -
like "$err" "invalid argument: can't use stdin for both build context and dockerfile" "both from stdin: the text"
printf 'FROM scratch\n' >lone
as_user "$U" "$WHITTLE" build --progress plain -f other - <lone >/dev/null 2>"$scratch/err"
is "$?" 2 "a Dockerfile on stdin and -f"
like "$(cat "$scratch/err")" 'ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles' \
	"a Dockerfile on stdin and -f: the text"
fails 2 "a platform that is none" "$U" build --platform 'linux/a b' ctx
like "$err" 'linux/a b' "is named"
done_testing
