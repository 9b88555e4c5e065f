#!/bin/bash
# Which storage is taken and why, what each of them is used for besides steps, and that nothing of fuse-overlayfs stays.
# shellcheck source=tests/fuse.sh
. "$(dirname "$0")/../fuse.sh"
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

kinds=(overlay copy)
have_fuse=
if fuse_ready; then kinds+=(fuse) have_fuse=1; else skip "fuse" "$reason"; fi

context use <<'END'
FROM alpine:3.20 AS from
RUN mkdir /out && echo made >/out/file && rm /etc/motd
FROM scratch
COPY --from=from /out /etc/alpine-release /
END
fails 2 "an unknown storage is a usage error" "$U" build --storage vfs use
like "$err" 'auto, overlay, fuse or copy' "that names the known ones"
for user in "${users[@]}"; do
	need_alpine "$user"
	for kind in "${kinds[@]}"; do
		runs "$user: run --storage $kind" "$user" run --storage "$kind" alpine:3.20 sh -c 'echo x >/x; cat /x /etc/alpine-release'
		like "$out" $'^x\n3' "$user: $kind: the program sees the image and what it writes"
		w "$user" run --storage "$kind" alpine:3.20 sh -c 'exit 7'
		is "$status" 7 "$user: $kind: its status is handed on"
		layout=$(dest "$user" "$kind")
		runs "$user: a copy out of two layers with --storage $kind" "$user" build --progress plain --no-cache \
			--storage "$kind" -o "type=local,dest=$layout" use
		is "$(cat "$layout/file")" made "$user: $kind: it has what the step made"
		ok "$user: $kind: and what the base has" test -s "$layout/alpine-release"
		layout=$(dest "$user" tree)
		runs "$user: the tree of two layers with --storage $kind" "$user" build --progress plain --no-cache \
			--storage "$kind" --target from -o "type=local,dest=$layout" use
		ok "$user: $kind: it lacks what the step removed" test ! -e "$layout/etc/motd"
		is "$(cat "$layout/out/file")" made "$user: $kind: and has what it made"
	done
	runs "$user: a build that may choose" "$user" build --progress plain --no-cache use
	unlike "$err" 'storage:' "$user: takes the overlay and does not speak of it"
	ok "$user: and remembers that" test -s "$scratch/$user/store/storage"
	is "$(as_user "$user" find "$scratch/$user/store/tmp" -mindepth 2 2>/dev/null | wc -l)" 0 "$user: nothing is left in the store's tmp"
done

# --- fuse-overlayfs lives and dies with its step
# daemons: those of this test; its environment tells, as other tests have some too
daemons() {
	local pid
	for pid in $(pgrep -x fuse-overlayfs); do
		! grep -qaF "$scratch/" "/proc/$pid/environ" 2>/dev/null || echo "$pid"
	done | grep .
}
no_daemons() { ! daemons; }
if [ -n "$have_fuse" ]; then
	# it ends by itself as soon as the files of the image cannot be read any more
	context long <<-'END'
		FROM alpine:3.20
		RUN while cat /bin/busybox >/dev/null; do sleep 0.1; done; exit 3
	END
	for victim in whittle daemon; do
		(exec_as "$U" "$WHITTLE" build --progress plain --storage fuse --no-cache long >"$scratch/long.log" 2>&1) &
		pid=$!
		wait_for 30 daemons || fail "the step starts" "$(cat "$scratch/long.log")"
		if [ $victim = whittle ]; then
			kill -KILL "$pid"
		else
			mapfile -t pids < <(daemons)
			is "${#pids[@]}" 1 "one daemon serves the step"
			kill -KILL "${pids[0]}"
		fi
		wait "$pid" 2>/dev/null
		code=$?
		isnt "$code" 0 "SIGKILL of the $victim ends the build"
		ok "no daemon is left" wait_for 5 no_daemons
		ok "and no process of whittle" wait_for 5 no_whittles
	done
	mkdir "$scratch/path"
	user_env=("PATH=$scratch/path")
	as_user "$U" /usr/bin/timeout 60 "$WHITTLE" build --progress plain --no-cache --storage fuse use >"$scratch/out" 2>"$scratch/err" </dev/null
	is $? 10 "without the program --storage fuse is refused"
	like "$(cat "$scratch/err")" 'fuse-overlayfs is not installed' "and says what is missing"
	user_env=()
fi

# --- a store on which no overlay can stand
if [ -n "$as_root" ] && [ -n "${FUSE_NODE:-}" ]; then
	mkdir "$scratch/ov" "$scratch/ov/"{lower,upper,work,merged}
	chmod 0777 "$scratch/ov/upper" "$scratch/ov/lower"
	if mount -t overlay -o "lowerdir=$scratch/ov/lower,upperdir=$scratch/ov/upper,workdir=$scratch/ov/work" none "$scratch/ov/merged"; then
		user_env=("WHITTLE_ROOT=$scratch/ov/merged/store")
		need_alpine "$U"
		layout=$(dest "$U" nested)
		fails 10 "a store on an overlay refuses --storage overlay" "$U" build --progress plain --storage overlay use
		like "$err" 'overlay' "and says so"
		context add <<-'END'
			FROM alpine:3.20 AS from
			RUN mkdir /out && echo made >/out/file
			FROM scratch
			COPY --from=from /out /etc/alpine-release /
		END
		runs "a build there may choose" "$U" build --progress plain -o "type=local,dest=$layout" add
		like "$err" "storage: (fuse|copy) \(overlay: " "and says what it took, and why"
		is "$(cat "$layout/file")" made "the result is right"
		fails 10 "a step that removes a file of a layer is refused there" "$U" build --progress plain use
		like "$err" 'no whiteouts.*--root' "and the message says what to do"
		user_env=()
		remove_tree "$scratch/ov/merged/store"
		umount "$scratch/ov/merged"
	else
		skip "a store on an overlay" "none can be mounted here"
	fi
	mkdir "$scratch/noexec"
	if mount -t tmpfs -o noexec,mode=1777 none "$scratch/noexec"; then
		user_env=("WHITTLE_ROOT=$scratch/noexec/store")
		need_alpine "$U"
		fails 10 "--storage copy on a file system without exec is refused" "$U" build --progress plain --storage copy use
		like "$err" 'noexec' "and says why"
		user_env=()
		remove_tree "$scratch/noexec/store"
		umount "$scratch/noexec"
	else
		skip "a store on noexec" "none can be mounted here"
	fi
else
	skip "a store on an overlay" "needs a mount namespace of its own (root, and a /dev/fuse that is root's alone)"
fi
done_testing
