#!/bin/bash
# ADD of URLs, of git repositories and of archives (dockerfile.md 3.3.10 to 3.3.12).
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/web.sh
. "$tests_dir/web.sh"

start_web
user=$U

# b NAME [FLAG...]: build context NAME; sets layout, and tree to a file with its paths
b() {
	layout=$(dest "$user" "$1")
	w "$user" build --progress plain -o "type=oci,dest=$layout,tar=false" "${@:2}" "$1" || return
	tree=$scratch/work/tree
	image_tree "$layout" --mtime >"$tree"
}

# builds DESCRIPTION NAME [FLAG...]
builds() {
	if b "${@:2}"; then
		pass "$1"
	else
		fail "$1" "exit status $status"$'\n'"$(tail -n 30 <<<"$err")"
		return 1
	fi
}

# add INSTRUCTION...: the context t with these lines below FROM scratch
add() { printf '%s\n' "FROM scratch" "$@" >t/Dockerfile; }

# refuses STATUS MESSAGE DESCRIPTION INSTRUCTION...: the build of these fails so
refuses() {
	add "${@:4}"
	if fails "$1" "$3" "$user" build --progress plain t; then
		like "$err" "$2" "$3: the message"
	fi
}
line_of() { grep -E "^$1 " "$tree"; }

mkdir -p t
digest_of() { sha256sum "$1" | cut -d' ' -f1; }

# --- URLs -------------------------------------------------------------------------------------------
echo hello >"$web/f"
echo blank >"$web/a b"
echo index >"$web/index"
touch -d 2020-01-02T03:04:05Z "$web/f"
for user in "${users[@]}"; do
	add "ADD $url/f $url/a%20b?x=1 /d/" "ADD $url/moved/f /e" "ADD $url/ /dest/" \
		"ADD --chown=100:200 --chmod=0751 $url/f /new/parent/g" "ARG M=u+x,g=r" "ADD --chmod=\$M $url/f /h" \
		"ADD $url/plain/f /i"
	builds "$user: ADD of URLs" t || continue
	is "$(line_of /d/f)" "/d/f file 0600 0:0 $(digest_of "$web/f") @1577934245" \
		"$user: mode 0600, owner root, the time of Last-Modified (facts 171, 177)"
	like "$(line_of '/d/a b')" 'file 0600' "$user: the name is decoded, without the query (facts 293, 294)"
	like "$(line_of /e)" "$(digest_of "$web/f")" "$user: a redirect is followed"
	like "$(line_of /dest/__unnamed__)" 'file 0600' "$user: a URL without a name (fact 170)"
	like "$(line_of /new/parent/g)" 'file 0751 100:200' "$user: --chown and --chmod (fact 177)"
	like "$(line_of /new/parent)" 'dir 0751 100:200' "$user: of the folders that are made too"
	like "$(line_of /h)" 'file 0740' "$user: a symbolic mode from a variable, on top of 0600"
	like "$(line_of /i)" '@0$' "$user: no Last-Modified is 1970"

	forget_requests
	builds "$user: the same again" t
	is "$(requests_for ' 200$')" 1 "$user: only what has no validator is sent again"
	is "$(requests_for ' 304$')" 4 "$user: everything else is asked about"
	is "$(grep -c CACHED <<<"$err")" 6 "$user: and all of it is cached (fact 171)"
done
user=$U

echo changed >"$web/f"
builds "a file that changed" t
like "$(line_of /d/f)" "$(digest_of "$web/f")" "is fetched again"

# with the blobs gone, an unchanged URL is still a hit that fetches nothing
w "$U" prune
forget_requests
add "ADD $url/f /again"
b t
w "$U" prune
forget_requests
builds "after a prune an unchanged URL" t
is "$(requests_for ' 200$')" 0 "is not sent again"
like "$err" 'again
#[0-9]+ CACHED' "and is cached"
add "ADD $url/f /other"
builds "another step with it" t
is "$(requests_for ' 200$')" 1 "fetches it"

builds "offline, what is remembered is believed" t --offline
echo never >"$web/never"
refuses_offline() {
	add "ADD $url/never /x"
	fails 7 "offline, what was never fetched is an error" "$U" build --offline t
}
refuses_offline

