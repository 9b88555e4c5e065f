#!/bin/bash
# RUN --mount of every type: what a step sees, what stays, and that no trace of it is in a layer or in the store.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

marker=whittle-secret-$$-$RANDOM$RANDOM
printf '%s' "$marker" >"$scratch/secret"
chmod 644 "$scratch/secret"

# b NAME [FLAG...]: build context NAME as $user to a layout; sets layout
b() {
	local name=$1
	shift
	layout=$(dest "$user" "$name")
	w "$user" build --progress plain -o "type=oci,dest=$layout,tar=false" "$@" "$name"
}
# builds DESCRIPTION NAME [FLAG...]
builds() {
	local desc="$user: $1"
	shift
	if b "$@"; then
		pass "$desc"
	else
		fail "$desc" "exit status $status"$'\n'"$(tail -n 30 <<<"$err")"
		return 1
	fi
}
# refuses STATUS DESCRIPTION NAME MESSAGE [FLAG...]
refuses() {
	local wanted=$1 desc="$user: $2" name=$3 message=$4
	shift 4
	b "$name" "$@"
	is "$status" "$wanted" "$desc"
	like "$err" "$message" "$desc, and says why"
}
said() { sed -n "s/^#[0-9]* [0-9.]* $1=//p" <<<"$err"; } # what steps printed as NAME=VALUE
# The paths in the layer number $1 (0 is the base), one a line
layer_paths() {
	local digest
	digest=$(image_manifest "$layout" | jq -r ".layers[$1].digest")
	zstd -dcq "$layout/blobs/sha256/${digest#sha256:}" | tar -t
}

mounts_of_every_type() {
	context all <<-'END'
		FROM alpine:3.20 AS tools
		RUN mkdir -p /opt/t/sub && echo tool > /opt/t/sub/f && ln -s /opt/t/sub /opt/abs && ln -s t/sub/f /opt/rel
		FROM alpine:3.20
		WORKDIR /w
		RUN --mount=type=bind,target=/ctx echo "context=$(cat /ctx/dir/file) $(ls /ctx | tr '\n' ' ')"; \
			(echo x > /ctx/new) 2> /dev/null || echo "readonly=yes"
		RUN --mount=target=f,source=dir/file --mount=type=bind,from=tools,source=/opt/t,dst=/opt/t \
			echo "file=$(cat /w/f)"; echo "stage=$(cat /opt/t/sub/f)"; touch /opt/t/x 2> /dev/null || echo "stage_readonly=yes"
		RUN --mount=from=TOOLS,source=opt/abs,target=/a --mount=from=tools,src=/opt/rel,target=/b \
			echo "links=$(cat /a/f /b | tr '\n' ' ')"
		RUN --mount=from=tools,source=/opt,target=/o,rw rm -r /o/t && echo more > /o/more && echo "rw=$(ls /o | tr '\n' ' ')"
		RUN --mount=from=tools,source=/opt,target=/o,readwrite echo "discarded=$(ls /o | tr '\n' ' ')"
		RUN --mount=type=tmpfs,target=/tmp/t,size=128m echo "tmpfs=$(df /tmp/t | awk 'END { print $2 }')"; touch /tmp/t/x
		RUN --mount=type=tmpfs,target=/tmp/t --mount=type=tmpfs,target=/tmp/t/in/ner echo "nested=$(ls -R /tmp/t | tr '\n' ' ')"
		RUN --mount=from=alpine:3.20,source=/etc,target=/image-etc echo "image=$(cat /image-etc/alpine-release | cut -d. -f1,2)"
		RUN --mount=from=scratch,target=/nothing,rw touch /nothing/x && echo "scratch=$(ls /nothing)"
		RUN --mount=target=/dev/ctx,source=dir --mount=type=tmpfs,target=/run/made/by/mount true
	END
	mkdir -p all/dir && echo content >all/dir/file && echo no >all/ignored && echo ignored >all/.dockerignore
	give "$user" all
	builds "bind and tmpfs mounts" all || return
	is "$(said context)" "content Dockerfile dir " "$user: the context, without what the ignore file hides"
	is "$(said readonly)" yes "$user: a bind cannot be written to (fact 188)"
	is "$(said file)$(said stage)$(said stage_readonly)" contenttoolyes "$user: one file at a relative target; a folder of a stage"
	is "$(said links)" "tool tool " "$user: a source that is a link is followed inside its stage"
	is "$(said rw)" "abs more rel " "$user: rw shows its own writes"
	is "$(said discarded)" "abs rel t " "$user: and the next step does not see them"
	is "$(said tmpfs)" 131072 "$user: the size of a tmpfs (fact 189)"
	is "$(said nested)" "/tmp/t: in  /tmp/t/in: ner  /tmp/t/in/ner: " "$user: a mount within a mount; what was written to a tmpfs is gone (fact 189)"
	is "$(said image)" 3.20 "$user: an image"
	is "$(said scratch)" x "$user: an empty tree"
	for n in 2 3 4 5 6 7 8 9 10 11; do
		is "$(layer_paths $n)" "" "$user: the layer of RUN number $((n - 1)) is empty"
	done
	b all
	is "$(grep -c 'CACHED' <<<"$err")" "$(grep -cE '^#[0-9]+ \[.* RUN|FROM|WORKDIR' <<<"$err")" "$user: again, all is cached"
	echo new >all/ignored
	b all
	is "$(grep -c 'tools=' <<<"$err")$(said file)" 0 "$user: a change in what is ignored changes nothing"
	echo changed >all/dir/file
	b all
	is "$(said context)$(said file)" "changed Dockerfile dir changed" "$user: a change in what is mounted runs the steps"
}

