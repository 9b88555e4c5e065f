#!/bin/bash
# The command line: help, version, exit status 2, and what goes to which stream.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

runs "whittle version" "$U" version
like "$out" '^whittle [0-9]+\.[0-9]+\.[0-9]+' "prints name and number"
is "$err" "" "and nothing on stderr"
runs "whittle --version" "$U" --version
runs "whittle --help" "$U" --help
list=$out
for command in build run pull push images rmi prune inspect import lint dockerfile doctor version; do
	like "$list" "$command" "help lists $command"
	runs "whittle $command --help" "$U" "$command" --help
	like "$out" "^[Uu]sage: whittle $command" "begins with its usage"
	is "$err" "" "goes to stdout"
	ok "and fits 80 columns" test "$(awk '{ if (length($0) > m) m = length($0) } END { print m + 0 }' "$scratch/out")" -le 80
done
runs "whittle help" "$U" help

fails 2 "no command" "$U"
is "$out" "" "prints nothing on stdout"
like "$err" '[Uu]sage' "but the usage on stderr"
fails 2 "an unknown command" "$U" biuld
like "$err" 'biuld' "is named"
like "$err" 'build' "with the nearest one"
fails 2 "an unknown flag" "$U" build --taget x .
like "$err" '--taget' "is named"
like "$err" 'mean.*target' "with the nearest one"
fails 2 "a flag without its value" "$U" build --target
like "$err" '--target' "is named"
fails 2 "no context" "$U" build
fails 2 "two contexts" "$U" build a b
fails 2 "a bad platform" "$U" build --platform 'linux/a rm' .
like "$err" 'linux/a rm' "is quoted"
fails 2 "a bad progress" "$U" build --progress loud .
fails 2 "a bad network" "$U" build --network martian .
fails 2 "pull of nothing" "$U" pull
fails 2 "rmi of nothing" "$U" rmi
fails 2 "inspect of nothing" "$U" inspect
fails 2 "import of nothing" "$U" import
fails 2 "run of nothing" "$U" run
fails 6 "inspect of an image that is not there" "$U" inspect never-there:1
like "$err" 'never-there' "names it"
is "$out" "" "and prints nothing on stdout"
fails 6 "rmi of an image that is not there" "$U" rmi never-there:1
w "$U" run never-there:1 true
isnt "$status" 0 "run of an image that is not there"
runs "images of an empty store" "$U" images

mkdir ctx && printf 'FROM scratch\nCOPY f /f\n' >ctx/Dockerfile && echo x >ctx/f
fails 2 "a bad image name" "$U" build -t 'UPPER:1' ctx
like "$err" 'UPPER' "is quoted"
fails 2 "--progress tty without a terminal" "$U" build --progress tty ctx || true
runs "--flag=value and --flag value" "$U" build --progress=plain --target '' -t a:1 ctx
runs "flags after the context" "$U" build ctx -t b:1 --progress plain
runs "a context after --" "$U" build --progress plain -- ctx
user_env=(BUILDKIT_PROGRESS=plain)
runs "BUILDKIT_PROGRESS" "$U" build ctx
like "$err" '^#1 |'$'\n''#1 ' "chooses plain"
user_env=(WHITTLE_ROOT=)
runs "without WHITTLE_ROOT" "$U" build --progress plain ctx
ok "the store is in the home folder" as_user "$U" test -d "$scratch/$U/home/.local/share/whittle/blobs/sha256"
user_env=(WHITTLE_ROOT= "XDG_DATA_HOME=$scratch/$U/tmp/xdg")
runs "with XDG_DATA_HOME" "$U" build --progress plain ctx
ok "it is there" as_user "$U" test -d "$scratch/$U/tmp/xdg/whittle/blobs/sha256"
user_env=(WHITTLE_ROOT=/proc/nowhere)
w "$U" build --progress plain ctx
isnt "$status" 0 "a store that cannot be made"
like "$err" '/proc/nowhere' "is named"
user_env=()

# a closed stdout must not look like success, nor kill the build silently
as_user "$U" timeout 60 "$WHITTLE" images >/dev/full 2>"$scratch/err"
runs "something to list" "$U" build -q -t listed:1 ctx
as_user "$U" timeout 60 "$WHITTLE" images >/dev/full 2>"$scratch/err"
isnt "$?" 0 "a full stdout is an error"
done_testing
