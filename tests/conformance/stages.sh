# shellcheck shell=bash disable=SC2016,SC2154,SC1003 # Dockerfiles in quotes
# Stages, targets, named contexts, ONBUILD; specification 5, facts 94 to 110, 223 to 241.

conform stage-chain 'a stage based on a stage has its files and its config' <<'END'
FROM alpine:3.20 AS one
ENV A=1
WORKDIR /w
RUN echo 1 > f
USER 1000
LABEL l=1
CMD ["one"]
FROM one AS two
ENV A=2 B=3
COPY f g
ENTRYPOINT ["two"]
FROM two
EXPOSE 80
END
echo x >f

conform stage-target 'the stage that is asked for' <<'END'
FROM scratch AS one
COPY f /one
FROM one AS two
COPY f /two
FROM two
COPY f /three
END
echo x >f
flags --target two

conform stage-target-missing 'a target that is not there' <<'END'
FROM scratch AS build
END
flags --target bulid
refused 96 'bulid'

conform stage-unreached 'stages that nobody needs are not built' <<'END'
FROM alpine:3.20 AS fails
RUN false
FROM scratch AS lacks
COPY nothing /
FROM scratch
COPY f /f
END
echo x >f

conform stage-diamond 'two stages of one base, copied into a third' <<'END'
FROM alpine:3.20 AS base
RUN echo base > /base
FROM base AS left
RUN echo left > /left && cat /base >> /left
FROM base AS right
RUN echo right > /right && rm /base
FROM scratch
COPY --from=left /left /base /l/
COPY --from=right /right /r/
COPY --from=base /base /b
END

conform stage-by-number 'stages by number, named ones too' <<'END'
FROM scratch AS zero
COPY f /zero
FROM scratch
COPY f /one
FROM scratch
COPY --from=0 /zero /
COPY --from=1 /one /
END
echo x >f

conform stage-over-image 'a stage of the name of an image' <<'END'
FROM scratch AS alpine
COPY f /own
FROM scratch
COPY --from=alpine / /
END
echo x >f

conform stage-whole-root 'the whole root of a stage over another' <<'END'
FROM alpine:3.20 AS made
RUN mkdir -p /out/etc /out/usr/share && echo mine > /out/etc/motd && chmod 0700 /out/usr/share && ln -s /etc /out/l
FROM alpine:3.20
COPY --from=made /out /
END

conform stage-scratch 'nothing but a config' <<'END'
FROM scratch
ENV a=b
END
history 215 <<'END'
empty ENV a=b
END

conform stage-cycle 'stages in a circle' <<'END'
FROM scratch AS a
COPY --from=b /f /f
FROM scratch AS b
COPY --from=a /f /f
END
refused 99 'circular dependency|needs to be defined before'

conform stage-bad-name 'a name of a stage that is none' <<'END'
FROM scratch AS 1abc
END
refused_here 97 'invalid name for build stage'

conform onbuild-stage 'triggers of a stage fire once in the stage based on it' <<'END'
FROM alpine:3.20 AS parent
ONBUILD COPY f /triggered
ONBUILD RUN echo "$A" > /ran
ONBUILD ENV B=fired
ENV A=1
FROM parent AS child
RUN cp /ran /copied
FROM child
RUN rm /ran
END
echo x >f
expected 225 'facts 223, 224; buildah does not fire triggers of a stage' <<'END'
/triggered file 0644 0:0 "x\n" @context
/copied file 0644 0:0 "1\n"
.Env ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "A=1", "B=fired"]
END

conform onbuild-kept 'triggers are kept as written in the image' <<'END'
FROM scratch
ONBUILD RUN echo "$A" \
   && true
ONBUILD COPY --chown=1:2 . /app
onbuild ENV a=$b
END
except 1.9 'buildah keeps the words of its own parser: the text is the line after ONBUILD, continuations joined' <<'END'
.OnBuild ["RUN echo \"$A\"    && true", "COPY --chown=1:2 . /app", "ENV a=$b"]
END

conform onbuild-onbuild 'no trigger makes triggers' <<'END'
FROM scratch
ONBUILD ONBUILD RUN true
END
refused 1.9 'ONBUILD ONBUILD'