# --- resumed transfers, broken ones -------------------------------------------------------------------
head -c 3000000 /dev/urandom >"$web/big"
forget_requests
add "ADD $url/cut/big /big"
builds "a transfer that breaks off" t
like "$(line_of /big)" "$(digest_of "$web/big")" "arrives whole"
is "$(requests_for '^GET /cut/big 206 bytes=[0-9]+-$')" 1 "and is resumed where it stopped"
forget_requests
add "ADD $url/cutplain/big /big2"
builds "one without validators" t
like "$(line_of /big2)" "$(digest_of "$web/big")" "arrives whole too"
is "$(requests_for '^GET /cutplain/big 200')" 2 "from the start"
cp "$web/big" "$web/weak1"
forget_requests
add "ADD $url/weak/weak1 /w"
b t && b t
is "$(requests_for ' 304$')" 1 "a weak ETag is good for asking"

# --- errors and hostile servers -----------------------------------------------------------------------
refuses 6 'f404.*404' "a file that is not there" "ADD $url/f404 /x"
refuses 8 '403' "one that is denied" "ADD $url/status/403 /x"
refuses 1 '418' "an odd status" "ADD $url/status/418 /x"
refuses 7 'redirects more than 10 times' "a loop of redirects" "ADD $url/loop /x"
refuses 8 "file" "a redirect to file://" "ADD $url/to?file%3A///etc/passwd /x"
refuses 8 "ftp" "a redirect to ftp://" "ADD $url/to?ftp%3A//127.0.0.1/x /x"
refuses 1 'larger than 68719476736 bytes' "a file that claims to be too large" "ADD $url/huge /x"
refuses 7 "connect|refused" "a server that is not there" "ADD http://127.0.0.1:1/f /x"
refuses 1 'no name that a file can have' "a name with a slash" "ADD $url/a%2Fb /d/"
refuses 1 'no name that a file can have' "the name .." "ADD $url/%2e%2e /d/"
is "$(ls "$scratch/$U/store/tmp")" "" "nothing of it is left in the store"

# an endless body ends with the build
add "ADD $url/endless /x"
as_user "$U" timeout -s INT 3 "$WHITTLE" build --progress plain t >"$scratch/out" 2>"$scratch/err"
like "$(cat "$scratch/err")" "whittle: interrupted" "an endless body can be interrupted"
ok "and leaves no process" wait_for 10 no_whittles
w "$U" images
is "$(ls "$scratch/$U/store/tmp")" "" "nor a file"

# --- --checksum ---------------------------------------------------------------------------------------
echo sum >"$web/s"
sum=$(digest_of "$web/s")
add "ADD --checksum=sha256:$sum $url/s /s"
builds "--checksum that is right (fact 176)" t
forget_requests
builds "again" t
is "$(requests_for .)" 0 "asks nobody: the checksum says it all"
add "ARG D=sha256:$sum" "ARG L=$url/s" "ADD --checksum=\${D} \${L} /s"
builds "--checksum and URL from variables (fact 77)" t
for bits in 384 512; do
	add "ADD --checksum=sha$bits:$("sha${bits}sum" "$web/s" | cut -d' ' -f1) $url/s /s$bits"
	builds "--checksum=sha$bits" t
	refuses 3 'digest mismatch' "--checksum=sha$bits that is wrong" \
		"ADD --checksum=sha$bits:$("sha${bits}sum" "$web/f" | cut -d' ' -f1) $url/s /s$bits"
done
refuses 3 "digest mismatch sha256:$sum: sha256:0000" "a mismatch" "ADD --checksum=sha256:$(printf '0%.0s' {1..64}) $url/s /s"
refuses 3 'unsupported digest algorithm' "md5" "ADD --checksum=md5:$(md5sum "$web/s" | cut -d' ' -f1) $url/s /s"
refuses 3 'unsupported digest algorithm' "an unknown algorithm" "ADD --checksum=foo:aa $url/s /s"
refuses 3 'invalid checksum digest format' "no algorithm" "ADD --checksum=$sum $url/s /s"
refuses 3 'invalid checksum digest format' "too few digits" "ADD --checksum=sha256:abcd $url/s /s"
echo local >t/local
refuses 3 'requires HTTP\(S\) or Git sources' "of a local file" "ADD --checksum=sha256:$sum local /s"
refuses 3 "can't be specified for multiple sources" "of two sources" "ADD --checksum=sha256:$sum $url/s $url/f /s/"
refuses 3 "can't be a URL for COPY" "COPY of a URL (fact 185)" "COPY $url/s /s"
refuses 3 "can't be a git ref for COPY" "COPY of a repository (fact 185)" "COPY $url/x.git /s"

