#!/bin/bash
# What is wrong is said with its line, its source and a status of its own; and nothing is lost.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

need_alpine "$U"

# wrong DESCRIPTION REGEX [LINE]: the Dockerfile on stdin ends with status 3, a message that matches, and an excerpt
# that marks LINE
wrong() {
	local desc=$1 regex=$2 line=${3:-}
	context wrong
	fails 3 "$desc: status 3" "$U" build --progress plain wrong
	like "$err" "$regex" "$desc: the message"
	is "$out" "" "$desc: nothing on stdout"
	[ -z "$line" ] || like "$err" "Dockerfile:$line"$'\n'".* $line \| >>> " "$desc: the excerpt marks line $line"
}

# --- the file -----------------------------------------------------------------------------------------
mkdir nothing
fails 6 "no Dockerfile" "$U" build nothing
like "$err" 'Dockerfile' "it is named"
fails 6 "a Dockerfile named by -f that is not there" "$U" build -f nothing/x nothing
fails 6 "no context folder" "$U" build not-there
like "$err" 'not-there' "it is named"
wrong "an empty file" 'empty' </dev/null
wrong "only comments" 'no instructions' <<<'# nothing else'
wrong "only ARG" 'no (build )?stages' <<<'ARG A=1'
head -c 4096 /dev/urandom >"$scratch/noise"
context wrong <"$scratch/noise"
fails 3 "binary noise" "$U" build wrong

# --- instructions ---------------------------------------------------------------------------------------
wrong "an unknown instruction" 'unknown instruction: FNTRYPOINT' 3 <<'END'
FROM alpine:3.20
ENV A=1
FNTRYPOINT ["x"]
CMD ["y"]
END
like "$err" 'ENTRYPOINT' "the nearest instruction is offered"
like "$err" '3 \| >>> FNTRYPOINT \["x"\]' "the source line is quoted"
wrong "an instruction before FROM" 'no build stage' 1 <<'END'
RUN true
FROM alpine:3.20
END
wrong "an unknown flag" 'unknown flag.*chmdo' 2 <<'END'
FROM alpine:3.20
COPY --chmdo=755 a b
END
wrong "COPY without a destination" 'line 2' 2 <<'END'
FROM alpine:3.20
COPY one
END
wrong "ENV without a value" 'must have two arguments' 2 <<'END'
FROM alpine:3.20
ENV NAME
END
wrong "an error on a line with continuations" 'line 2' <<'END'
FROM alpine:3.20
FOO a \
  b \
  c
RUN true
END
like "$err" '2 \| >>> FOO a' "its first line is marked"
like "$err" '4 \| >>> +c' "and its last"
wrong "an unterminated heredoc" 'unterminated heredoc|heredoc' <<'END'
FROM alpine:3.20
RUN <<EOT
echo
END
wrong "a bad stage name" 'build stage.*1bad/name' 1 <<'END'
FROM alpine:3.20 AS 1bad/name
RUN true
END
wrong "FROM nothing" 'FROM|base name' <<'END'
FROM ${NOTHING}
RUN true
END
wrong "a stage copying from itself" 'circular|defined before' <<'END'
FROM alpine:3.20 AS a
COPY --from=a /x /y
END
wrong "a cycle of stages" 'circular|defined before' <<'END'
FROM alpine:3.20 AS a
COPY --from=b /x /y
FROM alpine:3.20 AS b
COPY --from=a /x /y
END
wrong "a stage number that does not exist" 'stage' 2 <<'END'
FROM alpine:3.20
COPY --from=7 /x /y
END

# An instruction or flag that this whittle does not carry out is refused by name, never ignored. Those that a later
# version does carry out pass here as well: either the build works, or the refusal names it.
refused_or_done() {
	local name=$1
	context refused
	mkdir -p refused/d && echo x >refused/d/f
	if w "$U" build --progress plain refused; then
		pass "$name is carried out"
	else
		is "$status" 3 "$name is refused with status 3"
		like "$err" "$name" "the refusal names $name"
		like "$err" '[0-9]+ \| >>> ' "and quotes its line"
	fi
}
refused_or_done HEALTHCHECK <<<$'FROM alpine:3.20\nHEALTHCHECK --interval=5s CMD true'
refused_or_done ONBUILD <<<$'FROM alpine:3.20\nONBUILD RUN true'
refused_or_done MAINTAINER <<<$'FROM alpine:3.20\nMAINTAINER somebody'
refused_or_done mount <<<$'FROM alpine:3.20\nRUN --mount=type=tmpfs,target=/t true'
refused_or_done network <<<$'FROM alpine:3.20\nRUN --network=none true'
refused_or_done parents <<<$'FROM alpine:3.20\nCOPY --parents d/f /x/'
refused_or_done exclude <<<$'FROM alpine:3.20\nCOPY --exclude=*.x d /x/'
refused_or_done link <<<$'FROM alpine:3.20\nCOPY --link d /x/'
refused_or_done security <<<$'FROM alpine:3.20\nRUN --security=sandbox true'
context refused <<<$'FROM alpine:3.20\nRUN --security=insecure true'
w "$U" build refused
isnt "$status" 0 "--security=insecure is refused"
like "$err" 'security' "by name"

