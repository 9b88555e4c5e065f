#!/bin/bash
# RUN with documents: who interprets them, quoting, chomping, scripts that name their interpreter.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

# builds DESCRIPTION NAME [FLAG...]: sets layout
builds() {
	local desc="$user: $1" name=$2
	shift 2
	layout=$(dest "$user" "$name")
	runs "$desc" "$user" build --progress plain -o "type=oci,dest=$layout,tar=false" "$@" "$name"
}
f() { cat_in "$layout" "$1" 2>/dev/null; }

# Tabs are part of what is tested: they are written as ~ here.
tr '~' '\t' >"$scratch/shell.Dockerfile" <<'END_OF_FILE'
FROM alpine:3.20
ARG name=arg
WORKDIR /o
RUN <<EOF
echo one > one
false
echo "$name ${name}" > two
name=shadow
echo "$name" > three # a comment stays where it is
EOF
RUN <<'EOF'
echo "$name" > quoted
EOF
RUN <<-EOF
~~echo "tab" > tab
~~cat > inner <<-IN
~~~deep
~~IN
~EOF
RUN cat <<A | tr a-z A-Z > pipe; cat <<B >> pipe
first $name
A
second
B
RUN 3<<IN1 4<<IN2 cat /dev/fd/3 /dev/fd/4 > fds
in1
IN1
in2
IN2
RUN <<EOF sh > arguments
echo from stdin
EOF
RUN <<EOF cat > kept
~tabs are kept
EOF
RUN <<-EOF cat > gone
~~tabs are removed
~EOF
RUN cat <<"E O" > spaces; cat <<'q' >> spaces; cat <<e\nd >> spaces
$name in quotes
E O
`$name`
q
plain $name
end
RUN echo "<<NO" > none
RUN ["/bin/sh", "-c", "echo '<<NO' > exec"]
RUN <<EOF

EOF
RUN set -e; cat > order <<EOF && echo after >> order
body
EOF
RUN cat \
  <<EOF > /dev/null \
  && echo continued > continued
EOF
COPY <<-A <<'B' /o/
~~copied $name
A
$name
B
END_OF_FILE

tr '~' '\t' >"$scratch/script.Dockerfile" <<'END_OF_FILE'
FROM alpine:3.20
RUN <<EOF
#!/usr/bin/awk -f
BEGIN { print "awk", ARGC > "/awk" }
EOF
RUN <<-'second-name'
~#!/bin/sh -u
~echo "$0" > /name; stat -c '%a %u %g' "$0" > /mode; (echo x > "$0") 2> /dev/null || echo no > /written; ls /dev/pipes > /ls
second-name
SHELL ["/bin/ash", "-euc"]
RUN <<EOF
#!/bin/sh
echo "${unset}" > /inner
EOF
SHELL ["/usr/bin/awk"]
RUN <<EOF
BEGIN { print "as program" > "/shell-awk" }
EOF
SHELL ["/bin/sh", "-c"]
RUN test ! -e /dev/pipes
END_OF_FILE

for user in "${users[@]}"; do
	need_alpine "$user"
	context shell <"$scratch/shell.Dockerfile"
	if builds "documents for the shell" shell; then
		is "$(f /o/one)|$(f /o/two)|$(f /o/three)" "one|arg arg|shadow" "$user: one script in one shell, its own variables first (facts 50, 56)"
		is "$(f /o/quoted)" arg "$user: a quoted delimiter changes nothing for a script: the shell expands (1.8.7)"
		is "$(f /o/tab)|$(f /o/inner)" "tab|deep" "$user: <<- strips tabs of the script"
		is "$(f /o/pipe)" $'FIRST ARG\nsecond' "$user: two documents in one command (fact 53)"
		is "$(f /o/fds)" $'in1\nin2' "$user: on descriptors of their own (fact 54)"
		is "$(f /o/arguments)" "from stdin" "$user: a document for a program that is not the shell"
		is "$(f /o/kept)|$(f /o/gone)" $'\ttabs are kept|tabs are removed' "$user: the shell strips tabs for <<- alone (fact 55)"
		# shellcheck disable=SC2016 # nobody is to expand these
		is "$(f /o/spaces)" $'$name in quotes\n`$name`\nplain $name' "$user: quotes and escapes in delimiters"
		is "$(f /o/none)|$(f /o/exec)" "<<NO|<<NO" "$user: no document in quotes nor in the exec form (fact 48)"
		is "$(f /o/order)|$(f /o/continued)" $'body\nafter|continued' "$user: more command behind it, and on the next line"
		# shellcheck disable=SC2016
		is "$(f /o/A)|$(f /o/B)" 'copied arg|$name' "$user: COPY expands, but not behind a quoted delimiter"
		# shellcheck disable=SC2016
		is "$(image_config "$layout" | jq -r '.history[] | select(.created_by | test("shadow")) | .created_by')" \
			'RUN |1 name=arg /bin/sh -c echo one > one
false
echo "$name ${name}" > two
name=shadow
echo "$name" > three # a comment stays where it is
 # buildkit' "$user: the history has the script"
	fi
	like "$err" '\] RUN <<EOF \(echo one > one\.\.\.\)' "$user: the name of the step shows its first line"

	context script <"$scratch/script.Dockerfile"
	has_range "$user" && printf 'USER nobody\nRUN <<EOF\n#!/bin/sh\nid -u > /tmp/who\nEOF\n' >>script/Dockerfile
	if builds "scripts that name their interpreter" script; then
		is "$(f /awk)" "awk 1" "$user: another program (fact 52)"
		is "$(f /name)|$(f /mode)|$(f /written)|$(f /ls)" "/dev/pipes/second-name|755 0 0|no|second-name" \
			"$user: a file called by the delimiter, executable, root's, that nobody writes"
		is "[$(f /inner)]|$(f /shell-awk)" "[]|as program" "$user: SHELL starts the script, or takes it as its program (fact 51)"
		! has_range "$user" || is "$(f /tmp/who)" 65534 "$user: as the user of the stage"
		is "$(image_tree "$layout" | grep -c pipes)" 0 "$user: nothing of it is in the image"
		is "$(image_config "$layout" | jq -r '[.history[].created_by | select(test("pipes"))][0]')" \
			"RUN /bin/sh -c /dev/pipes/EOF # buildkit" "$user: the history names the file"
	fi
	sed -i 's/awk", ARGC/awk-changed", ARGC/' script/Dockerfile
	builds "a change in a script" script
	is "$(f /awk)" "awk-changed 1" "$user: is seen by the cache"
	{
		printf 'FROM alpine:3.20\nRUN <<EOF\n#!/bin/sh\n'
		seq -f '# a line of a long script, number %.0f' 30000
		printf 'echo end > /end\nEOF\n'
	} | context long
	builds "a script of a megabyte" long
	is "$(f /end)" end "$user: runs to its end"
	context failing <<<$'FROM alpine:3.20\nRUN <<EOF\n#!/no/such/program\nEOF'
	fails 4 "$user: an interpreter that is not there" "$user" build --progress plain failing
	context slash <<<$'FROM alpine:3.20\nRUN <<../x\n#!/bin/sh\n../x'
	fails 3 "$user: a delimiter that is no file name" "$user" build --progress plain slash
	like "$err" 'heredoc name "../x" cannot be used as a file name' "$user: is refused"
	context open <<<$'FROM alpine:3.20\nRUN <<EOF\n\tEOF'
	fails 3 "$user: a document that does not end" "$user" build --progress plain open
	like "$err" 'unterminated heredoc' "$user: is refused (facts 46, 60)"
done
done_testing