# --- archives -----------------------------------------------------------------------------------------
rm -rf src && mkdir -p src/in/deep
echo one >src/in/one
echo two >src/in/deep/two
ln -s one src/in/link
ln src/in/one src/in/hard
chmod 4755 src/in/deep/two
tar -C src --owner=7 --group=8 --mtime=2021-01-01Z -cf t/t.tar in
gzip -k t/t.tar
bzip2 -k t/t.tar
xz -k t/t.tar
zstd -q -k t/t.tar
lz4 -q t/t.tar t/t.tar.lz4
lzip -k t/t.tar
xz --format=lzma -k t/t.tar
for kind in "" .gz .bz2 .xz .zst; do
	for user in "${users[@]}"; do
		add "ADD t.tar$kind /to" "ADD --unpack=false t.tar$kind /kept/" "COPY t.tar$kind /copied/" \
			"ADD --chown=100:200 t.tar$kind /out/"
		builds "$user: ADD of t.tar$kind" t || continue
		is "$(line_of /to/in/one | cut -d' ' -f2-4)" "file 0644 7:8" "$user: t.tar$kind is unpacked (fact 168)"
		like "$(line_of /to/in/deep/two)" 'file 4755 7:8' "$user: with its modes"
		like "$(line_of /to/in/hard)" '= /to/in|/to/in/hard' "$user: and hard links"
		like "$(line_of "/kept/t.tar$kind")" "$(digest_of "t/t.tar$kind")" "$user: --unpack=false keeps it (fact 168)"
		like "$(line_of "/copied/t.tar$kind")" "$(digest_of "t/t.tar$kind")" "$user: so does COPY"
		like "$(line_of /out/in/one)" 'file 0[0-9]* 100:200' "$user: --chown goes to the entries (fact 172)"
		like "$(line_of /out)" 'dir 0755 100:200' "$user: and to the folder"
	done
done
user=$U
for kind in lz4 lz lzma; do
	add "ADD t.tar.$kind /plain/" "ADD --unpack=true t.tar.$kind /told"
	builds "ADD of t.tar.$kind" t || continue
	like "$(line_of "/plain/t.tar.$kind")" "$(digest_of "t/t.tar.$kind")" "is a file, as other builders have it"
	like "$(line_of /told/in/deep/two)" 'file 4755 7:8' "--unpack=true unpacks it"
done
cp t/t.tar.xz t/t.tar.gz "$web/"
add "ADD $url/t.tar.gz /newname.tar.gz" "ADD $url/t.tar.gz /d/" "ADD --unpack=true $url/t.tar.gz /u" \
	"ADD --unpack=true --chown=3:4 $url/t.tar.xz /v"
builds "ADD of the URL of an archive" t
like "$(line_of /newname.tar.gz)" "$(digest_of t/t.tar.gz)" "is no unpacking, and may rename (fact 169)"
like "$(line_of /d/t.tar.gz)" "file 0600" "nor in a folder"
like "$(line_of /u/in/deep/two)" 'file 4755 7:8' "--unpack=true unpacks (fact 169)"
like "$(line_of /v/in/one)" ' 3:4 ' "with --chown"

: >t/empty.tar
head -c 100000 /dev/zero | gzip >t/zero.gz
head -c 3000 /dev/urandom >t/torn.raw && { printf 'BZh91AY&SY'; cat t/torn.raw; } >t/torn.bz2
add "ADD empty.tar zero.gz torn.bz2 /d/"
builds "ADD of what is no archive" t
like "$(line_of /d/empty.tar)" file "an empty file is copied (fact 289)"
like "$(line_of /d/zero.gz)" "$(digest_of t/zero.gz)" "a gzip of something else is copied as it is (fact 290)"
like "$(line_of /d/torn.bz2)" "$(digest_of t/torn.bz2)" "so is a broken stream"
tar -C src -cf t/a.tar in/one && tar -C src -cf t/b.tar in/deep
add "ADD *.tar /dest" && rm t/t.tar t/empty.tar
builds "ADD of a pattern" t
is "$(grep -cE '^/dest/in/(one|deep/two) ' "$tree")" 2 "unpacks all that it matches (fact 173)"

