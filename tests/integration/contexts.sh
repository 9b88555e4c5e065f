#!/bin/bash
# Build contexts in all their forms, and named contexts (dockerfile.md 4.1, 5.3, 5.4).
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/web.sh
. "$tests_dir/web.sh"

start_web
user=$U

# b CONTEXT [FLAG...]: build it to a layout, stdin from $stdin; sets layout, tree, err, status
stdin=/dev/null
b() {
	layout=$(dest "$user" image)
	tree=$scratch/work/tree
	as_user "$user" timeout -k 10 "$time_limit" "$WHITTLE" build --progress plain \
		-o "type=oci,dest=$layout,tar=false" "${@:2}" "$1" >"$scratch/out" 2>"$scratch/err" <"$stdin"
	status=$?
	err=$(tr -d '\0' <"$scratch/err")
	[ $status -eq 0 ] && image_tree "$layout" --mtime >"$tree"
}

# builds DESCRIPTION CONTEXT [FLAG...]
builds() {
	if b "${@:2}"; then
		pass "$1"
	else
		fail "$1" "exit status $status"$'\n'"$(tail -n 30 <<<"$err")"
		return 1
	fi
}

# refuses STATUS MESSAGE DESCRIPTION CONTEXT [FLAG...]
refuses() {
	b "${@:4}"
	if [ "$status" = "$1" ]; then
		pass "$3"
		like "$err" "$2" "$3: the message"
	else
		fail "$3" "exit status $status, not $1"$'\n'"$(tail -n 20 <<<"$err")"
	fi
}
line_of() { grep -E "^$1 " "$tree"; }
config() { image_config "$layout" | jq -c "$1"; }
left_over() { ls "$scratch/$user/store/tmp"; }

# --- a context and its Dockerfile ---------------------------------------------------------------------
context c <<'END'
FROM scratch
COPY . /
END
echo file >c/file
echo other >c/other
mkdir -p c/sub/dir
echo deep >c/sub/dir/deep
printf '%s\n' 'FROM scratch' 'COPY sub /from-stdin' >dockerfile1

stdin=dockerfile1
builds "the Dockerfile on stdin, a folder as the context (-f -)" c -f -
like "$(line_of /from-stdin/dir/deep)" file "copies from the folder"
stdin=/dev/null
refuses 2 "can't use stdin for both" "both on stdin" - -f -

stdin=dockerfile2
printf '%s\n' 'FROM scratch' 'COPY <<EOF /x' 'text' 'EOF' >dockerfile2
builds "a Dockerfile alone on stdin (-)" -
is "$(cat_in "$layout" /x)" text "is built with an empty context"
refuses 2 'ambiguous Dockerfile source' "with -f besides" - -f other
stdin=dockerfile1
refuses 6 '"/sub": not found' "and has nothing to copy" -
stdin=/dev/null
refuses 3 'cannot be empty' "nothing on stdin" -

mkdir -p named
printf '%s\n' 'FROM scratch' 'COPY file /d1' >named/app.Dockerfile
builds "a Dockerfile in another folder (fact 232)" c -f named/app.Dockerfile
cp c/Dockerfile named/Dockerfile2
printf 'other\n' >named/Dockerfile2.dockerignore
printf 'file\n' >c/.dockerignore
builds "its own ignore file (fact 230)" c -f named/Dockerfile2
is "$(grep -cE '^/(file|other) ' "$tree")" 1 "is used instead of the general one"
like "$(line_of /file)" file "and not with it"
builds "without one the general one counts" c
like "$(line_of /other)" file "as it should"
mv c/Dockerfile c/dockerfile
builds "a lower-case dockerfile (fact 231)" c
ln -s ../named/app.Dockerfile c/Dockerfile
echo file >c/file
rm c/.dockerignore
builds "a Dockerfile that is a link (fact 231)" c
like "$(line_of /d1)" file "is followed"
rm c/Dockerfile && mv c/dockerfile c/Dockerfile

# --- archives on stdin -----------------------------------------------------------------------------------
printf 'file\n' >c/.dockerignore
tar -C c -cf c.tar .
rm c/.dockerignore
gzip -k c.tar && bzip2 -k c.tar && xz -k c.tar && zstd -q -k c.tar && lz4 -q c.tar c.tar.lz4
for user in "${users[@]}"; do
	for kind in "" .gz .bz2 .xz .zst .lz4; do
		stdin=c.tar$kind
		builds "$user: a context on stdin: c.tar$kind (fact 233)" - || continue
		is "$(grep -cE '^/(file|other|sub/dir/deep) ' "$tree")" 3 "$user: all its files, and no ignore file"
	done
	like "$(line_of /sub/dir/deep)" 'file 0644 0:0' "$user: owned by root"
	builds "$user: with a Dockerfile of it" - -f sub/../Dockerfile
	is "$(left_over)" "" "$user: nothing of it is left in the store"