# --- sources ------------------------------------------------------------------------------------------
context missing <<'END'
FROM alpine:3.20
COPY there /there
COPY not/there /x
END
echo x >missing/there
fails 6 "a source that is not in the context" "$U" build --progress plain missing
like "$err" '/not/there.*not found' "it is named"
like "$err" '3 \| >>> COPY not/there /x' "its line is quoted"
context up <<<$'FROM alpine:3.20\nCOPY ../../../../etc/passwd /x'
fails 6 "a source above the context" "$U" build up
context out <<<$'FROM alpine:3.20\nCOPY link /x'
ln -s /etc/hostname out/link
fails 6 "a link out of the context" "$U" build out
context ignored <<<$'FROM alpine:3.20\nCOPY f /x'
echo x >ignored/f
echo f >ignored/.dockerignore
fails 6 "a source that .dockerignore leaves out" "$U" build ignored
context from <<<$'FROM alpine:3.20 AS a\nFROM alpine:3.20\nCOPY --from=a /not-in-stage /x'
fails 6 "a source that is not in the stage" "$U" build from
like "$err" '/not-in-stage' "it is named"
context shut <<<$'FROM alpine:3.20\nCOPY . /x/'
echo x >shut/cannot-read
chmod 000 shut/cannot-read
if [ -n "$as_root" ] || [ ! -r shut/cannot-read ]; then
	w "$U" build --progress plain shut
	isnt "$status" 0 "a context file that cannot be read"
	like "$err" 'cannot-read.*[Pp]ermission denied' "it is named with the reason"
	echo cannot-read >shut/.dockerignore
	runs "left out by .dockerignore it does no harm (fact 286)" "$U" build shut
fi
context nobase <<<$'FROM localhost:9/never/there:1\nRUN true'
w "$U" build --progress plain nobase
like "$status" '^[67]$' "a base image that cannot be had: status 6 or 7"
like "$err" 'localhost:9/never/there' "it is named"
context nolayout <<<$'FROM oci-layout://./no/such/folder\nRUN true'
fails 6 "a base layout that is not there" "$U" build nolayout

# --- steps --------------------------------------------------------------------------------------------
context step <<'END'
FROM alpine:3.20
RUN echo first
RUN for i in $(seq 1 40); do echo "log line $i"; done; echo to-stderr >&2; exit 7
RUN echo never-reached
END
fails 4 "a RUN that fails: status 4" "$U" build --progress plain step
like "$err" 'did not complete successfully: exit code: 7' "its own status is in the message"
like "$err" '3 \| >>> RUN for i in' "its line is quoted"
like "$err" $'------\n > .*RUN for i in' "its step heads the last lines of the log"
tail_of_log=${err##*------$'\n' > }
like "$tail_of_log" 'log line 40' "which hold the end"
like "$tail_of_log" 'to-stderr' "of both streams"
unlike "$tail_of_log" $'log line 1\n' "and not the beginning"
unlike "$err" $'\n#[0-9]+ [0-9.]+ never-reached' "nothing after it runs"
is "$out" "" "stdout stays empty"
w "$U" build --progress plain step
like "$err" 'CACHED' "the steps before it are kept"
context quoting <<<$'FROM alpine:3.20\nRUN <<E\n: "a\\b"\nexit 3\nE'
fails 4 "a script that fails" "$U" build --progress plain quoting
is "$(tail -n 1 <<<"$err")" 'whittle: process "/bin/sh -c : \"a\\b\"\nexit 3\n" did not complete successfully: exit code: 3' \
	"its text is quoted in one line"
{
	printf 'FROM alpine:3.20\nRUN exit 9 #'
	head -c 3000 /dev/zero | tr '\0' '\001'
} | context control
fails 4 "a step full of control characters" "$U" build --progress plain control
like "$(tail -n 1 <<<"$err")" 'did not complete successfully: exit code: 9$' "its status is said behind them"
context signal <<<$'FROM alpine:3.20\nRUN kill -9 $$'
fails 4 "a RUN that dies of a signal" "$U" build --progress plain signal
like "$err" '137|signal|[Kk]illed' "says so"
context noexec <<<$'FROM alpine:3.20\nRUN ["/no/such/program"]'
fails 4 "a program that is not in the image" "$U" build --progress plain noexec
like "$err" '/no/such/program' "is named"
context workdir <<<$'FROM alpine:3.20\nWORKDIR /etc/passwd/x\nRUN true'
w "$U" build --progress plain workdir
isnt "$status" 0 "a WORKDIR below a file"
like "$err" '/etc/passwd' "is named"
context nouser <<<$'FROM alpine:3.20\nUSER nobody-has-this-name\nRUN true'
w "$U" build --progress plain nouser
isnt "$status" 0 "a USER that the image does not know"
like "$err" 'nobody-has-this-name' "is named"

# --- control characters of a step do not reach the terminal's ears -------------------------------------
context ansi <<'END'
FROM alpine:3.20
RUN printf 'before\033]0;title\007after\n'
END
w "$U" build --progress plain ansi
unlike "$err" $'\033\\]0;' "escape sequences in a log are made harmless"

# --- after all this -----------------------------------------------------------------------------------
context good <<<$'FROM alpine:3.20\nRUN echo fine > /fine'
runs "the next build works" "$U" build --progress plain good
is "$(as_user "$U" find "$scratch/$U/store/tmp" -mindepth 1 2>/dev/null | wc -l)" 0 "no temporary file stays in the store"
done_testing
