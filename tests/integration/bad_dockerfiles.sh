#!/bin/bash
# Bad input for everything that reads a Dockerfile: binary data, long lines, missing ends, thousands of stages, words and
# patterns made to take long. Each ends soon, in success or in an error that says what is wrong, and in little memory:
# through lint, dockerfile dump and build --check.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

RSS_LIMIT=$((64 << 10)) # KiB
TIME_LIMIT=20           # seconds, on a machine that is busy with other things
[ "$(nm "$O/whittle" 2>/dev/null | grep -c __asan_init)" = 0 ] || RSS_LIMIT=$((2 << 20))

maxrss=$scratch/bin/maxrss
[ -x "$O/fixtures/maxrss" ] || bail "$O/fixtures/maxrss has been built" "run make check"
cp "$O/fixtures/maxrss" "$maxrss"
mkdir ctx

# one DESCRIPTION STATUSES MESSAGE COMMAND...: an exit status of the list, the message (a regular expression; "-": none
# is needed) on stderr, in time and memory
one() {
	local what=$1 statuses=$2 message=$3 rss start=$SECONDS
	shift 3
	rm -f "$scratch/$U/tmp/rss"
	as_user "$U" timeout -k 5 "$TIME_LIMIT" "$maxrss" "$scratch/$U/tmp/rss" "$WHITTLE" "$@" >"$scratch/out" 2>"$scratch/err" \
		</dev/null
	status=$?
	err=$(tr -d '\0' <"$scratch/err")
	rss=$(cat "$scratch/$U/tmp/rss" 2>/dev/null || echo none)
	if [[ " $statuses " != *" $status "* ]]; then
		fail "$what" "exit status $status, not one of: $statuses; $((SECONDS - start)) s"$'\n'"$(tail -c 600 <<<"$err")"
	elif [ "$message" != - ] && ! [[ $err =~ $message ]]; then
		fail "$what" "no match for: $message"$'\n'"$(tail -c 600 <<<"$err")"
	elif [ "$rss" = none ] || [ "$rss" -gt $RSS_LIMIT ]; then
		fail "$what" "$rss KiB, over $RSS_LIMIT"
	elif [ "$(wc -c <"$scratch/err")" -gt 100000 ]; then
		fail "$what" "an error of $(wc -c <"$scratch/err") bytes"
	else
		pass "$what: status $status, $((rss >> 10)) MiB"
	fi
}

# bad NAME STATUS MESSAGE: ctx/Dockerfile read in all three ways. A number is the status of all; "fine" is success, with
# or without findings; "read" can be read but not built.
bad() {
	local lint=$2 dump=$2 message=$3
	case $2 in
	fine) lint="0 12" dump=0 message=- ;;
	read) lint=3 dump=0 ;;
	esac
	one "$1: lint" "$lint" "$message" lint ctx
	one "$1: build --check" "$lint" "$message" build --check ctx
	[ "$2" != read ] || message=-
	one "$1: dockerfile dump" "$dump" "$message" dockerfile dump ctx/Dockerfile
}

make_file() { /usr/bin/python3 -c "import sys; o = sys.stdout.buffer; $1" >ctx/Dockerfile; }

head -c 100000 "$WHITTLE" >ctx/Dockerfile
bad "a program" 3 'NUL byte'
make_file 'import random; random.seed(1); o.write(bytes(random.randrange(1, 256) for _ in range(200000)))'
bad "random bytes" 3 'line [0-9]+'
printf 'FROM scratch\nRUN a\0b\n' >ctx/Dockerfile
bad "a NUL byte" 3 'Dockerfile:2'
printf 'FROM scratch\nENV a=\377\376 b=\300\200\nLABEL \355\240\200=\370\n' >ctx/Dockerfile
bad "bytes that are not UTF-8" fine -
printf 'FROM scratch\nENV a="%b[31m%b]0;title%b"\nBOGUS %b[2J\n' '\033' '\033' '\007' '\033' >ctx/Dockerfile
bad "orders to a terminal" 3 'unknown instruction: BOGUS'
unlike "$err" $'\033|\007' "orders to a terminal: none gets there"

