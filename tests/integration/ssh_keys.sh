#!/bin/bash
# --ssh with private key files: an agent of the build's own that holds them, and that goes when the build goes.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

for tool in ssh-agent ssh-add ssh-keygen; do
	command -v $tool >/dev/null || skip_all "openssh-client is not installed"
done

key() { # NAME [FLAG...]: a key of the user
	as_user "$user" ssh-keygen -q -t ed25519 -N '' -C "$1" -f "$keys/$1" "${@:2}" >/dev/null
}
# Those of this test: the keys are among their arguments. Other tests have agents of the same user.
agents() {
	local pid
	for pid in $(pgrep -u "$user" -x ssh-agent); do
		! grep -qaF "$scratch/" "/proc/$pid/cmdline" 2>/dev/null || echo "$pid"
	done
}
no_agents() { [ -z "$(agents)" ]; }
some_agents() { ! no_agents; }
said() { sed -n "s/^#[0-9]* [0-9.]* $1=//p" <<<"$err"; }
b() {
	layout=$(dest "$user" t)
	w "$user" build --progress plain -o "type=oci,dest=$layout,tar=false" "$@" t
}
builds() {
	b "${@:2}"
	is "$status" 0 "$user: $1"
	[ "$status" = 0 ] || diag "$(tail -n 20 <<<"$err")"
}
refuses() { # STATUS MESSAGE DESCRIPTION FLAG...
	b "${@:4}"
	is "$status" "$1" "$user: $3"
	like "$err" "$2" "$user: $3: the message"
	is "$(grep -c '^whittle: ' <<<"$err")" 1 "$user: $3: one message"
}

lists_and_signs() {
	key one
	key two
	context t <<-'END'
		FROM alpine:3.20
		ARG N
		COPY sign list /
		RUN --mount=type=ssh nc -w 20 local:"$SSH_AUTH_SOCK" < /list | od -An -v -tx1 | tr -d ' \n' | sed 's/^/list=/'; echo
		RUN --mount=type=ssh nc -w 20 local:"$SSH_AUTH_SOCK" < /sign | od -An -v -tx1 | tr -d ' \n' | sed 's/^/sign=/'; echo
		RUN --mount=type=ssh printf '\0\0\0\1\23' | nc -w 20 local:"$SSH_AUTH_SOCK" | od -An -tx1 | sed 's/^ */remove=/'
	END
	# requests by hand: list the keys; sign the word "data" with the first (draft-miller-ssh-agent)
	/usr/bin/python3 - "$keys/one.pub" t <<-'END'
		import base64, struct, sys
		s = lambda b: struct.pack(">I", len(b)) + b
		blob = base64.b64decode(open(sys.argv[1]).read().split()[1])
		open(sys.argv[2] + "/list", "wb").write(s(b"\x0b"))
		open(sys.argv[2] + "/sign", "wb").write(s(b"\x0d" + s(blob) + s(b"data") + struct.pack(">I", 0)))
		open(sys.argv[2] + "/../key.der", "wb").write(bytes.fromhex("302a300506032b6570032100") + blob[-32:])
	END
	builds "a step with two keys" --ssh "default=$keys/one,$keys/two"
	for name in one two; do
		like "$(said list)" "$(cut -d' ' -f2 "$keys/$name.pub" | base64 -d | od -An -v -tx1 | tr -d ' \n')" \
			"$user: the key $name is listed"
	done
	is "$(said list | cut -c9-18)" "0c00000002" "$user: two keys"
	is "$(said remove)" "00 00 00 01 05" "$user: none can be removed"
	# the answer ends with the 64 bytes of the signature
	/usr/bin/python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.argv[1])[-64:])' "$(said sign)" >sig
	printf data >data
	ok "$user: the signature is valid" openssl pkeyutl -verify -pubin -inkey key.der -keyform DER -rawin -in data -sigfile sig
	printf datA >data
	not "$user: and of nothing else" openssl pkeyutl -verify -pubin -inkey key.der -keyform DER -rawin -in data -sigfile sig
	ok "$user: the agent is gone" wait_for 30 no_agents
	is "$(find "$scratch/$user/tmp" -mindepth 1 | wc -l)" 0 "$user: and its folder"
	is "$(as_user "$user" find "$scratch/$user/store" -type s | wc -l)" 0 "$user: no socket stays in the store"
	builds "another key" --ssh "default=$keys/two" --build-arg N=1
	is "$(said list | cut -c9-18)" "0c00000001" "$user: is alone"
	# ids count one by one, the last of one counts
	builds "an id twice" --ssh "default=$keys/one,$keys/two" --ssh "default=$keys/one" --build-arg N=2
	is "$(said list | cut -c9-18)" "0c00000001" "$user: is what was said last"
	ok "$user: and no agent stays" wait_for 30 no_agents
}

