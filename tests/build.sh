# shellcheck shell=bash disable=SC2034,SC2154
# Sourced by tests that build one Dockerfile after another, each from stdin, in the folder ctx.
#
#   layout   the OCI layout that the last b() made
#   tree     a file with a line per path of it, once lines() was called

# b [FLAG...]: build ctx with the Dockerfile of stdin
b() {
	mkdir -p ctx
	cat >ctx/Dockerfile
	again "$@"
}

# again [FLAG...]: the same Dockerfile once more
again() {
	layout=$(dest "$U" layout)
	tree=$scratch/work/tree
	rm -f "$tree"
	w "$U" build --progress plain -o "type=oci,tar=false,dest=$layout" "$@" ctx
}

# lines: the lines of $tree, which is made when it is first asked for
lines() {
	[ -e "$tree" ] || image_tree "$layout" --mtime >"$tree"
	cat "$tree"
}

# builds DESCRIPTION [FLAG...]: b() succeeds
builds() {
	local desc=$1
	shift
	if b "$@"; then
		pass "$desc"
	else
		fail "$desc" "exit status $status"$'\n'"$(tail -n 25 <<<"$err")"
		return 1
	fi
}

# refuses STATUS TEXT DESCRIPTION [FLAG...]: b() ends with that status and an error that holds the text
refuses() {
	local wanted=$1 text=$2 desc=$3
	shift 3
	b "$@"
	if [ "$status" = "$wanted" ] && [[ $err == *"$text"* ]]; then
		pass "$desc"
	else
		fail "$desc" "exit status $status, not $wanted, or not: $text"$'\n'"$(tail -n 25 <<<"$err")"
	fi
}

line_of() { lines | grep -E "^$1 "; }
paths() { lines | awk '{ print $1 }' | tr '\n' ' '; }
config() { image_config "$layout" | jq -c "$1"; }
history() { image_config "$layout" | jq -r '.history[].created_by'; }
said() { sed -n "s/^#[0-9]* [0-9.]* $1=//p" <<<"$err"; } # what steps printed as NAME=VALUE
