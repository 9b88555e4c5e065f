#!/bin/bash
# Where COPY puts what, and with which owner and mode (dockerfile.md 3.3.1 to 3.3.6), by number of fact: 111 to 150. What
# follows is in facts_copy_more.sh, each rule alone in tests/unit/test_build_copy.c.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/build.sh
. "$tests_dir/build.sh"

# below FOLDER: the paths under a folder of the image
below() { lines | awk -v d="$1/" 'index($1, d) == 1 { print substr($1, length(d) + 1) }' | tr '\n' ' '; }
# kinds FOLDER: the same with type, mode and owner, a line each
kinds() { lines | awk -v d="$1/" 'index($1, d) == 1 { print substr($1, length(d) + 1), $2, $3, $4 }'; }
# is_file PATH CONTENT DESCRIPTION
is_file() { is "$(cat_in "$layout" "$1" 2>&1)" "$2" "$3"; }

# --- placement -------------------------------------------------------------------------------------------

mkdir -p ctx/sub/dir1/dir2 ctx/other/dir1
for f in foo testfile bar.go foo2.go sub/dir1/x sub/dir1/dir2/foo other/dir1/x 'žluťoučký' 'a%C3b' 'c+d e'; do echo "$f" >"ctx/$f"; done
builds "files and folders" <<'END'
FROM scratch
COPY foo /foo2
COPY foo /
COPY testfile /sample/
WORKDIR /w113
COPY foo ./bar/baz
WORKDIR /test5/test6
COPY foo ../
WORKDIR /
COPY sub/dir1 /a116
COPY sub/dir1/ /b116
COPY sub/dir1/. /c116
COPY *.go /g/
COPY f*.go /g117/renamed
COPY sub/* /d118/
COPY sub/*/dir2/foo /d119/
COPY sub/*/dir2/foo /e119/bar
COPY foo nomatch* /d120/
COPY nomatch* /d121/
COPY žluťoučký a%C3b /d123/
COPY ["c+d e", "/d123/ +%20"]
COPY sub/dir1 /d124/
COPY sub/dir1 /d124/
COPY other/dir1 /d124/
COPY foo /e124
COPY testfile /e124
COPY foo /d118
END
is_file /foo2 foo "fact 111: a file to a name"
is_file /foo foo "fact 111: a file into a folder"
is "$(below /sample)" "testfile " "fact 112: a folder that ends in a slash is made"
is "$(below /w113)" "bar bar/baz " "fact 113: the folders on the way to a name are made"
is "$(below /test5)" "foo test6 " "fact 114: a destination above the working directory"
is "$(below /a116)" "dir2 dir2/foo x " "fact 116: a folder is its contents"
is "$(kinds /b116)" "$(kinds /a116)" "fact 116: with a slash too"
is "$(kinds /c116)" "$(kinds /a116)" "fact 116: and with a slash and a dot"
is "$(below /g)" "bar.go foo2.go " "fact 117: all that a pattern matches"
is_file /g117/renamed foo2.go "fact 117: a single match to a name"
is "$(below /d118)" "dir2 dir2/foo foo x " "fact 118: the contents of a folder that a pattern matches"
is "$(below /d119)" "foo " "fact 119: a pattern in the middle drops the folders"
is_file /e119/bar sub/dir1/dir2/foo "fact 119: and may rename"
is "$(below /d120)" "foo " "fact 120: a pattern without a match beside a file"
is "$(lines | grep -c '^/d121')" 0 "fact 121: a pattern without a match makes nothing, nor the folder"
is_file "/d123/a%C3b" a%C3b "fact 123: a percent sign is one"
is_file "/d123/žluťoučký" 'žluťoučký' "fact 123: UTF-8"
is_file "/d123/ +%20" 'c+d e' "fact 123: a plus sign and a blank"
is "$(below /d124) $(cat_in "$layout" /d124/x)" "dir2 dir2/foo x  other/dir1/x" "fact 124: a folder again, then another one over it"
is_file /e124 testfile "fact 124: a file over a file"
is_file /d118/foo foo "fact 127: a file onto a folder that exists, without a slash"
builds "the whole context" <<<$'FROM scratch\nWORKDIR /w\nCOPY . all/'
is "$(below /w/all)" "$(cd ctx && find . -mindepth 1 | sed 's,^\./,,' | sort | awk '{ print $1 }' | tr '\n' ' ')" \
	"fact 115: is below the folder"

mkdir ctx/turns && echo in >ctx/turns/f
builds "a folder of the context" <<<$'FROM scratch\nCOPY turns /turns'
is "$(below /turns)" "f " "fact 125: is copied"
rm -r ctx/turns && echo "a file now" >ctx/turns
builds "that became a file" <<<$'FROM scratch\nCOPY turns /turns'
is_file /turns "a file now" "fact 125: is one"
rm ctx/turns && mkdir ctx/turns && echo out >ctx/turns/g
builds "and a folder again" <<<$'FROM scratch\nCOPY turns /turns'
is "$(below /turns)" "g " "fact 125: is one"

builds "a stage with a working directory" <<'END'
FROM scratch AS base
WORKDIR /under
COPY testfile file
COPY foo /file
FROM scratch
WORKDIR /d126
COPY --from=base file .
END
is_file /d126/file foo "fact 126: sources are looked for from / of the stage"

# --- what does not fit ------------------------------------------------------------------------------------

mkdir -p ctx/usrlib/usr/lib ctx/lib/lib ctx/clash/x && ln -s usr/lib ctx/usrlib/lib && echo f >ctx/lib/lib/f
refuses 6 '"/notexist": not found' "fact 122: a source that is not there" <<<$'FROM scratch\nCOPY notexist /'
like "$err" $'\n''Dockerfile:2'$'\n' "fact 122: at its line"
refuses 1 "not a directory" "fact 128: a file where a folder must be" <<<$'FROM scratch\nCOPY foo /f\nCOPY foo /f/'
refuses 1 "cannot copy to non-directory: /f" "fact 129: a folder onto a file" <<<$'FROM scratch\nCOPY foo /f\nCOPY sub /f'
refuses 1 "cannot replace to directory /d/x with file" "fact 130: a file over a folder below" \
	<<<$'FROM scratch\nCOPY clash /d\nCOPY sub/dir1 /d'
refuses 1 "cannot copy to non-directory: /lib" "fact 131: a folder over a link" <<<$'FROM scratch\nCOPY usrlib /\nCOPY lib/ /'

# --- owners -------------------------------------------------------------------------------------------------

mkdir -p ctx/owned/deep ctx/empty ctx/etc
echo 1 >ctx/owned/f && echo 2 >ctx/owned/deep/g
chmod 0750 ctx/owned/deep && chmod 0640 ctx/owned/f
printf 'root:x:0:0::/:/bin/sh\ndaemon:x:2:33::/:/bin/sh\n' >ctx/etc/passwd
printf 'root:x:0:\nnobody:x:99:\n' >ctx/etc/group
[ -z "$as_root" ] || chown -R 1234:5678 ctx/owned
give "$U" ctx/owned/deep ctx/owned/f
builds "owners" <<'END'
FROM scratch AS src
COPY --chown=100:200 --chmod=0711 empty /dir/
COPY --chown=101:201 owned /dir
FROM scratch
COPY etc /etc
COPY owned /d132
COPY --from=src / /d133/
COPY --from=src /dir /d134
COPY --chown=300:301 --chmod=0711 empty /d135
COPY --from=src /dir/. /d135
COPY --chown=5:6 empty /d136/
COPY --chown=300:400 owned /d136/new/deeper
COPY --chown=daemon foo /d137/daemon
COPY --chown=1000:nobody foo /d137/mixed
COPY --chown=7 foo /d137/seven
COPY --chown=daemon . /d139
END
is "$(kinds /d132)" $'deep dir 0750 0:0\ndeep/g file 0644 0:0\nf file 0640 0:0' "fact 132: files of the context are root's"
is "$(kinds /d133)" $'dir dir 0711 100:200\ndir/deep dir 0750 101:201\ndir/deep/g file 0644 101:201\ndir/f file 0640 101:201' \
	"fact 133: those of a stage keep their owners"
like "$(line_of /d134)" 'dir 0755 0:0' "fact 134: a folder made for the contents of another is root's"
like "$(line_of /d134/deep)" 'dir 0750 101:201' "fact 134: what is in it is not"
like "$(line_of /d135)" 'dir 0711 300:301' "fact 135: one that exists keeps owner and mode"
like "$(line_of /d135/f)" 'file 0640 101:201' "fact 135: what comes into it has those of the source"
is "$(kinds /d136)" $'new dir 0755 300:400\nnew/deeper dir 0755 300:400\nnew/deeper/deep dir 0750 300:400
new/deeper/deep/g file 0644 300:400\nnew/deeper/f file 0640 300:400' "fact 136: --chown holds for all that is made"
like "$(line_of /d136)" 'dir 0755 5:6' "fact 136: and not for what was there"
is "$(kinds /d137)" $'daemon file 0644 2:33\nmixed file 0644 1000:99\nseven file 0644 7:7' "fact 137: names and numbers in --chown"
like "$(line_of /d139)" 'dir 0755 2:33' "fact 139: the destination too"
is "$(lines | grep '^/d139/' | grep -vE ' (file|dir|link) [0-7]+ 2:33( |$)')" "" "fact 139: and everything below it"
refuses 1 'nosuchuser' "fact 138: an unknown name in --chown" <<<$'FROM scratch\nCOPY etc /etc\nCOPY --chown=nosuchuser foo /'

# --- modes ----------------------------------------------------------------------------------------------------

mkdir -p ctx/modes/d750 ctx/modes/d700
for m in 0600 0755 0444 0711; do echo $m >"ctx/modes/f$m"; done
echo x >ctx/modes/d750/exe && echo y >ctx/modes/d700/plain
chmod 0750 ctx/modes/d750 ctx/modes/d750/exe
chmod 0600 ctx/modes/f0600
chmod 0755 ctx/modes/f0755
chmod 0444 ctx/modes/f0444
chmod 0711 ctx/modes/f0711
chmod 0700 ctx/modes/d700
give "$U" ctx/modes ctx/modes/*
give "$U" ctx/modes/*/*
symbolic=(go-w 'u=rw,g=r,o=r' a+X 'u+rw,g+r,o-x,o+w' 'u+s,g-r' +x o=u)
{
	echo 'FROM scratch'
	for m in 0644 777 0 0413 400; do echo "COPY --chmod=$m foo /d140/$m"; done
	echo 'COPY --chmod=0777 foo /d140/parent/f'
	for m in "${symbolic[@]}"; do echo "COPY --chmod=$m modes /d142/$m/"; done
	# shellcheck disable=SC2016
	printf 'COPY --chmod=777 --chown=1:2 <<E /d41\n"quotes" $x \\$x \\\\ \\\nE\n'
} | builds "modes"
is "$(kinds /d140 | awk '{ print $1, $3 }')" $'0 0000\n0413 0413\n0644 0644\n400 0400\n777 0777\nparent 0777\nparent/f 0777' \
	"fact 140: octal modes, of the folders made for them too"
