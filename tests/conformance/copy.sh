# shellcheck shell=bash disable=SC2016,SC2154,SC1003 # Dockerfiles in quotes
# COPY: where things land, wildcards, links, --from, --chown, --chmod; specification 3.3, facts 111 to 155.

conform copy-file 'a file under a new name, into the root, and into a folder that is made' <<'END'
FROM scratch
COPY foo /foo2
COPY foo /
COPY foo /sample/
COPY foo ./bar/baz
END
echo one >foo

conform copy-below-workdir 'a relative destination starts at WORKDIR, and .. goes up from it' <<'END'
FROM scratch
WORKDIR /test5/test6
COPY foo ../
COPY foo .
COPY foo ./
COPY foo sub/
COPY foo name
END
echo one >foo

conform copy-above-root 'a destination of too many .. ends at the root' <<'END'
FROM scratch
WORKDIR /a
COPY foo ../../../up/
END
echo one >foo

conform copy-whole-context 'the whole context into a folder' <<'END'
FROM scratch
COPY . all/
COPY / /x
COPY ./ /y
END
mkdir -p sub/deep && echo 1 >sub/deep/f && echo 2 >f

conform copy-folder-forms 'dir, dir/ and dir/. give the content of the folder' <<'END'
FROM scratch
COPY sub/dir1 /a
COPY sub/dir1/ /b
COPY sub/dir1/. /c
COPY sub/dir1 /d/
END
mkdir -p sub/dir1/dir2 && echo foo >sub/dir1/dir2/foo && echo bar >sub/dir1/bar

conform copy-several-sources 'several sources into one folder, the later over the earlier' <<'END'
FROM scratch
COPY one two/ three/one /d/
END
mkdir -p two three && echo 1 >one && echo 2 >two/two && echo 3 >three/one

conform copy-wildcard 'wildcards of files: *, ? and classes' <<'END'
FROM scratch
COPY *.go /g/
COPY f*.go /renamed.go
COPY ?ar.go /q/
COPY [a-c]ar.go /class/
COPY [^a-e]*.go /negated/
END
echo f >foo.go && echo b >bar.go && echo t >bar.txt

