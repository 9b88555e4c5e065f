#!/bin/bash
# The largest resident set of any process of whittle while a base of 700 MB is imported, unpacked and exported.
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"

[ -x "$O/fixtures/maxrss" ] || skip_all "$O/fixtures/maxrss has not been built"
cp "$O/fixtures/maxrss" "$scratch/bin/"
arch=$(host_arch)
fixture golang "$arch" || skip_all "$reason"
cp "$fixture" base.tar
mkdir -p extra
# half of it compresses well, half not at all
i=0
while [ $(($(stat -c %s base.tar) + $(du -sb extra | cut -f1))) -lt 700000000 ]; do
	i=$((i + 1))
	head -c 8000000 /dev/urandom >"extra/random$i"
	seq $((i * 1000000)) $((i * 1000000 + 1000000)) >"extra/text$i"
done
tar -rf base.tar extra
rm -rf extra
diag "the base: $(awk -v n="$(stat -c %s base.tar)" 'BEGIN { printf "%.0f MB", n / 1e6 }'), $(tar -tf base.tar | wc -l) entries"

# peak USER ARGUMENT...: sets kib and mib
peak() {
	local user=$1 log=$scratch/$1/tmp/peak
	shift
	as_user "$user" "$scratch/bin/maxrss" "$log" "$WHITTLE" "$@" >"$scratch/log" 2>&1 || {
		fail "whittle $1" "$(tail -n 5 "$scratch/log")"
		return 1
	}
	kib=$(cat "$log")
	mib=$(awk -v k="$kib" 'BEGIN { printf "%.1f", k / 1024 }')
}

context unpack <<'END'
FROM big:1
RUN ["/bin/true"]
END
for user in "${users[@]}"; do
	peak "$user" import base.tar big:1 --platform "linux/$arch" --cmd /bin/sh && mark "$user: import" "$mib" 64 MiB
	peak "$user" build --progress plain unpack && mark "$user: unpack for a RUN" "$mib" 64 MiB
	peak "$user" build --progress plain -o "type=oci,dest=$scratch/$user/out/x.tar" unpack && mark "$user: export" "$mib" 64 MiB
	new_store "$user"
done
done_testing
