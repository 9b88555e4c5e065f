#!/bin/bash
# Who owns what: steps that give files away, become users, make devices, install packages. They work with one id and with a
# range, and the layers are the same to the byte.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

arch=$(host_arch)
user_env+=(SOURCE_DATE_EPOCH=1700000000)

# The digests of the layers of a layout, base first.
layers() { jq -r '.layers[].digest' "$1/blobs/$(jq -r '.manifests[0].digest' "$1/index.json" | tr : /)"; }

# What differs between two layouts, one line per path: type, mode, owner, size, name.
differences() {
	local l layer
	for l in "$1" "$2"; do
		for layer in $(layers "$l"); do
			echo "layer"
			zstdcat -f "$l/blobs/${layer/://}" | tar -tv --numeric-owner --full-time -f - 2>/dev/null
		done >"$scratch/$(tr / _ <<<"$l").list"
	done
	diff "$scratch/$(tr / _ <<<"$1").list" "$scratch/$(tr / _ <<<"$2").list" | head -n 40
}

# equal NAME: (sets last, the layout of the last of them) every kind of user builds the context NAME, all get the same layers
equal() {
	local name=$1 user first="" layout
	for user in "${users[@]}"; do
		layout=$(dest "$user" "$name")
		runs "$name as $user" "$user" build --progress plain -o "type=oci,dest=$layout,tar=false" "$name" || return
		last=$layout
		[ -n "$first" ] || { first=$layout; continue; }
		if [ "$(layers "$first")" = "$(layers "$layout")" ]; then
			pass "$name: $user gets the same layers"
		else
			fail "$name: $user gets the same layers" "$(differences "$first" "$layout")"
		fi
	done
	[ ${#users[@]} -gt 1 ] || skip "$name: both kinds of users" "not started as root, so only $U was tested"
}

context alpine <<'END'
FROM alpine:3.20
RUN adduser -D -u 1500 alice && addgroup -g 1600 team && adduser alice team && id alice && stat -c '%u:%g' /home/alice
RUN mkdir -m 2770 /srv/team && chown alice:team /srv/team && chmod 2770 /srv/team && touch /srv/team/by-root && mkdir /srv/team/sub && \
	touch /srv/team/sub/deep && ln -s by-root /srv/team/link
RUN su alice -c 'umask 027; touch /srv/team/a; mkdir /srv/team/d; ln -s a /srv/team/l; echo hi > /srv/team/d/f; mkfifo /srv/team/p'
RUN test "$(stat -c %u:%g:%a /srv/team/a)" = 1500:1600:640 && test "$(stat -c %u:%g /srv/team/l)" = 1500:1600 && chown -h 5:6 /srv/team/l && \
	mv /srv/team/l /srv/moved && rm /srv/team/d/f && touch /srv/team/d/f && test "$(stat -c %u:%g /srv/moved)" = 5:6
RUN mknod -m 622 /console c 5 1 && mknod /disk b 8 0 && mkfifo /fifo && chown 7:8 /fifo /console && cp /bin/busybox /suid && \
	chown alice /suid && chmod 4755 /suid
RUN test -c /console && test -b /disk && test "$(stat -c %t,%T:%u /console)" = 5,1:7 && cp -a /console /console2 && test -c /console2
RUN chown 70000:80000 /fifo /home/alice && chown -h 90000 /srv/moved && mkdir /late && chown 100000:100000 /late
RUN test "$(stat -c %u:%g /late /fifo /srv/moved | tr '\n' ' ')" = '100000:100000 70000:80000 90000:6 ' && su alice -c 'touch /tmp/t' && \
	rm -rf /home/alice && mkdir /home/alice && chown alice: /home/alice
USER alice:team
RUN test "$(id -u):$(id -g)" = 1500:1600 && touch /home/alice/mine && ! chown root /home/alice/mine 2>/dev/null && ! chown root /etc/passwd 2>/dev/null
WORKDIR /home/alice/w
RUN touch here && test "$(stat -c %u:%g .)" = 1500:1600
USER 123456:7
RUN test "$(id -u)" = 123456 && touch /tmp/high && mkdir /tmp/highdir
USER root
COPY --chown=200000:5 Dockerfile /copied
RUN test "$(stat -c %u:%g /copied /tmp/high | tr '\n' ' ')" = '200000:5 123456:7 '
COPY ownd.apk /
RUN apk add -q --no-network --allow-untrusted /ownd.apk && \
	test "$(stat -c %U:%G:%a /etc/ownd.conf /var/lib/ownd /var/lib/ownd/link /usr/bin/ownd | tr '\n' ' ')" = \
		'ownd:ownd:640 ownd:ownd:2750 ownd:ownd:777 ownd:ownd:4755 ' && \
	rm /lib/apk/db/scripts.tar # holds the time
END
/usr/bin/python3 "$tests_dir/fixtures/apk.py" alpine/ownd.apk ownd || bail "a package for apk can be made"
for user in "${users[@]}"; do
	need_alpine "$user"
done
equal alpine
image_tree "$last" >tree
like "$(grep '^/srv/team/sub/deep ' tree)" ' 0:1600' "what root makes in a setgid folder has its group"
like "$(grep '^/srv/team/link ' tree)" ' 0:1600' "links too"
like "$(grep '^/suid ' tree)" '4755 1500:0' "set-uid bits survive after the owner"
like "$(grep '^/console2 ' tree)" '^/console2 dev 0622 7:8 5,1' "a copied device is one"
like "$(grep '^/late ' tree)" '100000:100000' "ids beyond every range"

# An image that has device nodes and large ids already, and a stage that is copied from.
context again <<'END'
FROM alpine:3.20 AS one
RUN mknod /null c 1 3 && mkdir /d && touch /d/f && ln -s f /d/l && chown -hR 300000:9 /d && mkdir /e && chown 9:9 /e
FROM alpine:3.20
COPY --from=one /null /d /x/
COPY --from=one /e /e
RUN test -c /x/null && test "$(stat -c %u:%g /x/f /x/l | tr '\n' ' ')" = '300000:9 300000:9 ' && cat /etc/hostname > /x/l && rm /x/null
END
equal again

if [ "$arch" = amd64 ] && fixture debian "$arch"; then
	debian=$fixture
else
	skip "Debian" "${reason:-the Debian tree of the tests is for amd64}"
	done_testing
fi
for user in "${users[@]}"; do
	runs "$user imports Debian" "$user" import -q "$debian" debian:12
done
context debian <<'END'
FROM debian:12
ENV PYTHONDONTWRITEBYTECODE=1 DEBIAN_FRONTEND=noninteractive
COPY --chmod=755 pkg/refuses-root /pkg/
COPY pkg/npm /pkg/npm
COPY pkg/pip /pkg/pip
COPY pkg/*.deb /pkg/
RUN useradd -m -u 1500 alice && adduser --quiet --disabled-password --gecos '' --uid 1501 bob && groupadd -g 1600 team && usermod -aG team alice && \
	test "$(id -G alice)" = '1500 1600' && rm -f /etc/*- /var/log/*log
RUN install -d -o alice -g team -m 2770 /srv/team && install -o bob -g bob -m 4755 /bin/true /usr/local/bin/suid && \
	touch /srv/team/by-root && mkdir /srv/team/sub && touch /srv/team/sub/deep
RUN su alice -c 'umask 027; touch /srv/team/a; mkdir /srv/team/d; ln -s a /srv/team/l; echo hi > /srv/team/d/f; mkfifo /srv/team/p' && \
	setpriv --reuid bob --regid team --clear-groups sh -c 'test "$(id -u):$(id -G)" = 1501:1600 && touch /tmp/bobs' && \
	test "$(stat -c %u:%g /tmp/bobs)" = 1501:1600
RUN mkdir /t && tar -C /srv -cf /t/x.tar team && mkdir /t/x /t/y && tar -C /t/x -xpf /t/x.tar && rsync -a /t/x/ /t/y/ && cp -a /t/x /t/z && \
	for d in x y z; do (cd /t/$d && find . -printf '%p %U:%G %m %y\n' | sort) > /t/$d.list; done && \
	cmp /t/x.list /t/y.list && cmp /t/x.list /t/z.list && rm /t/x.tar
RUN mkdir -p /jail/bin /jail/lib /jail/lib64 /jail/dev && cp -L /bin/bash /bin/touch /jail/bin/ && cp -L /lib64/ld-linux-x86-64.so.2 /jail/lib64/ && \
	for f in /bin/bash /bin/touch; do ldd $f | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p'; done | sort -u | xargs -I{} cp -L {} /jail/lib/ && \
	mknod -m 666 /jail/dev/null c 1 3 && mknod -m 666 /jail/dev/zero c 1 5 && mkdir -m 1777 /jail/tmp && \
	chroot --userspec=1500:1600 /jail /bin/bash -c 'export LD_LIBRARY_PATH=/lib; touch /tmp/inside /tmp/../tmp/up; cd /tmp; touch relative'
RUN test "$(stat -c %u:%g /jail/tmp/inside /jail/tmp/up /jail/tmp/relative | sort -u)" = 1500:1600 && test -c /jail/dev/zero && \
	cp -a /jail/dev /jail/dev2 && test -c /jail/dev2/null
RUN cp /bin/ls /usr/local/bin/capped && setcap cap_net_raw+ep /usr/local/bin/capped && getcap /usr/local/bin/capped | grep cap_net_raw
RUN dpkg -i /pkg/own.deb && getent passwd ownd && apt-get install -qq -y --no-install-recommends /pkg/big.deb && test -e /opt/big/299 && \
	rm -rf /var/log/*log /var/log/apt /var/cache/ldconfig/aux-cache /var/lib/apt/lists/* /var/cache/apt/*.bin /var/lib/dpkg/*-old /etc/*- /var/cache/debconf/*
RUN mkdir /repo && cd /repo && git init -q . && git -c user.name=x -c user.email=x@y commit -q --allow-empty -m x && chown -R alice /repo && \
	! git -C /repo log -1 2>/tmp/err && grep -q 'dubious ownership' /tmp/err && su alice -c 'git -C /repo log -1' && rm -rf /repo /tmp/err
RUN su alice -c /pkg/refuses-root && ! /pkg/refuses-root 2>/dev/null
RUN cp /usr/bin/id /usr/local/bin/root-id && chmod 4755 /usr/local/bin/root-id && cp /usr/bin/id /usr/local/bin/team-id && \
	chgrp team /usr/local/bin/team-id && chmod 2755 /usr/local/bin/team-id
USER alice
RUN test "$(root-id -u)" = 0 && test "$(id -u)" = 1500 && test "$(team-id -g)" = 1600
RUN cp -r /pkg/npm ~/app && cd ~/app && npm install --offline --no-audit --no-fund --cache /tmp/nc ./dep > /dev/null && rm -rf /tmp/nc ~/.npm && \
	test -z "$(find ~/app ! -user alice)"
RUN cp -r /pkg/pip /tmp/pip && python3 -m pip install --user --break-system-packages --no-index --no-build-isolation --no-compile --no-cache-dir /tmp/pip && \
	rm -rf /tmp/pip && test -z "$(find ~/.local ! -user alice)" && rm -rf ~/.cache
USER root
RUN cp -r /pkg/npm ~/app && cd ~/app && npm install --offline --no-audit --no-fund --cache /tmp/nc ./dep > /dev/null && rm -rf /tmp/nc ~/.npm && \
	python3 -m pip install --break-system-packages --no-index --no-build-isolation --no-compile --no-cache-dir /pkg/pip && rm -rf ~/.cache /pkg
END
mkdir -p debian/pkg/npm/dep debian/pkg/pip
printf '#!/bin/sh\n[ "$(id -u)" != 0 ] || { echo "must not run as root" >&2; exit 1; }\n' >debian/pkg/refuses-root
chmod 755 debian/pkg/refuses-root
echo '{"name":"app","version":"1.0.0"}' >debian/pkg/npm/package.json
echo '{"name":"dep","version":"1.0.0"}' >debian/pkg/npm/dep/package.json
printf 'from setuptools import setup\nsetup(name="tiny", version="1", py_modules=["tiny"])\n' >debian/pkg/pip/setup.py
echo 'X = 1' >debian/pkg/pip/tiny.py
# deb NAME: a package of what stands in deb-NAME
deb() {
	mkdir -p "deb-$1/DEBIAN"
	printf 'Package: %s\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n' "$1" >"deb-$1/DEBIAN/control"
	dpkg-deb --root-owner-group -b "deb-$1" "debian/pkg/$1.deb" >/dev/null
}
mkdir -p deb-own/DEBIAN deb-own/usr/share/own deb-big/opt/big
cat >deb-own/DEBIAN/postinst <<'END'
#!/bin/sh
set -e
adduser --quiet --system --group --home /var/lib/ownd ownd
install -d -o ownd -g ownd -m 750 /var/lib/ownd/data
END
chmod 755 deb-own/DEBIAN/postinst
echo x >deb-own/usr/share/own/x
for ((i = 0; i < 300; i++)); do echo $i >deb-big/opt/big/$i; done
deb own
deb big
equal debian

# Go's programs make their calls themselves, past every library.
context golang <<'END'
FROM golang:1.20
RUN echo 'go:x:1700:1700::/home/go:/bin/sh' >> /etc/passwd && mkdir -p /home/go/m && printf 'package main\nfunc main() {}\n' > /home/go/m/m.go && \
	chown -R go: /home/go
USER go
RUN cd ~/m && GOFLAGS=-trimpath GOCACHE=/tmp/gc go build -ldflags=-buildid= -o m m.go && rm -rf /tmp/gc ~/.config ~/.cache && \
	test "$(stat -c %u:%g m)" = 1700:1700
USER root
RUN cd /home/go/m && GOFLAGS=-trimpath GOCACHE=/tmp/gc go build -ldflags=-buildid= -o /m m.go && rm -rf /tmp/gc ~/.config ~/.cache && chown 5:6 /m
END
if fixture golang "$arch"; then
	golang=$fixture
	for user in "${users[@]}"; do
		runs "$user imports golang" "$user" import -q "$golang" golang:1.20
	done
	equal golang
else
	skip "golang" "$reason"
fi
done_testing