mounts_in_the_key() {
	context key <<-'END'
		FROM alpine:3.20 AS tools
		ARG SALT
		RUN echo "$SALT" > /salt; mkdir /d; echo same > /d/f
		FROM alpine:3.20
		RUN --mount=from=tools,source=/d,target=/d,rw echo "ran=d"; cat /d/f; echo scratch > /d/g
		RUN --mount=from=tools,source=/salt,target=/s echo "salt=$(cat /s)"
	END
	builds "a stage that is mounted" key --build-arg SALT=1 || return
	b key --build-arg SALT=2
	is "$(said ran)" "" "$user: made again with the same content where it is mounted, it is not run again (fact 190)"
	is "$(said salt)" 2 "$user: with other content it is"
	b key --build-arg SALT=2 --no-cache
	is "$(said ran)$(said salt)" d2 "$user: --no-cache runs both"
}

caches() {
	context cache <<-'END'
		FROM alpine:3.20
		ARG N
		RUN --mount=type=cache,target=/c echo "n=$N" && echo "before=$(ls /c | tr '\n' ' ')" && echo $N > /c/$N
		RUN --mount=type=cache,id=/c,target=/elsewhere/c echo "same=$N $(ls /elsewhere/c | tr '\n' ' ')"
		RUN --mount=type=cache,target=/d echo "other=$N$(ls /d)"
		RUN --mount=type=cache,id=/c,target=/ro,ro touch /ro/x 2> /dev/null || echo "ro=$N"
		RUN --mount=type=cache,target=/m,mode=0751,uid=1001,gid=1002 echo "attr=$(stat -c '%a %u %g' /m) $N"; echo $N > /m/$N
		RUN --mount=type=cache,id=a,target=/m,mode=0700 --mount=type=cache,id=a,target=/n touch /m/x && echo "two=$N $(ls /n)"
	END
	builds "cache mounts" cache --build-arg N=1 || return
	is "$(said before)" "" "$user: a cache begins empty"
	is "$(said same)" "1 1 " "$user: its id finds it at another target (fact 191)"
	is "$(said other)$(said ro)" 11 "$user: another target is another cache (fact 191); a read-only one"
	is "$(said attr)" "751 1001 1002 1" "$user: mode, uid and gid of a cache (fact 192)"
	is "$(said two)" "1 " "$user: the same id with a mode of its own is another cache (fact 265)"
	b cache --build-arg N=2
	is "$(said before)|$(said same)" "1 |2 1 2 " "$user: the next build finds what was there (fact 191)"
	b cache --build-arg N=2 --no-cache
	is "$(said before)" "1 2 " "$user: --no-cache keeps it"
	is "$(image_tree "$layout" | grep -cE '^/(c|d|m|n|ro|elsewhere)[/ ]')" 0 "$user: nothing of it is in the image"
	is "$(as_user "$user" find "$scratch/$user/store/caches" -mindepth 1 -maxdepth 1 | grep -cvE '/[0-9a-f]{64}$')" 0 \
		"$user: caches are called by digests"

	context owners <<-'END'
		FROM alpine:3.20 AS stage
		RUN mkdir /d && touch /d/f && chown -R 5:6 /d
		FROM alpine:3.20
		RUN --mount=type=cache,id=owned,target=/c,uid=1001,mode=0700 adduser -D -u 1001 app && su app -c 'mkdir /c/d && touch /c/d/f' && \
			chown 7:8 /c/d/f
		USER app
		RUN --mount=type=cache,id=owned,target=/c,uid=1001,mode=0700 --mount=from=stage,source=/d,target=/d \
			echo "owners=$(stat -c %u:%g /c /c/d /c/d/f /d /d/f | tr '\n' ' ')"; ! chown 1001 /c/d/f 2> /dev/null && rm -r /c/d
	END
	builds "owners in caches and in stages that are mounted" owners
	is "$(said owners)" "1001:0 1001:1001 7:8 5:6 5:6 " "$user: are seen by the steps after"

	context deep <<<$'FROM alpine:3.20\nRUN --mount=type=cache,id=q,target=/p --mount=type=cache,id=q,target=/p/in,source=deep true'
	refuses 6 "a source that the cache does not have" deep '"/deep": not found'
	context seed <<-'END'
		FROM alpine:3.20 AS first
		RUN mkdir -p /x && echo begin > /x/f
		FROM alpine:3.20
		ARG N
		RUN --mount=type=cache,from=first,target=/s,source=x cat /s/f | sed 's/^/seed=/' && echo next >> /s/f
	END
	builds "a cache that begins with a stage" seed --build-arg N=1
	is "$(said seed)" begin "$user: has its files at first"
	b seed --build-arg N=2
	is "$(said seed)" $'begin\nnext' "$user: and then its own"
	runs "$user: prune" "$user" prune
	like "$out" ' 0 cache mounts' "$user: leaves caches"
	runs "$user: prune --all --dry-run" "$user" prune --all --dry-run
	like "$out" ' [5-9] cache mounts' "$user: counts them"
	runs "$user: prune --all" "$user" prune --all
	like "$out" ' [5-9] cache mounts' "$user: removes them"
	is "$(find "$scratch/$user/store/caches" -mindepth 1 | wc -l)" 0 "$user: all of them"
}

