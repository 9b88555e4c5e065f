#!/bin/bash
# Each instruction of the first Dockerfile language, on real images, read back by other programs.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

need_alpine "$U"
arch=$(host_arch)

# b NAME [FLAG...]: build context NAME to a layout; sets layout
b() {
	local name=$1
	shift
	layout=$(dest "$U" "$name")
	w "$U" build --progress plain -o "type=oci,dest=$layout,tar=false" "$@" "$name" || return
	image_tree "$layout" --mtime >"$scratch/work/tree"
}
tree() { cat "$scratch/work/tree"; } # of the last build

# builds DESCRIPTION NAME [FLAG...]
builds() {
	local desc=$1
	shift
	if b "$@"; then
		pass "$desc"
	else
		fail "$desc" "exit status $status"$'\n'"$(tail -n 30 <<<"$err")"
		return 1
	fi
}
line_of() { tree | grep -E "^$1 "; }
config() { image_config "$layout" | jq -c "$1"; }

# --- RUN --------------------------------------------------------------------------------------------
context run <<'END'
FROM alpine:3.20
RUN echo shell $((1 + 1)) > /shell
RUN ["/bin/sh", "-c", "echo exec > /exec"]
RUN id -u > /uid && pwd > /pwd && echo "$HOME" > /home-is && umask > /umask
RUN rm /etc/motd && mkdir -p /a/b && ln -s ../x /a/b/link && ln /shell /hard && chmod 4711 /exec && chown 3:4 /hard
END
if builds "RUN in both forms" run; then
	is "$(cat_in "$layout" /shell)" "shell 2" "the shell form goes through the shell"
	is "$(cat_in "$layout" /exec)" "exec" "the exec form does not"
	is "$(cat_in "$layout" /uid) $(cat_in "$layout" /pwd) $(cat_in "$layout" /home-is) $(cat_in "$layout" /umask)" \
		"0 / /root 0022" "a step is root in / with umask 022"
	is "$(line_of /etc/motd)" "" "a file removed by a RUN is gone"
	like "$(line_of /a/b/link)" 'link .*-> \.\./x' "a symbolic link keeps its text"
	like "$(line_of /exec)" 'file 4711 0:0' "a setuid bit set by a RUN is in the image"
	like "$(line_of /shell)" 'file 0644 3:4' "chown of one hard link shows at the other"
	like "$(line_of /shell)" '= /hard' "hard links stay hard links"
	is "$(config '.rootfs.diff_ids | length')" 5 "one layer per RUN above the base"
	is "$(tree | grep -cE '^/(etc/resolv.conf|etc/hosts|dev/null|proc/.*|\.dockerenv) file')" \
		"$(gzip -dc "$fixture" | tar -t | grep -cE '^\./etc/hosts$')" "what a step is given leaves no trace"
fi

# --- metadata ---------------------------------------------------------------------------------------
context meta <<'END'
FROM alpine:3.20
ENV A=1 B="two words"
ENV C legacy form
ENV PATH=/opt/bin:$PATH
LABEL org.example.a=1 "org.example.b"="with space"
EXPOSE 80 53/udp
VOLUME ["/data", "/more"]
USER 1000:1001
WORKDIR /srv/new
STOPSIGNAL SIGINT
SHELL ["/bin/sh", "-ec"]
ENTRYPOINT ["/bin/echo"]
CMD ["a", "b"]
END
if builds "instructions that only change the config" meta; then
	is "$(config '.config.Env | sort')" \
		'["A=1","B=two words","C=legacy form","PATH=/opt/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]' "ENV"
	is "$(config '.config.Labels')" '{"org.example.a":"1","org.example.b":"with space"}' "LABEL"
	is "$(config '.config.ExposedPorts | keys')" '["53/udp","80/tcp"]' "EXPOSE"
	is "$(config '.config.Volumes | keys')" '["/data","/more"]' "VOLUME"
	is "$(config '.config | [.User, .WorkingDir, .StopSignal]')" '["1000:1001","/srv/new","SIGINT"]' "USER, WORKDIR, STOPSIGNAL"
	is "$(config '.config.Shell')" '["/bin/sh","-ec"]' "SHELL"
	is "$(config '.config | [.Entrypoint, .Cmd]')" '[["/bin/echo"],["a","b"]]' "ENTRYPOINT and CMD"
	like "$(line_of /srv/new)" 'dir 0755 1000:1001' "WORKDIR belongs to the USER before it"
	is "$(config '[.history[] | select(.empty_layer != true)] | length')" "$(config '.rootfs.diff_ids | length')" \
		"as many history entries with a layer as layers"
	is "$(config '.history[-1].created_by')" '"CMD [\"a\" \"b\"]"' "history says what was done"
