#!/bin/bash
# COPY --link and ADD --link: a layer that does not depend on the base (dockerfile.md 3.3.7, 8.3).
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

# base N TEXT: an image base:latest whose only difference is TEXT, and where /dest is a link to /elsewhere
base() {
	context "base$1" <<END
FROM scratch
COPY <<EOF /which
$2
EOF
COPY tree /
END
	mkdir -p "base$1/tree/elsewhere" "base$1/tree/usr"
	chmod 0775 "base$1/tree/usr"
	ln -sf /elsewhere "base$1/tree/dest"
	w "$user" build --progress plain -t base:latest "base$1" || bail "a base image can be built" "$err"
}

# layer N: digest of layer N of the last build, counted from the top, 1 is the topmost
layer() { image_manifest "$layout" | jq -r ".layers[-$1].digest"; }

# b NAME [FLAG...]
b() {
	layout=$(dest "$user" "$1")
	w "$user" build --progress plain -o "type=oci,dest=$layout,tar=false" "${@:2}" "$1"
}

for user in "${users[@]}"; do
	base 1 one
	context app <<'END'
FROM base:latest
WORKDIR /srv
COPY --link app /opt/app
COPY --link app relative/
COPY --link app /dest/
COPY app /plain
END
	echo program >app/app
	touch -d 2020-01-01 app/app
	runs "$user: a build with COPY --link" "$user" build --progress plain \
		-o "type=oci,dest=$(dest "$user" app),tar=false" app || continue
	layout=$scratch/$user/out/app
	image_tree "$layout" >"tree.$user"
	like "$(grep '^/opt/app ' "tree.$user")" 'file 0644 0:0' "$user: the file is there"
	like "$(grep '^/srv/relative/app ' "tree.$user")" 'file 0644 0:0' "$user: a relative destination uses WORKDIR (fact 153)"
	like "$(grep '^/dest ' "tree.$user")" 'dir 0755 0:0' "$user: a link of the base is replaced by a folder (fact 155)"
	like "$(grep '^/dest/app ' "tree.$user")" 'file' "$user: which holds the file"
	is "$(grep -c '^/elsewhere/app ' "tree.$user")" 0 "$user: and not where the link led"
	like "$(grep '^/elsewhere ' "tree.$user")" dir "$user: what the base has otherwise stays"
	linked="$(layer 4) $(layer 3) $(layer 2)"
	plain=$(layer 1)

	base 2 two
	runs "$user: the base image changes" "$user" build --progress plain \
		-o "type=oci,dest=$(dest "$user" app),tar=false" app
	is "$(cat_in "$layout" /which)" two "$user: the new base is below"
	is "$(layer 4) $(layer 3) $(layer 2)" "$linked" "$user: the linked layers keep their digests"
	like "$err" 'COPY --link app /opt/app
#[0-9]+ CACHED' "$user: and come from the cache"
	like "$err" 'COPY --link app /dest/
#[0-9]+ CACHED' "$user: every one of them"
	unlike "$err" 'COPY app /plain
#[0-9]+ CACHED' "$user: a plain COPY is made anew"
	isnt "$plain" "" "$user: (and had a layer)"
	image_tree "$layout" >"tree2.$user"
	is "$(grep -v '^/which ' "tree2.$user")" "$(grep -v '^/which ' "tree.$user")" "$user: the rest of the image is the same"

	# what stands on a linked layer knows the base
	context above <<'END'
FROM base:latest AS first
COPY --link app /a
FROM base:latest
COPY --from=first which /b
END
	cp app/app above/
	b above
	is "$(cat_in "$layout" /b)" two "$user: copied from above a linked layer"
	base 3 three
	b above
	is "$(cat_in "$layout" /b)" three "$user: the same instruction after the base changed"

	# two stages with one linked instruction over different bases
	context twice <<'END'
FROM base:latest AS x
COPY --link app /a
FROM scratch AS y
COPY --link app /a
FROM scratch
COPY --from=x / /x/
COPY --from=y / /y/
END
	cp app/app twice/
	b twice
	image_tree "$layout" >"tree3.$user"
	like "$(grep '^/x/which ' "tree3.$user")" file "$user: one linked instruction over two bases: the first"
	is "$(grep -c '^/y/which ' "tree3.$user")" 0 "$user: the second has its own"
	like "$(grep '^/y/a ' "tree3.$user")" file "$user: with the file"

	context chmod <<'END'
FROM base:latest
COPY --link --chmod=0600 app /dest/
END
	cp app/app chmod/
	b chmod
	like "$(image_tree "$layout" | grep '^/elsewhere/app ')" 'file 0600' "$user: with --chmod it is a plain COPY (fact 154)"

	context named <<'END'
FROM base:latest
COPY --link --chown=nobody app /x
END
	cp app/app named/
	fails 1 "$user: a name in --chown cannot be known without a base" "$user" build --progress plain named

	context linkadd <<'END'
FROM base:latest
ADD --link t.tar.gz /dest/
END
	(cd app && tar -czf ../linkadd/t.tar.gz app)
	b linkadd
	like "$(image_tree "$layout" | grep '^/dest/app ')" file "$user: ADD --link unpacks over nothing"

	context linkrun <<'END'
FROM base:latest
COPY --link app /a
COPY --link --from=other app /b
END
	cp app/app linkrun/
	mkdir -p otherctx && echo other >otherctx/app
	b linkrun --build-context other=otherctx
	is "$(cat_in "$layout" /b)" other "$user: --link with --from of a folder"
done
done_testing