# Two stages at once, each with a file of its own in one cache. Those that share wait for each other's, however late it is.
sharing() {
	local sharing meet
	for sharing in locked private shared; do
		case $sharing in
		shared) meet='for i in $(seq 300); do [ $(ls /c | wc -l) = 2 ] && break; sleep 0.1; done; ls /c' ;;
		*) meet='sleep 1.5; ls /c; rm /c/*' ;;
		esac
		context share <<-END
			FROM alpine:3.20 AS a
			RUN --mount=type=cache,id=$sharing-$$,target=/c,sharing=$sharing touch /c/me-a && { $meet; } > /a
			FROM alpine:3.20 AS b
			RUN --mount=type=cache,id=$sharing-$$,target=/c,sharing=$sharing touch /c/me-b && { $meet; } > /b
			FROM scratch
			COPY --from=a /a /a
			COPY --from=b /b /b
		END
		builds "two steps at once, sharing=$sharing" share
		case $sharing in
		shared) is "$(cat_in "$layout" /a)|$(cat_in "$layout" /b)" $'me-a\nme-b|me-a\nme-b' "$user: they see each other" ;;
		*) is "$(cat_in "$layout" /a)|$(cat_in "$layout" /b)" "me-a|me-b" "$user: each is alone in it" ;;
		esac
	done
}