fi

context shell <<'END'
FROM alpine:3.20
SHELL ["/bin/sh", "-uc"]
RUN echo "$-" > /flags
CMD echo text form
END
if builds "SHELL changes the shell of what follows" shell; then
	like "$(cat_in "$layout" /flags)" u "RUN uses it"
	is "$(config '.config.Cmd')" '["/bin/sh","-uc","echo text form"]' "CMD uses it"
fi

context entry <<'END'
FROM alpine:3.20
ENTRYPOINT ["/bin/echo", "hello"]
END
builds "ENTRYPOINT alone" entry && is "$(config '.config | [.Entrypoint, .Cmd]')" '[["/bin/echo","hello"],null]' \
	"a new ENTRYPOINT clears the base's CMD"

# --- USER and WORKDIR ---------------------------------------------------------------------------------
context user <<'END'
FROM alpine:3.20
RUN adduser -D -u 1234 app
WORKDIR /job
RUN chown app:app /job
USER app
RUN id -u > who && id -gn >> who && echo "$HOME" >> who && test ! -w /etc
WORKDIR sub/dir
RUN pwd > here
END
if builds "steps run as the USER in the WORKDIR" user; then
	is "$(cat_in "$layout" /job/who)" $'1234\napp\n/home/app' "name, group and HOME come from the image's passwd"
	is "$(cat_in "$layout" /job/sub/dir/here)" "/job/sub/dir" "a relative WORKDIR adds to the one before"
	like "$(line_of /job/who)" 'file 0644 1234:1234' "a file belongs to the user who made it"
	like "$(line_of /home/app)" 'dir [0-9]* 1234:1234' "so does its home"
fi

# --- ARG --------------------------------------------------------------------------------------------
context args <<'END'
ARG TAG=none
FROM alpine:${TAG} AS one
ARG TAG
ARG WITH=default
ARG WITHOUT
ARG EMPTY=filled
RUN echo "$TAG|$WITH|${WITHOUT-unset}|$EMPTY" > /args
ENV WITH=env
RUN echo "$WITH" > /env
FROM one
RUN echo "${NEVER-unset} $WITH $TAG" > /never
END
if builds "ARG before and in a stage" args --build-arg TAG=3.20 --build-arg EMPTY= --build-arg WITH=given; then
	is "$(cat_in "$layout" /args)" "3.20|given|unset|" "build arguments override, an empty one too"
	is "$(cat_in "$layout" /env)" "env" "ENV wins over ARG"
	is "$(cat_in "$layout" /never)" "unset env 3.20" "a stage FROM another inherits its arguments (buildah differs)"
	is "$(config '.config.Env | map(select(startswith("TAG") or startswith("EMPTY"))) | length')" 0 "ARG is not in the config"
fi
user_env=(FROM_OUTSIDE=client)
context args2 <<'END'
FROM alpine:3.20
ARG FROM_OUTSIDE=default
ARG SECRET_OF_HOST
RUN echo "$FROM_OUTSIDE" > /a
END
builds "--build-arg NAME takes the client's value" args2 --build-arg FROM_OUTSIDE &&
	is "$(cat_in "$layout" /a)" client "it arrives"
builds "without the flag" args2 && is "$(cat_in "$layout" /a)" default "the environment alone does nothing"
user_env=()

context platform_args <<'END'
FROM alpine:3.20
ARG TARGETPLATFORM
ARG TARGETOS
ARG TARGETARCH
ARG BUILDPLATFORM
RUN echo "$TARGETPLATFORM $TARGETOS $TARGETARCH $BUILDPLATFORM" > /p
END
builds "platform arguments" platform_args &&
	is "$(cat_in "$layout" /p)" "linux/$arch linux $arch linux/$arch" "they say the truth"

