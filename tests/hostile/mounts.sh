#!/bin/bash
# RUN --mount turned against the host: sources and targets that lead out, names that are paths, options in options. The race
# for a source that another step swaps meanwhile (CVE-2024-23651, CVE-2024-11218) is in tests/integration/run_mounts.sh.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

canary=$scratch/canary
mkdir -m 0777 "$canary"
echo "the host's own" >"$canary/secret"
chmod 0666 "$canary/secret"
canary_state() { find "$canary" -printf '%P %m %s %T@\n' | sort && cat "$canary"/*; }
before=$(canary_state)
echo "lent to one step" >lent
chmod 0644 lent

# attack NAME REGEX: build the context "attack"; it fails, or what it prints fits; the host is as it was
attack() {
	w "$user" build --progress plain --no-cache --secret "id=lent,src=$PWD/lent" attack
	like "$status $err" "$2" "$user: $1"
	unlike "$err" "the host's own" "$user: $1: nothing of the host was read"
	is "$(canary_state)" "$before" "$user: $1: nothing of the host was touched"
}

for user in "${users[@]}"; do
	need_alpine "$user"
	evil="FROM alpine:3.20 AS evil
RUN mkdir /e && ln -s / /e/root && ln -s ../../../../../../../../../.. /e/up && ln -s $canary /e/out && ln -s /proc/1/root /e/proc
FROM alpine:3.20"
	for link in root up; do
		context attack <<<"$evil
RUN --mount=from=evil,source=/e/$link,target=/m cat /m$canary/secret; test -d /m/e && echo inside the stage"
		attack "CVE-2024-1753: a source that is a link to / ($link)" '^0.*inside the stage'
	done
	for link in out proc; do
		context attack <<<"$evil
RUN --mount=from=evil,source=/e/$link,target=/m,rw cat /m/secret /m$canary/secret; echo gone >/m/secret"
		attack "CVE-2024-1753: a source that is a link to a folder outside ($link)" '^[1-9]|No such file'
	done
	context attack <<<"FROM alpine:3.20
RUN --mount=type=cache,id=../../../../../../..$canary,target=/c cat /c/secret; echo gone >/c/secret; echo written"
	attack "CVE-2024-9675: a cache whose id is a path" '^0.*written'
	context attack <<<"FROM alpine:3.20
RUN --mount=type=cache,target=/c,source=../../../../../../..$canary cat /c/secret; echo gone >/c/secret"
	attack "CVE-2024-9675: a cache whose source leads up" '^[1-9]|No such file'
	context attack <<<"FROM alpine:3.20
RUN --mount=type=bind,target=/m,bind-propagation=shared true"
	attack "CVE-2024-9407: options that other builders hand to mount(2)" "^[1-9].*bind-propagation"
	context attack <<<"FROM alpine:3.20
RUN rm -rf /run/secrets; ln -s $canary /run/secrets
RUN --mount=type=secret,id=lent cat /run/secrets/lent"
	attack "CVE-2025-9566: a secret below a link that leads out" '^[1-9]|lent to one step'
	context attack <<<"FROM alpine:3.20
RUN --mount=type=tmpfs,target=/gone/deep/dir rm -rf /gone; mv /gone /elsewhere; ln -s $canary /gone; ls -d /gone"
	attack "CVE-2024-23652: a mount point that the step replaces by a link" '^[0-9]'
	context attack <<<"FROM alpine:3.20
RUN ln -s /proc/self/fd /fds && ln -s /proc /p
RUN --mount=type=tmpfs,target=/p/self/fd/9 true"
	attack "CVE-2019-16884: a target in /proc" '^[0-9]'
done
done_testing
