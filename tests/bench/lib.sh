# shellcheck shell=bash
# Sourced by every benchmark: the test library, a clock, and marks.
#
# A benchmark prints what it measured and, of two things measured in the same run, their ratio: absolute figures
# differ from machine to machine. "ok" is a mark that is met, "not ok" one that is not.
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=tests/buildah.sh
. "$tests_dir/buildah.sh"
trap 'buildah_leave; at_exit' EXIT

# Runs "$@" $runs times after one that is not counted, prints the microseconds of each.
# shellcheck disable=SC2016 # for the inner shell
clock_loop='n=$1; shift; for ((i = 0; i <= n; i++)); do s=${EPOCHREALTIME/./}; "$@" >/dev/null 2>&1 </dev/null ||
	{ echo failed; exit 1; }; e=${EPOCHREALTIME/./}; [ $i -eq 0 ] || echo $((e - s)); done'
middle() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# median_as USER N COMMAND...: microseconds, the middle of N runs after a warm one
median_as() {
	local user=$1 n=$2
	shift 2
	as_user "$user" bash -c "$clock_loop" clock "$n" "$@" | middle
}

# median N COMMAND...: the same as whoever runs the benchmark
median() {
	bash -c "$clock_loop" clock "$@" | middle
}

# once COMMAND...: microseconds of one run; for what is not the same a second time
once() {
	local s=${EPOCHREALTIME/./}
	"$@" >"$scratch/once.log" 2>&1 </dev/null || {
		diag "failed: $*"$'\n'"$(tail -n 5 "$scratch/once.log")"
		echo failed
		return 1
	}
	echo $((${EPOCHREALTIME/./} - s))
}

ms() { awk -v u="$1" 'BEGIN { printf (u < 100000 ? "%.1f ms" : "%.0f ms"), u / 1000 }'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (b + 0 > 0) printf "%.2f", a / b; else printf "?" }'; }

# mark DESCRIPTION VALUE LIMIT UNIT: met where the value is a number below the limit
mark() {
	if [[ $2 =~ ^[0-9.]+$ ]] && awk -v v="$2" -v l="$3" 'BEGIN { exit !(v < l) }'; then
		pass "$1: $2 $4 (mark: under $3 $4)"
	else
		fail "$1: $2 $4 (mark: under $3 $4)"
	fi
}