for size in 65536 $((10 << 20)); do
	for line in 'RUN ' 'COPY x ' 'EXPOSE ' 'RUN --mount=type=' 'LABEL "' 'HEALTHCHECK CMD ' 'USER ' 'WORKDIR /'; do
		make_file "o.write(b'FROM scratch\n$line' + b'x' * $size + (b'\"=1\n' if b'\"' in b'''$line''' else b'\n'))"
		bad "$line and $size bytes" fine -
	done
	make_file "o.write(b'X' * $size + b' y\n')"
	bad "an instruction of $size bytes" 3 'unknown instruction: XXX'
	make_file "o.write(b'FROM ' + b'x' * $size + b'\n')"
	bad "an image name of $size bytes" read 'failed to parse stage name'
	make_file "o.write(b'FROM scratch\n# ' + b'x' * $size + b'\nUSER x\n')"
	bad "a comment of $size bytes" fine -
	make_file "o.write(b'FROM scratch\nRUN <<E\n' + b'x' * $size + b'\nE\n')"
	bad "a heredoc line of $size bytes" fine -
	make_file "o.write(b'FROM scratch\nCMD [\"' + b'x' * $size + b'\"]\n')"
	bad "a JSON string of $size bytes" fine -
	make_file "o.write(b'FROM scratch\nRUN x ' + b'\\\\\n' * ($size // 2) + b'y\n')"
	bad "continuations of $size bytes" fine -
done
make_file "o.write(b'FROM scratch\nENV a=' + b'x' * (4 << 20) + b'\n')"
bad "a variable of 4 MiB" fine -
make_file "o.write(b'FROM scratch\nENV a=' + b'x' * (10 << 20) + b'\n')"
bad "a variable of 10 MiB" read 'variables take more than 8 MiB'
make_file "o.write(b'FROM scratch\nCOPY ' + b'a ' * (5 << 20) + b'\n')"
bad "millions of words" 3 'more than 100000 words'
make_file "o.write(b'FROM scratch\nENV ' + b'a=b ' * (2 << 20) + b'\n')"
bad "millions of pairs" 3 'more than 100000 words'
make_file "o.write(b'FROM scratch\nCMD [' + b'\"a\",' * (2 << 20) + b'\"a\"]\n')"
bad "millions of JSON strings" 3 'more than 100000 strings'
make_file "o.write(b'FROM scratch\nRUN ' + b'--mount=x ' * (1 << 20) + b'\n')"
bad "millions of flags" 3 'more than 1000 flags'
make_file "o.write(b'FROM scratch\nCMD ' + b'[' * (1 << 20) + b'\n')"
bad "a million brackets" fine -
make_file "o.write(b'FROM scratch\nRUN ' + b'<<A ' * 2000 + b'\n')"
bad "two thousand heredocs" 3 'more than 1000 heredocs'
make_file "o.write(b'FROM scratch\n' + b'USER x\n' * 200000)"
bad "200,000 instructions" 3 'more than 100000 instructions'
make_file "o.write(b'FROM scratch\n' + b'USER x\n' * 99998)"
bad "nearly as many as may be" fine -
make_file "o.write(b'#' * (17 << 20))"
bad "17 MiB" '1 3' 'larger|over|MiB'

for end in 'RUN <<EOF' 'COPY <<-"A" <<B /' "RUN <<'a" 'CMD ["a' 'USER "a' "USER 'a" 'ENV a="b' 'USER ${' 'USER ${a' 'USER ${a:-' \
	'USER ${a/b' 'USER $' 'RUN \' 'LABEL a' '# escape' 'FROM' 'ONBUILD' 'HEALTHCHECK' 'COPY --from=' 'COPY --' 'RUN --mount'; do
	printf 'FROM scratch\n%s' "$end" >ctx/Dockerfile
	one "ends in $end" "0 3 12" - lint ctx
	one "ends in $end: dumped" "0 3" - dockerfile dump ctx/Dockerfile
done
make_file "o.write(b'FROM scratch\nUSER ' + b'\${a:-' * 100000 + b'}' * 100000 + b'\n')"
bad "substitutions 100,000 deep" read 'nested more than 100 deep'

make_file "o.write(b''.join(b'FROM scratch AS s%d\n' % i for i in range(10000)))"
bad "10,000 stages" fine -
make_file "o.write(b'FROM scratch AS s0\n' + b''.join(b'FROM s%d AS s%d\nCOPY --from=s%d a /\n' % (i, i + 1, i) for i in range(9999)))"
bad "10,000 stages in a row" fine -
make_file "o.write(b''.join(b'FROM scratch AS s%d\nCOPY --from=s%d a /\n' % (i, (i + 1) % 10000) for i in range(10000)))"
bad "10,000 stages in a circle" read 'circular dependency'
make_file "o.write(b'FROM scratch\n' * 10001)"
bad "10,001 stages" 3 'more than 10000 stages'
make_file "o.write(b'ARG a0=x\n' + b''.join(b'ARG a%d=\${a%d}\n' % (i + 1, i) for i in range(10000)) + b'FROM scratch\nARG a9999\nUSER \$a9999\n')"
bad "10,000 references of ARG" fine -
make_file "o.write(b'FROM scratch\nARG a0=xxxxxxxx\n' + b''.join(b'ARG a%d=\$a%d\$a%d\n' % (i + 1, i, i) for i in range(60)))"
bad "values that double" read 'MiB'
make_file "o.write(b'FROM scratch\nENV a=' + b'ab' * 20000 + b'\n' + b'USER \${a//*a*b*a*c/x}\${a##*b*a*b*?*c}\${a%%c*a*b*a}\n' * 200)"
bad "patterns made to go back" "0 3 12" -
make_file "o.write(b'FROM scratch AS a\n' + b'ONBUILD USER x\n' * 20000 + b'FROM a\n' * 5000)"
bad "triggers that multiply" read 'triggers'