mistakes() {
	context t <<<'FROM scratch'
	key secret -N 'pass phrase'
	key open
	as_user "$user" chmod 640 "$keys/open"
	as_user "$user" mkdir "$keys/folder"
	as_user "$user" sh -c "umask 077; echo nothing > $keys/text; head -c 65537 /dev/zero > $keys/large
		printf -- '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n' > $keys/broken"
	refuses 6 "ssh agent default: cannot open '.*none': No such file" "a key that is not there" --ssh "default=$keys/one,$keys/none"
	refuses 1 'passphrase: add it to an agent of yours' "a key with a passphrase" --ssh "default=$keys/one,$keys/secret"
	refuses 1 'others may read .*mode 0640.*chmod 600' "a key that others may read" --ssh "default=$keys/open"
	refuses 1 'is a folder' "a folder" --ssh "default=$keys/folder"
	refuses 1 'is no private key' "a file that is none" --ssh "default=$keys/text"
	refuses 1 'is no private key' "the public half" --ssh "default=$keys/pub"
	refuses 1 'has more than 65536 bytes' "a large file" --ssh "default=$keys/large"
	refuses 1 'a key cannot be used: .*(format|libcrypto)' "a broken key" --ssh "default=$keys/broken"
	list=$keys/one
	for _ in $(seq 64); do list+=,$keys/one; done
	refuses 2 'more than 64' "65 keys" --ssh "default=$list"
	mkdir -p "$scratch/path"
	for tool in sh cat env timeout mkdir rm; do ln -sf "$(command -v $tool)" "$scratch/path/$tool"; done
	user_env=("PATH=$scratch/path")
	refuses 6 'install them \(Debian: openssh-client\)' "no ssh-agent" --ssh "default=$keys/one"
	ln -sf "$(command -v ssh-agent)" "$scratch/path/ssh-agent"
	refuses 6 'install them \(Debian: openssh-client\)' "no ssh-add" --ssh "default=$keys/one"
	user_env=()
	ok "$user: no agent stays after mistakes" wait_for 30 no_agents
}

says() { grep -q "$1" "$scratch/killed.log"; }
killed() {
	context t <<-'END'
		FROM alpine:3.20
		RUN --mount=type=ssh echo step-runs; sleep 86397
	END
	for signal in KILL TERM; do
		(exec_as "$user" setsid "$WHITTLE" build --progress plain --ssh "default=$keys/one" t >"$scratch/killed.log" 2>&1) &
		pid=$!
		wait_for 60 says step-runs || fail "$user: the step runs" "$(cat "$scratch/killed.log")"
		ok "$user: an agent runs" some_agents
		kill -$signal "$pid"
		wait "$pid" 2>/dev/null
		ok "$user: SIG$signal: the agent goes" wait_for 30 no_agents
		is "$(find "$scratch/$user/tmp" -mindepth 1 | wc -l)" 0 "$user: SIG$signal: and its folder"
	done
}

for user in "${users[@]}"; do
	need_alpine "$user"
	keys=$scratch/$user/keys
	as_user "$user" true && mkdir -p "$keys" && give "$user" "$keys" && chmod 700 "$keys"
	no_agents || bail "no agent of $user runs" "$(agents)"
	lists_and_signs
	as_user "$user" cp "$keys/one.pub" "$keys/pub" && as_user "$user" chmod 600 "$keys/pub"
	mistakes
	killed
done
done_testing
