# shellcheck shell=bash disable=SC2016,SC2154,SC1003 # Dockerfiles in quotes
# What ends up in the config: ENTRYPOINT and CMD, LABEL, EXPOSE, VOLUME, WORKDIR, USER, SHELL, STOPSIGNAL, HEALTHCHECK,
# MAINTAINER, history; specification 3.4 to 3.14 and 6, facts 209 to 222, 269 to 281.

conform cmd-text 'text forms go to the shell' <<'END'
FROM scratch
ENTRYPOINT run $HOME "it"
CMD echo 'a  b'   c
END

conform cmd-json 'JSON forms are kept' <<'END'
FROM scratch
ENTRYPOINT ["/bin/x", "a b", "\"q\"", "\u0041", "$HOME"]
CMD [ "1", "", "three" ]
END

conform cmd-odd-json 'what is nearly JSON is text' <<'END'
FROM scratch
ENTRYPOINT []random string
CMD ['a']
END
except 34 'buildah drops it' <<'END'
.Entrypoint ["/bin/sh", "-c", "[]random string"]
END

conform cmd-last 'the last one counts' <<'END'
FROM scratch
CMD ["a"]
CMD ["b"]
ENTRYPOINT ["c"]
ENTRYPOINT ["d"]
END

conform cmd-of-base 'ENTRYPOINT takes the CMD of the base away' <<'END'
FROM alpine:3.20
ENTRYPOINT ["e"]
END

conform cmd-before-entrypoint 'but not a CMD of the same stage' <<'END'
FROM alpine:3.20
CMD ["c"]
ENTRYPOINT ["e"]
END

conform cmd-of-parent 'the CMD of a parent stage goes' <<'END'
FROM scratch AS parent
CMD ["c"]
FROM parent
ENTRYPOINT ["e"]
END

conform cmd-empty 'empty lists' <<'END'
FROM alpine:3.20
ENTRYPOINT ["e"]
CMD ["x"]
CMD []
END

conform cmd-numbers 'an array of something else than strings' <<'END'
FROM scratch
CMD [1]
END
refused_here 35 'arrays must be comprised of strings only'

conform shell 'SHELL is for the text forms after it, and is kept' <<'END'
FROM alpine:3.20
CMD before
SHELL ["/bin/ash", "-ec"]
ENTRYPOINT after
RUN echo $0 > /f
HEALTHCHECK CMD check it
END
except 3.10.1 'buildah has ENTRYPOINT run by /bin/sh whatever SHELL says' <<'END'
.Entrypoint ["/bin/ash", "-ec", "after"]
END

conform shell-inherited 'and goes to the next stage' <<'END'
FROM scratch AS parent
SHELL ["/bin/x", "-y"]
FROM parent
CMD text
END
except 3.10.5 'buildah does not hand it on' <<'END'
.Cmd ["/bin/x", "-y", "text"]
END

conform labels 'quotes, blanks, order, and the legacy form' <<'END'
FROM scratch
LABEL a=b "c d"="e f" g='h i' j="k\"l" m=n\ o
LABEL legacy one  two
LABEL multi="line one \
line two" empty="" dotted.name/x-y=1
LABEL a=again
LABEL maintainer docker <d@x>
END

conform labels-flag 'labels of the command line' <<'END'
FROM scratch
LABEL a=file b=file
END
flags --label b=flag --label c=flag

conform expose 'ports: protocols, ranges, repeats, a base' <<'END'
FROM scratch AS base
EXPOSE 80 443/tcp
FROM base
EXPOSE 53/udp 80/tcp 9000 9001/sctp
EXPOSE 7000-7002
EXPOSE 7000-7001/udp
END
except 3.9.3 'each port of a range has a key; buildah keeps the range' <<'END'
.ExposedPorts {"443/tcp": {}, "53/udp": {}, "7000/tcp": {}, "7000/udp": {}, "7001/tcp": {}, "7001/udp": {}, "7002/tcp": {}, "80/tcp": {}, "9000/tcp": {}, "9001/sctp": {}}
END

conform expose-casing 'a protocol in capitals' <<'END'
FROM scratch
EXPOSE 8000-8002/UDP 80/TCP
END
except 272 'the protocol is lowercased; buildah keeps it' <<'END'
.ExposedPorts {"8000/udp": {}, "8001/udp": {}, "8002/udp": {}, "80/tcp": {}}
END

conform expose-variable 'several ports out of one variable' <<'END'
FROM scratch
ENV PORTS="3000 4000/udp" P=5000
EXPOSE $PORTS $P ${P}1
END
except 72 'buildah takes a variable for one port' <<'END'
.ExposedPorts {"3000/tcp": {}, "4000/udp": {}, "5000/tcp": {}, "50001/tcp": {}}
END

conform expose-wrong 'a range that goes backwards' <<'END'
FROM scratch
EXPOSE 9-8
END
refused_here 272 'invalid containerPort'

conform volumes 'both forms, repeats, a base' <<'END'
FROM scratch AS base
VOLUME /a /b
FROM base
VOLUME ["/c d", "/a"]
VOLUME relative
END
except 3.8 'VOLUME makes nothing; buildah makes folders' <<'END'
!/a
!/b
!/relative
END

conform volume-writes 'what is written below a volume stays' <<'END'
FROM alpine:3.20
RUN mkdir /data && echo before > /data/before
VOLUME /data
RUN echo after > /data/after && echo changed >> /data/before
COPY f /data/copied
END
echo f >f
expected 3.8 'buildah forgets what steps write below a volume' <<'END'
/data dir 0755 0:0
/data/before file 0644 0:0 "before\nchanged\n"
/data/after file 0644 0:0 "after\n"
/data/copied file 0644 0:0 "f\n" @context
.Volumes {"/data": {}}
END