done
user=$U
builds "the same content" -
like "$err" 'COPY . /
#[0-9]+ CACHED' "is cached"
refuses 6 "no 'nothing' in the build context" "a Dockerfile that it lacks" - -f nothing
refuses 1 "leads out of the build context" "one outside of it" - -f ../../x

# --- URLs ------------------------------------------------------------------------------------------------
cp c.tar.gz dockerfile2 "$web/"
mv "$web/dockerfile2" "$web/plain.txt"
stdin=/dev/null
for user in "${users[@]}"; do
	builds "$user: an archive by URL (fact 233)" "$url/c.tar.gz"
	like "$(line_of /sub/dir/deep)" 'file 0644 0:0' "$user: its files"
done
user=$U
builds "a name for its Dockerfile" "$url/c.tar.gz" -f Dockerfile
forget_requests
builds "again" "$url/c.tar.gz"
is "$(requests_for ' 304$') $(requests_for ' 200$')" "1 0" "it is asked about, not sent"
builds "a Dockerfile by URL, whatever -f says (fact 233)" "$url/plain.txt" -f bogus
is "$(cat_in "$layout" /x)" text "is built"
printf '%s\n' 'FROM scratch' 'COPY other /by-url' >"$web/Dockerfile.remote"
builds "-f with a URL" c -f "$url/Dockerfile.remote"
like "$(line_of /by-url)" file "and a local context"
refuses 6 '404' "a context that is not there" "$url/none.tar"
head -c 17000000 /dev/zero >"$web/huge.txt"
refuses 1 'over 16777216 bytes' "a Dockerfile over the limit" "$url/huge.txt"
refuses 1 'larger than 16777216 bytes' "-f over the limit" c -f "$url/huge.txt"
is "$(left_over)" "" "nothing of it is left in the store"

# --- repositories ------------------------------------------------------------------------------------------
new_repository r
mkdir -p r/app
printf '%s\n' 'FROM scratch' 'COPY . /all/' >r/Dockerfile
printf '%s\n' 'FROM scratch' 'COPY f /f' >r/app/Dockerfile
echo main >r/app/f
ln -s / r/out
ln -s /etc/passwd r/app/leak
ln -s ../../../../../etc/passwd r/Dockerfile.out
printf 'app\n' >r/.dockerignore
commit r >/dev/null
g r checkout -q -b next
echo next >r/app/f
commit r >/dev/null
g r checkout -q main
publish r
for user in "${users[@]}"; do
	builds "$user: a repository as the context (fact 233)" "$url/git/r.git"
	is "$(cat_in "$layout" /all/app/f)" main "$user: its files; the ignore file does not count"
	is "$(grep -c '^/all/\.git/' "$tree")" 0 "$user: without .git"
	like "$(line_of /all/app/f)" 'file 0644 0:0 .* @1612325106' "$user: with the time of the commit"
done
user=$U
builds "a branch and a folder of it" "$url/git/r.git#next:app"
is "$(cat_in "$layout" /f)" next "the right one"
builds "as a query" "$url/git/r.git?branch=next&subdir=app"
is "$(cat_in "$layout" /f)" next "the right one"
builds "BUILDKIT_CONTEXT_KEEP_GIT_DIR" "$url/git/r.git" --build-arg BUILDKIT_CONTEXT_KEEP_GIT_DIR=1
like "$(line_of /all/.git/HEAD)" file "keeps it"
unlike "$err" 'not consumed' "and is no unknown argument"
refuses 1 'symbolic link' "a folder that is a link out" "$url/git/r.git#main:out"
refuses 1 'leads out of the build context' "a Dockerfile that is a link out" "$url/git/r.git" -f Dockerfile.out
refuses 1 'no ref of a git repository' "a ref that begins with -" "$url/git/r.git#-x"
refuses 6 'does not contain ref' "a ref that is not there" "$url/git/r.git#none"
is "$(left_over)" "" "nothing of it is left in the store"