conform copy-wildcard-hidden 'a leading dot is matched by *' <<'END'
FROM scratch
COPY d/* /d/
END
mkdir d && echo 1 >d/.hidden && echo 2 >d/seen

conform copy-wildcard-folder 'of a folder that matches, its content' <<'END'
FROM scratch
COPY sub/* /d/
END
mkdir -p sub/dir1/dir2 && echo foo >sub/dir1/dir2/foo && echo x >sub/x

conform copy-wildcard-middle 'a wildcard in the middle of a path' <<'END'
FROM scratch
COPY sub/*/dir2/foo /d/
COPY sub/*/dir2/foo /e/bar
END
mkdir -p sub/dir1/dir2 && echo foo >sub/dir1/dir2/foo

conform copy-wildcard-some 'a wildcard without a match beside a file' <<'END'
FROM scratch
COPY foo nomatch* /d/
END
echo foo >foo

conform copy-wildcard-none 'a wildcard without any match copies nothing' <<'END'
FROM scratch
COPY foo /
COPY nomatch* /x/
END
echo foo >foo
expected 121 'buildah fails without a match' <<'END'
/foo file 0644 0:0 "foo\n" @context
END
history 121 <<'END'
layer COPY foo / # buildkit
layer COPY nomatch* /x/ # buildkit
END

conform copy-wildcard-escaped 'an escaped wildcard is a plain character' <<'END'
FROM scratch
COPY [ "a\\*b", "/x/" ]
END
echo star >'a*b' && echo other >aXb
except 3.3.2.3 'the backslash of the shell word is taken by expansion, so * is a wildcard and both match' <<'END'
/x/a*b file 0644 0:0 "star\n" @context
/x/aXb file 0644 0:0 "other\n" @context
END

conform copy-missing 'a literal source that is missing' <<'END'
FROM scratch
COPY notexist /
END
refused 122 '/notexist.*not found'

conform copy-unicode 'names with UTF-8, percent signs and plus signs are literal' <<'END'
FROM scratch
COPY ünï-ツ.txt /
COPY %C3 a+b /d/
COPY dir /dir
END
echo u >ünï-ツ.txt && echo c >%C3 && echo p >a+b && mkdir dir && echo e >dir/é

conform copy-odd-names 'blanks, line ends, quotes and backslashes in names' <<'END'
FROM scratch
COPY odd /odd
COPY ["odd/a b", "/a b/"]
END
mkdir odd && echo 1 >'odd/a b' && echo 2 >odd/$'new\nline' && echo 3 >'odd/quo"te' && echo 4 >'odd/back\slash' &&
	echo 5 >"odd/ti'ck" && echo 6 >'odd/$HOME' && echo 7 >'odd/*' && echo 8 >odd/$'ta\tb' && echo 9 >'odd/-rf'

conform copy-bytes-name 'a name that is no UTF-8' <<'END'
FROM scratch
COPY d /d
END
mkdir d && echo 1 >d/$'latin-\xe9'

conform copy-long-names 'a name of 255 bytes and a path longer than a tar header has room for' <<'END'
FROM scratch
COPY d /d
END
long=$(printf 'n%.0s' $(seq 255))
mkdir -p "d/$long/$long" && echo 1 >"d/$long/$long/$long" && ln -s "$long/$long/$long" d/link

conform copy-json 'JSON form with a blank in the destination' <<'END'
FROM scratch
COPY ["a b", "c", "/to here/"]
END
echo 1 >'a b' && echo 2 >c

conform copy-twice 'the same folder twice, and a file over a file' <<'END'
FROM scratch
COPY d /d
COPY d /d
COPY other /d/f
END
mkdir d && echo 1 >d/f && echo 2 >other

conform copy-into-existing 'a file onto an existing folder goes inside' <<'END'
FROM alpine:3.20
COPY foo /etc
COPY foo /tmp/
END
echo foo >foo

conform copy-merge-modes 'nested folders take the mode of the source, the destination itself keeps its own' <<'END'
FROM alpine:3.20
RUN mkdir -p /d/sub && chmod 0700 /d && chown 5:6 /d /d/sub && echo kept >/d/sub/kept
COPY tree /d
END
mkdir -p tree/sub tree/new && chmod 0750 tree/sub tree && chmod 1777 tree/new && echo 1 >tree/sub/f

conform copy-top-folder 'a folder that is made for a source has 0755, whatever the source has' <<'END'
FROM scratch
COPY src /dest
END
mkdir src && chmod 0700 src && echo 1 >src/f
except 3.3.4.1 'buildah gives the new folder the mode of the source' <<'END'
/dest dir 0755 0:0
END

conform copy-modes 'modes are kept, set-id and sticky bits too' <<'END'
FROM scratch
COPY m /m
END
mkdir m && for mode in 0400 0644 0755 4755 2755 6711 1644 0777; do echo $mode >m/$mode && chmod $mode m/$mode; done
mkdir m/sticky m/setgid && chmod 1777 m/sticky && chmod 2775 m/setgid
except 3.3.4.5 'the bit of a folder too; buildah drops it' <<'END'
/m/setgid dir 2775 0:0
END

conform copy-empty 'empty folders and empty files' <<'END'
FROM scratch
COPY . /all
COPY empty /made
END
mkdir -p empty sub/empty && : >file

conform copy-fifo 'a named pipe in a folder' <<'END'
FROM scratch
COPY d /d
END
mkdir d && mkfifo d/pipe && echo 1 >d/f

conform copy-sparse 'a sparse file has the same content' <<'END'
FROM scratch
COPY hole mix /d/
END
truncate -s 3M hole && truncate -s 1M mix && printf end >>mix && printf mid | dd of=mix bs=1 seek=500000 conv=notrunc status=none

conform copy-xattrs 'extended attributes of a context are kept' <<'END'
FROM scratch
COPY d /d
END
mkdir d && echo 1 >d/f && setfattr -n user.note -v kept d/f && setfattr -n user.empty d/f && setfattr -n user.on -v dir d

conform copy-hard-links 'files linked to each other in one tree stay linked' <<'END'
FROM scratch
COPY d /d
COPY d/a d/b /apart/
END
mkdir -p d/sub && echo 1 >d/a && ln d/a d/b && ln d/a d/sub/c
expected 150 'buildah breaks the links; each source argument is a tree of its own (3.3.4.6)' <<'END'
/d dir 0755 0:0
/d/a file 0644 0:0 "1\n" @context
/d/b file 0644 0:0 "1\n" @context = /d/a
/d/sub dir 0755 0:0
/d/sub/c file 0644 0:0 "1\n" @context = /d/a
/apart dir 0755 0:0
/apart/a file 0644 0:0 "1\n" @context
/apart/b file 0644 0:0 "1\n" @context
END

conform copy-symlink-source 'a source that is a link gives what it points to' <<'END'
FROM scratch
COPY foo /foo
COPY link/inner /inner
COPY link /dir
COPY chain /chain
END
echo bar >bar && ln -s bar foo && mkdir sub && echo inner >sub/inner && ln -s sub link && ln -s foo chain

conform copy-symlink-inside 'links inside a copied folder stay links, dangling ones too' <<'END'
FROM scratch
COPY d /d
COPY d/sub /bar2
END
mkdir d && echo bar >bar && ln -s ../bar d/sub && ln -s /nowhere d/dangling && ln -s . d/self

conform copy-symlink-wildcard 'links that a wildcard matches give their final content' <<'END'
FROM scratch
COPY sub/l* /d/
END
mkdir sub && echo baz >sub/baz && ln -s baz sub/second && ln -s second sub/l0 && ln -s baz sub/l1

conform copy-symlink-out 'a link out of the context is resolved inside it' <<'END'
FROM scratch
COPY out /f
END
ln -s ../../../inside out && echo inside >inside

conform copy-symlink-absolute 'an absolute link starts at the root of the context' <<'END'
FROM scratch
COPY abs /f
END
mkdir d && echo inside >d/file && ln -s /d/file abs

conform copy-source-clamped '.. in a source ends at the root of the context' <<'END'
FROM scratch
COPY ../../etc/passwd /p
COPY a/../b /b
END
mkdir etc a && echo mine >etc/passwd && echo b >b

conform copy-dest-symlink 'a destination through a link of the image lands in its target' <<'END'
FROM alpine:3.20
RUN mkdir /real && ln -s /real /link && ln -s ../real /etc/rel && ln -s /real/file /filelink && echo old >/real/file
COPY foo /link/
COPY foo /etc/rel/second
COPY tree /link
END
echo foo >foo && mkdir tree && echo t >tree/t

conform copy-dest-symlink-file 'a link as the destination itself is followed' <<'END'
FROM alpine:3.20
RUN mkdir /real && echo old >/real/file && ln -s /real/file /filelink && ln /real/file /hard
COPY foo /filelink
END
echo foo >foo
except 3.3.1.3 'buildah replaces the link; the file it leads to is a new one, and its other name keeps the old content' <<'END'
/filelink link 0:0 -> /real/file
/real/file file 0644 0:0 "foo\n" @context
/hard file 0644 0:0 "old\n"
END

conform copy-dest-dangling 'a dangling link as the destination: its target is made' <<'END'
FROM alpine:3.20
RUN ln -s ../tmp/symlink-target /symlink
COPY foo /symlink/
END
echo foo >foo

conform copy-over-link 'a link at the final path inside a folder is replaced, not followed' <<'END'
FROM alpine:3.20
RUN mkdir /d && echo safe >/safe && ln -s /safe /d/f && echo hard >/h1 && ln /h1 /d/h
COPY tree/ /d/
END
mkdir tree && echo new >tree/f && echo newh >tree/h

conform copy-file-over-folder 'a file may not replace a folder of the same name' <<'END'
FROM alpine:3.20
RUN mkdir -p /d/x
COPY tree /d
END
mkdir tree && echo 1 >tree/x
# buildah replaces the folder
refused_here 130 'cannot replace to directory .*/d/x.* with file|/d/x'