# --- messages of the specification (dockerfile.md 2.2, 3.1 to 3.3) that no test of one module gives -------------------

# says STATUS MESSAGE [FLAG...]: the Dockerfile of stdin is not built, and the last line is exactly this
says() {
	local wanted=$1 message=$2
	shift 2
	cat >ctx/Dockerfile
	w "$U" build --progress plain "$@" ctx
	is "$status ${err##*$'\n'whittle: }" "$wanted $message" "$message"
}
echo f >ctx/f
/usr/bin/python3 -c 'import tarfile; tarfile.open("ctx/out.tar", "w").addfile(tarfile.TarInfo("../../x"))'
says 3 "failed to parse platform \$P: malformed platform 'a!b/c': want os/architecture[/variant]" \
	<<<$'ARG P=a!b/c\nFROM --platform=$P scratch'
says 2 'conflicting config: returning multiple target platforms is not allowed' --platform linux/amd64,linux/arm64 \
	--build-arg BUILDKIT_MULTI_PLATFORM=false <<<'FROM scratch'
for quote in "'single" '"double'; do
	says 3 "failed to process \"${quote/\"/\\\"}\": unexpected end of statement while looking for matching ${quote:1}-quote" \
		<<<$'FROM scratch\nUSER '"$quote"
done
says 3 "failed to process \"\${a#x\\\\q}\": invalid pattern (x\\q) in substitution: invalid escape '\\q'" \
	<<<$'FROM scratch\nUSER ${a#x\\q}'
for name in ADD COPY; do
	says 3 "dockerfile parse error on line 2: $name requires at least two arguments, but only one was provided. Destination \
could not be determined" <<<$'FROM scratch\n'$name
done
says 3 'invalid stage index -1' <<<$'FROM scratch\nCOPY --from=-1 a /'
says 1 'unable to find user daemon: no matching entries in passwd file' <<<$'FROM scratch\nCOPY --chown=daemon f /'
says 1 "cannot create the directory '/x': '/x' is not a directory" <<<$'FROM scratch\nCOPY f /x\nCOPY f /x/y'
says 1 "invalid chmod parameter: 'u+q': invalid syntax" <<<$'FROM scratch\nCOPY --chmod=u+q f /'
says 1 "syntax error in pattern '/[f'" <<<$'FROM scratch\nCOPY ["[f", "/"]'
says 6 '"/none/x": not found' <<<$'FROM scratch\nCOPY --parents none/x /'
says 1 "archive 'out.tar': tar member '../../x': a name with '..'" <<<$'FROM scratch\nADD out.tar /d/'
says 3 'RUN --network=host in a build with --network none' --network none <<<$'FROM scratch\nRUN --network=host true'
rm ctx/f ctx/out.tar

printf 'FROM scratch\nCOPY aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab a/a/a/a/a/a/a/a/a/a/a/a/a/b /\n' >ctx/Dockerfile
/usr/bin/python3 -c 'print("\n".join(["*a" * 40, "a**" * 40, "**/a" * 30, "[a-z]*" * 50] * 50))' >ctx/.dockerignore
bad "an ignore file made to go back" fine -
printf '[' >ctx/.dockerignore
one "a class without end" 1 'syntax error in pattern' lint ctx
printf '!' >ctx/.dockerignore
one "a lone exception" 1 'illegal exclusion pattern' lint ctx
/usr/bin/python3 -c 'print("x" * 5000)' >ctx/.dockerignore
one "a pattern of 5,000 bytes" 1 'longer than 4096' lint ctx
seq 10001 >ctx/.dockerignore
one "10,001 patterns" 1 'more than 10000 patterns' lint ctx
printf 'a\0b' >ctx/.dockerignore
one "a NUL byte in an ignore file" 1 'NUL byte' lint ctx
done_testing
