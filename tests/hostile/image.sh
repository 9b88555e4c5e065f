#!/bin/bash
# Images, Dockerfiles and build contexts that attack the one who builds them: links where mounts go, users that are not
# what they seem, working folders in /proc, contexts that change while they are read, steps that eat the machine.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

arch=$(host_arch)
canary=$scratch/canary
mkdir -m 0777 "$canary"
echo canary-secret >"$canary/file"
echo 'hostuser:x:0:0:canary-secret:/:/bin/sh' >"$canary/passwd"
chmod 0666 "$canary"/*
touch -d @1000000000 "$canary"/* "$canary"
canary_state() { find "$canary" -printf '%p %y %m %U:%G %T@ %n\n' | sort; cat "$canary"/*; }
before=$(canary_state)
untouched() { # untouched DESCRIPTION: nothing outside has changed, nothing of it was shown, and nobody crashed or hung
	if [ "$(canary_state)" != "$before" ]; then
		fail "$1" "the canary has changed" "$(canary_state)"
	elif grep -q canary-secret "$scratch/err" "$scratch/out"; then
		fail "$1" "the secret of the host was shown" "$(grep -n canary-secret "$scratch/err" "$scratch/out")"
	elif [ "$status" -ge 124 ] || grep -qE 'AddressSanitizer|runtime error' "$scratch/err"; then
		fail "$1" "exit status $status" "$(tail -n 5 "$scratch/err")"
	else
		pass "$1"
	fi
}

# attempt USER: build the context "try"
attempt() {
	time_limit=60 w "$1" build --progress plain --no-cache try
}

# --- root file systems ------------------------------------------------------------------------------------------------
fixture alpine "$arch" || bail "there is an alpine" "$reason"
mkdir rootfs variants
# the shell and what it needs, so that each of the many imports is quick
tar -xf "$fixture" -C rootfs --wildcards './bin' './lib/ld-*' './lib/libc*' './etc/passwd' './etc/group' './etc/hosts' \
	'./proc' './sys' './dev' './tmp' 2>/dev/null || tar -xf "$fixture" -C rootfs || bail "alpine can be unpacked"
tar -cf small.tar -C rootfs .

# variant NAME COMMAND...: a tar of it after the command ran in it
variant() {
	local name=$1
	shift
	cp -a rootfs variant
	(cd variant && "$@") || bail "variant $name can be made"
	tar -cf "variants/$name.tar" -C variant .
	rm -rf variant
}
instead() { rm -rf "$1" && ln -s "$2" "$1"; } # instead PATH LINK-TARGET
variant proc-link instead proc "$canary"
variant proc-link-inside instead proc tmp
variant sys-link instead sys "$canary"
variant dev-link instead dev "$canary"
variant dev-link-up instead dev "../../../../..$canary"
variant proc-file bash -c 'rm -rf proc; echo x >proc'
variant etc-link instead etc "$canary"
variant hosts-link bash -c "ln -sf '$canary/file' etc/hosts; ln -sf '../../../../..$canary/file' etc/resolv.conf"
variant null-link bash -c 'rm -f dev/null; ln -s /proc/sys/kernel/core_pattern dev/null'
variant passwd-fifo bash -c 'rm etc/passwd; mkfifo etc/passwd'
variant passwd-huge bash -c 'yes "x:x:1:1::/:/bin/sh" | head -c 11000000 >etc/passwd'
variant passwd-hostlink bash -c "ln -sf '$canary/passwd' etc/passwd"
variant passwd-uplink bash -c "ln -sf '../../../../../..$canary/passwd' etc/passwd"
variant passwd-folder bash -c 'rm etc/passwd; mkdir etc/passwd'
variant passwd-device bash -c 'ln -sf /dev/zero etc/passwd'
variant group-fifo bash -c 'rm etc/group; mkfifo etc/group'

about() {
	case $1 in
	proc-link*) echo "CVE-2019-19921, CVE-2019-16884: /proc is a link" ;;
	proc-file) echo "/proc is a file" ;;
	sys-link) echo "CVE-2023-27561, CVE-2023-28642: /sys is a link" ;;
	dev-link*) echo "CVE-2026-41579, CVE-2026-47766: /dev is a link to a folder of the host" ;;
	etc-link) echo "CVE-2024-45310: /etc is a link, where hosts and resolv.conf are mounted" ;;
	hosts-link) echo "CVE-2021-30465: the mount points of hosts and resolv.conf are links" ;;
	null-link) echo "CVE-2025-31133: /dev/null is a link, with which /proc would be masked" ;;
	passwd-fifo) echo "CVE-2024-9676: /etc/passwd is a fifo" ;;
	passwd-huge) echo "/etc/passwd has 11 MB" ;;
	passwd-hostlink | passwd-uplink) echo "CVE-2024-9676: /etc/passwd is a link to a file of the host" ;;
	passwd-*) echo "/etc/passwd is a ${1#passwd-}" ;;
	group-fifo) echo "/etc/group is a fifo" ;;
	esac
}

for user in "${users[@]}"; do
	for tar in variants/*.tar; do
		name=$(basename "$tar" .tar)
		w "$user" import "$tar" hostile:1 --platform "linux/$arch" --env PATH=/bin:/usr/bin || {
			fail "$user: $name can be imported" "$err"
			continue
		}
		case $name in
		passwd-*link) step='USER hostuser' ;;
		passwd-* | group-*) step='USER nobody' ;;
		*) step='USER 0' ;;
		esac
		context try <<-END
			FROM hostile:1
			$step
			RUN ["/bin/sh", "-c", "busybox id -u; busybox stat -c %F,%t,%T /proc/keys; cat /etc/hosts /etc/passwd; true"]
		END
		attempt "$user"
		untouched "$user: $name: $(about "$name")"
		case $name in
		proc-* | sys-* | dev-*) like "$status $err" '^[1-9].*(a link to|a file (at|on))' "$user: $name: refused, and said" ;;
		passwd-*link) like "$status $err" '^[1-9].*unable to find user hostuser' "$user: $name: the user of the host is not found" ;;
		passwd-* | group-*) like "$status $err" '^[1-9].*/etc/(passwd|group)' "$user: $name: refused, and said" ;;
		null-link) like "$status $err" '^0.*character special file,1,3' "$user: $name: masked by the real one" ;;
		hosts-link) is "$status" 0 "$user: $name: the step runs" ;;
		esac
	done

	# --- users --------------------------------------------------------------------------------------------------------
	w "$user" import small.tar alpine:3.20 --platform "linux/$arch" --env PATH=/bin || bail "$user: the image can be imported" "$err"
	specs=(-1 4294967296 0:4294967296 '" 0"')
	[ "$user" != "$U" ] || specs+=(+1 4294967295 18446744073709551616 0x0 1e1 '"1 "' 0:-1 root:4294967295 '"0:"' '":0"' -u)
	for spec in "${specs[@]}"; do
		context try <<-END
			FROM alpine:3.20
			USER $spec
			RUN echo "ran as \$(busybox id -u)"
		END
		attempt "$user"
		if [ "$status" -ne 0 ] && ! grep -q '^#[0-9]* [0-9.]* ran as' "$scratch/err"; then
			pass "$user: CVE-2024-40635, CVE-2026-30892: USER $spec is refused"
		else
			fail "$user: CVE-2024-40635, CVE-2026-30892: USER $spec is refused" "exit status $status" "$(tail -n 6 <<<"$err")"
		fi
	done

	# --- working folders ----------------------------------------------------------------------------------------------
	context try < <(
		echo FROM alpine:3.20
		for ((n = 3; n <= 14; n++)); do
			echo "WORKDIR /proc/self/fd/$n"
			echo "RUN [\"/bin/sh\", \"-c\", \"pwd; ls -la . ..; cat file ../file canary/file 2>/dev/null; true\"]"
		done
	)
	attempt "$user"
	unlike "$err" "canary-secret|$scratch" "$user: CVE-2024-21626: WORKDIR /proc/self/fd/3 to 14 shows nothing of the host"
	untouched "$user: and touches nothing there"

	# --- links at the destination -------------------------------------------------------------------------------------
	context try <<-END
		FROM alpine:3.20
		RUN ln -s $canary /abs && ln -s ../../../../../../..$canary /up && mkdir -p /real && ln -s $canary/file /real/file
		COPY file /abs/file
		COPY file /up/
		COPY file /real/file
		WORKDIR /abs/new
		WORKDIR /up/new
		ADD dir.tar /abs/
		RUN touch /abs/made /up/made; ls /abs/
	END
	echo ours >try/file
	tar -cf try/dir.tar -C try file
	attempt "$user"
	untouched "$user: CVE-2018-15664, CVE-2026-55686: COPY, ADD and WORKDIR through links stay inside"

	# --- a context that changes while it is read ------------------------------------------------------------------------
	context race <<-END
		FROM scratch
		COPY d/sub /d
	END
	mkdir -p race/d/sub "$scratch/race-secret/sub"
	echo ours | tee race/d/file >race/d/sub/file
	echo canary-secret | tee "$scratch/race-secret/file" >"$scratch/race-secret/sub/file"
	ln -s "$scratch/race-secret" race/l
	chmod -R a+rX "$scratch/race-secret" race
	cat >"$scratch/swap.py" <<-'END'
		import ctypes, random, sys, time
		libc = ctypes.CDLL(None)
		a, b = (p.encode() for p in sys.argv[1:3])
		while True:
		    libc.renameat2(-100, a, -100, b, 2)
		    time.sleep(random.random() / 2)
	END
	/usr/bin/python3 "$scratch/swap.py" race/d race/l &
	swapper=$!
	leaked='' good=0
	for ((n = 0; n < 8; n++)); do
		layout=$(dest "$user" race)
		time_limit=60 w "$user" build -q --no-cache -o "type=local,dest=$layout" race && good=$((good + 1))
		[ "$status" -lt 124 ] || leaked="exit status $status"
		grep -rq canary-secret "$layout" "$scratch/out" "$scratch/err" 2>/dev/null && leaked="in build $n: $(grep -rl canary-secret "$layout")"
	done
	kill "$swapper"
	wait "$swapper" 2>/dev/null
	is "$leaked" "" "$user: CVE-2024-11218: a folder of the context swapped for a link to the host's is not followed"
	diag "$good of 8 builds found the folder in its place; the last said: $(tail -n 1 <<<"$err")"

	# --- the environment ------------------------------------------------------------------------------------------------
	context try <<-END
		FROM alpine:3.20
		ARG A
		RUN busybox env | grep -c '^INJECTED=' || true
	END
	w "$user" build --progress plain --no-cache --build-arg $'A=x\nINJECTED=yes' try
	like "$err" $'(^|\n)#[0-9]+ [0-9.]+ 1(\n|$)' "$user: a newline in a value is part of the value (env prints it so)"
	context try <<-END
		FROM alpine:3.20
		ARG A
		RUN ["/bin/sh", "-c", "test -z \"\$INJECTED\" && echo not set"]
	END
	w "$user" build --progress plain --no-cache --build-arg $'A=x\nINJECTED=yes' try
	like "$status $err" '^0.*not set' "$user: and no variable of its own"

	# --- steps that eat the machine ---------------------------------------------------------------------------------------
	mark=$((80000 + $$ % 6000)) # seconds: nobody else sleeps so long
	context try <<-END
		FROM alpine:3.20
		RUN trap '' TERM HUP INT; i=0; while [ \$i -lt 300 ]; do (trap '' TERM; exec sleep $mark) & i=\$((i + 1)); done; echo started
	END
	no_sleepers() { ! pgrep -f "^sleep $mark\$"; }
	attempt "$user"
	is "$status" 0 "$user: 300 processes that ignore signals"
	ok "$user: end with the step" wait_for 2 no_sleepers
	context try <<-END
		FROM alpine:3.20
		RUN ulimit -v 200000; x=0123456789abcdef; while :; do x=\$x\$x; done
	END
	attempt "$user"
	isnt "$status" 0 "$user: a step that wants all memory fails"
	untouched "$user: without harm"
	ok "$user: no process is left" no_whittles
done
is "$(mounts_below "$scratch")" "" "no mount is left"

# --- groups ---------------------------------------------------------------------------------------------------------------
if [ -n "$as_root" ] && has_range wt-subid; then
	context try <<-END
		FROM alpine:3.20
		USER 1000:1000
		RUN echo "groups:\$(busybox id -G):"
	END
	(
		# as_user gives the groups of the account; here are two more that must not come along
		exec setpriv --reuid wt-subid --regid wt-subid --groups "$(id -g wt-subid),4,24" env -i "PATH=$PATH" \
			"HOME=$scratch/wt-subid/home" "WHITTLE_ROOT=$scratch/wt-subid/store" "TMPDIR=$scratch/wt-subid/tmp" \
			"$WHITTLE" build --progress plain --no-cache try
	) >"$scratch/out" 2>"$scratch/err" </dev/null
	like "$(cat "$scratch/err")" 'groups:1000:' "CVE-2022-2989, CVE-2022-2995: no group of the host is left to a step's user"
else
	skip "no group of the host is left to a step's user" "needs root and a user with a range"
fi
done_testing