conform copy-folder-over-file 'a folder may not replace a file' <<'END'
FROM scratch
COPY f /f
COPY tree /f
END
echo 1 >f && mkdir tree && echo 1 >tree/x
refused 129 'cannot copy to non-directory|not a directory'

conform copy-folder-over-link 'a folder may not go through a link inside the destination' <<'END'
FROM alpine:3.20
RUN mkdir /real && ln -s real /link
COPY tree/ /
END
mkdir -p tree/link && echo 1 >tree/link/f
refused_here 131 'cannot copy to non-directory|not a directory'

conform copy-below-file 'a file in the way of a folder' <<'END'
FROM scratch
COPY f /f
COPY f /f/g
END
echo 1 >f
refused 128 '.'

conform copy-mtime 'times of a context are kept to the second' <<'END'
FROM scratch
COPY d /d
COPY d/old /old
END
mkdir d && echo 1 >d/old && ln -s old d/link && echo 2 >d/older &&
	touch -d @1000000000.7 d/old && touch -h -d @1100000000 d/link && touch -d @1 d/older
except 152 'whole seconds are what is before the point; buildah rounds' <<'END'
/d/old file 0644 0:0 "1\n" @1000000000
/old file 0644 0:0 "1\n" @1000000000
END

conform copy-folder-mtime 'times of nested folders are those of the source, that of the destination too' <<'END'
FROM scratch
COPY d /d
END
mkdir -p d/sub && echo 1 >d/sub/f && touch -d @1000000000 d/sub && touch -d @1200000000 d
with_folder_times
except 3.3.4.1 'buildah leaves the time of the destination alone' <<'END'
/d dir 0755 0:0 @1200000000
END

