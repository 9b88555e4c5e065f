# shellcheck shell=bash disable=SC2016,SC2154,SC1003 # Dockerfiles in quotes
# RUN: what steps leave behind, deletions, ownership, users, mounts; specification 3.2, 6.8, facts 186 to 208.

conform run-makes 'files, links, hard links, pipes, modes, names' <<'END'
FROM alpine:3.20
RUN echo one > /one && mkdir -p /a/b/c && chmod 1777 /a && ln -s ../one /a/link && ln /one /hard
RUN mkfifo /pipe && ln -s /nowhere /dangling && printf 'x%.0s' $(seq 200) > "/a name with blanks" && touch "/ünï" "$(printf '/new\nline')"
RUN truncate -s 2M /sparse && echo end >> /sparse && chmod 4755 /sparse && touch /none && chmod 0000 /none
END

conform run-json 'JSON form: no shell, no variables' <<'END'
FROM alpine:3.20
RUN ["/bin/sh", "-c", "echo \"$0 $HOME\" > /f", "zero"]
RUN ["touch", "/$HOME", "/a b"]
END

conform run-deletes 'deletions of files, folders and links of lower layers' <<'END'
FROM alpine:3.20
RUN mkdir -p /d/sub && touch /d/sub/f /d/g && ln -s d /l && ln /d/g /h
RUN rm -rf /etc/apk /etc/motd /usr/share /l /h && rm /d/sub/f && rmdir /d/sub
RUN rm -rf /d
END

conform run-opaque 'a folder that is deleted and made anew has nothing of the old one' <<'END'
FROM alpine:3.20
RUN mkdir -p /d/sub/deep && touch /d/old /d/sub/old /d/sub/deep/old
RUN rm -rf /d/sub && mkdir /d/sub && touch /d/sub/new
RUN rm -rf /usr/share && mkdir /usr/share && touch /usr/share/new
END

conform run-retypes 'a file becomes a folder, a folder a file, a link a file' <<'END'
FROM alpine:3.20
RUN mkdir -p /dir/in && touch /dir/in/f /file && ln -s /file /link
RUN rm -rf /dir /link && echo now > /dir && rm /file && mkdir /file && touch /file/in && echo f > /link
RUN rm /etc/motd && mkdir /etc/motd && touch /etc/motd/now-a-folder
END

conform run-recreates 'deleted in one step, back in the next' <<'END'
FROM alpine:3.20
RUN rm -rf /etc/apk /etc/motd
RUN mkdir -m 0700 /etc/apk && echo back > /etc/motd
END

conform run-renames 'folders and files of lower layers are renamed' <<'END'
FROM alpine:3.20
RUN mkdir -p /a/b && echo f > /a/b/f
RUN mv /a/b /moved && mv /etc/apk /apk && mv /etc/motd /motd && mv /usr/share /share && mkdir /usr/share
END

conform run-appends 'a file of a lower layer changes its content, its mode or its owner only' <<'END'
FROM alpine:3.20
RUN echo a > /f && echo a > /g && echo a > /h && mkdir /d
RUN echo b >> /f && chmod 0600 /g && chown 5:6 /h && chmod 2770 /d && chown 3:3 /d
RUN echo more >> /etc/motd && chmod u+s /bin/busybox
END

conform run-hard-lower 'a hard link to a file of a lower layer' <<'END'
FROM alpine:3.20
RUN echo a > /f && ln /f /g
RUN ln /f /h && rm /g
END

conform run-owners 'files given away, links too, and users made' <<'END'
FROM alpine:3.20
RUN adduser -D -u 1234 app && mkdir -p /data/sub && chown -R app:app /data && chmod 2755 /data
RUN touch /a /b && chown 1:2 /a && chown 65534:65534 /b && ln -s /a /l && chown -h 7:7 /l && chown 1000 /data/sub
USER app
RUN echo mine > /home/app/mine && touch /data/too && id -u > /data/sub/../id
END

conform run-times 'times that a step sets' <<'END'
FROM alpine:3.20
RUN touch -d @1000000000 /f && touch -h -d @1100000000 /etc/motd && ln -s f /l && touch -d @1200000000 /g && ln /g /h
END

conform run-environment 'ENV and ARG are in the environment; HOME is that of the user' <<'END'
FROM alpine:3.20
ARG FOO
ARG BAR=
ARG BAZ=baz
ENV A=1 B="2 3"
RUN env | grep -E '^(FOO|BAR|BAZ|A|B|HOME|PATH)' | sort > /env && pwd > /pwd
RUN echo "$A-${B}-$BAZ-${FOO-unset}-${BAR-unset}" > /expanded
END

