#!/bin/bash
# /etc/hosts and /etc/resolv.conf are there in a step and leave no trace in its layer, whatever the image has in their place.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

need_alpine "$U"
fixture alpine "$(host_arch)"

# base NAME COMMAND: alpine with something else in its /etc, imported as NAME
base() {
	local dir=$scratch/base
	rm -rf "$dir" && mkdir "$dir"
	tar -xf "$fixture" -C "$dir" --no-same-owner --exclude ./dev --exclude dev || return
	(cd "$dir" && eval "$2") || return
	tar -cf "$scratch/$1.tar" -C "$dir" --numeric-owner --owner 0 --group 0 --mtime @1000000000 .
	for user in "${users[@]}"; do
		w "$user" import "$scratch/$1.tar" "$1:1" --platform "linux/$(host_arch)" --cmd /bin/sh \
			--env PATH=/usr/sbin:/usr/bin:/sbin:/bin || diag "$err"
	done
}
base plain 'echo "nameserver 192.0.2.1" > etc/resolv.conf; echo "192.0.2.1 image" > etc/hosts'
base link 'rm -f etc/resolv.conf etc/hosts; ln -s ../run/systemd/resolve/stub-resolv.conf etc/resolv.conf; ln -s /nowhere/hosts etc/hosts'
base inner 'rm -f etc/resolv.conf; echo "nameserver 192.0.2.1" > etc/real.conf; ln -s real.conf etc/resolv.conf'
base outer 'rm -f etc/resolv.conf; ln -s /proc/self/environ etc/resolv.conf'
base absent 'rm -f etc/resolv.conf etc/hosts'
base bare 'rm -rf etc'
base elsewhere 'mv etc usr/etc && ln -s usr/etc etc && echo "nameserver 192.0.2.1" > usr/etc/resolv.conf'
base lost 'rm -rf etc && ln -s nowhere/at/all etc'
base folder 'rm -rf etc/hosts && mkdir -p etc/hosts'

tree() { # tree USER NAME DOCKERFILE-LINES: the image's files with their times
	printf 'FROM %s:1\n%s\n' "$2" "$3" >"$scratch/work/Dockerfile"
	layout=$(dest "$1" tree)
	w "$1" build --progress plain --no-cache --network host --add-host extra:192.0.2.9 -o "type=oci,dest=$layout,tar=false" . || return
	image_tree "$layout" --mtime
}
for user in "${users[@]}"; do
	for name in plain link inner outer absent bare elsewhere lost; do
		before=$(tree "$user" "$name" '')
		after=$(tree "$user" "$name" 'RUN true')
		is "$after" "$before" "$user, $name: RUN true changes nothing"
		after=$(tree "$user" "$name" 'RUN cat /etc/resolv.conf /etc/hosts > /dev/null 2>&1; rm -f /etc/resolv.conf 2> /dev/null; echo x > /etc/resolv.conf; true' 2>&1)
		is "$after" "$before" "$user, $name: nor does a step that reads, removes and writes them"
		[ "$name" != lost ] || continue # what leads nowhere is shown as it is
		printf 'FROM %s:1\nRUN mkdir /f; cat /etc/resolv.conf > /f/resolv.conf; cat /etc/hosts > /f/hosts\n' "$name" >Dockerfile
		layout=$(dest "$user" files)
		runs "$user, $name: a step that reads them" "$user" build --progress plain --add-host extra:192.0.2.9 \
			-o "type=oci,dest=$layout,tar=false" .
		is "$(cat_in "$layout" /f/resolv.conf)" "$(cat /etc/resolv.conf)" "$user, $name: resolv.conf is the host's"
		like "$(cat_in "$layout" /f/hosts)" $'192.0.2.9\textra' "$user, $name: hosts is the step's"
	done
	printf 'FROM folder:1\nRUN true\n' >Dockerfile
	fails 1 "$user: a folder where a file must go" "$user" build --progress plain .
	like "$err" "has a folder at '/etc/hosts'" "$user: is named"
done
done_testing
