#!/bin/bash
# What COPY keeps and leaves out (dockerfile.md 3.3), by number of fact: bits and times, --parents, --exclude on every
# kind of context, odd sources and destinations. Where each file lands is in tests/unit/test_build_copy.c as well.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/web.sh
. "$tests_dir/web.sh"
# shellcheck source=tests/build.sh
. "$tests_dir/build.sh"

mkdir -p ctx/foo1/foo2 ctx/dir1/deep ctx/dir2 ctx/etc
echo bar >ctx/foo1/foo2/bar
echo baz >ctx/foo1/foo2/baz
echo no >ctx/foo1/foo2/qux
echo suid >ctx/suid
echo "blank" >"ctx/a b"
echo "of the context" >ctx/etc/passwd
for f in a.png b.txt dir1/c.png dir1/c.txt dir1/deep/d.png dir2/e.mp3 dir2/f.png; do echo $f >"ctx/$f"; done
chmod 6755 ctx/suid
touch -d @1234567890.987654321 ctx/a.png
touch -d @1234567891.5 ctx/dir2

# --- bits, times, names ----------------------------------------------------------------------------------
builds "a context with bits, times and blanks" <<'END'
FROM scratch
USER 1000:1001
COPY suid /kept
COPY --chmod=0755 suid /cleared
COPY --chmod=4711 a.png /set
COPY a.png /t
COPY dir2 /dir2
COPY ["a b", "/c/"]
COPY --chown= b.txt /nobody
COPY ../../etc/passwd /clamped
COPY --parents foo1/foo2/bar /p1/
COPY --parents foo1/foo2/ba* /p2/
COPY / /all
END
like "$(line_of /kept)" 'file 6755 0:0' "fact 151: a set-uid file keeps its bits"
like "$(line_of /cleared)" 'file 0755 0:0' "fact 151: an octal --chmod without them clears them"
like "$(line_of /set)" 'file 4711 0:0' "fact 151: and one with them sets them"
like "$(line_of /t)" '@1234567890$' "fact 152: the time of a file is kept, in whole seconds"
like "$(line_of /dir2)" '@1234567891$' "fact 152: and of a folder"
like "$(line_of '/c/a b')" 'file 0644' "fact 280: a name with a blank in a JSON array"
is "$(history | sed -n 7p)" 'COPY a b /c/ # buildkit' "fact 280: the history joins the words with blanks"
like "$(line_of /t)" ' 0:0 ' "fact 269: USER of the image does not own what COPY brings"
like "$(line_of /nobody)" ' 0:0 ' "fact 281: an empty --chown is none"
is "$(cat_in "$layout" /clamped)" "of the context" "fact 282: .. stops at the top of the context"
is "$(lines | grep -c '^/p1/') $(cat_in "$layout" /p1/foo1/foo2/bar)" "3 bar" "fact 156: --parents keeps the folders"
is "$(lines | awk '$1 ~ "^/p2/" && $2 == "file" { print $1 }' | tr '\n' ' ')" "/p2/foo1/foo2/bar /p2/foo1/foo2/baz " \
	"fact 156: of all that a pattern matches"
is "$(cd ctx && find . -mindepth 1 | sed 's,^\.,/all,' | sort)" "$(lines | awk '$1 ~ "^/all/"' | sed -E 's/ (file|dir) .*//' | sort)" \
	"fact 283: / is the whole context"

# --- links -------------------------------------------------------------------------------------------------
mkdir -p ctx/linked/usr/lib && ln -s usr/lib ctx/linked/lib
builds "a destination through a link" <<'END'
FROM scratch
COPY linked /
COPY b.txt /lib/sub/
END
like "$(line_of /usr/lib/sub/b.txt)" file "fact 285: a destination below a link lands in the folder that it leads to"
like "$(line_of /lib)" 'link .*-> usr/lib' "fact 285: and the link stays"
ln -s /etc/passwd ctx/absolute
ln -s ../../../../etc/hostname ctx/out
builds "a link whose target the context has" <<<$'FROM scratch\nCOPY absolute /x'
is "$(cat_in "$layout" /x)" "of the context" "fact 284: is resolved inside the context"
refuses 6 '"/out": not found' "fact 284: one to what the context does not have is not found" <<<$'FROM scratch\nCOPY out /x'
rm ctx/absolute ctx/out

# --- --exclude on a local context, an archive and a repository ------------------------------------------------
printf '%s\n' 'FROM scratch' 'COPY --exclude=*/*.png . /1' 'ADD --exclude=*.mp3 dir2/ /3/' 'COPY --exclude=*.png dir* /5' \
	'COPY --exclude=* dir* /6' 'COPY --exclude=*.png --exclude=!c.png dir1 /7' >ctx/Dockerfile
again
lines | grep -vE '^/1/(Dockerfile|linked)' | sed -E 's/ @[0-9]+$//' >local.tree
# left FOLDER: the png and mp3 files below it
left() { awk '$2 == "file" { print $1 }' local.tree | grep -E "^/$1/.*\.(png|mp3)$" | tr '\n' ' '; }
is "$(left 1)" "/1/a.png /1/dir1/deep/d.png /1/dir2/e.mp3 " "fact 163: */*.png leaves out what is two deep, and no more"
is "$(left 3)" "/3/f.png " "fact 164: ADD: the pattern is relative to the source"
is "$(left 5)" "/5/deep/d.png /5/e.mp3 " "fact 165: relative to each folder that a pattern of sources matches"
is "$(grep '^/6' local.tree)" "/6 dir 0755 0:0" "fact 166: excluding everything leaves the folder"
is "$(left 7)" "/7/c.png /7/deep/d.png " "fact 163: the last pattern that matches wins"
tar -C ctx --exclude=./linked -cf ctx.tar .
layout=$(dest "$U" layout)
as_user "$U" "$WHITTLE" build --progress plain -o "type=oci,tar=false,dest=$layout" - <ctx.tar >/dev/null 2>"$scratch/err"
image_tree "$layout" | grep -vE '^/1/Dockerfile' >other.tree
same_files local.tree other.tree "fact 167: the same from an archive"
start_web
new_repository r
tar -C r -xf ctx.tar
commit r >/dev/null && publish r
layout=$(dest "$U" layout)
runs "a repository as the context" "$U" build --progress plain -o "type=oci,tar=false,dest=$layout" "$url/git/r.git"
image_tree "$layout" | grep -vE '^/1/Dockerfile' >other.tree
# git keeps one bit of a mode
sed -i -E 's/^(.*suid file) 6755/\1 0755/' local.tree
same_files local.tree other.tree "fact 167: the same from a repository"

# --- what is ignored is never opened ---------------------------------------------------------------------------
mkdir -p ctx/locked
echo x >ctx/locked/f
chmod 000 ctx/locked
mkfifo ctx/pipe
printf 'locked\npipe\n' >ctx/.dockerignore
builds "fact 286: a folder that nobody may enter and a pipe, both ignored, are not opened" <<<$'FROM scratch\nCOPY . /x'
unlike "$(lines)" '/x/(locked|pipe)' "fact 286: nor copied"
chmod 755 ctx/locked
done_testing
