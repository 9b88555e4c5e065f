# shellcheck shell=bash disable=SC2154 # what tests/conformance/lib.sh sets
# ADD of the context: archives; specification 3.3.10, facts 168 to 176, 289 to 292.

# tar_of NAME ARGUMENT...: an archive with fixed times and owners 9:10
tar_of() { tar --sort=name --numeric-owner --owner=9 --group=10 --mtime="@$context_time" -cf "$@"; }

conform add-plain 'what is no archive is copied' <<'END'
FROM scratch
ADD one /one
ADD dir /dir
ADD one dir/two /d/
ADD o* /w/
ADD --chown=3:4 one /owned
ADD --chmod=0600 one /moded
END
echo one >one && mkdir dir && echo two >dir/two

for kind in tar gzip bzip2 xz zstd; do
	conform "add-$kind" "an archive, $kind, is extracted; COPY keeps it" <<-'END'
		FROM scratch
		ADD t.archive /out/
		ADD t.archive /
		COPY t.archive /kept
	END
	mkdir -p ../t/d/sub && echo 1 >../t/d/f && echo 2 >../t/d/sub/g && ln -s f ../t/d/l && ln ../t/d/f ../t/d/h
	chmod 4755 ../t/d/f && chmod 0711 ../t/d/sub
	tar_of ../t.tar -C ../t d
	if [ "$kind" = tar ]; then cp ../t.tar t.archive; else "$kind" -qc ../t.tar >t.archive; fi
done

conform add-unpack 'extraction on request and not' <<'END'
FROM scratch
ADD --unpack=false t.tar /kept
ADD --unpack=true t.tar /out
END
echo 1 >../f && tar_of t.tar -C .. f && cp t.tar ../t.tar
expected 168 'buildah has no --unpack' <<END
/kept file 0644 0:0 10240 bytes sha256:$(sha256sum t.tar | cut -c1-20) @context
/out dir 0755 0:0
/out/f file 0644 9:10 "1\n" @context
END

conform add-several 'several archives and a plain file by a wildcard' <<'END'
FROM scratch
ADD *.tar /dest/
ADD a.tar plain /mixed/
END
echo 1 >../a && echo 2 >../b && tar_of a.tar -C .. a && tar_of b.tar -C .. b && echo plain >plain

conform add-no-tar 'an empty x.tar and a gzip of something else are plain files' <<'END'
FROM scratch
ADD empty.tar /e
ADD text.gz /g
END
: >empty.tar && echo text | gzip -n >text.gz

conform add-over 'an archive over what is there: folders merge, everything else is replaced' <<'END'
FROM alpine:3.20
RUN mkdir -p /out/d/kept /out/gone/deep && echo old >/out/d/f && ln -s /tmp /out/l && echo x >/out/gone/deep/x && echo file >/out/becomes
ADD t.tar /out
END
mkdir -p ../t/d ../t/becomes && echo new >../t/d/f && echo l >../t/l && echo gone >../t/gone && echo in >../t/becomes/in
tar_of t.tar -C ../t d l gone becomes

conform add-parents 'parents that the archive does not name have 0755 and root' <<'END'
FROM scratch
ADD t.tar /out/
END
mkdir -p ../t/a/b && echo 1 >../t/a/b/f && tar_of t.tar -C ../t a/b/f

conform add-chown 'with --chown every entry and the destination are given, not the parents between' <<'END'
FROM scratch
ADD --chown=100:200 t.tar /out/
END
mkdir -p ../t/a ../t/b && echo 1 >../t/a/f && echo 2 >../t/b/g && tar_of t.tar -C ../t a b/g
expected 292 'fact 172 too; buildah gives nothing to anybody' <<'END'
/out dir 0755 100:200
/out/a dir 0755 100:200
/out/a/f file 0644 100:200 "1\n" @context
/out/b dir 0755 0:0
/out/b/g file 0644 100:200 "2\n" @context
END

conform add-through-link 'DEST / with a link of an earlier layer on the way' <<'END'
FROM scratch
ADD one.tar /
ADD two.tar /
END
mkdir -p ../one/var ../one/real ../two/var/run && ln -s /real ../one/var/run && echo x >../two/var/run/x && ln ../two/var/run/x ../two/var/run/y
tar_of one.tar -C ../one var real && tar_of two.tar -C ../two var/run/x var/run/y
expected 175 'buildah replaces the link' <<'END'
/real dir 0755 9:10
/real/x file 0644 9:10 "x\n" @context
/real/y file 0644 9:10 "x\n" @context = /real/x
/var dir 0755 9:10
/var/run link 9:10 -> /real @context
END

conform add-odd 'whiteout-like names, pipes, long names and attributes in an archive' <<'END'
FROM scratch
ADD t.tar /out/
END
mkdir -p ../t/d && mkfifo ../t/pipe && long=$(printf 'n%.0s' $(seq 200)) && echo l >"../t/$long" && echo a >../t/a &&
	setfattr -n user.note -v kept ../t/a
tar_of t.tar --format=posix --xattrs --pax-option=delete=atime,delete=ctime -C ../t d pipe "$long" a

conform add-sparse 'archives with sparse members of the PAX forms' <<'END'
FROM scratch
ADD 0.0.tar /0.0/
ADD 0.1.tar /0.1/
ADD 1.0.tar /1.0/
END
mkdir ../t && truncate -s 1M ../t/hole ../t/ends && echo end >>../t/ends && echo plain >../t/plain
for i in $(seq 10); do echo "$i" | dd of=../t/parts bs=64k seek="$i" conv=notrunc status=none; done
for v in 0.0 0.1 1.0; do
	tar_of $v.tar --format=posix --sparse-version=$v --pax-option=delete=atime,delete=ctime -C ../t hole ends parts plain
done

conform add-sparse-gnu 'an archive with sparse members of the old form, some with more parts than a header has room for' <<'END'
FROM scratch
ADD t.tar /out/
END
mkdir ../t && truncate -s 1M ../t/hole && echo plain >../t/plain
for i in $(seq 10); do echo "$i" | dd of=../t/parts bs=64k seek="$i" conv=notrunc status=none; done
tar_of t.tar --format=gnu --sparse -C ../t hole parts plain
# a difference: docs/differences.md
expected 3.3.10.2 'neither buildah nor BuildKit knows the type of such members' <<END
/out dir 0755 0:0
/out/hole file 0644 9:10 1048576 bytes sha256:$(sha256sum ../t/hole | cut -c1-20) @context
/out/parts file 0644 9:10 655363 bytes sha256:$(sha256sum ../t/parts | cut -c1-20) @context
/out/plain file 0644 9:10 "plain\n" @context
END

conform add-climbing 'an archive that climbs out is refused' <<'END'
FROM scratch
ADD t.tar /out/
END
echo 1 >../f && tar_of t.tar -P --transform 's,^,../../,' -C .. f
refused_here 3.3.10.2 'outside|\.\.'

conform add-json 'JSON form, and an archive by name with a blank' <<'END'
FROM scratch
ADD ["a b.tar", "/o p/"]
END
echo 1 >../f && tar_of 'a b.tar' -C .. f

conform add-from-missing 'a missing source' <<'END'
FROM scratch
ADD nothing.tar /
END
refused 122 '/nothing.tar.*not found'

conform add-checksum-local '--checksum is for remote sources' <<'END'
FROM scratch
ADD --checksum=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 f /f
END
: >f
refused 176 'checksum requires HTTP'