for m in "${symbolic[@]}"; do
	rm -rf expected && cp -a ctx/modes expected
	(umask 0 && find expected -mindepth 1 -depth -exec chmod -- "$m" {} +) # what it changes it has left before
	is "$(kinds "/d142/$m" | awk '{ print $1, $3 }')" "$(cd expected && find . -mindepth 1 -printf '%P %04m\n' | sort)" \
		"fact 142: $m does what chmod(1) does"
done
like "$(line_of /d41)" 'file 0777 1:2' "fact 41: --chmod and --chown of a heredoc"
# shellcheck disable=SC2016
is_file /d41 '"quotes"  $x \ ' "fact 42: quotes stay, a backslash protects"
for m in 64a 10000 0o7; do
	refuses 1 "invalid chmod parameter: '$m'. it should be octal string and between 0 and 07777" "fact 141: --chmod=$m" \
		<<<"FROM scratch"$'\n'"COPY --chmod=$m foo /"
done

# --- links, sockets, heredocs ---------------------------------------------------------------------------------

mkdir -p ctx/l/sub ctx/l/dir ctx/l/many ctx/tree/real/deep ctx/target ctx/hard/d
echo bar >ctx/l/bar && ln -s bar ctx/l/foo
echo "in sub" >ctx/l/sub/foo && ln -s sub ctx/l/link
ln -s ../bar ctx/l/dir/sub
echo baz >ctx/l/many/baz && ln -s baz ctx/l/many/second && ln -s second ctx/l/many/l1 && echo l0 >ctx/l/many/l0
echo real >ctx/tree/real/deep/f && ln -s /real/deep ctx/tree/abs && ln -s real/deep ctx/tree/rel && ln -s ../../../../real ctx/tree/up
ln -s ../tmp/symlink-target ctx/target/symlink
echo hard >ctx/hard/a && ln ctx/hard/a ctx/hard/d/b && echo hard >ctx/hard/c
/usr/bin/python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("ctx/socket")'
builds "links and sockets" <<'END'
FROM scratch AS stage
COPY tree /
FROM scratch
COPY <<E /d38
body
E
COPY <<A <<B /d39/
a
A
b
B
COPY socket /d143
COPY l/foo /d144/
COPY l/link/foo /d145/
COPY l/dir /d146/
COPY l/dir/sub /d146/bar2
COPY l/many/l* /d147/
COPY --from=stage /abs/f /d148/abs
COPY --from=stage /rel/f /d148/rel
COPY --from=stage /up/deep/ /d148/up
COPY target /d149/
COPY foo /d149/symlink/
COPY hard /d150
END
like "$(line_of /d38)" 'file 0644 0:0' "fact 38: a heredoc is a file of root's, mode 0644"
is "$(cat_in "$layout" /d38 | od -An -c | tr -d ' ')" 'body\n' "fact 38: with the newline at its end"
is "$(below /d39)$(cat_in "$layout" /d39/A)$(cat_in "$layout" /d39/B)" "A B ab" "fact 39: two heredocs into a folder"
like "$(line_of /d143)" "file 0[0-7]* 0:0 $(sha256sum </dev/null | cut -d' ' -f1)" "fact 143: a socket is an empty file"
is "$(kinds /d144)$(cat_in "$layout" /d144/foo)" "foo file 0644 0:0bar" "fact 144: a link as the source is what it leads to"
is_file /d145/foo "in sub" "fact 145: and so is one on the way"
like "$(line_of /d146/sub)" 'link .* -> \.\./bar' "fact 146: one inside of a folder stays"
is_file /d146/bar2 bar "fact 146: and is followed when it is the source itself"
is "$(kinds /d147)" $'l0 file 0644 0:0\nl1 file 0644 0:0' "fact 147: what a pattern matches is followed"
is "$(cat_in "$layout" /d147/l0) $(cat_in "$layout" /d147/l1)" "l0 baz" "fact 147: to the end"
is "$(cat_in "$layout" /d148/abs) $(cat_in "$layout" /d148/rel) $(cat_in "$layout" /d148/up/f)" "real real real" \
	"fact 148: links of a stage, kept inside of it"
is "$(cat_in "$layout" /tmp/symlink-target/foo)" foo "fact 149: a destination through a link that led nowhere"
like "$(line_of /d150/d/b)" '= /d150/a' "fact 150: hard links of one source stay linked"
unlike "$(line_of /d150/c)" '=' "fact 150: and equal files are not linked"
done_testing
