#!/bin/bash
# Images whose /etc, /proc, /dev, /sys, /tmp or whose files in /etc are links, something else, or absent: a step works or
# is refused with a message that names what is in the way, nothing outside is touched, and no trace is left in its layer.
# shellcheck source=tests/fuse.sh
. "$(dirname "$0")/../fuse.sh"
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

arch=$(host_arch)
fixture alpine "$arch" || skip_all "$reason"
kinds=(overlay copy)
if fuse_ready; then kinds+=(fuse); else skip "fuse" "$reason"; fi
canary=$scratch/canary
mkdir "$canary" tree
echo untouched >"$canary/hosts"
chmod 0777 "$canary"
chmod 0666 "$canary/hosts"
touch -d @1000000000 "$canary/hosts" "$canary"
canary_state() { find "$canary" -printf '%p %y %m %U:%G %T@ %n\n' | sort; cat "$canary/hosts"; }
before=$(canary_state)

# archive COMMANDS: tree.tar, a root file system with those changes, everything of one old time
archive() {
	rm -rf tree && mkdir tree
	# enough of it for a shell: there are many imports here
	tar -xzf "$fixture" -C tree --exclude='./usr/?*' --exclude='./sbin/?*' --exclude='./lib/apk/*' --exclude='./etc/?*/*'
	(cd tree && eval "$1") || bail "the archive can be made" "$1"
	tar -c -C tree --sort=name --owner=0 --group=0 --numeric-owner --mtime=@1000000000 . >tree.tar
	chmod 0644 tree.tar
}

# What a step sees of its mounts, and that they are there.
context look <<'END'
FROM base:1
RUN ["/bin/true"]
RUN grep -q localhost /etc/hosts && cat /etc/resolv.conf >/dev/null && test -c /dev/null && test -d /proc/self && test -d /sys/class && ls -l /dev/fd/ >/dev/null
END

# empty_layer LAYOUT N: whether the Nth layer has no member at all
empty_layer() {
	local digest
	digest=$(image_manifest "$1" | jq -r ".layers[$2].digest")
	[ -z "$(zstd -dcq "$1/blobs/sha256/${digest#sha256:}" | tar -t)" ]
}

# works NAME COMMANDS: in all storages, without a trace
works() {
	local kind layout
	archive "$2"
	runs "$user: import with $1" "$user" import tree.tar base:1 --platform "linux/$arch" --cmd /bin/sh || return
	for kind in "${kinds[@]}"; do
		layout=$(dest "$user" "out")
		runs "$user, $kind: $1 works" "$user" build --progress plain --no-cache --storage "$kind" \
			-o "type=oci,dest=$layout,tar=false" look || continue
		ok "$user, $kind: $1 leaves no trace of the mounts in the first step" empty_layer "$layout" 1
		ok "$user, $kind: nor in the second" empty_layer "$layout" 2
	done
	is "$(canary_state)" "$before" "$user: $1 touches nothing outside"
}

# refused NAME COMMANDS REGEX: with a message
refused() {
	local kind
	archive "$2"
	runs "$user: import with $1" "$user" import tree.tar base:1 --platform "linux/$arch" --cmd /bin/sh || return
	for kind in "${kinds[@]}"; do
		fails 1 "$user, $kind: $1 is refused" "$user" build --progress plain --no-cache --storage "$kind" look
		like "$err" "$3" "$user, $kind: $1: the message names it"
	done
	is "$(canary_state)" "$before" "$user: $1 touches nothing outside"
}

for user in "${users[@]}"; do
	works "an ordinary image" true
	works "nothing to mount on" 'rm -rf dev proc sys etc/hosts etc/resolv.conf'
	works "no /etc" 'rm -rf etc'
	works "/etc as a relative link" 'mkdir -p usr/share && mv etc usr/share/etc && ln -s usr/share/etc etc'
	works "/etc as an absolute link" 'mv etc conf && ln -s /conf etc'
	works "/etc as a link that leads nowhere" 'rm -rf etc && ln -s /not/there etc'
	works "/etc as a link to the outside" "rm -rf etc && ln -s $canary etc"
	works "/etc as a link far up" "rm -rf etc && ln -s ../../../../../../../../../..$canary etc"
	works "/etc/hosts as a link to the outside" "rm -f etc/hosts && ln -s $canary/hosts etc/hosts"
	works "/etc/resolv.conf as a link that leads nowhere" 'ln -sf ../run/systemd/resolve/stub-resolv.conf etc/resolv.conf'
	works "/etc/hosts as an absolute link" 'rm -f etc/hosts; mkdir var/x; echo old >var/x/hosts; ln -s /var/x/hosts etc/hosts'
	refused "/dev as a relative link" 'rm -rf dev && mkdir run/dev && ln -s run/dev dev' "'/dev' of the image is a link"
	refused "/dev as a link to the outside" "rm -rf dev && ln -s $canary dev" "'/dev' of the image is a link"
	works "/tmp as a link" 'rm -rf tmp && ln -s /var/tmp tmp && mkdir -p var/tmp'
	works "/tmp as a link far up" 'rm -rf tmp && ln -s ../../../../../../../../../../var/tmp tmp'
	works "modes and times of its own" 'chmod 0700 var/lib && chmod 0555 etc && rm -f etc/hosts'
	refused "/proc as a link" 'rm -rf proc && mkdir p && ln -s /p proc' "'/proc' of the image is a link to '/p'"
	refused "/proc as a link to the outside" "rm -rf proc && ln -s $canary proc" "'/proc' of the image is a link to '$canary'"
	refused "/sys as a link" 'rm -rf sys && ln -s proc sys' "'/sys' of the image is a link to 'proc'"
	refused "/sys as a link that leads nowhere" 'rm -rf sys && ln -s /none sys' "'/sys' of the image is a link to '/none'"
	refused "/proc as a file" 'rm -rf proc && touch proc' "a file at '/proc' where a folder of the step"
	refused "/dev as a file" 'rm -rf dev && touch dev' "a file at '/dev' where a folder of the step"
	refused "/etc as a file" 'rm -rf etc && touch etc' "a file on the way to '/etc/hosts'"
	refused "/etc/hosts as a folder" 'rm -f etc/hosts && mkdir etc/hosts' "a folder at '/etc/hosts' where a file of the step"
	refused "/etc as a loop" 'rm -rf etc && ln -s etc etc' "a loop of symbolic links at '/etc/hosts'"
	refused "/etc/hosts as a loop" 'rm -f etc/hosts && ln -s b etc/hosts && ln -s hosts etc/b' "a loop of symbolic links at '/etc/hosts'"
	refused "/dev as a loop" 'rm -rf dev && ln -s /dev2 dev && ln -s /dev dev2' "a loop of symbolic links at '/dev'"
done
done_testing
