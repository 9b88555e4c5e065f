#!/bin/bash
# The networks of steps: what each can reach and what it cannot, names, the helper and its end.
#
# Started as root it gives itself a mount namespace in which /dev/net/tun is open to all, as udev makes it.
if [ "$(id -u)" -eq 0 ] && [ "${OWN_TUN:-}" != 1 ]; then
	OWN_TUN=1 exec unshare --mount --propagation private bash "$0" "$@"
fi
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

if [ -n "$as_root" ]; then
	mknod -m 0666 "$scratch/tun" c 10 200 && mount --bind "$scratch/tun" /dev/net/tun
fi
for tool in pasta slirp4netns; do
	command -v "$tool" >/dev/null || skip_all "$tool is not installed"
done
if ! [ -r /dev/net/tun ] || ! [ -w /dev/net/tun ]; then skip_all "/dev/net/tun cannot be opened"; fi

# A folder of programs without one of the helpers: the setuid ones stay where they are.
only() { # only NAME...: a PATH on which these are
	local dir=$scratch/path-$* name
	dir=${dir// /-}
	mkdir -p "$dir"
	for name in newuidmap newgidmap env timeout "$@"; do
		ln -sf "$(command -v "$name")" "$dir/$name"
	done
	echo "$dir"
}

# --- servers of the host, which only a step on its network may reach ------------------------------------------------
cat >"$scratch/serve.py" <<'END'
import socket, sys, threading
def serve(s, word):
    while True:
        c, _ = s.accept()
        c.sendall(word)
        c.close()
def start(family, address, word):
    s = socket.socket(family, socket.SOCK_STREAM)
    s.bind(address)
    s.listen(16)
    threading.Thread(target=serve, args=(s, word), daemon=True).start()
    return s
v4 = start(socket.AF_INET, ("127.0.0.1", 0), b"loopback\n")
al = start(socket.AF_INET, ("0.0.0.0", 0), b"everywhere\n")
ab = start(socket.AF_UNIX, "\0" + sys.argv[1], b"abstract\n")
print(v4.getsockname()[1], al.getsockname()[1], flush=True)
threading.Event().wait()
END
abstract=whittle-test-$$
/usr/bin/python3 "$scratch/serve.py" $abstract >"$scratch/ports" 2>"$scratch/serve.err" &
kill_at_exit+=($!)
wait_for 10 test -s "$scratch/ports" || bail "the servers start" "$(cat "$scratch/serve.err")"
read -r port anywhere <"$scratch/ports"
gateway=$(ip -4 route show default 2>/dev/null | sed -n 's/.*via \([0-9.]*\).*/\1/p' | head -n 1)
[ -n "$gateway" ] || gateway=127.0.0.1

# reach.py ADDRESS PORT or @NAME: what answers there, or "nothing"
need_alpine "$U"
fixture alpine "$(host_arch)"
context reach <<'END'
FROM alpine:3.20
ARG CASE PORT GATEWAY
RUN mkdir /f; sed -n 's/^ *\([^:]*\):.*/\1/p' /proc/net/dev | sort > /f/interfaces; ls /sys/class/net | sort > /f/sys; \
	cat /proc/net/unix > /f/unix; cat /etc/resolv.conf > /f/resolv.conf; cat /etc/hosts > /f/hosts; \
	cat /proc/sys/net/ipv4/ping_group_range > /f/ping; cat /proc/sys/net/ipv4/ip_unprivileged_port_start > /f/low; \
	(nc -w 2 127.0.0.1 $PORT < /dev/null || echo nothing) > /f/loopback 2>&1; \
	(nc -w 2 $GATEWAY $PORT < /dev/null || echo nothing) > /f/gateway 2>&1; \
	(echo hello | nc -l -p 7777 > /dev/null & sleep 0.3; nc -w 2 127.0.0.1 7777 < /dev/null > /dev/null && echo up || echo down) > /f/own 2>&1; \
	(ping -c 1 -W 2 127.0.0.1 > /dev/null 2>&1 && echo works || echo fails) > /f/pinged; true
END
fact() { cat_in "$layout" "/f/$1" 2>/dev/null; }
reach() { # reach USER MODE [OPTION...]
	layout=$(dest "$1" "reach-$2")
	runs "$1: --network $2 ${*:3}" "$1" build --progress plain --no-cache --network "${@:2}" --build-arg "PORT=$port" \
		--build-arg "GATEWAY=$gateway" -o "type=oci,dest=$layout,tar=false" reach
}

for user in "${users[@]}"; do
	[ "$user" = "$U" ] || need_alpine "$user"
	reach "$user" none
	is "$(fact interfaces)" lo "$user, none: only the loopback (fact 201)"
	is "$(fact sys)" lo "$user, none: nor does /sys show more"
	is "$(fact own)" up "$user, none: which is up"
	is "$(fact loopback | tail -n 1)" nothing "$user, none: a server on the host's loopback is out of reach"
	is "$(fact resolv.conf)" "" "$user, none: no name servers"
	unlike "$(fact unix)" "@$abstract" "$user, none: nor are abstract sockets seen"
	is "$(fact low)" 0 "$user, none: ports below 1024 are open to all"
	is "$(fact ping | awk '{ print ($1 == 0 && $2 >= 0 && $2 != "") }')" 1 "$user, none: root may ping without a capability"
	if has_range "$user"; then is "$(fact ping | tr -s '\t ' ' ')" "0 65536" "$user, none: and every other group"; fi

	reach "$user" host
	is "$(fact interfaces)" "$(sed -n 's/^ *\([^:]*\):.*/\1/p' /proc/net/dev | sort)" "$user, host: its interfaces"
	is "$(fact loopback)" loopback "$user, host: a server on its loopback answers"
	like "$(fact unix)" "@$abstract" "$user, host: its abstract sockets are seen"
	is "$(fact resolv.conf)" "$(cat /etc/resolv.conf)" "$user, host: its resolv.conf"

	reach "$user" private
	like "$(fact interfaces)" $'\nlo|^lo\n' "$user, private: the loopback"
	is "$(fact interfaces | grep -vc '^lo$')" 1 "$user, private: and one interface"
	is "$(fact sys)" "$(fact interfaces)" "$user, private: which is what /sys shows"
	is "$(fact own)" up "$user, private: the loopback is the step's own"
	is "$(fact loopback | tail -n 1)" nothing "$user, private: a server on the host's loopback is out of reach"
	is "$(fact gateway | tail -n 1)" nothing "$user, private: by the gateway's address too"
	unlike "$(fact unix)" "@$abstract" "$user, private: abstract sockets are not there"
	is "$(fact low)" 0 "$user, private: ports below 1024 are open to all"
	is "$(fact pinged)" works "$user, private: ping works"
	unlike "$(fact resolv.conf)" 'nameserver (127\.|::1)' "$user, private: no name server of a loopback"
	ok "$user: nothing of whittle and no helper is left" wait_for 5 no_whittles
done
helpers() { pgrep -u "$U" -f '^(pasta|slirp4netns) -'; }
# those of this test's builds: the keeper is their parent
own_helpers() {
	local pid
	for pid in $(helpers); do
		whittles | grep -qx "$(ps -o ppid= -p "$pid" | tr -d ' ')" && echo "$pid"
	done
}
no_helpers() { [ -z "$(helpers)" ]; }
ok "no helper outlives its build" wait_for 5 no_helpers

# --- one network per build, joined by all its steps -----------------------------------------------------------------
context shared <<'END'
FROM alpine:3.20 AS one
RUN readlink /proc/self/ns/net > /one
FROM alpine:3.20
COPY --from=one /one /one
RUN readlink /proc/self/ns/net > /two
RUN --network=none readlink /proc/self/ns/net > /none
END
layout=$(dest "$U" shared)
runs "two stages on a private network" "$U" build --progress plain --network private -o "type=oci,dest=$layout,tar=false" shared
like "$(cat_in "$layout" /one)" '^net:\[[0-9]+\]$' "a step has a network namespace"
is "$(cat_in "$layout" /one)" "$(cat_in "$layout" /two)" "a step of another stage has the same"
isnt "$(cat_in "$layout" /none)" "$(cat_in "$layout" /two)" "RUN --network=none has another"
isnt "$(cat_in "$layout" /two)" "$(readlink /proc/self/ns/net)" "and it is not the host's"
printf 'FROM alpine:3.20\nRUN --network=host true\n' >shared/Dockerfile
fails 3 "RUN --network=host in a build with a private network" "$U" build --progress plain --network private shared
like "$err" 'RUN --network=host in a build with --network private' "is refused"
printf 'FROM alpine:3.20\nCOPY Dockerfile /\n' >shared/Dockerfile
user_env=("PATH=$(only)")
runs "a build without RUN needs no helper" "$U" build --progress plain --network private shared
user_env=()

# --- out and back: a private network leads to the world ---------------------------------------------------------------
# The host's outward address stands for the world. pasta gives the step that same address, so it is slirp4netns that
# can be asked to go there.
outward=$(ip -4 route get 192.0.2.77 2>/dev/null | sed -n 's/.*src \([0-9.]*\).*/\1/p' | head -n 1)
printf 'FROM alpine:3.20\nARG PORT ADDRESS\nRUN (nc -w 5 $ADDRESS $PORT < /dev/null || echo nothing) > /answer; cat /etc/resolv.conf > /resolv.conf\n' >shared/Dockerfile
if [ -n "$outward" ]; then
	user_env=("PATH=$(only slirp4netns)")
	layout=$(dest "$U" world)
	runs "slirp4netns where pasta is missing" "$U" build --progress plain --network private --build-arg "PORT=$anywhere" \
		--build-arg "ADDRESS=$outward" -o "type=oci,dest=$layout,tar=false" shared
	is "$(cat_in "$layout" /answer)" everywhere "the world answers"
	layout=$(dest "$U" world)
	runs "slirp4netns" "$U" build --progress plain --network private --build-arg "PORT=$port" \
		--build-arg "ADDRESS=10.0.2.2" -o "type=oci,dest=$layout,tar=false" shared
	is "$(cat_in "$layout" /answer | tail -n 1)" nothing "the host's loopback does not, by the gateway of slirp4netns"
	user_env=()
else
	skip "slirp4netns leads to the world" "this host has no outward address"
fi

# --- names ------------------------------------------------------------------------------------------------------------
reach "$U" private --dns 192.0.2.53 --dns 2001:db8::53 --dns-search example.org --dns-search example.net --dns-option ndots:2
is "$(fact resolv.conf)" $'nameserver 192.0.2.53\nnameserver 2001:db8::53\nsearch example.org example.net\noptions ndots:2' "--dns and its like make resolv.conf"
reach "$U" host --dns-search . --add-host db:192.0.2.7 --add-host v6=2001:db8::1 --add-host 'br:[2001:db8::2]' --add-host gw:host-gateway
is "$(fact hosts | tail -n +3)" $'192.0.2.7\tdb\n2001:db8::1\tv6\n2001:db8::2\tbr\n127.0.0.1\tgw' "--add-host adds to /etc/hosts"
like "$(fact hosts)" $'127.0.0.1\tlocalhost buildkitsandbox' "after the lines that are always there"
if [ -n "$as_root" ]; then
	# a host that has nothing but a resolver on its loopback
	printf 'nameserver 127.0.0.53\nsearch corp.example\n' >"$scratch/resolv.conf"
	mount --bind "$scratch/resolv.conf" /etc/resolv.conf
	reach "$U" private
	is "$(fact resolv.conf)" $'nameserver 169.254.1.1\nsearch corp.example' "pasta forwards to a resolver of the loopback"
	reach "$U" host
	is "$(fact resolv.conf)" "$(cat "$scratch/resolv.conf")" "which a step on the host's network asks itself"
	user_env=("PATH=$(only slirp4netns)")
	reach "$U" private
	is "$(fact resolv.conf)" $'nameserver 10.0.2.3\nsearch corp.example' "slirp4netns has its own forwarder"
	user_env=()
	# and one answers there: the forwarder leads to it
	cat >"$scratch/dns.py" <<'END'
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.53", 53))
print("ready", flush=True)
while True:
    q, a = s.recvfrom(512)
    s.sendto(q[:2] + b"\x81\x80\0\x01\0\x01\0\0\0\0" + q[12:q.index(b"\0", 12) + 5] + b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x63", a)
END
	/usr/bin/python3 "$scratch/dns.py" >"$scratch/dns.out" 2>"$scratch/dns.err" &
	dns_pid=$!
	kill_at_exit+=("$dns_pid")
	if wait_for 5 test -s "$scratch/dns.out"; then
		printf 'FROM alpine:3.20\nRUN nslookup -type=a some.name.example > /answer 2>&1 || true\n' >shared/Dockerfile
		for tool in pasta slirp4netns; do
			user_env=("PATH=$(only $tool)")
			layout=$(dest "$U" dns)
			runs "a name asked for by $tool" "$U" build --progress plain --no-cache --network private \
				-o "type=oci,dest=$layout,tar=false" shared
			like "$(cat_in "$layout" /answer)" '192\.0\.2\.99' "the host's resolver answers"
		done
		user_env=()
	else
		skip "a resolver on the loopback answers" "port 53 of 127.0.0.53 is taken: $(tail -n 1 "$scratch/dns.err")"
	fi
	umount /etc/resolv.conf
fi
for bad in nothing =1.2.3.4 a:b a:1.2.3.4.5 'a b:1.2.3.4' $'a\n1.2.3.4 b:1.2.3.4' 'a#:1.2.3.4' 'a:[1.2.3.4'; do
	fails 2 "--add-host '$bad'" "$U" build --add-host "$bad" shared
done
fails 2 "--dns with a name" "$U" build --dns resolver.example shared
fails 2 "--dns-search with a line break" "$U" build --dns-search $'a\nnameserver 1.2.3.4' shared
fails 2 "host-gateway on a private network" "$U" build --network private --add-host x:host-gateway shared
like "$err" 'needs --network host' "says what it needs"
fails 2 "an unknown network" "$U" build --network bridge shared
like "$err" "use host, private or none" "the known ones are named"

# the cache: an address is not in the key, a name is
context key <<'END'
FROM alpine:3.20
RUN true
END
w "$U" build --progress plain --add-host a:192.0.2.1 key
runs "a step with an extra host" "$U" build --progress plain --add-host a:192.0.2.2 key
like "$err" 'CACHED' "is cached under another address"
runs "a step with another extra host" "$U" build --progress plain --add-host b:192.0.2.2 key
unlike "$err" $'RUN true\n#[0-9]+ CACHED' "is not"

# --- without a helper -------------------------------------------------------------------------------------------------
user_env=("PATH=$(only)")
fails 10 "a private network without pasta and slirp4netns" "$U" build --progress plain --no-cache --network private key
like "$err" 'needs pasta \(package passt\) or slirp4netns.*--network host or none' "names the packages and the way out"
user_env=()
if [ -n "$as_root" ]; then
	chmod 0600 "$scratch/tun"
	fails 10 "a private network without a tun device" "$U" build --progress plain --no-cache --network private key
	like "$err" '/dev/net/tun.*chmod 0666' "names the device and the mend"
	chmod 0666 "$scratch/tun"
fi
broken=$(only)
printf '#!/bin/sh\necho "no such thing on this host" >&2\nexit 3\n' >"$broken/pasta"
chmod 0755 "$broken/pasta"
user_env=("PATH=$broken")
fails 10 "a helper that fails" "$U" build --progress plain --no-cache --network private key
like "$err" 'pasta did not start: exit status 3 \(no such thing on this host\)' "its own words are the message"
user_env=()

# --- the end of the helper --------------------------------------------------------------------------------------------
mark=$((200000 + $$)) # seconds: nobody else sleeps so long
sleepers() { pgrep -f "^sleep $mark\$"; }
no_sleepers() { ! sleepers; }
context dies <<END
FROM alpine:3.20
RUN echo step-runs; sleep $mark
END
for tool in pasta slirp4netns; do
	user_env=("PATH=$(only $tool)")
	(exec_as "$U" "$WHITTLE" build --progress plain --network private dies >"$scratch/dies.log" 2>&1) &
	pid=$!
	wait_for 20 sleepers || fail "the step starts" "$(cat "$scratch/dies.log")"
	mapfile -t found < <(own_helpers)
	is ${#found[@]} 1 "$tool runs, once for the build"
	kill -KILL "${found[@]}" || kill -KILL "$pid"
	SECONDS=0
	wait "$pid"
	is $? 10 "$tool killed under a step: status 10"
	ok "$tool killed: at once" test $SECONDS -le 3
	like "$(cat "$scratch/dies.log")" "network helper $tool died: killed by signal 9" "$tool killed: the step fails with that reason"
	ok "$tool killed: the step is dead" wait_for 1 no_sleepers

	(exec_as "$U" "$WHITTLE" build --progress plain --network private dies >"$scratch/dies.log" 2>&1) &
	pid=$!
	wait_for 20 sleepers || fail "the step starts" "$(cat "$scratch/dies.log")"
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null
	ok "whittle killed: $tool dies within a second" wait_for 1 no_helpers
	ok "whittle killed: so does the step" wait_for 1 no_sleepers
	ok "whittle killed: and whatever was between" wait_for 1 no_whittles
done
user_env=()

# whittle run
runs "whittle run on a private network" "$U" run --network private alpine:3.20 sh -c 'ls /sys/class/net | wc -l'
is "$out" 2 "has two interfaces"
ok "and no helper afterwards" wait_for 5 no_helpers
done_testing
