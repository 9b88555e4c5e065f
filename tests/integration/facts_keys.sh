#!/bin/bash
# What makes a step run anew and what does not (dockerfile.md 8), by number of fact: a table of changes.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/build.sh
. "$tests_dir/build.sh"

need_alpine "$U"
# cached TEXT: whether the step whose name holds the text came from the cache in the last build
cached() {
	local n
	n=$(grep -F -- "$1" "$scratch/err" | sed -nE 's/^#([0-9]+) \[.*/\1/p' | head -n 1)
	[ -n "$n" ] && grep -qx "#$n CACHED" "$scratch/err"
}
# verdict hit|miss DESCRIPTION TEXT [FLAG...]: build the Dockerfile of ctx again; its step TEXT is cached or runs
verdict() {
	local wanted=$1 desc=$2 text=$3 got=miss
	shift 3
	again "$@" || {
		fail "$desc" "$err"
		return
	}
	! cached "$text" || got=hit
	is "$got" "$wanted" "$desc: $wanted"
}

# --- COPY ---------------------------------------------------------------------------------------------------------
mkdir -p ctx/d && echo 1 >ctx/file1 && echo x >ctx/d/x && echo o >ctx/other
builds "sources" <<'END'
FROM scratch
COPY file* /f/
COPY d /d/
COPY --exclude=*.log d /e/
END
verdict hit "fact 252: nothing changed" 'COPY file*'
echo changed >ctx/other && verdict hit "fact 257: a file that the pattern does not match changed" 'COPY file*'
echo 2 >ctx/file1 && verdict miss "fact 257: one that it matches changed" 'COPY file*'
mv ctx/file1 ctx/file2 && verdict miss "fact 257: it was renamed" 'COPY file*'
touch -d 2001-01-01 ctx/file2 ctx/d/x ctx/d && verdict hit "another time (8.4)" 'COPY file*'
chmod 755 ctx/file2 && verdict miss "another mode (8.4)" 'COPY file*'
chmod 775 ctx/d && verdict miss "another mode of the folder itself (8.2)" 'COPY d /d/'
echo l >ctx/d/a.log && verdict miss "a new file of a folder" 'COPY d /d/'
mv ctx moved && mv moved ctx && cp -a ctx elsewhere && rm -r ctx && mv elsewhere ctx
verdict hit "another place with other inodes (8.4)" 'COPY d /d/'

# --- RUN: rows of a flag or a Dockerfile ------------------------------------------------------------------------------
# run FLAG... < TEXT before the RUN: whether RUN true is found in the cache behind those lines
run() {
	{ echo 'FROM alpine:3.20' && cat && echo 'RUN true'; } >ctx/Dockerfile
	again "$@" >/dev/null || {
		echo "failed: $err"
		return
	}
	if cached 'RUN true'; then echo hit; else echo miss; fi
}
run </dev/null >/dev/null
for line in '# a comment' 'LABEL a=b' 'CMD ["x"]' 'EXPOSE 80' 'VOLUME /v' 'STOPSIGNAL 9' 'ENTRYPOINT ["y"]' 'HEALTHCHECK NONE' 'ARG unset' \
	'ONBUILD RUN false'; do
	is "$(run <<<"$line")" hit "$line before a RUN: hit (8.3)"
done
for line in 'ENV a=b' 'ARG unused=1' 'ARG TARGETARCH' 'USER 0:0' 'SHELL ["/bin/ash", "-c"]' 'WORKDIR /other' 'COPY other /o'; do
	is "$(run <<<"$line")" miss "$line before a RUN: miss (8.3)"
done
is "$(run --build-arg http_proxy=http://127.0.0.1:1 </dev/null)" hit "fact 87: another proxy: hit"
is "$(run --build-arg nobody=asks </dev/null)" hit "an argument that nobody declares: hit"
is "$(run --no-cache-filter nosuchstage </dev/null)" hit "fact 256: --no-cache-filter of another stage: hit"
is "$(run --no-cache </dev/null)" miss "fact 256: --no-cache: miss"
is "$(run --shm-size 1m </dev/null)" miss "another /dev/shm: miss (8.3)"
is "$(run --network none </dev/null)" miss "another network: miss (8.3)"
is "$(run --build-arg BUILDKIT_SANDBOX_HOSTNAME=other </dev/null)" miss "another host name: miss (8.3)"
builds "an argument that a COPY does not use" <<<$'FROM scratch\nARG unused=1\nCOPY other /o'
sed -i 's/unused=1/unused=2/' ctx/Dockerfile
verdict hit "8.3.1: its other value" 'COPY other'

# --- stages --------------------------------------------------------------------------------------------------------------
builds "a stage that two others copy from" <<'END'
FROM alpine:3.20 AS common
RUN echo common-ran; echo made > /made
FROM scratch AS one
COPY --from=common /made /1
FROM scratch AS two
COPY --from=common /made /2
FROM scratch
COPY --from=one / /
COPY --from=two / /
END
is "$(grep -cE '^#[0-9]+ [0-9.]+ common-ran' <<<"$err")" 1 "fact 299: it runs once"
is "$(paths)" "/1 /2 " "fact 299: and serves both"
builds "equal steps of two stages" <<'END'
FROM alpine:3.20 AS a
RUN echo equal-ran
FROM alpine:3.20 AS b
RUN echo equal-ran
FROM scratch
COPY --from=a /etc/hostname /a
COPY --from=b /etc/hostname /b
END
is "$(grep -cE '^#[0-9]+ [0-9.]+ equal-ran' <<<"$err")" 1 "8.4: run once"
builds "one stage" <<<$'FROM alpine:3.20\nRUN true\nCOPY other /'
is "$(sed -nE 's/^#[0-9]+ (\[[0-9 /]+\] .*)/\1/p' <<<"$err" | sort -u)" $'[1/3] FROM alpine:3.20\n[2/3] RUN true\n[3/3] COPY other /' \
	"fact 300: its steps bear no name of a stage"
done_testing