secrets() {
	# The name of the secret in the context is part of what is cached, so the marker stands in no Dockerfile.
	context secret <<-'END'
		FROM alpine:3.20
		ARG N
		ENV TOKEN=public
		RUN --mount=type=secret,id=s,required md5sum < /run/secrets/s | cut -c1-32 | sed 's/^/sum=/'; \
			echo "mode=$(stat -c '%a %u %g' /run/secrets/s)"; (echo x > /run/secrets/s) 2> /dev/null || echo "written=no"
		RUN --mount=type=secret,source=s,target=/root/.netrc,mode=0440,uid=1001,gid=1002 test -s /root/.netrc && stat -c 'target=%a %u %g' /root/.netrc
		RUN --mount=type=secret,id=s,env=TOKEN echo "sum_env=$(printf %s "$TOKEN" | md5sum | cut -c1-32)"; test ! -e /run/secrets/s
		RUN --mount=type=secret,id=s,env=TOKEN,target=x test "$TOKEN" = "$(cat /x)" && echo "both=yes"
		RUN --mount=type=secret,id=absent --mount=type=secret,id=gone,env=TOKEN test ! -e /run/secrets/absent && echo "absent=[$TOKEN]"
		RUN --mount=type=secret,id=s,target=/usr/lib/deep/er/s true && mkdir -p /run/secrets && echo kept > /run/secrets/mine
	END
	builds "secrets" secret --secret "id=s,src=$scratch/secret" || return
	sum=$(printf '%s' "$marker" | md5sum | cut -c1-32)
	is "$(said sum) $(said mode) $(said written)" "$sum 400 0 0 no" "$user: a file that only root reads and nobody writes"
	is "$(said target) $(said sum_env) $(said both)" "440 1001 1002 $sum yes" "$user: target, mode, uid, gid, env (facts 197, 199)"
	is "$(said absent)" "[]" "$user: one that was not given is an empty variable and no file (fact 198)"
	like "$err" 'printf %s "\*\*\*\*"' "$user: the name of the step hides the variable (fact 199)"
	unlike "$err$out" "$marker" "$user: no output of whittle shows it"
	is "$(image_tree "$layout" | grep -E '^/(run/secrets|root/.netrc|x |usr/lib/deep)' | cut -d' ' -f1 | tr '\n' ' ')" \
		"/run/secrets /run/secrets/mine " "$user: the image has what the step wrote, and no mount point (facts 197, 268)"
	is "$(layer_paths 1)$(layer_paths 2)$(layer_paths 3)$(layer_paths 4)$(layer_paths 5)" "" "$user: other layers are empty"
	not "$user: the secret is in no file of the store" grep -rlaF "$marker" "$scratch/$user/store"
	for blob in "$scratch/$user/store"/blobs/sha256/* "$layout"/blobs/sha256/*; do
		zstd -dcqf "$blob" 2>/dev/null | grep -qaF "$marker" && echo "$blob"
	done >"$scratch/found"
	is "$(cat "$scratch/found")" "" "$user: nor in a layer"
	b secret
	is "$status$(said sum)" 0 "$user: without the secret the steps are cached (it is not part of their keys)"
	refuses 6 "a required secret that is not given (fact 198)" secret 'secret s: not found' --build-arg N=2
	like "$err" '4 \| >>> RUN --mount=type=secret' "$user: at its line"
	user_env=("FROM_ENV=$marker")
	b secret --secret id=s,env=FROM_ENV --build-arg N=3
	is "$(said sum)" "$sum" "$user: a secret from a variable"
	user_env=()
	head -c 512001 /dev/zero >"$scratch/big"
	refuses 1 "a secret over the limit" secret 'secret s too big. max size 500KiB' --secret "id=s,src=$scratch/big"
	head -c 512000 /dev/zero | tr '\0' x >"$scratch/big"
	context bigsecret <<<$'FROM alpine:3.20\nRUN --mount=type=secret,id=s echo "size=$(wc -c < /run/secrets/s)"'
	builds "a secret of the largest size" bigsecret --secret "id=s,src=$scratch/big"
	is "$(said size)" 512000 "$user: arrives whole"
	context bigenv <<<$'FROM alpine:3.20\nRUN --mount=type=secret,id=s,env=S true'
	refuses 1 "one that no variable can hold" bigenv 'the secret for the variable S has 512000 bytes' --secret "id=s,src=$scratch/big"
	printf 'a\0b' >"$scratch/nul"
	refuses 1 "one with a NUL byte in a variable" bigenv 'holds a NUL byte' --secret "id=s,src=$scratch/nul"
	refuses 6 "a file that is not there" secret "cannot open '/no/such'" --secret id=s,src=/no/such
	refuses 2 "a record that is none" secret "unexpected key 'bogus' in 'bogus=1'" --secret id=s,bogus=1
}

agents() {
	command -v ssh-agent >/dev/null || {
		skip "ssh agents" "ssh-agent is not installed"
		return
	}
	context ssh <<-'END'
		FROM alpine:3.20
		ARG N
		RUN --mount=type=ssh echo "sock=$SSH_AUTH_SOCK $(stat -c '%F %a %u' "$SSH_AUTH_SOCK")"; \
			(printf '\0\0\0\1\13'; sleep 1) | nc -w 20 local:"$SSH_AUTH_SOCK" | od -An -tx1 | sed 's/^ */list=/'
		RUN --mount=type=ssh,id=default,target=/agent,mode=0666 --mount=type=ssh,id=default echo "two=$SSH_AUTH_SOCK $(stat -c %a /agent)"
		RUN --mount=type=ssh (printf '\0\0\0\1\23'; sleep 1) | nc -w 20 local:"$SSH_AUTH_SOCK" | od -An -tx1 | sed 's/^ */remove=/'
		RUN --mount=type=ssh,id=other test -z "$SSH_AUTH_SOCK" && echo "optional=yes"
	END
	agent_socket=$scratch/$user/tmp/agent
	# the process itself, so that the kill reaches it, and for so long, lest it outlive a test that is killed
	exec_as "$user" timeout 900 ssh-agent -D -a "$agent_socket" >/dev/null 2>&1 &
	kill_at_exit+=($!)
	wait_for 30 test -S "$agent_socket"
	builds "ssh mounts" ssh --ssh "default=$agent_socket" || return
	is "$(said sock)" "/run/buildkit/ssh_agent.0 socket 600 0" "$user: the socket of the agent (fact 200)"
	is "$(said list)|$(said remove)" "00 00 00 05 0c 00 00 00 00|00 00 00 01 05" "$user: it lists keys, and removes none"
	is "$(said two)" "/agent 666" "$user: another place and mode"
	is "$(said optional)" yes "$user: an agent that was not lent is no error"
	is "$(layer_paths 1)$(layer_paths 2)$(layer_paths 3)$(layer_paths 4)" "" "$user: nothing of it is in a layer"
	if has_range "$user"; then
		context sshuser <<-'END'
			FROM alpine:3.20
			USER nobody
			RUN --mount=type=ssh,uid=65534 (printf '\0\0\0\1\13'; sleep 1) | nc -w 20 local:"$SSH_AUTH_SOCK" | od -An -tx1 | sed 's/^ */list=/'
		END
		builds "an agent for another user" sshuser --ssh "default=$agent_socket"
		is "$(said list)" "00 00 00 05 0c 00 00 00 00" "$user: answers though the agent serves its own user alone"
	fi
	is "$(find "$scratch/$user/store" -type s | wc -l)" 0 "$user: and no socket in the store"
	user_env=("SSH_AUTH_SOCK=$agent_socket")
	builds "the agent of the environment" ssh --ssh default --build-arg N=1
	user_env=()
	refuses 2 "--ssh without an agent" ssh 'make sure SSH_AUTH_SOCK is set' --ssh default
	sed -i 's/type=ssh,id=other/type=ssh,id=other,required/' ssh/Dockerfile
	refuses 6 "a required agent that is not lent" ssh 'ssh agent other: not found' --ssh "default=$agent_socket"
	kill "${kill_at_exit[-1]}" 2>/dev/null
	wait "${kill_at_exit[-1]}" 2>/dev/null
	/usr/bin/python3 - "$scratch/$user/tmp/dead" <<-'END'
		import socket, sys
		socket.socket(socket.AF_UNIX).bind(sys.argv[1])
	END
	chmod 777 "$scratch/$user/tmp/dead"
	refuses 6 "an agent that is dead" ssh "ssh agent default at .* does not answer: Connection refused" \
		--ssh "default=$scratch/$user/tmp/dead" --build-arg N=9
	refuses 1 "no agent" ssh 'chmod 600' --ssh "default=$scratch/secret"
}

