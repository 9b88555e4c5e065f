# shellcheck shell=bash disable=SC2034,SC2154
# Sourced by tests that build one Dockerfile after another, each from stdin, in the folder ctx.
#
#   layout tree   what the last successful b() made: an OCI layout, and a file with a line per path of it

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
	w "$U" build --progress plain -o "type=oci,tar=false,dest=$layout" "$@" ctx || return
	image_tree "$layout" --mtime >"$tree"
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

line_of() { grep -E "^$1 " "$tree"; }
paths() { awk '{ print $1 }' "$tree" | tr '\n' ' '; }
config() { image_config "$layout" | jq -c "$1"; }
history() { image_config "$layout" | jq -r '.history[].created_by'; }
said() { sed -n "s/^#[0-9]* [0-9.]* $1=//p" <<<"$err"; } # what steps printed as NAME=VALUE