# --- COPY -------------------------------------------------------------------------------------------
context copy <<'END'
FROM alpine:3.20 AS base
WORKDIR /w
COPY one.txt /plain
COPY one.txt sub/ rel/
COPY *.txt /wild/
COPY --chown=7:8 --chmod=0640 one.txt /owned/deep/f
COPY --chown=nobody one.txt /named
COPY dir /merged
COPY ["with space", "/spaced/"]
COPY link-to-one /deref
COPY none* /nothing/
ADD added.tar /added/
ADD one.txt /added.txt
COPY . /all/
FROM base
COPY --from=base /plain /from-stage
COPY --from=0 /merged/exe /from-index
END
mkdir -p copy/sub copy/dir/deep copy/ignored
echo one >copy/one.txt
echo two >copy/two.txt
echo sub >copy/sub/s
echo exe >copy/dir/exe
chmod 0751 copy/dir/exe
chmod 0700 copy/dir/deep
ln copy/dir/exe copy/dir/hard
ln -s ../nowhere copy/dir/dangling
ln -s one.txt copy/link-to-one
echo spaced >"copy/with space"
echo secret >copy/ignored/secret
echo keep >copy/ignored/keep
echo x >copy/.hidden
mkdir -p t/d && echo in-tar >t/d/f && tar -C t --owner=11 --group=12 --mtime=@1600000000 -cf copy/added.tar d
touch -d @1500000000 copy/one.txt
printf '%s\n' '# a comment' 'ignored/*' '!ignored/keep' '**/*.log' .dockerignore >copy/.dockerignore
touch copy/x.log copy/dir/y.log
give "$U" copy
if builds "COPY and ADD" copy; then
	like "$(line_of /plain)" 'file 0644 0:0 .*@1500000000' "mode and time are kept, the owner is root"
	is "$(cat_in "$layout" /w/rel/one.txt)$(cat_in "$layout" /w/rel/s)" "onesub" "a relative destination; a folder's content"
	is "$(tree | grep -c '^/wild/.*\.txt ')" 2 "a wildcard"
	like "$(line_of /owned/deep/f)" 'file 0640 7:8' "--chown and --chmod"
	like "$(line_of /owned/deep)" 'dir 0640 7:8' "they hold for the folders made on the way"
	like "$(line_of /named)" 'file 0644 65534:65534' "--chown by name looks in the image"
	like "$(line_of /merged/exe)" 'file 0751 0:0' "nested modes"
	like "$(line_of /merged/deep)" 'dir 0700 0:0' "nested folders"
	like "$(line_of /merged/hard)" '= /merged/exe' "hard links of one source stay linked"
	like "$(line_of /merged/dangling)" '-> \.\./nowhere' "a link inside a folder is copied as a link"
	is "$(cat_in "$layout" "/spaced/with space")" spaced "the JSON form keeps blanks"
	is "$(cat_in "$layout" /deref)" one "a link named as a source is followed"
	is "$(line_of /nothing)" "" "a wildcard without a match copies nothing"
	like "$(line_of /added/d/f)" 'file 0644 11:12' "ADD extracts an archive with its owners"
	is "$(cat_in "$layout" /added.txt)" one "ADD copies what is no archive"
	is "$(tree | grep -E '^/all/(ignored|.*\.log|\.dockerignore|\.hidden)' | cut -d' ' -f1 | tr '\n' ' ')" \
		"/all/.hidden /all/ignored /all/ignored/keep " ".dockerignore with an exception and a comment"
	is "$(cat_in "$layout" /from-stage)" one "COPY --from a stage by name"
	like "$(line_of /from-index)" 'file 0751' "COPY --from a stage by number"
fi

