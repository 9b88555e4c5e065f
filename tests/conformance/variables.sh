# shellcheck shell=bash disable=SC2016,SC2154,SC1003 # Dockerfiles in quotes
# Continuations, directives, heredocs, ARG scope and expansion; specification 1 and 2, facts 2 to 93.

conform env-expansion 'what is expanded is what was before the instruction' <<'END'
FROM scratch
ENV abc=hello
ENV abc=bye def=$abc
ENV ghi=$abc
ENV percent foo%sbar
END

conform env-forms 'quotes, escapes, the legacy form, several of one line' <<'END'
FROM scratch
ENV a=b c="d e" f=g\ h i='j k' l=
ENV legacy one   two
ENV n="a\'b" o='a"b' p="q\"r" s=t\"u
ENV t='single $a' u="double $a" v=\$a w="\$a"
ENV x="a\
b" y=1 \
    z=2
END

conform env-replace 'a name that is there keeps its place; the last of one instruction wins' <<'END'
FROM scratch
ENV A=1 B=2
ENV C=3 A=4
ENV D=1 D=2
END

conform env-modifiers 'default, alternative, and what both do with the empty' <<'END'
FROM scratch
ENV set=value empty=
ENV a=${set:-d} b=${empty:-d} c=${unset:-d} d=${set:+alt} e=${empty:+alt} f=${unset:+alt}
ENV g=something-${set}${empty:+-${empty}} h=${unset:-${set}}
END

conform env-patterns 'prefixes, suffixes and replacements' <<'END'
FROM scratch
ENV p=foo/bar/baz.tar.gz
ENV a=${p#*/} b=${p##*/} c=${p%.*} d=${p%%.*} e=${p/bar/x} f=${p//a/A} g=${p-d} h=${no-d} i=${p+y}
END
expected 64 'facts 63 to 68; buildah has no patterns' <<'END'
.Env ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "p=foo/bar/baz.tar.gz", "a=bar/baz.tar.gz", "b=baz.tar.gz", "c=foo/bar/baz.tar", "d=foo/bar/baz", "e=foo/x/baz.tar.gz", "f=foo/bAr/bAz.tAr.gz", "g=foo/bar/baz.tar.gz", "h=d", "i=y"]
END

conform env-unsupported 'a modifier that is none' <<'END'
FROM scratch
ENV a=${b:=c}
END
refused 69 'unsupported modifier'

conform env-required 'a variable that must be set' <<'END'
FROM scratch
ENV a=${b:?"is needed"}
END
refused 65 'b: is needed'

conform args-scope 'global, redeclared, defaulted and given arguments' <<'END'
ARG V=3.20
ARG a1=global1
ARG a2=${a1}-more
ARG a3
FROM alpine:$V AS base
ARG a1
ARG a2=stage
ARG a3 a4="1 2"
ARG given
ENV C=${a1}-${a2}-${a3:-none}-${a4}-${given}
RUN echo "$a1 $a2 $a3 $a4 $given $C" > /args
FROM base
RUN echo "$C $given $a1" > /second
ARG a1=again
RUN echo "$a1" > /third
FROM base AS sibling
ARG only=here
FROM base
COPY --from=1 /second /third /
RUN echo "${only:-nothing}" > /fourth
CMD echo $C
END
flags --build-arg given=GIVEN --build-arg a3=THREE --build-arg undeclared=x
except 92 'a stage sees the arguments of the stage it is based on; in buildah only its variables' <<'END'
/second file 0644 0:0 "global1-stage-THREE-1 2-GIVEN GIVEN global1\n"
END

conform args-env 'ENV after ARG wins, and ARG leaves nothing in the image' <<'END'
FROM alpine:3.20
ARG X=arg
ENV X=env
ARG Y=arg
RUN echo "$X $Y" > /f
END
flags --build-arg X=given

conform args-after-env 'ARG after ENV: the step sees the argument, the image keeps the variable' <<'END'
FROM alpine:3.20
ENV X=1
ARG X=2
RUN echo "$X" > /f
ENV Y=$X
END
expected 93 'in buildah ENV always wins' <<'END'
/f file 0644 0:0 "2\n"
.Env ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "X=1", "Y=2"]
END

conform args-empty 'an argument given as empty' <<'END'
FROM alpine:3.20
ARG A=default
ARG B
RUN echo "[$A] ${B-unset}" > /f
END
flags --build-arg A=

conform args-from 'arguments in FROM: image, stage by name' <<'END'
ARG image=alpine
ARG tag=nosuchtag
ARG which=other
FROM ${image}:${tag} AS build-linux
RUN echo built > /f
FROM build-${which}
CMD ["x"]
END
flags --build-arg tag=3.20 --build-arg which=linux

