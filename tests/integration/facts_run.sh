#!/bin/bash
# RUN (dockerfile.md 3.2), by number of fact: what a step is given, who it is, and what of it is left. Mounts of every
# type are in run_mounts.sh, networks in network.sh, limits in limits.sh.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/build.sh
. "$tests_dir/build.sh"

need_alpine "$U"
paths_of_layer() {
	local digest
	digest=$(image_manifest "$layout" | jq -r ".layers[-$1].digest")
	zstd -dcq "$layout/blobs/sha256/${digest#sha256:}" | tar -t
}

# --- the process ------------------------------------------------------------------------------------------------
builds "steps of an image with an entrypoint" --build-arg BUILDKIT_SANDBOX_HOSTNAME=of-the-argument <<'END'
FROM alpine:3.20
ENTRYPOINT ["/bin/false"]
RUN echo "entry=ran"
RUN echo "hosts=$(grep -c '^127.0.0.1.*localhost of-the-argument$' /etc/hosts)"; echo "uname=$(uname -n)"
RUN echo "bounding=$(sed -n 's/CapBnd:[[:space:]]*//p' /proc/self/status)"
RUN --network=none echo "interfaces=$(ls /sys/class/net | tr '\n' ' ')"
END
is "$(said entry)" ran "fact 186: ENTRYPOINT is no part of RUN"
is "$(said hosts) $(said uname)" "1 of-the-argument" "fact 203: the host name of the build argument, in /etc/hosts and by uname"
is "$(said bounding)" 00000000a80425fb "fact 202: the capabilities that a step may have"
is "$(said interfaces)" "lo " "fact 201: --network=none leaves the loopback"
builds "without the argument" <<<$'FROM alpine:3.20\nRUN echo "uname=$(uname -n)"'
is "$(said uname)" buildkitsandbox "fact 203: the host name that scripts test for"
refuses 4 'process "/bin/sh -c echo \"a\"; exit 3" did not complete successfully: exit code: 3' "fact 187: a command that fails" \
	<<<$'FROM alpine:3.20\nRUN echo "a"; exit 3'
refuses 4 'process "/bin/false x y" did not complete successfully: exit code: 1' "fact 187: in the exec form" \
	<<<$'FROM alpine:3.20\nRUN ["/bin/false", "x y"]'
refuses 3 'entitlement security.insecure is not allowed' "fact 202: --security=insecure is refused" \
	<<<$'FROM alpine:3.20\nRUN --security=insecure true'
refuses 3 'RUN --network=host in a build with --network none' "fact 201: --network=host is, where the build has none" --network none \
	<<<$'FROM alpine:3.20\nRUN --network=host true'

# --- USER -------------------------------------------------------------------------------------------------------
builds "every form of USER" <<'END'
FROM alpine:3.20
RUN adduser -D -u 1500 alice && addgroup -g 1600 team && addgroup -g 1700 more && adduser alice team
USER alice
RUN echo "name=$(id -u) $(id -g) $(id -G)"
USER 1500
RUN echo "uid=$(id -u) $(id -g) $(id -G)"
USER alice:more
RUN echo "named_group=$(id -u) $(id -g) $(id -G)"
USER 1500:1700
RUN echo "both=$(id -u) $(id -g) $(id -G)"
USER 4711
RUN echo "unknown=$(id -u) $(id -g) $(id -G)"
USER daemon
RUN echo "daemon=$(id -g) $(id -G | tr ' ' '\n' | grep -cx "$(id -g)")"
USER root
RUN id -G | sed 's/^/root=/'
END
is "$(said name)" "1500 1500 1500 1600" "fact 205: a name brings its groups"
is "$(said uid)" "1500 1500 1500 1600" "fact 205: so does its number"
is "$(said named_group)" "1500 1700 1700" "fact 205: a group besides leaves that one alone"
is "$(said both)" "1500 1700 1700" "fact 205: two numbers are just these"
is "$(said unknown)" "4711 0 0" "fact 205: a number that nobody has is of group 0"
is "$(said daemon)" "2 1" "fact 206: the groups of daemon have its own among them"
refuses 1 'unable to find group nobodys: no matching entries in group file' "an unknown group" \
	<<<$'FROM alpine:3.20\nUSER root:nobodys\nRUN true'

# --- a working folder that the image only speaks of ----------------------------------------------------------------
w "$U" import -q "$fixture" noted:1 --workdir /not/there --user 1000:1001 --cmd /bin/sh
builds "RUN in a working folder that is not there" <<<$'FROM noted:1\nRUN pwd | sed \'s/^/pwd=/\'; echo x > f'
is "$(said pwd)" /not/there "fact 207: it is made"
like "$(line_of /not/there)" 'dir 0755 1000:1001' "fact 207: for the user of the command, and stays"

