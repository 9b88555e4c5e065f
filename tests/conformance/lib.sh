# shellcheck shell=bash disable=SC2154 # what the test and tests/lib.sh set
# How the cases of this folder are written. A case is a Dockerfile on stdin, then shell that makes its context:
#
#   conform NAME 'what it is about' <<'END'      the working directory is the context from here on
#   FROM alpine:3.20
#   COPY a /b
#   END
#   echo one >a
#
# whittle and buildah build it, and the results must be the same (judge.py): root file systems path by path, configs
# field by field. Files of a context that nobody gave a time get $context_time, so that times can be compared too.
# Between a case and the next may stand:
#
#   flags ARGUMENT...       of both programs
#   except FACT WHY         buildah's result with the lines of stdin in place of its own; see below
#   expected FACT WHY       stdin is the whole result, and buildah, which cannot build it, is not asked
#   history FACT            stdin is the history without the base's, "layer TEXT" or "empty TEXT" a line
#   refused FACT REGEX      the build fails, with such a message; refused_here: and buildah builds it
#   by_first_user           whittle builds it as one user only
#   with_folder_times       times of folders are compared as well
#
# FACT is a number of section 10 of the Dockerfile specification, or the section that says it. Such expectations are
# reasoned from there, never copied from a result. Their lines:
#
#   /path TYPE MODE OWNER DETAIL    as judge.py prints them: a file's DETAIL is its content, "@context" or "@SECONDS" its
#                                   time unless it is of this build, "= /path" the first name of the same inode
#   and !/path                       is not there
#   .Field JSON                     of the config; absent, null and empty are one
# "expected" names only what differs from the base image.

context_time=1500000000
case_names=()

# case_done: what was made for the last case gets its time
case_done() {
	[ ${#case_names[@]} -gt 0 ] || return 0
	find "$cases/${case_names[-1]}/context" -newer "$cases/began" -exec touch -h -d "@$context_time" {} +
	cd "$scratch/work" || exit 1
}

conform() {
	case_done
	[ ! -e "$cases/$1" ] || bail "the name of the case $1 is its own"
	case_names+=("$1")
	mkdir -p "$cases/$1/context"
	echo "$2" >"$cases/$1/about"
	: >"$cases/$1/flags"
	cd "$cases/$1/context" || exit 1
	cat >Dockerfile
}

flags() { printf '%s\0' "$@" >../flags; }

except() {
	printf '%s: %s\n' "$1" "$2" >../why
	cat >../except
}

expected() {
	printf '%s: %s\n' "$1" "$2" >../why
	cat >../expected
}

history() { cat >../history; }

refused() { printf '%s\n' "$2" >../refused; }

refused_here() {
	refused "$@"
	: >../alone
}

by_first_user() { : >../by_first_user; }

with_folder_times() { : >../folder_times; }

# build_case NAME: with both, as $cases/NAME/{mine,theirs}.status say. Each user of the tests builds it: who is root in the
# sandbox makes no difference to an image.
build_case() {
	local dir=$cases/$1 user args
	mapfile -d '' -t args <"$dir/flags"
	for user in "${users[@]}"; do
		[ "$user" = "$U" ] || [ ! -e "$dir/by_first_user" ] || continue
		cp -a "$dir/context" "$scratch/$user/out/$1.context"
		give "$user" "$scratch/$user/out/$1.context"
		(cd "$scratch/$user/out/$1.context" && as_user "$user" timeout -k 10 "$time_limit" "$WHITTLE" build \
			--progress plain -o "type=oci,dest=$scratch/$user/out/$1,tar=false" "${args[@]}" .) \
			>"$dir/$user.log" 2>&1 </dev/null
		echo $? >"$dir/$user.status"
	done
	[ ! -e "$dir/expected" ] && [ ! -e "$dir/alone" ] || return 0
	(cd "$dir/context" && buildah_build -q --format docker --layers=false -t "$1:1" "${args[@]}" .) \
		>"$dir/theirs.log" 2>&1 </dev/null
	echo $? >"$dir/theirs.status"
}

# build_lane N: every second case
build_lane() {
	local i
	for ((i = $1; i < ${#case_names[@]}; i += 2)); do build_case "${case_names[i]}"; done
}

# judge_cases: a result for each
judge_cases() {
	local verdict text detail
	/usr/bin/python3 "$tests_dir/conformance/judge.py" "$scratch" "$buildah_storage" "${users[*]}" \
		"${case_names[@]}" >"$scratch/verdicts" || bail "the results can be read" "$(tail -n 5 "$scratch/verdicts")"
	while IFS=$'\t' read -r verdict text detail; do
		case $verdict in
		ok) pass "$text" ;;
		*) fail "$text" "$(printf '%b' "$detail")" ;;
		esac
	done <"$scratch/verdicts"
}
