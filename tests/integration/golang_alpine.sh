#!/bin/bash
# The main job: the example for three platforms, as a user with subordinate ids and as one without, and
# both give the same digests; so does another store. The final image holds alpine and the one binary.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

user_env=(SOURCE_DATE_EPOCH=1700000000)
time_limit=900
mkdir ctx
cp "$top"/examples/golang-alpine/{main.go,go.mod,greeting.txt,Dockerfile,Dockerfile.cross,.dockerignore} ctx/
sed '/^RUN uname/d' ctx/Dockerfile.cross >ctx/Dockerfile.cross-only # foreign without a foreign program

# build USER PLATFORM DOCKERFILE: sets layout
build() {
	layout=$(dest "$1" "${2//\//-}-$3")
	runs "$1 builds $3 for $2" "$1" build --progress plain -f "ctx/$3" --platform "$2" \
		--load -t "myapp-${2//\//-}-${3,,}" -o "type=oci,dest=$layout,tar=false" ctx
}

declare -A digest first
for user in "${users[@]}"; do
	import_alpine "$user" amd64 arm64 armv7 || bail "alpine can be imported as $user" "$reason"
	import_golang "$user" amd64 arm64 || bail "golang can be imported as $user" "$reason"

	for job in "linux/amd64 Dockerfile" "linux/arm64 Dockerfile" "linux/arm64 Dockerfile.cross" \
		"linux/arm/v7 Dockerfile.cross" "linux/arm/v7 Dockerfile.cross-only"; do
		read -r platform file <<<"$job"
		build "$user" "$platform" "$file" || continue
		digest[$user $job]=$(image_digest "$layout")
		first[$job]=${first[$job]:-${digest[$user $job]}}
		is "${digest[$user $job]}" "${first[$job]}" "$user gives the digest of ${users[0]}: $job"

		# the final image: alpine's own layer, the binary, and what the Dockerfile's RUN wrote
		arch=${platform#linux/}
		arch=${arch/\/v7/v7}
		fixture alpine "$arch" || bail "alpine for $arch" "$reason"
		gzip -dc "$fixture" | tar -t | sed 's|^\.||; s|/$||' | grep . | sort >alpine.paths
		image_tree "$layout" --platform "$platform" >image.tree || fail "the layout can be read ($job)"
		cut -d' ' -f1 image.tree | sort >image.paths
		[ "$file" = Dockerfile.cross ] && expected=$'/etc/built-for\n/usr/local/bin/myapp' || expected=/usr/local/bin/myapp
		is "$(comm -13 alpine.paths image.paths)" "$expected" "nothing but the binary is added to alpine ($job)"
		is "$(comm -23 alpine.paths image.paths)" "" "nothing of alpine is lost ($job)"
		like "$(grep '^/usr/local/bin/myapp ' image.tree)" ' file 0755 0:0 ' "the binary is root's and executable ($job)"
		is "$(image_config "$layout" | jq -c '[.config.Cmd, .os, .architecture, .variant // ""]')" \
			"$(jq -nc --arg p "$platform" '($p / "/") as $q | [["myapp"], $q[0], $q[1], $q[2] // ""]')" \
			"the config says what it is for ($job)"

		runs "the image runs ($user, $job)" "$user" run --platform "$platform" "myapp-${platform//\//-}-${file,,}"
		go_arch=${platform#linux/}
		is "$out" "linux/${go_arch%/v7}: hello, world, from a file of the build context" \
			"it prints its platform and the file of the context ($user, $job)"
	done
done

# with no name given, and with arguments
runs "an image runs a command of its own" "$U" run myapp-linux-amd64-dockerfile myapp reader
is "$out" "linux/amd64: hello, reader, from a file of the build context" "the command's arguments arrive"

# a RUN of the foreign stage really was the foreign machine's
layout=$scratch/$U/out/linux-arm-v7-Dockerfile.cross
like "$(cat_in "$layout" /etc/built-for)" '^armv7l.linux/arm: hello, builder' "an arm/v7 RUN sees an armv7l machine"

# another store gives the same digests again
job="linux/amd64 Dockerfile"
new_store "$U"
import_alpine "$U" amd64 || bail "alpine can be imported again" "$reason"
import_golang "$U" amd64 || bail "golang can be imported again" "$reason"
build "$U" linux/amd64 Dockerfile && is "$(image_digest "$layout")" "${first[$job]:-none}" "a second store gives the digest again"

[ ${#users[@]} -gt 1 ] || skip "both kinds of users" "not started as root, so only $U was tested"
done_testing