context over <<'END'
FROM alpine:3.20
RUN mkdir -p /real/dir && ln -s /real/dir /linked && ln -s /real/missing /dangling && echo old > /real/dir/f && ln /real/dir/f /real/kept
COPY f /linked/
COPY f /dangling
COPY d/ /real/dir/
END
mkdir -p over/d && echo new >over/f && echo d >over/d/g
if builds "COPY through links of the image" over; then
	is "$(cat_in "$layout" /real/dir/f)" new "a link to a folder is followed"
	is "$(cat_in "$layout" /real/missing)" new "the target of a dangling link is made"
	is "$(cat_in "$layout" /real/kept)" old "another hard link keeps the old content"
	is "$(cat_in "$layout" /real/dir/g)" d "a second COPY merges"
fi

context scratch <<'END'
FROM scratch
COPY f /only
END
echo x >scratch/f
builds "FROM scratch" scratch && is "$(tree | cut -d' ' -f1)" /only "it holds what was copied and nothing else"

# --- stages -----------------------------------------------------------------------------------------
context stages <<'END'
FROM alpine:3.20 AS unneeded
RUN echo should-not-run && false
FROM alpine:3.20 AS Wanted
RUN echo wanted > /wanted
FROM nowhere.invalid/missing:1 AS never
FROM alpine:3.20 AS last
COPY --from=wanted /wanted /last
FROM scratch AS other
COPY --from=last /last /other
END
if builds "--target, in any case" stages --target LAST; then
	is "$(cat_in "$layout" /last)" wanted "the stage asked for was built"
	unlike "$err" 'should-not-run' "a stage that is not needed is not built"
	is "$(tree | grep -c '^/other ')" 0 "nor one after it"
fi
builds "without --target the last stage" stages && is "$(tree | cut -d' ' -f1)" /other "is the image"
fails 3 "an unknown target" "$U" build --target lost stages
like "$err" 'lost' "is named"

# each stage runs for two seconds: in parallel both have begun before one has ended
context parallel <<'END'
FROM alpine:3.20 AS a
RUN echo began-a; sleep 2; echo a > /a
FROM alpine:3.20 AS b
RUN echo began-b; sleep 2; echo b > /b
FROM scratch
COPY --from=a /a /a
COPY --from=b /b /b
END
if [ "$(nproc)" -gt 1 ]; then
	builds "two independent stages" parallel
	ends=$(grep -E '^#[0-9]+ ([0-9.]+ began-[ab]|DONE [1-9])' <<<"$err" | sed -E 's/^#[0-9]+ ([0-9.]+ )?(began|DONE).*/\2/' | head -n 3 | xargs)
	is "$ends" "began began DONE" "run at the same time"
else
	skip "independent stages run at the same time" "this machine has one processor"
fi

# --- files and forms of the command line -------------------------------------------------------------
mkdir elsewhere
printf 'FROM scratch\nCOPY f /f\n' >elsewhere/My.Dockerfile
builds "-f names a Dockerfile outside the context" scratch -f elsewhere/My.Dockerfile
is "$(cat_in "$layout" /f)" x "its COPY reads the context"
mv scratch/Dockerfile scratch/dockerfile
builds "a Dockerfile called dockerfile is found" scratch
printf 'FROM alpine:3.20 \\\n  AS x\r\nRUN \\\n# inside\necho a \\\n  b > /c\r\n' >elsewhere/lexer
builds "continuations, comments and CRLF" scratch -f elsewhere/lexer && is "$(cat_in "$layout" /c)" "a b" "are read as written"
# shellcheck disable=SC2016 # a backquote
printf '# escape=`\nFROM alpine:3.20\nRUN echo one `\n two > /c:\\d\n' >elsewhere/escape
builds "the escape directive" scratch -f elsewhere/escape

iid=$scratch/$U/out/iid
runs "--iidfile and two names" "$U" build --progress plain --iidfile "$iid" -t named:1 -t other:2 run
like "$(cat "$iid" 2>/dev/null)" '^sha256:[0-9a-f]{64}$' "the id file holds a digest"
runs "images lists what was built" "$U" images
like "$out" 'named' "the first name is there"
like "$out" 'other' "the second name is there"

w "$U" build -q -t quiet:1 run
is "$status" 0 "-q builds"
like "$out" '^sha256:[0-9a-f]{64}$' "-q prints the id alone"
is "$err" "" "-q prints nothing else"
done_testing
