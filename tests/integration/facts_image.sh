#!/bin/bash
# What steps see of arguments and variables, and which image a stage begins with (dockerfile.md 2.7 to 2.9, 3.1, 5.2, 6.3),
# by number of fact. What needs no step is in facts_front.sh.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/build.sh
. "$tests_dir/build.sh"

arch=$(host_arch)
case $arch in arm64) other=amd64 ;; *) other=arm64 ;; esac
need_alpine "$U"
mkdir ctx && echo foo >ctx/foo

# --- variables and arguments ----------------------------------------------------------------------------

builds "what a step sees" --build-arg http_proxy=http://one.test:1 --build-arg NO_PROXY=local.test <<'END'
ARG T=tmpfs
FROM alpine:3.20 AS base
ENV P=/inherited
ARG x=1
FROM base
ARG T
ARG FOO
ARG BAR=
ENV X=env
RUN --mount=type=$T,target=$P echo "mount=$(awk '$2 == "/inherited" { print $3 }' /proc/mounts)"
RUN env | sed -nE 's/^(FOO|BAR)=/seen=\1=/p'
RUN echo "proxy=$HTTP_PROXY $http_proxy $NO_PROXY $no_proxy"
RUN echo "child=$x $X"
ARG X=arg
RUN echo "later=$X"
END
is "$(said mount)" tmpfs "fact 76: type and target of a mount from variables, inherited and declared again"
is "$(said seen)" BAR= "fact 84: an argument without a value is not there, an empty one is"
is "$(said proxy)" "http://one.test:1 http://one.test:1 local.test local.test" "fact 86: proxies without an ARG, in both cases"
is "$(said child)" "1 env" "fact 92: arguments of the stage below"
is "$(said later)" arg "fact 93: ARG behind ENV is what a step sees"
is "$(config '[.config.Env[] | select(startswith("X="))]')" '["X=env"]' "fact 93: and not what the image has"
like "$(history)" "RUN [|]5 x=1 T=tmpfs FOO= BAR= X=arg /bin/sh -c echo \"later=.X\"" "fact 92: the history counts them all"
unlike "$(history)" 'one\.test' "fact 86: and has no proxy"

proxied=$'FROM alpine:3.20\nARG V=1\nRUN echo "proxy=$http_proxy"'
builds "a step with a proxy" --build-arg http_proxy=http://one.test <<<"$proxied"
is "$(said proxy)" http://one.test "fact 87: sees it"
builds "with another one" --build-arg http_proxy=http://two.test <<<"$proxied"
is "$(said proxy)" "" "fact 87: is not run again"
builds "and another argument" --build-arg http_proxy=http://two.test --build-arg V=2 <<<"$proxied"
is "$(said proxy)" http://two.test "fact 87: is, with the new proxy"

refuses 4 "/bin/sh: [echo,: not found" "fact 33: JSON with text behind it is the shell's, which says so" <<<$'FROM alpine:3.20\nRUN ["echo", "hi"]trailing'
builds "text in brackets" <<<$'FROM scratch\nENTRYPOINT []random string\nCMD ["a]'
is "$(config '[.config.Entrypoint, .config.Cmd]')" '[["/bin/sh","-c","[]random string"],["/bin/sh","-c","[\"a]"]]' \
	"facts 34, 35: is the shell form"

# --- images and stages -------------------------------------------------------------------------------------

builds "COPY from an image" <<<$'FROM scratch\nCOPY --from=alpine:3.20 /etc/alpine-release /r'
like "$(cat_in "$layout" /r)" '^3\.20' "fact 100: that no stage is named like"
builds "COPY from a stage with the name of an image" <<'END'
FROM scratch AS alpine
COPY foo /etc/alpine-release
FROM scratch
COPY --from=alpine /etc/alpine-release /r
END
is "$(cat_in "$layout" /r)" foo "fact 100: takes the stage"
refuses 3 'cannot copy from stage "b", it needs to be defined before current stage "a"' \
	"fact 98: a later stage, though the target needs both" <<'END'
FROM scratch AS a
COPY --from=b foo /
FROM scratch AS b
COPY foo /
FROM scratch
COPY --from=a foo /a
COPY --from=b foo /b
END

builds "FROM scratch alone" <<<'FROM scratch'
is "$(image_manifest "$layout" | jq -c .layers)$(config .rootfs.diff_ids)" "[][]" "fact 105: an image with no layers"
builds "for two platforms" --platform "linux/$arch,linux/$other" <<<'FROM scratch'
is "$(jq -r '.manifests[0].mediaType' "$layout/index.json")" application/vnd.oci.image.index.v1+json "fact 105: an index of two"
builds "an image of no layers" -t empty:1 <<<$'FROM scratch\nLABEL kept=1'
builds "a base without layers" <<<$'FROM empty:1\nCOPY foo /foo'
is "$(config '[.config.Labels, (.rootfs.diff_ids | length)]') $(paths)" '[{"kept":"1"},1] /foo ' \
	"fact 106: its labels are kept, layers count from none"

builds "an image of another architecture" --platform "linux/$other" <<<$'FROM scratch\nCOPY foo /foo'
w "$U" build -q --platform "linux/$other" -t single:1 ctx
is "$status" 0 "fact 109: (an image of linux/$other is stored)"
refuses 6 "linux/$other" "fact 109: an image that lacks the platform" --platform "linux/$other" <<<$'FROM alpine:3.20\nLABEL a=1'
refuses 6 "single:1: no image for linux/$arch; offered: linux/$other" "fact 109: one of another platform alone" <<<'FROM single:1'
builds "asked for by name" <<<"FROM --platform=linux/$other single:1"$'\nLABEL a=1'
is "$(config '[.config.Labels, (.rootfs.diff_ids | length)]')" '[{"a":"1"},1]' "fact 109: is used"

builds "three stages" <<'END'
FROM alpine:3.20 AS base
WORKDIR /w
RUN echo "base" > base
FROM scratch
COPY --from=base --chmod=0644 /w/base /out
END
like "$err" $'\n#[0-9]+ \\[base 3/3\\] RUN echo "base" > base\n' "fact 110: the name of a step"
like "$err" $'\n#[0-9]+ \\[stage-1 1/1\\] COPY --from=base --chmod=0644 /w/base /out\n' "fact 110: in a stage without one"
done_testing