conform copy-expansion 'variables in sources and destination' <<'END'
FROM scratch
ENV FOO=bar DIR=/d empty=""
ARG A=b
COPY $FOO baz
COPY ${FOO} ${A}ar ${DIR}/${NONE:-sub}/
WORKDIR /w
COPY bar $empty
COPY \$x /literal/
END
echo bar >bar && echo dollar >'$x'

conform copy-from-stage 'owner and mode of what a stage made are kept' <<'END'
FROM alpine:3.20 AS from
RUN mkdir -p /s/sub && echo 1 >/s/1 && chown 1:2 /s/1 && echo 2 >/s/sub/2 && chown -R 5:6 /s/sub && chmod 0700 /s/sub && chmod 4711 /s/sub/2
FROM scratch
COPY --from=from /s/1 /one
COPY --from=from /s/sub/2 /two/
COPY --from=from /s /tree
COPY --from=0 /s/1 /number
COPY --from=from s/1 /relative
END

conform copy-from-casing 'names of stages know no case in --from' <<'END'
FROM scratch AS STAge0
COPY f /f
FROM scratch
COPY --from=staGE0 /f /g
END
echo 1 >f
expected 94 'buildah compares the bytes' <<'END'
/g file 0644 0:0 "1\n" @context
END

conform copy-from-top 'the top folder of a stage: new it is 0:0 and 0755, existing it keeps its own' <<'END'
FROM alpine:3.20 AS from
RUN mkdir -p /dir/sub && chown -R 100:200 /dir && chmod 0700 /dir && echo x >/dir/f && chown 100:200 /dir/f
FROM alpine:3.20
RUN mkdir /existing && chown 7:8 /existing && chmod 0711 /existing
COPY --from=from /dir /newdir
COPY --from=from /dir/. /existing
END
except 134 'buildah gives the new folder the owner and mode of the source' <<'END'
/newdir dir 0755 0:0
END

conform copy-from-workdir 'a source in a stage starts at /, not at the WORKDIR of the stage' <<'END'
FROM alpine:3.20 AS base
WORKDIR /w
RUN echo right >/f && echo wrong >/w/f
FROM scratch
COPY --from=base f .
END