conform volume-empty 'no name' <<'END'
FROM scratch
VOLUME [""]
END
refused_here 273 'can not be an empty string'

conform workdir 'absolute, relative, .., trailing slashes' <<'END'
FROM scratch
WORKDIR /test1
WORKDIR test2
WORKDIR ..
WORKDIR a/../b/
END

conform workdir-root 'the root makes no layer' <<'END'
FROM scratch
WORKDIR /foo
WORKDIR /
END
history 209 <<'END'
layer WORKDIR /foo
empty WORKDIR /
END

conform workdir-owner 'a folder that is made belongs to the USER, one that is there is left alone' <<'END'
FROM alpine:3.20
RUN mkdir -m 0700 /there && chown 5:6 /there
USER nobody
WORKDIR /mine/deep
WORKDIR /there
USER 77
WORKDIR /number
RUN pwd > /tmp/pwd
END
expected 210 'buildah makes them for root' <<'END'
/there dir 0700 5:6
/mine dir 0755 65534:65534
/mine/deep dir 0755 65534:65534
/number dir 0755 77:77
/tmp/pwd file 0644 77:0 "/number\n"
.User "77"
.WorkingDir "/number"
END

conform workdir-link 'links on the way are followed' <<'END'
FROM alpine:3.20
RUN mkdir /real && ln -s real /link
WORKDIR /link/sub
RUN pwd > f
END

conform workdir-empty 'an empty variable changes nothing' <<'END'
FROM scratch
ENV empty=
WORKDIR /a
WORKDIR ${empty}
END
expected 270 'buildah goes to the root' <<'END'
/a dir 0755 0:0
.Env ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "empty="]
.WorkingDir "/a"
END

conform workdir-inherited 'a base has its WORKDIR' <<'END'
FROM scratch AS base
WORKDIR /base
FROM base
WORKDIR sub
COPY f .
END
echo f >f

conform users 'verbatim, whatever it is' <<'END'
FROM scratch
USER nobody
USER 1000:grp
END

conform stopsignal 'as it was written' <<'END'
FROM scratch
STOPSIGNAL sigterm
END

conform stopsignal-number 'a number' <<'END'
FROM scratch
STOPSIGNAL 9
END

conform stopsignal-wrong 'no signal' <<'END'
FROM scratch
STOPSIGNAL foo
END
refused_here 222 'invalid signal: foo'

conform healthcheck 'all options' <<'END'
FROM scratch
HEALTHCHECK --interval=5m --timeout=3s --start-period=1m30s --retries=2 CMD ["/bin/check", "a b"]
END

conform healthcheck-text 'text form, whatever the SHELL is' <<'END'
FROM scratch
SHELL ["/bin/x"]
HEALTHCHECK --timeout=100ms CMD curl -f "http://localhost/"
END

conform healthcheck-none 'none at all, over that of the base' <<'END'
FROM scratch AS base
HEALTHCHECK CMD x
FROM base
HEALTHCHECK NONE
END

conform healthcheck-short 'a time that is too short' <<'END'
FROM scratch
HEALTHCHECK --interval=50ns CMD x
END
refused_here 221 'cannot be less than 1ms'

conform maintainer 'the author' <<'END'
FROM scratch
MAINTAINER somebody <some@body>
END

conform history-all 'an entry for each instruction' <<'END'
FROM alpine:3.20
ARG foo=bar
ARG bar=123 unset
ENV A=1 B="2 3"
LABEL l=v
RUN true
COPY --chown=1:2 f g /d/
ADD f /f
WORKDIR /w
USER 1000
EXPOSE 5000 2375 1234/udp
VOLUME ["/a", "/b"]
SHELL ["/bin/sh", "-ec"]
STOPSIGNAL SIGINT
HEALTHCHECK --interval=1s --retries=3 CMD x
ENTRYPOINT ["e", "f g"]
CMD []
END
echo f >f && echo g >g
except 217 'facts 217, 218; the owner of the folder as in chown-parents' <<'END'
/d dir 0755 1:2
END
history 6.3 <<'END'
empty ARG foo=bar
empty ARG bar=123 unset
empty ENV A=1 B=2 3
empty LABEL l=v
layer RUN |3 foo=bar bar=123 unset= /bin/sh -c true # buildkit
layer COPY --chown=1:2 f g /d/ # buildkit
layer ADD f /f # buildkit
layer WORKDIR /w
empty USER 1000
empty EXPOSE [1234/udp 2375/tcp 5000/tcp]
empty VOLUME [/a /b]
empty SHELL [/bin/sh -ec]
empty STOPSIGNAL SIGINT
empty HEALTHCHECK {Test:[CMD-SHELL x] Interval:1s Timeout:0s StartPeriod:0s StartInterval:0s Retries:3}
empty ENTRYPOINT ["e" "f g"]
empty CMD []
END

conform history-stages 'history is that of the chain of the target only' <<'END'
FROM scratch AS other
COPY f /other
FROM scratch AS parent
COPY f /parent
ENV a=b
FROM parent
COPY --from=other /other /ab
COPY ["f", "/c d/"]
END
echo f >f
history 219 <<'END'
layer COPY f /parent # buildkit
empty ENV a=b
layer COPY /other /ab # buildkit
layer COPY f /c d/ # buildkit
END

conform epoch 'SOURCE_DATE_EPOCH is the time of a folder that WORKDIR makes' <<'END'
FROM scratch
WORKDIR /w
END
flags --build-arg SOURCE_DATE_EPOCH=1234567890
with_folder_times
expected 212 'section 6.7.3; buildah makes it with the time of today' <<'END'
/w dir 0755 0:0 @1234567890
.WorkingDir "/w"
END