# parents that the archive leaves out; a folder replaced by a file; a link met on the way
tar -C src --owner=7 --group=8 -cf t/p.tar in/deep/two
add "ADD --chown=1:1 p.tar /d/"
builds "an archive without its folders" t
like "$(line_of /d/in/deep)" 'dir 0755 0:0' "they are made, for root in spite of --chown (facts 174, 292)"
mkdir -p one/x/y two && echo f >one/x/y/z && echo x >two/x
tar -C one -cf t/one.tar x && tar -C two -cf t/two.tar x
add "ADD one.tar /d/" "ADD two.tar /d/"
builds "an archive with a file over a folder" t
like "$(line_of /d/x)" file "replaces it with all below it (fact 291)"
rm -rf three four && mkdir -p three/var four/var/run && ln -s /run three/var/run && echo x >four/var/run/x
tar -C three -cf t/three.tar var && tar -C four -cf t/four.tar var/run/x
add "ADD three.tar /" "ADD four.tar /"
builds "an archive through a link that an earlier one brought" t
like "$(line_of /run/x)" file "lands where the link leads (fact 175)"

# --- hostile archives -----------------------------------------------------------------------------------
/usr/bin/python3 - t <<'END'
import io, sys, tarfile
def tar(name, *members):
    with tarfile.open(sys.argv[1] + "/" + name, "w") as t:
        for path, kind, data in members:
            m = tarfile.TarInfo(path)
            if kind == "link":
                m.type, m.linkname = tarfile.SYMTYPE, data
            elif kind == "hard":
                m.type, m.linkname = tarfile.LNKTYPE, data
            else:
                m.size = len(data)
            t.addfile(m, io.BytesIO(data.encode()) if kind == "file" else None)
tar("up.tar", ("../../up", "file", "x"))
tar("through.tar", ("l", "link", "/etc"), ("l/passwd", "file", "x"))
tar("relative.tar", ("l", "link", "../../../../../../../etc"), ("l/passwd", "file", "x"))
tar("hard.tar", ("h", "hard", "/etc/shadow"))
END
add "ADD up.tar /d/sub/"
if b t; then
	is "$(grep -c '^/up\|^/d/up' "$tree")" 0 "a name with .. stays in the destination"
else
	pass "a name with .. is refused"
fi
add "ADD through.tar relative.tar /d/"
if b t; then
	is "$(grep -cE '^/etc' "$tree")" 0 "an archive that writes through its own link stays in the destination"
else
	pass "an archive that writes through its own link is refused"
fi
refuses 1 'hard link' "a hard link to what it does not hold" "ADD hard.tar /d/"

# --- repositories -----------------------------------------------------------------------------------------
new_repository r
mkdir -p r/sub/dir
echo a >r/a
chmod 755 r/a
echo b >r/sub/b
echo c >r/sub/dir/c
ln -s a r/link
ln -s /etc r/out
ln -s ../../../../../../../.. r/up
first=$(commit r)
g r tag v0.0.1
g r tag -a -m annotated v0.0.2
annotated=$(g r rev-parse v0.0.2)
echo a2 >r/a
second=$(commit r)
g r branch other "$first"
publish r
for user in "${users[@]}"; do
	add "ADD $url/git/r.git#v0.0.1 /x" "ADD $url/git/r.git /y" "ADD --keep-git-dir=true --chown=5:6 $url/git/r.git#v0.0.1 /k" \
		"ADD $url/r.git#v0.0.2 /dumb"
	builds "$user: ADD of repositories" t || continue
	is "$(grep -E '^/x/' "$tree")" "/x/a file 0755 0:0 $(printf 'a\n' | sha256sum | cut -d' ' -f1) @1612325106