# --- hostile archives as contexts ------------------------------------------------------------------------
/usr/bin/python3 - . <<'END'
import io, sys, tarfile
def tar(name, *members):
    with tarfile.open(sys.argv[1] + "/" + name, "w") as t:
        for path, kind, data in (("Dockerfile", "file", "FROM scratch\nCOPY . /\n"),) + members:
            m = tarfile.TarInfo(path)
            m.mode = 0o644
            if kind == "link":
                m.type, m.linkname = tarfile.SYMTYPE, data
            elif kind == "hard":
                m.type, m.linkname = tarfile.LNKTYPE, data
            else:
                m.size = len(data)
            t.addfile(m, io.BytesIO(data.encode()) if kind == "file" else None)
tar("own-link.tar", ("l", "link", sys.argv[2] if len(sys.argv) > 2 else "/tmp"), ("l/written-out", "file", "x"))
tar("up.tar", ("../written-up", "file", "x"))
tar("hard.tar", ("h", "hard", "/etc/passwd"))
tar("fine.tar", ("l", "link", "/etc/passwd"), ("d", "link", "/etc"))
END
stdin=own-link.tar
b -
not "an archive writes nothing through its own link (sandbox.md 33)" test -e /tmp/written-out
stdin=up.tar
b -
is "$(find "$scratch/$U/store" -name written-up 2>/dev/null)" "" "nor above its folder"
stdin=hard.tar
refuses 1 'hard' "a hard link to a file of the host" -
stdin=fine.tar
builds "links that lead out" -
like "$(line_of /l)" 'link .* -> /etc/passwd' "are copied as links"
tar -C c --transform 's,Dockerfile,other,' -cf link.tar Dockerfile
mkdir -p lk && ln -sf /etc/passwd lk/Dockerfile && tar -C lk -rf link.tar Dockerfile
stdin=link.tar
refuses 1 'leads out of the build context' "a Dockerfile that is a link to a file of the host (34)" -
mkdir -p ff && rm -f ff/Dockerfile && mkfifo ff/Dockerfile && tar -C ff -cf fifo.tar Dockerfile
stdin=fifo.tar
refuses 1 'no regular file' "a Dockerfile that is a pipe" -
stdin=/dev/null
is "$(left_over)" "" "nothing of it is left in the store"

# killed while it has a context in the store
mkdir -p big && head -c 30000000 /dev/urandom >big/f && cp c/Dockerfile big/ && tar -C big -cf big.tar .
(exec_as "$U" "$WHITTLE" build --progress plain -o "type=oci,dest=$(dest "$U" killed)" - <big.tar >/dev/null 2>&1) &
pid=$!
wait_for 20 sh -c "ls $scratch/$U/store/tmp | grep -q ."
kill -KILL "$pid" 2>/dev/null
wait "$pid" 2>/dev/null
wait_for 10 no_whittles
w "$U" images
is "$(left_over)" "" "after SIGKILL the next run clears the context away"

# --- named contexts ------------------------------------------------------------------------------------------
context n <<'END'
FROM base AS first
COPY --from=extra what /first
FROM first
COPY --from=middle what /middle
COPY --from=first /first /again
END
mkdir -p extra middle basefolder
echo extra >extra/what
echo secret >extra/hidden
echo middle >middle/what
echo based >basefolder/based
chmod 0640 basefolder/based
give "$U" basefolder
for user in "${users[@]}"; do
	give "$user" basefolder
	builds "$user: folders as named contexts" n --build-context base=basefolder --build-context extra=extra \
		--build-context middle=middle --build-context unused=/nonexistent
	like "$(line_of /based)" 'file 0640 0:0' "$user: as a base image"
	is "$(cat_in "$layout" /first)$(cat_in "$layout" /middle)$(cat_in "$layout" /again)" extramiddleextra \
		"$user: in COPY --from"
	is "$(config .config.WorkingDir)$(config '.config.Env | length')" '"/"1' "$user: a folder has no config"
done
user=$U
give "$U" basefolder
builds "what changed in one" n --build-context base=basefolder --build-context extra=extra --build-context middle=middle
is "$(grep -c CACHED <<<"$err")" 4 "(all is cached)"
echo changed >middle/what
b n --build-context base=basefolder --build-context extra=extra --build-context middle=middle
is "$(cat_in "$layout" /middle)" changed "is seen"
refuses 6 "context 'extra'" "a folder that is not there" n --build-context base=basefolder --build-context extra=/none \
	--build-context middle=middle