conform args-predefined 'the platform arguments, where they are declared' <<'END'
FROM alpine:3.20
RUN echo "${TARGETARCH:-none}" > /undeclared
ARG TARGETARCH
ARG TARGETOS TARGETPLATFORM BUILDPLATFORM BUILDARCH
RUN echo "$TARGETARCH $TARGETOS $TARGETPLATFORM $BUILDPLATFORM $BUILDARCH" > /f
END

conform args-in-names 'variables in everything that expands' <<'END'
FROM alpine:3.20
ARG d=/data u=1000 p=80 s=SIGINT k=key
ENV e=$d/e
WORKDIR $e/w
VOLUME $d/v $e/v2
USER $u:${u}1
EXPOSE $p ${p}81/udp
STOPSIGNAL $s
LABEL $k=$d "${k}2"="$e"
CMD echo $d
ENTRYPOINT ["echo", "$e"]
END

conform continuation 'an escape by directive, comments and blank lines inside' <<'END'
# escape=`
FROM scratch
ENV a=b `
# comment \
    c=d `

    e=f
ENV w="C:\path" x=y`z
END
except 2.2 'the escape character of the directive is that of words too' <<'END'
.Env ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "a=b", "c=d", "e=f", "w=C:\\path", "x=yz"]
END

conform continuation-not 'two backslashes do not continue' <<'END'
FROM scratch
ENV C trailing\\backslash\\
ENV E hello\
\
world
ENV F hello\
 \
world
END
except 16 'section 1.12 has these lines; buildah goes on after the two' <<'END'
.Env ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "C=trailing\\backslash\\", "E=helloworld", "F=hello world"]
END

conform lexical 'carriage returns, a byte order mark, casing, indented comments' <<'END'
FROM scratch
END
printf '\xef\xbb\xbffrom scratch\r\n  # comment\r\n\r\n   env a=b \\\r\n  c=d\r\nLaBeL x=y\r\nCOPY f /f\r\n' >Dockerfile && printf 'a\r\n' >f

conform lexical-end 'a file that ends in a continuation, without a line end' <<'END'
FROM scratch
END
printf 'FROM scratch\nENV a=b \\' >Dockerfile

conform heredoc-copy 'files of heredocs: expanded, raw, with tabs taken' <<END
FROM scratch
ARG name=world
COPY <<EOF /hello
Hello \${name} "quoted" 'single' \\\\ \\\$name

# no comment
EOF
COPY <<"EOF" /raw
Hello \${name} \\\\
EOF
COPY <<-EOF /tabs
	one
		two
  three
	EOF
COPY <<one <<two /d/
1
one
2
two
COPY --chmod=0750 --chown=3:4 <<EOF /owned/f
EOF
ADD <<EOF f /mixed/
by ADD
EOF
END
echo file >f
expected 38 'facts 39 to 45; this buildah has no heredocs' <<'END'
/hello file 0644 0:0 "Hello world \"quoted\" 'single' \\ $name\n\n# no comment\n"
/raw file 0644 0:0 "Hello ${name} \\\\\n"
/tabs file 0644 0:0 "one\ntwo\n  three\n"
/d dir 0755 0:0
/d/one file 0644 0:0 "1\n"
/d/two file 0644 0:0 "2\n"
/owned dir 0750 3:4
/owned/f file 0750 3:4 ""
/mixed dir 0755 0:0
/mixed/f file 0644 0:0 "file\n" @context
/mixed/EOF file 0644 0:0 "by ADD\n"
END

conform heredoc-run 'scripts of heredocs: by the shell, by their own interpreter, as input of a command' <<END
FROM alpine:3.20
ARG name=env
RUN <<EOF
echo one > /f
name=shell
echo "\$name" >> /f
false
echo after >> /f
EOF
RUN <<EOF
#!/bin/cat
text
EOF
RUN cat <<A > /a && cat <<-"B" > /b
\$name
A
	\$name
	B
RUN <<-EOF
	#!/bin/sh
	echo \$0 > /script
	EOF
END
expected 50 'facts 52, 53, 55, 56; this buildah has no heredocs' <<'END'
/f file 0644 0:0 "one\nshell\nafter\n"
/a file 0644 0:0 "env\n"
/b file 0644 0:0 "$name\n"
/script file 0644 0:0 "/dev/pipes/EOF\n"
END

conform heredoc-open 'a heredoc without an end' <<'END'
FROM scratch
COPY <<EOF /f
text
END
refused 60 'unterminated heredoc'

conform heredoc-not 'quoted and JSON forms are none' <<'END'
FROM alpine:3.20
RUN echo "<<X" > /f
RUN ["touch", "/<<X"]
END

conform front-errors 'an unknown instruction' <<'END'
FROM scratch
FNTRYPOINT ["x"]
END
refused 23 '[Uu]nknown instruction: FNTRYPOINT'

conform front-no-stage 'an instruction before FROM' <<'END'
ENV a=b
FROM scratch
END
refused_here 1.1.4 'no build stage in current context'