# --- mounts ---------------------------------------------------------------------------------------------------------
mkdir -p ctx/over/dir && echo one >ctx/over/dir/a && echo other >ctx/b
builds "two bind mounts, one within the other" <<'END'
FROM alpine:3.20
RUN --mount=target=/m,source=over --mount=target=/m/dir/a,source=b echo "within=$(cat /m/dir/a) $(ls /m/dir | xargs)"
END
is "$(said within)" "other a" "fact 195: both are seen"
echo changed >ctx/b
again && is "$(said within)" "changed a" "fact 195: a new content of the inner one is noticed"
echo more >ctx/over/dir/c
again && is "$(said within)" "changed a c" "fact 195: and of the outer one"
again && is "$(said within)" "" "fact 195: (with nothing new it is cached)"
builds "a file mounted where nothing is" <<'END'
FROM alpine:3.20
RUN mkdir /p && touch -d '2001-02-03 04:05:06' /p
RUN --mount=target=/p/new/deep/file,source=b echo "file=$(cat /p/new/deep/file)"
RUN test "$(stat -c %Y /p)" = "$(date -d '2001-02-03 04:05:06' +%s)" && echo "parent=untouched"
END
is "$(said file) $(said parent)" "changed untouched" "fact 267: its parents have the time they had"
is "$(paths_of_layer 2)" "" "fact 267: and its place is gone, with the folders above"
refuses 7 "image '0:latest' is not in the store" "fact 266: from=0 is a name, and no number of a stage" --offline \
	<<<$'FROM alpine:3.20 AS a\nFROM alpine:3.20\nRUN --mount=type=bind,from=0,target=/m true'
builds "caches within a cache, in two stages at once" <<'END'
FROM alpine:3.20 AS a
RUN --mount=type=cache,id=outer,target=/c --mount=type=cache,id=inner,target=/c/in/deep touch /c/a /c/in/deep/a
FROM alpine:3.20 AS b
RUN --mount=type=cache,id=outer,target=/c --mount=type=cache,id=inner,target=/c/in/deep touch /c/b /c/in/deep/b
FROM alpine:3.20
COPY --from=a /etc/hostname /a
COPY --from=b /etc/hostname /b
RUN --mount=type=cache,id=outer,target=/c --mount=type=cache,id=inner,target=/c/in/deep \
	echo "caches=$(ls /c /c/in/deep | tr '\n' ' ')"
END
is "$(said caches)" "/c: a b in  /c/in/deep: a b " "fact 193: both wrote to both"
context triggers <<'END'
FROM alpine:3.20
ONBUILD RUN --mount=type=cache,target=/c touch /c/of-the-trigger
END
w "$U" build -q -t triggers:1 triggers
builds "a cache of a trigger" <<<$'FROM triggers:1\nRUN --mount=type=cache,target=/c echo "shared=$(ls /c | grep trigger)"'
is "$(said shared)" of-the-trigger "fact 227: is the cache of the child"

# --- an agent ---------------------------------------------------------------------------------------------------------
# it answers one list of no keys per connection, and says when the other side closed
cat >agent.py <<'END'
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o777)
s.listen()
print("ready", flush=True)
while True:
    c, _ = s.accept()
    print("open", flush=True)
    while c.recv(4096):
        c.sendall(b"\0\0\0\5\x0c\0\0\0\0")
    print("closed", flush=True)
END
exec_as "$U" /usr/bin/python3 "$PWD/agent.py" "$scratch/$U/tmp/agent" >agent.log &
kill_at_exit+=($!)
wait_for 30 grep -q ready agent.log
builds "an agent" --ssh "default=$scratch/$U/tmp/agent" <<'END'
FROM alpine:3.20
RUN --mount=type=ssh,mode=0640,uid=7,gid=8 echo "sock=$SSH_AUTH_SOCK $(stat -c '%F %a %u %g' "$SSH_AUTH_SOCK")"; \
	(printf '\0\0\0\1\13'; sleep 1) | nc -w 20 local:"$SSH_AUTH_SOCK" | od -An -tx1 | sed 's/^ */list=/'
END
if has_range "$U"; then
	is "$(said sock)" "/run/buildkit/ssh_agent.0 socket 640 7 8" "fact 200: its socket has the mode and owner"
else
	like "$(said sock)" '^/run/buildkit/ssh_agent.0 socket 640 ' "fact 200: its socket has the mode"
fi
is "$(said list)" "00 00 00 05 0c 00 00 00 00" "fact 200: it answers"
is "$(grep -c open agent.log)" "$(grep -c closed agent.log)" "fact 200: and no connection stays open"
done_testing