conform run-arguments-escape 'continuations, comments inside, quotes' <<'END'
FROM alpine:3.20
RUN echo one \
    # a comment
  two \

  'thr ee'   > /f && \
  echo "# no comment" > /g
RUN echo a \\ b > /h; echo 'x\ny' > /i
END

conform run-user-forms 'USER by name, number, and with a group' <<'END'
FROM alpine:3.20
RUN echo 'app:x:1000:1001::/home/app:/bin/sh' >> /etc/passwd && echo 'app:x:1001:' >> /etc/group && echo 'more:x:2000:app' >> /etc/group && mkdir -m 1777 /o
USER app
RUN id -u > /o/1; id -g >> /o/1; id -G >> /o/1
USER 1000
RUN id -u > /o/2; id -g >> /o/2; id -G >> /o/2
USER app:more
RUN id -u > /o/3; id -g >> /o/3
USER 4444:5555
RUN id -u > /o/4; id -g >> /o/4
USER 7777
RUN id -u > /o/5; id -g >> /o/5
END

conform run-user-unknown 'a user that nobody knows' <<'END'
FROM alpine:3.20
USER ghost
RUN true
END
refused 3.2.2 'unable to find user ghost'

conform run-fails 'a command that fails' <<'END'
FROM alpine:3.20
RUN exit 7
END
refused 187 'did not complete successfully: exit code: 7'

conform run-entrypoint-ignored 'ENTRYPOINT and CMD of the image mean nothing to RUN' <<'END'
FROM alpine:3.20
ENTRYPOINT ["/bin/false"]
CMD ["wrong"]
RUN echo right > /f
END

conform run-shell 'another SHELL' <<'END'
FROM alpine:3.20
SHELL ["/bin/sh", "-ec", "echo \"shell $0\" > /shell; eval \"$0\""]
RUN echo via > /f
END

conform run-nothing 'a step that changes nothing has its layer' <<'END'
FROM alpine:3.20
RUN true
RUN rm -f /nothing
END
history 208 <<'END'
layer RUN /bin/sh -c true # buildkit
layer RUN /bin/sh -c rm -f /nothing # buildkit
END

conform run-stdin 'the input of a step is empty' <<'END'
FROM alpine:3.20
RUN cat > /in && echo done >> /in
END

# Targets below /run, which is not compared: buildah removes mount points of the image or leaves its own behind.
conform run-mounts 'bind, tmpfs, cache and secret mounts' <<'END'
FROM alpine:3.20 AS tools
RUN mkdir -p /t/sub && echo tool > /t/sub/f && ln -s sub/f /t/link
FROM alpine:3.20
RUN --mount=type=bind,from=tools,source=/t,target=/run/m cp /run/m/link /bound && cp -a /run/m/sub /bound-folder
RUN --mount=type=bind,target=/run/m cp /run/m/f /from-context
RUN --mount=type=tmpfs,target=/run/m touch /run/m/x && ls /run/m > /listed
RUN --mount=type=cache,target=/run/m echo cached > /run/m/y && cp /run/m/y /from-cache
RUN --mount=type=secret,id=s,target=/run/s cat /run/s > /from-secret
END
echo context >f && echo secret >s
flags --secret id=s,src=s

conform run-mount-stubs 'mount points leave nothing behind' <<'END'
FROM alpine:3.20
RUN --mount=type=tmpfs,target=/made/for/it touch /made/for/it/x
RUN --mount=type=bind,source=f,target=/etc/f cp /etc/f /f
RUN --mount=type=secret,id=none cat /run/secrets/none 2>/dev/null; true
RUN --mount=type=tmpfs,target=/stub/mnt touch /stub/kept
END
echo context >f
expected 267 'fact 268 too; buildah leaves mount points' <<'END'
/f file 0644 0:0 "context\n"
/stub dir 0755 0:0
/stub/kept file 0644 0:0 ""
END

conform run-mount-rw 'what is written into a writable bind mount is gone' <<'END'
FROM alpine:3.20
RUN --mount=type=bind,target=/run/m,rw echo changed > /run/m/f && cp /run/m/f /seen
RUN --mount=type=bind,target=/run/m cp /run/m/f /again
END
echo context >f
expected 190 'buildah writes into the context' <<'END'
/seen file 0644 0:0 "changed\n"
/again file 0644 0:0 "context\n"
END

conform run-xattr 'attributes of files that a step copies and changes' <<'END'
FROM alpine:3.20
COPY d /d
RUN cp -a /d /e; echo more >> /d/f; mv /d/g /d/h; chmod 600 /d/h
END
mkdir d && echo 1 >d/f && echo 2 >d/g && setfattr -n user.note -v kept d/f && setfattr -n user.note -v moved d/g
