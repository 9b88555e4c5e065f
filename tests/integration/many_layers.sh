#!/bin/bash
# Images of more layers than other stores take: 130, 300 and 500, and one more than whittle takes.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

# many BASE FROM N: a context whose image is BASE, which has FROM layers, and tiny ones up to N, the last of which
# changes what another made
many() {
	local n=$3 i
	context "many$n" < <(
		echo "FROM $1"
		for ((i = $2 + 1; i < n; i++)); do echo "COPY f /many/$((i % 7))/f$i"; done
		echo "COPY g /many/0/f7"
	)
	echo tiny >"many$n/f"
	echo last >"many$n/g"
}

for user in "${users[@]}"; do
	need_alpine "$user"
	base=alpine:3.20 have=1 files=0
	for n in 130 300 500; do
		many "$base" "$have" "$n"
		files=$((files + n - 1 - have)) base=many:$n have=$n
		layout=$(dest "$user" "many$n")
		runs "$user: an image of $n layers" "$user" build --progress plain -t "many:$n" many"$n" || continue
		context use < <(
			echo "FROM many:$n"
			echo "RUN find /many -type f | wc -l >/count; cat /many/0/f7 /many/1/f8 >/both; rm /many/2/f9; echo new >/many/3/f3"
			echo "RUN ls /many/2/f9 /many/3/f3 2>/dev/null >/there; true"
		)
		runs "$user: two steps on it" "$user" build --progress plain -o "type=oci,dest=$layout,tar=false" use || continue
		is "$(cat_in "$layout" /count)" "$files" "$user: they see the files of all $n layers"
		is "$(cat_in "$layout" /both)" $'last\ntiny' "$user: and the upper one wins"
		is "$(cat_in "$layout" /there)" /many/3/f3 "$user: and what the first changed"
		is "$(image_manifest "$layout" | jq '.layers | length')" "$((n + 2))" "$user: the image has $((n + 2)) layers"
		layout=$(dest "$user" out)
		printf 'FROM many:%s AS from\nRUN true\nFROM scratch\nCOPY --from=from /many /many\n' "$n" >use/Dockerfile
		runs "$user: a copy out of $n layers" "$user" build --progress plain -o "type=local,dest=$layout" use
		is "$(find "$layout/many" -type f | wc -l)" "$files" "$user: takes all of them"
	done
	# 512 layers are what a manifest may have (oci.md appendix A): the 513th is refused before anything else sees it
	context toomany < <(
		echo "FROM many:500"
		for ((i = 0; i < 13; i++)); do echo "COPY f /more/f$i"; done
		echo 'RUN ls /more | wc -l'
	)
	echo tiny >toomany/f
	w "$user" build --progress plain -t toomany:1 toomany
	isnt "$status" 0 "$user: an image of 514 layers is refused"
	like "$err" '512' "$user: with the limit in the message"
done
done_testing
