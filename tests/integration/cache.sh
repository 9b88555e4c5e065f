#!/bin/bash
# A second identical build runs nothing; what changes invalidates what depends on it and nothing else; and a final
# stage of COPYs writes no file and unpacks no base image.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

need_alpine "$U"
user_env=(SOURCE_DATE_EPOCH=1700000000)

# b DESCRIPTION CONTEXT [FLAG...]: build to a layout; sets digest
b() {
	local desc=$1 name=$2
	give "$U" "$name"
	shift 2
	layout=$(dest "$U" "$name")
	runs "$desc" "$U" build --progress plain -o "type=oci,dest=$layout,tar=false" "$@" "$name" || return
	digest=$(image_digest "$layout")
}
# ran WORD: whether the step whose log holds the word ran (and was not cached)
ran() { grep -qE "^#[0-9]+ [0-9]+\.[0-9]+ .*$1" "$scratch/err"; }
# steps, steps_not_cached: the RUN, COPY and WORKDIR steps that progress names; those of them that did not say CACHED
steps() { grep -E '^#[0-9]+ \[[^]]*[0-9]/[0-9]+\] (RUN|COPY|WORKDIR) ' "$scratch/err" | cut -d' ' -f1 | sort -u; }
steps_not_cached() { comm -23 <(steps) <(sed -nE 's/^(#[0-9]+) CACHED$/\1/p' "$scratch/err" | sort -u); }

context two <<'END'
FROM alpine:3.20 AS builder
WORKDIR /app
COPY src src
RUN echo ran-first && cat src/a > /mid
COPY more .
RUN echo ran-second && wc -c < /mid > /result

FROM alpine:3.20
COPY --from=builder /result /result
RUN echo ran-final && cat /result > /final
CMD ["cat", "/final"]
END
mkdir -p two/src two/more
echo alpha >two/src/a
echo beta >two/more/b

b "a first build" two
ok "runs the steps" ran ran-first
once=$digest

b "a second, identical build" two
not "runs nothing" grep -qE '^#[0-9]+ [0-9]+\.[0-9]+ ran-' "$scratch/err"
is "$(steps | wc -l)" 7 "names its seven steps"
is "$(steps_not_cached)" "" "and says CACHED for each of them"
is "$digest" "$once" "with the same digest"

touch two/src/a two/more/b
b "after touch" two
not "nothing runs" ran ran-
chmod 0600 two/src/a
b "after chmod of a source" two
ok "the step after its COPY runs" ran ran-first
not "the final stage, whose input is the same, does not" ran ran-final
is "$digest" "$once" "and the image is the same"
chmod 0644 two/src/a
b "after chmod back" two
not "the earlier result is found again" ran ran-

echo gamma >two/more/b
b "after a change of the later source" two
not "the step before its COPY does not run" ran ran-first
ok "the step after it does" ran ran-second
not "the final stage, whose input is the same, does not" ran ran-final
is "$digest" "$once" "and the image is the same"

echo alphabet >two/src/a
b "after a change that changes the result" two
ok "the final stage runs" ran ran-final
isnt "$digest" "$once" "and the image differs"
is "$(cat_in "$layout" /final)" 9 "as it should"

echo unrelated >two/unrelated
b "after a new file that no COPY selects" two
not "nothing runs" ran ran-
mv two/more/b two/more/c
b "after a rename" two
ok "the COPY that selects the file misses" ran ran-second

b "--no-cache" two --no-cache
ok "runs the first step (fact 256)" ran ran-first
ok "runs the last step" ran ran-final
b "--no-cache-filter" two --no-cache-filter builder
ok "runs that stage" ran ran-first
b "after all that" two
not "everything is cached again" ran ran-

context arg <<'END'
FROM alpine:3.20
RUN echo ran-before
ARG V=1
RUN echo ran-after
END
b "ARG" arg
b "with another value" arg --build-arg V=2
not "steps before the ARG stay" ran ran-before
ok "steps after it run" ran ran-after
b "with the first value" arg
not "that result is still there" ran ran-

context failing <<'END'
FROM alpine:3.20
RUN echo ran-good && date +%s%N > /stamp
COPY flag /flag
RUN test "$(cat /flag)" = go
END
echo stop >failing/flag
fails 4 "a build that fails at its last step" "$U" build --progress plain failing
echo go >failing/flag
b "and works the next time" failing
not "keeps the steps that were good" ran ran-good

# Two builds at once share one store and its steps.
context both <<'END'
FROM alpine:3.20
RUN echo ran-both && sleep 2 && date +%s%N > /stamp
END
layout=$(dest "$U" both1)
other=$(dest "$U" both2)
exec_as "$U" timeout 120 "$WHITTLE" build --progress plain -o "type=oci,dest=$other,tar=false" both >"$scratch/both.log" 2>&1 &
w "$U" build --progress plain -o "type=oci,dest=$layout,tar=false" both
is "$status" 0 "one of two builds at the same time"
wait $!
is "$?" 0 "the other one"
b "a third" both
not "runs nothing" ran ran-both

# --- nothing is written that nobody needs ---------------------------------------------------------------
# files_in_snapshots: how many files the store's unpacked folders hold (a snapshot's index is none of them), and whether alpine is among them
files_in_snapshots() { (exec_as root find "$scratch/$U/store/snapshots" -type f -not -name index) | wc -l; }
has_unpacked() { (exec_as root find "$scratch/$U/store/snapshots" -name "$1") | grep -q .; }

if [ -z "$as_root" ]; then
	files_in_snapshots() { find "$scratch/$U/store/snapshots" -type f -not -name index 2>/dev/null | wc -l; }
	has_unpacked() { find "$scratch/$U/store/snapshots" -name "$1" 2>/dev/null | grep -q .; }
fi
new_store "$U"
need_alpine "$U"
context nowrite <<'END'
FROM alpine:3.20
COPY many /many
COPY one /usr/local/bin/one
CMD ["one"]
END
mkdir nowrite/many
for i in $(seq 200); do echo "$i" >"nowrite/many/$i"; done
echo one >nowrite/one
b "a stage of COPYs only" nowrite
is "$(files_in_snapshots)" 0 "writes no file into the store's folders"
not "and does not unpack alpine" has_unpacked alpine-release
is "$(image_tree "$layout" | grep -c '^/many/')" 200 "the image holds what was copied"

context nowrite2 <<'END'
FROM alpine:3.20 AS builder
RUN mkdir /made && for i in $(seq 50); do echo $i > /made/$i; done
FROM scratch
COPY --from=builder /made /made
END
b "a final stage that copies from a builder" nowrite2
ok "the builder's alpine was unpacked, since a RUN entered it" has_unpacked alpine-release
is "$(image_tree "$layout" | grep -c '^/made/.')" 50 "the final image is right"
made=$( (if [ -n "$as_root" ]; then exec_as root find "$scratch/$U/store/snapshots" -path '*/made/*' -type f; else
	find "$scratch/$U/store/snapshots" -path '*/made/*' -type f; fi) | wc -l)
is "$made" 50 "its files exist once, in the builder's folder"

# and a RUN above a base that was a layer only makes the folder then
context later <<'END'
FROM alpine:3.20
COPY many /many
RUN test "$(ls /many | wc -l)" = 200 && echo seen > /seen
END
cp -r nowrite/many later/
b "a RUN above copied files" later
is "$(cat_in "$layout" /seen)" seen "finds them"
done_testing