conform copy-from-links 'links of folders in a stage are followed inside it' <<'END'
FROM alpine:3.20 AS from
RUN mkdir -p /data/sub && echo f >/data/sub/f && ln -s /data /abs && ln -s data/sub /rel && ln -s f /data/sub/l && ln -s ../../../data /data/up
FROM scratch
COPY --from=from /abs/sub/f /1
COPY --from=from /rel/f /2
COPY --from=from /rel /3
COPY --from=from /abs/up/sub/l /4
END

conform copy-from-hard 'hard links, pipes, and attributes out of a stage' <<'END'
FROM alpine:3.20 AS from
RUN mkdir /s && echo 1 >/s/a && ln /s/a /s/b && mkfifo -m 0640 /s/pipe && chown 3:4 /s/pipe && ln -s a /s/l && chown -h 8:9 /s/l
FROM scratch
COPY --from=from /s /s
END
except 150 'buildah breaks hard links' <<'END'
/s/b file 0644 0:0 "1\n" = /s/a
END

conform copy-from-image 'out of an image that is no stage' <<'END'
FROM scratch
COPY --from=alpine:3.20 /etc/alpine-release /r
END

conform copy-from-wildcard 'wildcards in a stage' <<'END'
FROM alpine:3.20 AS from
RUN mkdir -p /out/a /out/b && echo 1 >/out/a/x.txt && echo 2 >/out/b/y.txt && echo 3 >/out/b/z.bin
FROM scratch
COPY --from=from /out/*/*.txt /t/
COPY --from=from /out/? /merged/
END

conform copy-from-later 'a stage must come before' <<'END'
FROM scratch
COPY --from=later /f /f
FROM scratch AS later
COPY f /f
FROM scratch
COPY --from=0 / /
END
echo 1 >f
refused 98 'needs to be defined before current stage'

conform copy-from-index 'an index without a stage' <<'END'
FROM scratch
COPY --from=99 /f /f
END
refused 101 'invalid stage index'

conform copy-from-variable 'no variables in --from' <<'END'
FROM scratch AS a
COPY f /f
FROM scratch
ARG X=a
COPY --from=$X /f /f
END
echo 1 >f
refused 74 'variable expansion is not supported for --from'

conform chown-numbers 'numeric owners, and a group that follows the user' <<'END'
FROM alpine:3.20
COPY --chown=300:400 f /a
COPY --chown=7 f /b
COPY --chown=0:5 f /c
COPY --chown= f /d
END
echo 1 >f
except 137 'buildah reads a bare number as a user with the group of root' <<'END'
/b file 0644 7:7 "1\n" @context
END

conform chown-names 'owners by name out of the image' <<'END'
FROM alpine:3.20
RUN echo 'app:x:1234:4321::/:/bin/sh' >>/etc/passwd && echo 'grp:x:999:' >>/etc/group
COPY --chown=app f /a
COPY --chown=app:grp f /b
COPY --chown=1000:grp f /c
COPY --chown=app:55 f /d
COPY --chown=root f /e
END
echo 1 >f

conform chown-variables 'owners by variables' <<'END'
FROM alpine:3.20
ENV owner=11
ARG group=22
COPY --chown=${owner}:${group} f /a
END
echo 1 >f

conform chown-unknown 'an unknown name' <<'END'
FROM alpine:3.20
COPY --chown=nosuchuser:nosuchgroup f /a
END
echo 1 >f
# a difference by intention: docs/differences.md
refused 138 'unable to find user nosuchuser'

conform chown-tree 'a tree with links: everything that is created, and nothing that was there' <<'END'
FROM alpine:3.20
RUN mkdir -p /there && chown 1:1 /there
COPY --chown=300:400 tree /new
COPY --chown=300:400 tree /there
END
mkdir -p tree/sub && echo 1 >tree/sub/f && ln -s sub/f tree/l

conform chown-parents 'folders that are made on the way have the owner too' <<'END'
FROM scratch
COPY --chown=3:4 f /p/q/f
COPY --chown=3:4 f /r/s/
END
echo 1 >f
except 136 'buildah gives them to root' <<'END'
/p dir 0755 3:4
/p/q dir 0755 3:4
/r dir 0755 3:4
/r/s dir 0755 3:4
END

conform chown-from 'given to somebody else out of a stage' <<'END'
FROM alpine:3.20 AS from
RUN mkdir -p /s/sub && echo 1 >/s/f && chown 5:6 /s/f && chmod 4755 /s/f
FROM scratch
COPY --from=from --chown=9:10 /s/f /f
COPY --from=from --chown=9:10 /s /tree/
END

conform user-is-no-owner 'USER does not own what COPY and ADD make' <<'END'
FROM alpine:3.20
USER 1000
COPY f /f
ADD f /d/
END
echo 1 >f

conform chmod-octal 'octal modes, of files' <<'END'
FROM scratch
COPY --chmod=0644 f /a
COPY --chmod=777 f /b
COPY --chmod=0 f /c
COPY --chmod=0413 f /d
COPY --chmod=4755 f /e
COPY --chmod=400 f /g
END
echo 1 >f && chmod 0755 f

conform chmod-octal-clears 'an octal mode without the bit takes set-user-id away' <<'END'
FROM scratch
COPY --chmod=755 f /a
END
echo 1 >f && chmod 4755 f

conform chmod-octal-tree 'an octal mode is that of every file and folder, links are left alone' <<'END'
FROM scratch
COPY --chmod=0750 tree /t
END
mkdir -p tree/sub && echo 1 >tree/sub/f && ln -s sub/f tree/l && chmod 0700 tree/sub
except 140 'buildah makes the top folder with 0755' <<'END'
/t dir 0750 0:0
END

conform chmod-octal-parents 'and of the folders made on the way' <<'END'
FROM scratch
COPY --chmod=0777 f /parent/f
END
echo 1 >f
except 140 'buildah makes them with 0755' <<'END'
/parent dir 0777 0:0
END

conform chmod-symbolic 'symbolic modes are those of chmod(1)' <<'END'
FROM scratch
COPY --chmod=go-w f /a
COPY --chmod=u=rw,g=r,o=r f /b
COPY --chmod=a+X d /c
COPY --chmod=u+rw,g+r,o-x,o+w f /e
COPY --chmod=+x g /g
COPY --chmod=u+s,g=u g /h
END
echo 1 >f && chmod 0776 f && echo 2 >g && chmod 0640 g && mkdir -p d/sub && echo 3 >d/sub/plain && echo 4 >d/prog &&
	chmod 0644 d/sub/plain && chmod 0744 d/prog && chmod 0700 d/sub
expected 142 'buildah knows octal modes only' <<'END'
/a file 0754 0:0 "1\n" @context
/b file 0644 0:0 "1\n" @context
/c dir 0755 0:0
/c/prog file 0755 0:0 "4\n" @context
/c/sub dir 0711 0:0
/c/sub/plain file 0644 0:0 "3\n" @context
/e file 0776 0:0 "1\n" @context
/g file 0751 0:0 "2\n" @context
/h file 4660 0:0 "2\n" @context
END

conform chmod-wrong 'what is no mode' <<'END'
FROM scratch
COPY --chmod=10000 f /a
END
echo 1 >f
# buildah takes the low bits
refused_here 141 'invalid chmod parameter'

conform chmod-chown-from 'mode and owner together, out of a stage' <<'END'
FROM alpine:3.20 AS from
RUN echo 1 >/f && chown 5:6 /f
FROM scratch
COPY --from=from --chmod=0600 --chown=1:2 /f /f
END

conform link 'linked copies: the same files' <<'END'
FROM scratch
WORKDIR /var/www
COPY --link f .
COPY --link tree /t
COPY --link --chown=1:2 f /owned/
COPY --link --chmod=0600 f /moded
ENV empty=
COPY --link f ${empty}
END
echo 1 >f && mkdir -p tree/sub && echo 2 >tree/sub/g
expected 153 'buildah has no --link' <<'END'
/var dir 0755 0:0
/var/www dir 0755 0:0
/var/www/f file 0644 0:0 "1\n" @context
/t dir 0755 0:0
/t/sub dir 0755 0:0
/t/sub/g file 0644 0:0 "2\n" @context
/owned dir 0755 1:2
/owned/f file 0644 1:2 "1\n" @context
/moded file 0600 0:0 "1\n" @context
.WorkingDir "/var/www"
.Env ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "empty="]
END

conform link-through-link 'a linked copy replaces a link of the image' <<'END'
FROM alpine:3.20
RUN mkdir /real && ln -s real /link
COPY --link f /link/f
END
echo 1 >f
expected 155 'buildah has no --link' <<'END'
/real dir 0755 0:0
/link dir 0755 0:0
/link/f file 0644 0:0 "1\n" @context
END

conform parents 'paths are kept below the destination' <<'END'
FROM scratch
COPY --parents foo1/foo2/bar /a/
COPY --parents foo1/foo2/ba* /b/
COPY --parents foo1/./foo2/bar /c/
COPY --parents foo1/**/*.txt /d/
COPY --parents none* /e/
END
mkdir -p foo1/foo2/deep && echo bar >foo1/foo2/bar && echo baz >foo1/foo2/baz && echo t >foo1/foo2/deep/x.txt &&
	chmod 0750 foo1/foo2