/x/link link 0777 0:0 -> a @1612325106
/x/out link 0777 0:0 -> /etc @1612325106
/x/sub dir 0755 0:0 @1612325106
/x/sub/b file 0644 0:0 $(printf 'b\n' | sha256sum | cut -d' ' -f1) @1612325106
/x/sub/dir dir 0755 0:0 @1612325106
/x/sub/dir/c file 0644 0:0 $(printf 'c\n' | sha256sum | cut -d' ' -f1) @1612325106
/x/up link 0777 0:0 -> ../../../../../../../.. @1612325106" "$user: a tag, without .git, with the time of the commit (fact 178)"
	is "$(cat_in "$layout" /y/a)" a2 "$user: without a ref, what HEAD names"
	is "$(cat_in "$layout" /dumb/a)" a "$user: from a server of plain files"
	like "$(line_of /k/.git/HEAD)" 'file 0644 5:6' "$user: --keep-git-dir keeps it, with --chown (fact 179)"
	rootfs=$(dest "$user" rootfs)
	w "$user" build --progress plain -o "type=local,dest=$rootfs" t
	is "$(git -c safe.directory='*' -C "$rootfs/k" status --porcelain 2>&1)" "" "$user: and git finds nothing changed (fact 179)"
	builds "$user: the same again" t
	is "$(grep -c CACHED <<<"$err")" 4 "$user: is cached"
done
user=$U

# ref FORM TEXT-OF-A DESCRIPTION
ref() {
	add "ADD $url/git/r.git$1 /x"
	builds "$3" t && is "$(cat_in "$layout" /x/a)" "$2" "$3: the right tree"
}
ref "#other" a "a branch (fact 182)"
ref "#refs/tags/v0.0.1" a "a full ref"
ref "#$first" a "a commit"
ref "?ref=v0.0.1" a "?ref="
ref "?branch=other" a "?branch="
ref "?tag=v0.0.1" a "?tag="
ref "?ref=$first" a "?ref= of a commit"
ref "?commit=$second" a2 "?commit= alone"
ref "?branch=other&commit=${first:0:8}" a "?commit= with the start of a hash"
ref "?tag=v0.0.2&checksum=$annotated" a "?checksum= of the tag object"
add "ADD $url/git/r.git#main:sub /x"
builds "#ref:subdir (fact 182)" t && like "$(line_of /x/dir/c)" file "#ref:subdir: its contents"
add "ADD $url/git/r.git?subdir=sub/dir /x"
builds "?subdir=" t && like "$(line_of /x/c)" file "?subdir=: its contents"
add "ADD --checksum=$first $url/git/r.git#v0.0.1 /x"
builds "--checksum of the commit" t && like "$err" 'CACHED' "is cached from before it had one (fact 181)"
add "ADD --checksum=${first:0:10} $url/git/r.git#v0.0.1 /x"
builds "--checksum of its start" t

refuses 1 'expected checksum to match' "--checksum of another commit (fact 180)" "ADD --checksum=$second $url/git/r.git#v0.0.1 /x"
refuses 3 'expected hex commit hash' "--checksum of garbage (fact 180)" "ADD --checksum=zzz $url/git/r.git /x"
refuses 1 'expected checksum to match' "?commit= of another (fact 182)" "ADD $url/git/r.git?branch=other&commit=${second:0:8} /x"
refuses 6 'does not contain ref' "a branch that is a tag (fact 182)" "ADD $url/git/r.git?branch=v0.0.1 /x"
refuses 6 'does not contain ref' "a short hash as ref (fact 182)" "ADD $url/git/r.git#${first:0:8} /x"
refuses 3 'ref conflicts' "two refs (fact 182)" "ADD $url/git/r.git?ref=main#other /x"
refuses 3 'branch conflicts with tag' "a branch and a tag" "ADD $url/git/r.git?branch=main&tag=v0.0.1 /x"
refuses 3 'has no value' "a query without a value" "ADD $url/git/r.git?ref= /x"
refuses 3 'has multiple values' "a query given twice" "ADD $url/git/r.git?subdir=a&subdir=b /x"
refuses 3 'unexpected query' "an unknown query" "ADD $url/git/r.git?depth=3 /x"
refuses 3 'inconsistent keep-git-dir' "keep-git-dir said twice" "ADD --keep-git-dir=false $url/git/r.git?keep-git-dir=true /x"
refuses 3 'checksum mismatch' "checksums that differ" "ADD --checksum=$first $url/git/r.git?checksum=$second /x"
refuses 6 'has no folder' "a subdir that is not there" "ADD $url/git/r.git#main:nothing /x"
refuses 7 "list '$url/git/none.git'" "a repository that is not there" "ADD $url/git/none.git /x"

