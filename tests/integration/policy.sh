#!/bin/bash
# The system call policy live: a program without a C library makes every call of its table inside a step, native and, by
# the emulator, for other architectures; tests/unit/test_sandbox_policy.c has the same on paper.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

# compile ARCH: calls-ARCH; 1 and reason if it cannot be
compile() {
	local target=$1 flags=()
	case $1 in
	amd64) target=x86_64 ;;
	arm64) target=aarch64 ;;
	armv7) target=armv7a flags=(-mfloat-abi=soft -marm) ;;
	esac
	clang --target="$target-linux-gnu" -O1 -ffreestanding -fno-builtin -fno-stack-protector -nostdlib -static -fuse-ld=lld \
		"${flags[@]}" -o "calls-$1" "$tests_dir/hostile/calls.c" 2>"$scratch/clang.log" ||
		{ reason=$(tail -n 1 "$scratch/clang.log") && return 1; }
}

# calls_in_step USER ARCH: what the program printed, in $calls
calls_in_step() {
	rm -rf root && mkdir root && cp "calls-$2" root/calls && tar -cf root.tar -C root calls
	w "$1" import root.tar "calls:$2" --platform "$(platform_of "$2")" || return 1
	context step <<-END
		FROM calls:$2
		RUN ["/calls"]
	END
	w "$1" build --progress plain --no-cache --platform "$(platform_of "$2")" step || return 1
	calls=$(sed -nE 's/^#[0-9]+ [0-9.]+ ([a-z0-9_-]+ [0-9]+ [0-9]+)$/\1/p' <<<"$err")
}

native=$(host_arch)
archs=("$native")
if [ "$native" = amd64 ] && command -v qemu-aarch64-static >/dev/null; then
	archs+=(arm64 armv7)
fi
for arch in "${archs[@]}"; do
	if ! compile "$arch"; then
		skip "$arch: every call of the table" "$reason"
		continue
	fi
	for user in "${users[@]}"; do
		calls_in_step "$user" "$arch" || {
			fail "$user: $arch: the program runs" "$(tail -n 5 <<<"$err")"
			continue
		}
		ok "$user: $arch: the program makes its calls" test "$(wc -l <<<"$calls")" -ge 45
		wrong=
		while read -r name got wanted; do
			if [ "$wanted" -eq 0 ]; then
				# past the filter it may fail, but not with its words; ptrace of a missing process is ESRCH
				# the old qemu of some hosts has never heard of openat2, and where owners are recorded it is absent
				[ "$name $user $got" != "openat2 wt-single 38" ] || continue
				[ "$got" = 1 ] || { [ "$got" = 38 ] && [ "$arch" = "$native" ]; } && wrong+="$name is refused with $got"$'\n'
			elif [ "$arch" = "$native" ]; then
				[ "$got" = "$wanted" ] || wrong+="$name gives $got, not $wanted"$'\n'
			else
				# what the emulator itself does not know it refuses with words of its own
				[ "$got" -ne 0 ] || wrong+="$name succeeds"$'\n'
			fi
		done <<<"$calls"
		is "$wrong" "" "$user: $arch: each gets its verdict"
	done
done
[ ${#archs[@]} -gt 1 ] || skip "other architectures through qemu-user" "not amd64, or qemu-user-static is not installed"
done_testing
