#!/bin/bash
# The same Dockerfiles with whittle and with buildah: root file systems compared path by path (type, mode, owner,
# link, content, extended attributes), configs field by field.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/buildah.sh
. "$tests_dir/buildah.sh"

buildah_ready || skip_all "$reason"
trap 'buildah_leave; at_exit' EXIT
arch=$(host_arch)
need_alpine "$U"
buildah_import "$fixture" alpine:3.20 "$arch" || bail "buildah makes a base image of alpine"
user_env=(SOURCE_DATE_EPOCH=1700000000)

# Fields that both write; absent, null and empty are one.
fields='.config | {User, Env, Entrypoint, Cmd, Volumes, WorkingDir, Labels, StopSignal, ExposedPorts}
	| map_values(select(. != null and . != [] and . != {} and . != "" and . != "/")) | .Env |= sort'

# compare NAME [FLAG...]: context NAME with both
compare() {
	local name=$1 mine theirs=$scratch/work/$1.theirs
	shift
	give "$U" "$name"
	mine=$(dest "$U" "$name")
	runs "$name: whittle builds" "$U" build --progress plain -o "type=oci,dest=$mine,tar=false" "$@" "$name" || return
	ok "$name: buildah builds" buildah_build -q -t "$name:1" "$@" "$name"
	ok "$name: buildah writes a layout" "${peer[@]}" push -q "$name:1" "oci:$theirs:1"
	# /run is where buildah puts what its chroot isolation needs; /etc/resolv.conf and /etc/hosts it may leave empty
	image_tree "$mine" >"$name.mine.tree"
	image_tree "$theirs" >"$name.theirs.tree"
	for side in mine theirs; do
		grep -vE '^/(run|etc/resolv\.conf|etc/hosts|etc/hostname|dev|proc|sys)( |/)' "$name.$side.tree" >"$name.$side.filtered"
	done
	same_files "$name.theirs.filtered" "$name.mine.filtered" "$name: the same root file system"
	image_config "$mine" | jq -S "$fields" >"$name.mine.config"
	image_config "$theirs" | jq -S "$fields" >"$name.theirs.config"
	same_files "$name.theirs.config" "$name.mine.config" "$name: the same config"
	is "$(image_config "$mine" | jq -c '[.os, .architecture]')" "$(image_config "$theirs" | jq -c '[.os, .architecture]')" \
		"$name: for the same platform"
}

context steps <<'END'
FROM alpine:3.20
RUN echo one > /one && mkdir -p /a/b/c && chmod 1777 /a && ln -s ../one /a/link && ln /one /hard
RUN rm -rf /etc/apk /etc/motd && mkdir /etc/motd && touch /etc/motd/now-a-folder
RUN mv /a/b /moved && rm -rf /usr/share && mkdir /usr/share && touch /usr/share/new
RUN adduser -D -u 1234 app && chown -R app:app /moved && chmod 2755 /moved && chmod u+s /bin/busybox
RUN mkfifo /pipe && ln -s /nowhere /dangling && printf 'x%.0s' $(seq 200) > "/a name with blanks"
USER app
RUN echo mine > /home/app/mine
ENV A=1 B="2 3"
LABEL l=v
EXPOSE 80/tcp
VOLUME /data
WORKDIR /home/app
ENTRYPOINT ["/bin/echo"]
CMD ["a"]
STOPSIGNAL SIGINT
END
compare steps

context copies <<'END'
FROM alpine:3.20 AS from
RUN mkdir -p /s/sub && echo 1 > /s/1 && echo 2 > /s/sub/2 && chmod 600 /s/1 && chown 5:6 /s/sub/2 && ln -s 1 /s/l && ln /s/1 /s/h
FROM alpine:3.20
WORKDIR /w
COPY one .
COPY one two/ dir/
COPY two /merged
COPY --chown=7:8 one /owned
COPY --chmod=0600 one /moded
COPY --from=from /s /from
COPY --from=from /s/1 /s/sub/2 /some/
COPY o* /wild/
COPY . /all
ADD tree.tar /added
ADD one /plain
CMD one
END
mkdir -p copies/two/deep copies/skip
echo one >copies/one
echo other >copies/other
echo in >copies/two/deep/in
echo skip >copies/skip/me
echo keep >copies/skip/keep
ln -s deep/in copies/two/link
chmod 0750 copies/two/deep
chmod 0755 copies/other
printf 'skip/*\n!skip/keep\nDockerfile\n.dockerignore\n' >copies/.dockerignore
mkdir -p t/x && echo t >t/x/f && tar -C t --owner=9 --group=10 -cf copies/tree.tar x
compare copies

context args <<'END'
ARG V=3.20
FROM alpine:$V AS base
ARG A=default
ARG B
ENV C=${A}-${B:-none}
RUN echo "$A $B $C" > /args
FROM base
RUN echo "$C" > /second
CMD echo $C
END
compare args --build-arg B=given

# the example itself
if ! import_golang "$U" "$arch"; then
	skip "the example" "$reason"
elif ! buildah_import "$fixture" golang:1.19 "$arch"; then
	fail "buildah makes a base image of golang"
else
	mkdir example
	cp "$top"/examples/golang-alpine/{main.go,go.mod,greeting.txt,Dockerfile,.dockerignore} example/
	compare example
	like "$(cat example.mine.tree)" '/usr/local/bin/myapp file 0755 0:0' "example: the binary is there"
fi
# Targets below /run, which is not compared: buildah removes mount points of the image or leaves its own behind.
context mounts <<'END'
FROM alpine:3.20 AS tools
RUN mkdir -p /t/sub && echo tool > /t/sub/f && ln -s sub/f /t/link
FROM alpine:3.20
RUN --mount=type=bind,from=tools,source=/t,target=/run/m cp /run/m/link /bound && cp -a /run/m/sub /bound-folder
RUN --mount=type=bind,target=/run/m cp /run/m/f /from-context
RUN --mount=type=tmpfs,target=/run/m touch /run/m/x && ls /run/m > /listed
RUN --mount=type=cache,target=/run/m echo cached > /run/m/y && cp /run/m/y /from-cache
RUN --mount=type=secret,id=s cat /run/secrets/s > /from-secret
END
echo context >mounts/f
echo secret >"$scratch/lent"
chmod 644 "$scratch/lent"
compare mounts --secret "id=s,src=$scratch/lent"

done_testing