# --- submodules, SHA-256 ------------------------------------------------------------------------------------
new_repository m
g m submodule --quiet add "$url/git/r.git" inner
g m/inner checkout -q "$first"
commit m >/dev/null
publish m
add "ADD $url/git/m.git /with" "ADD $url/git/m.git?submodules=false /without"
builds "a repository with a submodule (fact 183)" t
like "$(line_of /with/inner/a)" file "it is checked out"
is "$(grep -c '\.git ' "$tree")" 0 "and leaves no .git"
is "$(grep -c '^/without/inner/a ' "$tree")" 0 "submodules=false leaves it out"
new_repository s --object-format=sha256
echo s256 >s/f
hash=$(commit s)
publish s
add "ADD $url/git/s.git /x" "ADD --checksum=$hash $url/git/s.git#$hash /y"
builds "a repository with SHA-256 (fact 184)" t && is "$(cat_in "$layout" /x/f)$(cat_in "$layout" /y/f)" s256s256 "its files"

# --- hostile repositories (sandbox.md section 8, rows 35 and 36) ----------------------------------------------
refuses 1 'symbolic link' "a subdir that is a link out (35)" "ADD $url/git/r.git#main:out /x"
refuses 1 'symbolic link' "a subdir through a link up (35)" "ADD $url/git/r.git#main:up/etc /x"
add "ADD $url/git/r.git#main:../../../etc /x"
not "a subdir with .. stays inside" b t
refuses 3 'no ref of a git repository' "a ref that begins with - (36)" "ADD $url/git/r.git#--upload-pack=touch$scratch/owned /x"
refuses 3 'no ref of a git repository' "one of a query" "ADD $url/git/r.git?ref=-x /x"
refuses 3 'no ref of a git repository' "a ref that is a refspec" "ADD $url/git/r.git#main%3Arefs/heads/x /x"
refuses 3 "begins with '-'" "a host that begins with - (36)" "ADD ssh://-oProxyCommand=touch$scratch/owned/x.git /x"
refuses 3 "begins with '-'" "a path that begins with -" "ADD git@example.org:-x /x"
new_repository evil
printf '[submodule "x"]\n\tpath = x\n\turl = file://%s/web/r.git\n' "$scratch" >evil/.gitmodules
g evil update-index --add --cacheinfo "160000,$first,x"
g evil add .gitmodules && g evil commit -qm evil
publish evil
refuses 7 "submodules" "a submodule of a forbidden protocol (36)" "ADD $url/git/evil.git /x"
printf '[submodule "x"]\n\tpath = x\n\turl = ext::sh -c "touch %s/owned"\n' "$scratch" >evil/.gitmodules
g evil add .gitmodules && g evil commit -qm evil2
publish evil
refuses 7 "submodules" "a submodule that is a command (36)" "ADD $url/git/evil.git /x"
# the user's own configuration may do anything, and is not asked
mkdir -p "$scratch/$U/home"
printf '[url "%s/"]\n\tinsteadOf = %s/\n[core]\n\thooksPath = %s/hooks\n' "file://$scratch/web" "$url" "$scratch" \
	>"$scratch/$U/home/.gitconfig"
mkdir -p "$scratch/hooks"
printf '#!/bin/sh\ntouch %s/out/owned\n' "$scratch/$U" >"$scratch/hooks/post-checkout"
chmod 755 "$scratch/hooks/post-checkout"
user_env=("GIT_CONFIG_PARAMETERS='core.hooksPath=$scratch/hooks'" "GIT_DIR=/nonexistent" "GIT_TRACE=$scratch/$U/out/trace")
new_store "$U"
add "ADD $url/git/r.git#other /x"
builds "the user's git configuration and variables" t
not "run no hook" test -e "$scratch/$U/out/owned"
not "and trace nothing" test -e "$scratch/$U/out/trace"
user_env=()
not "nobody ran a command of a repository" test -e "$scratch/owned"
is "$(ls "$scratch/$U/store/tmp")" "" "no checkout is left in the store"

# git that hangs ends with the build
add "ADD git://127.0.0.1:$web_port/x.git /x"
as_user "$U" timeout -s INT 5 "$WHITTLE" build --progress plain t >"$scratch/out" 2>"$scratch/err"
isnt "$?" 0 "a git server that does not speak git is no success"
ok "and leaves no process" wait_for 10 no_whittles
done_testing