conform onbuild-from 'no FROM in a trigger' <<'END'
FROM scratch
ONBUILD FROM alpine
END
refused 1.9 "FROM isn't allowed as an ONBUILD trigger"

conform context-folder 'a named context out of a folder' <<'END'
FROM scratch
COPY --from=other /sub/f /f
COPY --from=other . /all
END
mkdir -p other/sub && echo x >other/sub/f && echo skipped >other/skipped && echo skipped >other/.dockerignore
flags --build-context other=other
except 237 'buildah takes no notice of the ignore file of a named context' <<'END'
!/all/skipped
END

conform ignore-negation 'exclusions and exceptions' <<'END'
FROM scratch
COPY . /all
END
mkdir -p skip/deep a/b && echo 1 >skip/me && echo 2 >skip/keep && echo 3 >skip/deep/keep && echo 4 >a/b/x.txt && echo 5 >a/b/x.md && echo 6 >top.md
printf '%s\n' '# comment' 'skip/*' '!skip/keep' '**/*.md' '!top.md' '' Dockerfile .dockerignore >.dockerignore

conform ignore-last-wins 'the last pattern that matches decides' <<'END'
FROM scratch
COPY . /all
END
mkdir -p dir/keep dir/other && echo 1 >dir/keep/f && echo 2 >dir/other/f && echo 3 >bay && echo 4 >bar && echo 5 >foo && chmod 0750 dir dir/keep
printf '%s\n' 'ba*' '!bay' dir '!dir/keep' 'foo' '!foo' 'foo' '*ockerfile' .dockerignore >.dockerignore
except 4.4 'a folder that comes back with what is in it has its own mode' <<'END'
/all/dir dir 0750 0:0
END

conform ignore-forms 'anchors, ./, trailing slashes, classes, ?, blanks around' <<'END'
FROM scratch
COPY . /all
END
mkdir -p a b/a c d && touch a/f b/a/f c/f d/f x1 x2 xa y1 y22 .hidden
printf '%s\n' '/a/' './c' '  d  ' 'x[0-9]' 'y?' '.*' 'b/../nothing' Dockerfile >.dockerignore

conform ignore-everything 'all but what is named' <<'END'
FROM scratch
COPY . /all
END
mkdir -p src/gen && echo 1 >src/main.c && echo 2 >src/gen/x.c && echo 3 >README
printf '%s\n' '*' '!src' 'src/gen' >.dockerignore

conform ignore-double-star '** in front, in the middle and at the end' <<'END'
FROM scratch
COPY . /all
END
mkdir -p a/node_modules/x a/b/node_modules d/e/f && touch a/node_modules/x/f a/b/node_modules/g a/b/keep d/e/f/z d/z d/y
printf '%s\n' '**/node_modules' 'd/**/z' Dockerfile .dockerignore >.dockerignore

conform ignore-literal 'an excluded file is not found' <<'END'
FROM scratch
COPY secret /
END
echo 1 >secret && echo secret >.dockerignore
refused 4.4 '/secret.*not found'

conform ignore-wildcard 'wildcards skip what is excluded' <<'END'
FROM scratch
COPY *.txt d/ /t/
ADD d /u
END
mkdir d && touch a.txt b.txt d/c.txt d/d.bin
printf '%s\n' b.txt '**/*.bin' >.dockerignore

conform ignore-own-file 'the ignore file beside the Dockerfile of its name' <<'END'
FROM scratch
END
mkdir sub && printf 'FROM scratch\nCOPY . /all\n' >sub/Other && echo '*.a' >sub/Other.dockerignore && echo '*.b' >.dockerignore && touch 1.a 2.b
flags -f sub/Other
expected 230 'buildah looks at .dockerignore only' <<'END'
/all dir 0755 0:0
/all/Dockerfile file 0644 0:0 "FROM scratch\n" @context
/all/.dockerignore file 0644 0:0 "*.b\n" @context
/all/2.b file 0644 0:0 "" @context
/all/sub dir 0755 0:0
/all/sub/Other file 0644 0:0 "FROM scratch\nCOPY . /all\n" @context
/all/sub/Other.dockerignore file 0644 0:0 "*.a\n" @context
END