hostile() {
	canary=$scratch/canary
	mkdir -p "$canary/secret-place"
	echo "canary-$$" >"$canary/file"
	chmod -R a+rwX "$canary"
	context links <<-END
		FROM alpine:3.20 AS l
		RUN ln -s / /root-link && ln -s ../../../../../../../.. /up && ln -s $canary /out
		FROM alpine:3.20
		RUN --mount=from=l,source=/root-link,target=/a --mount=from=l,source=/up,target=/b \\
			ls /a/canary-of-host /b$canary 2> /dev/null; cat /a/etc/alpine-release > /dev/null && echo inside=yes
	END
	builds "sources that are links out" links && is "$(said inside)" yes "$user: stay inside their stage (rows 19, 23)"
	context out <<<$'FROM alpine:3.20 AS l\nRUN ln -s '"$canary"$' /out\nFROM scratch\nRUN --mount=from=l,source=/out,target=/a true'
	refuses 6 "a source that leads to a path of the host" out '"/out": not found'
	context cachelink <<-END
		FROM alpine:3.20
		RUN --mount=type=cache,id=evil,target=/c ln -s $canary /c/abs && ln -s ../../.. /c/up && mkfifo /c/fifo
		RUN --mount=type=cache,id=evil,target=/c,source=WHICH cat /c/file
	END
	for which in abs up/ abs/secret-place; do
		sed "s,WHICH,$which," cachelink/Dockerfile >cachelink/Dockerfile.x
		refuses 1 "a cache whose $which is a link out (row 25, fact 194)" cachelink 'a link leads out' -f cachelink/Dockerfile.x
	done
	sed "s,WHICH,fifo," cachelink/Dockerfile >cachelink/Dockerfile.x
	refuses 1 "a cache source that is a fifo" cachelink 'neither a file nor a folder' -f cachelink/Dockerfile.x
	long=$(printf 'i%.0s' $(seq 10240))
	context ids <<-END
		FROM alpine:3.20
		RUN --mount=type=cache,id=../../../../../../..$canary,target=/c --mount=type=cache,id=$long,target=/d \\
			ls /c /d | sed 's/^/saw=/'; touch /c/x /d/x
	END
	builds "cache ids with ../ and of 10 KB" ids
	is "$(said saw | tr -s '\n' ' ')" "/c: /d: " "$user: they name nothing but a cache"
	ok "$user: nothing was written to the host" test ! -e "$canary/x"
	context covered <<-'END'
		FROM alpine:3.20
		RUN mkdir -p /op/sub && touch /op/sub/old && ln -s /nowhere/at/all /dangling && ln -s loop /loop && : > /plain
		RUN rm -rf /op && mkdir -p /op && chmod 0710 /op && touch -d 2001-02-03 /op && rm -rf /opt /media
		RUN --mount=type=tmpfs,target=/op/sub/x --mount=type=tmpfs,target=/dangling --mount=type=tmpfs,target=/opt/y \
			stat -c 'op=%a %u %y' /op; ls -d /op/sub/x /nowhere/at/all /opt/y | wc -l | sed 's/^/places=/'
		RUN stat -c 'after=%a %u %y' /op; ls -A /op; ls -d /nowhere /opt 2> /dev/null; true
	END
	builds "mount points below what was deleted, and at the end of a dangling link" covered
	is "$(said places)" 3 "$user: are there"
	is "$(said op)" "$(said after)" "$user: their parents look as before"
	is "$(said after | cut -c1-16)" "710 0 2001-02-03" "$user: in mode and time"
	is "$(layer_paths 3)$(layer_paths 4)" "" "$user: and leave nothing"
	for target in /loop /plain/x; do
		sed -i "\$s,.*,RUN --mount=type=tmpfs;target=$target true," covered/Dockerfile
		sed -i '$s/;/,/' covered/Dockerfile
		refuses 1 "a target at $target" covered 'too many links|not a folder'
	done
	sed -i '$s,.*,RUN --mount=type=tmpfs;target=/etc/passwd true,;$s/;/,/' covered/Dockerfile
	refuses 1 "a folder on a file" covered "the image has a file at '/etc/passwd' where a folder must be mounted"
	context rofs <<<$'FROM alpine:3.20\nRUN --mount=target=/r --mount=type=tmpfs,target=/r/t true'
	refuses 1 "a mount point missing in a read-only mount" rofs 'read-only and lacks the mount point'
	context device <<<$'FROM alpine:3.20\nRUN --device=vendor.com/c=d true'
	refuses 3 "RUN --device" device 'entitlement device is not allowed'
}