expected 156 'buildah has no --parents' <<'END'
/a dir 0755 0:0
/a/foo1 dir 0755 0:0
/a/foo1/foo2 dir 0750 0:0
/a/foo1/foo2/bar file 0644 0:0 "bar\n" @context
/b dir 0755 0:0
/b/foo1 dir 0755 0:0
/b/foo1/foo2 dir 0750 0:0
/b/foo1/foo2/bar file 0644 0:0 "bar\n" @context
/b/foo1/foo2/baz file 0644 0:0 "baz\n" @context
/c dir 0755 0:0
/c/foo2 dir 0750 0:0
/c/foo2/bar file 0644 0:0 "bar\n" @context
/d dir 0755 0:0
/d/foo1 dir 0755 0:0
/d/foo1/foo2 dir 0750 0:0
/d/foo1/foo2/deep dir 0755 0:0
/d/foo1/foo2/deep/x.txt file 0644 0:0 "t\n" @context
/e dir 0755 0:0
END

conform exclude 'patterns below the folders that are copied' <<'END'
FROM scratch
COPY --exclude=*/*.png --exclude=Dockerfile . /1
COPY --exclude=*.mp3 dir3/ /3/
COPY --exclude=* dir3 /6
COPY --exclude=*.txt --exclude=!b.txt dir3 /7
END
mkdir -p dir1 dir3/sub && echo p >top.png && echo p >dir1/a.png && echo m >dir3/x.mp3 && echo m >dir3/sub/x.mp3 &&
	echo a >dir3/a.txt && echo b >dir3/b.txt
expected 163 'buildah has no --exclude' <<'END'
/1 dir 0755 0:0
/1/top.png file 0644 0:0 "p\n" @context
/1/dir1 dir 0755 0:0
/1/dir3 dir 0755 0:0
/1/dir3/x.mp3 file 0644 0:0 "m\n" @context
/1/dir3/a.txt file 0644 0:0 "a\n" @context
/1/dir3/b.txt file 0644 0:0 "b\n" @context
/1/dir3/sub dir 0755 0:0
/1/dir3/sub/x.mp3 file 0644 0:0 "m\n" @context
/3 dir 0755 0:0
/3/a.txt file 0644 0:0 "a\n" @context
/3/b.txt file 0644 0:0 "b\n" @context
/3/sub dir 0755 0:0
/3/sub/x.mp3 file 0644 0:0 "m\n" @context
/6 dir 0755 0:0
/7 dir 0755 0:0
/7/b.txt file 0644 0:0 "b\n" @context
/7/x.mp3 file 0644 0:0 "m\n" @context
/7/sub dir 0755 0:0
/7/sub/x.mp3 file 0644 0:0 "m\n" @context
END