# a stage replaced; the one it is based on is never looked at
context rep <<'END'
FROM nowhere.example/none AS one
COPY nothing /
FROM one AS two
COPY nothing /
FROM scratch
COPY --from=TWO / /
END
builds "a stage replaced by a folder (fact 235)" rep --build-context two=extra
is "$(cat_in "$layout" /what)" extra "its files count"
printf 'hidden\n' >extra/.dockerignore
builds "a folder with an ignore file (fact 237)" rep --build-context two=extra
is "$(grep -c '^/hidden ' "$tree")" 0 "which counts"
is "$(grep -c '^/what ' "$tree")" 1 "for what it names"
builds "the target itself" rep --target two --build-context two=extra
like "$(line_of /what)" file "replaced"

# images
context image <<'END'
FROM scratch
ENV FROM_IMAGE=yes
LABEL l=1
WORKDIR /w
COPY <<EOF /mark
image
EOF
END
w "$U" build --progress plain -t the.example/image:1 -t localhost/other:latest -o "type=oci,dest=$(dest "$U" lay),tar=false,name=the.example/image:1" image
lay=$scratch/$U/out/lay
w "$U" build --progress plain -t the.example/image:1 image
context use <<'END'
FROM busybox
COPY <<EOF /added
x
EOF
END
builds "docker-image:// for an image (fact 234)" use --build-context busybox=docker-image://the.example/image:1
is "$(cat_in "$layout" /mark)" image "is the base"
is "$(config .config.WorkingDir)$(config '.config.Env | contains(["FROM_IMAGE=yes"])')" '"/w"true' "with its config"
builds "any spelling of its name" use --build-context docker.io/library/busybox:latest=docker-image://the.example/image:1
builds "docker-image://scratch (fact 236)" use --build-context busybox=docker-image://scratch
is "$(grep -c . "$tree")" 1 "is an empty base"
builds "oci-layout:// (fact 238)" use --build-context "busybox=oci-layout://$lay:1"
is "$(cat_in "$layout" /mark)$(config .config.WorkingDir)" 'image"/w"' "with its config"
builds "by digest" use --build-context "busybox=oci-layout://$lay@$(image_digest "$lay")"
arch=$(host_arch)
builds "a key for the platform (fact 241)" use --build-context busybox=docker-image://nowhere.example/none \
	--build-context "busybox::$(platform_of "$arch")=docker-image://the.example/image:1"
context cf <<'END'
FROM scratch
COPY --from=img /mark /from-image
COPY --from=img2 /what /from-folder
END
builds "COPY --from of named contexts" cf --build-context img=docker-image://the.example/image:1 --build-context img2=extra
is "$(cat_in "$layout" /from-image)$(cat_in "$layout" /from-folder)" imageextra "an image and a folder"
builds "a stage replaced by an image" rep --build-context two=docker-image://the.example/image:1
is "$(cat_in "$layout" /mark)" image "its files"

# URLs and repositories
sed -i 's,/what,/app/f,' cf/Dockerfile
builds "a repository as a named context" cf --build-context img=docker-image://the.example/image:1 \
	--build-context "img2=$url/git/r.git#next"
is "$(cat_in "$layout" /from-folder)" next "its files"
sed -i 's,/app/f,/sub/dir/deep,' cf/Dockerfile
builds "an archive by URL" cf --build-context img=docker-image://the.example/image:1 --build-context "img2=$url/c.tar.gz"
is "$(cat_in "$layout" /from-folder)" deep "its files"
sed -i 's,/sub/dir/deep,/context,' cf/Dockerfile
builds "a file by URL" cf --build-context img=docker-image://the.example/image:1 --build-context "img2=$url/plain.txt"
like "$(cat_in "$layout" /from-folder)" 'FROM scratch' "is called context"
refuses 1 'unsupported context source foo for img2' "an unknown kind" cf \
	--build-context img=docker-image://the.example/image:1 --build-context img2=foo://x
refuses 1 'bake' "target:" cf --build-context img=docker-image://the.example/image:1 --build-context img2=target:x
refuses 2 'expected NAME=SOURCE' "no source" cf --build-context img
refuses 7 "context 'img'" "an image that is not there" cf --build-context img=docker-image://127.0.0.1:1/none
is "$(left_over)" "" "nothing of it is left in the store"

# a link in a named context is resolved inside it
mkdir -p linked && ln -sf /etc/passwd linked/what
printf '%s\n' 'FROM scratch' 'COPY --from=ln what /x' >c/link.Dockerfile
refuses 6 'not found' "a link that leads out of a named context (fact 284)" c -f c/link.Dockerfile --build-context ln=linked
done_testing