# One step swaps a folder of a cache for a link to the host while others mount it: they see the folder or fail.
race() {
	context race <<-END
		FROM alpine:3.20 AS swapper
		ARG N
		RUN --mount=type=cache,id=race,target=/c test -e /c/d/file || { mkdir -p /c/d && echo good > /c/d/file; }
		RUN --mount=type=cache,id=race,target=/c end=\$((\$(date +%s) + 4 )); while [ \$(date +%s) -lt \$end ]; do \\
			i=0; while [ \$i -lt 200 ]; do mv /c/d /c/e && ln -s $canary /c/d && rm /c/d && mv /c/e /c/d; i=\$((i + 1)); done; done; \\
			ls /c
	END
	context mounter <<-END
		FROM alpine:3.20
		ARG N
		RUN --mount=type=cache,id=race,target=/c,source=d echo "race=\$(cat /c/file)"
	END
	sed 's/+ 4 /- 1 /' race/Dockerfile >race/Dockerfile.once
	builds "a cache to race for" race -f race/Dockerfile.once
	exec_as "$user" timeout 60 "$WHITTLE" build --progress plain --no-cache race >"$scratch/race.log" 2>&1 </dev/null &
	local pid=$! n=0 good=0 refused=0 other=""
	while kill -0 $pid 2>/dev/null && [ $n -lt 12 ]; do
		n=$((n + 1))
		b mounter --build-arg N=$n
		unlike "$err" "canary-$$" "$user: mount $n never shows the host"
		if [ "$(said race)" = good ]; then
			good=$((good + 1))
		elif grep -qE 'a link leads out|"/d": not found' <<<"$err"; then
			refused=$((refused + 1))
		else
			other+=$err$'\n'
		fi
	done
	wait $pid
	is "$other" "" "$user: racing against a swapped folder, $n mounts saw the folder ($good) or failed ($refused)"
	ok "$user: some races were run" test $n -ge 2
}

for user in "${users[@]}"; do
	need_alpine "$user"
	mounts_of_every_type
	mounts_in_the_key
	caches
	sharing
	secrets
	agents
	hostile
	race
	is "$(mounts_below "$scratch")" "" "$user: no mount is left on the host"
	is "$(as_user "$user" find "$scratch/$user/store/tmp" -mindepth 1 2>/dev/null | wc -l)" 0 "$user: and nothing in the store's tmp"
done
done_testing
