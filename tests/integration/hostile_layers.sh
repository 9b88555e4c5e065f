#!/bin/bash
# Layer archives that try to get out: nothing outside the root file system is touched, and the message is clear.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

arch=$(host_arch)
canary=$scratch/canary
mkdir "$canary" tars
echo untouched >"$canary/file"
chmod 0777 "$canary"
chmod 0666 "$canary/file"
touch -d @1000000000 "$canary/file" "$canary"
/usr/bin/python3 "$tests_dir/fixtures/hostile.py" tars "$canary" || bail "the hostile archives can be made"
canary_state() { find "$canary" -printf '%p %y %m %U:%G %T@ %n\n' | sort; cat "$canary/file"; }
before=$(canary_state)

# try USER TAR: import it and make whittle unpack it: a COPY out of it reads it, a RUN enters it
try() {
	w "$1" import "$2" hostile:1 --platform "linux/$arch" || return 1
	printf 'FROM hostile:1 AS h\nRUN ["/bin/none"]\nFROM scratch\nCOPY --from=h / /all/\n' >ctx/Dockerfile
	w "$1" build --progress plain ctx
	case $err in *"/bin/none"*) status=0 ;; esac # it was unpacked; that program is of course not there
	[ "$status" -eq 0 ] || return 1
	printf 'FROM hostile:1 AS h\nFROM scratch\nCOPY --from=h / /all/\n' >ctx/Dockerfile
	layout=$(dest "$1" hostile)
	w "$1" build --progress plain -o "type=oci,dest=$layout,tar=false" -o "type=local,dest=$layout.local" ctx
}

mkdir ctx
for user in "${users[@]}"; do
	for tar in tars/*.tar; do
		name=$(basename "$tar" .tar)
		new_store "$user"
		rm -rf "$scratch/$user/out/"*
		try "$user" "$tar"
		code=$status
		is "$(canary_state)" "$before" "$user: $name touches nothing outside"
		case $name in
		refuse-*)
			isnt "$code" 0 "$user: $name is refused"
			like "$err" '[^[:space:]]{3}' "$user: $name: with a message"
			not "$user: $name: which is not a crash" grep -qE 'AddressSanitizer|runtime error|[Ss]egmentation|Assertion' "$scratch/err"
			ok "$user: $name: nor a signal" test "$code" -lt 124
			;;
		inside-*)
			is "$code" 0 "$user: $name stays inside"
			[ "$code" = 0 ] || diag "$(tail -n 5 <<<"$err")"
			;;
		esac
	done
	unlike "$(find "$scratch/$user" -type b -o -type c 2>/dev/null | grep -v '/store/tmp/')" '(mem|sda)' "$user: no device node was made"
done

# the message names the member
new_store "$U"
try "$U" tars/refuse-hardlink-up.tar
like "$err" 'stolen' "the message names the member that was refused"
try "$U" tars/refuse-dotdot-inside.tar
like "$err" 'a/\.\./\.\./b' "and quotes its path"

# the same bytes as an image's layer, from a layout
fixture alpine "$arch" && w "$U" import "$fixture" base:1 --platform "linux/$arch"
printf 'FROM base:1\n' >ctx/Dockerfile
layout=$(dest "$U" layout)
if runs "a layout to be spoilt" "$U" build --progress plain -o "type=oci,dest=$layout,tar=false" ctx; then
	/usr/bin/python3 - "$layout" "$scratch/work/tars/refuse-dotdot.tar" <<'END'
import hashlib, json, os, shutil, sys
layout, tar = sys.argv[1:]
def put(data):
    name = hashlib.sha256(data).hexdigest()
    with open(os.path.join(layout, "blobs/sha256", name), "wb") as f:
        f.write(data)
    return {"digest": "sha256:" + name, "size": len(data)}
def get(d):
    return json.load(open(os.path.join(layout, "blobs/sha256", d["digest"][7:])))
index = json.load(open(os.path.join(layout, "index.json")))
manifest = get(index["manifests"][0])
config = get(manifest["config"])
layer = put(open(tar, "rb").read())
config["rootfs"]["diff_ids"] = [layer["digest"]]
manifest["layers"] = [dict(layer, mediaType="application/vnd.oci.image.layer.v1.tar")]
manifest["config"].update(put(json.dumps(config).encode()))
index["manifests"][0].update(put(json.dumps(manifest).encode()))
os.chmod(os.path.join(layout, "index.json"), 0o644)
json.dump(index, open(os.path.join(layout, "index.json"), "w"))
END
	printf 'FROM oci-layout://%s\nRUN ["/bin/none"]\n' "$layout" >ctx/Dockerfile
	w "$U" build --progress plain ctx
	isnt "$status" 0 "a hostile layer of an image is refused too"
	unlike "$err" 'did not complete' "before anything of it runs"
	is "$(canary_state)" "$before" "and touches nothing outside"
fi
[ ${#users[@]} -gt 1 ] || skip "both kinds of users" "not started as root, so only $U was tested"
done_testing
