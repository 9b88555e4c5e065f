#!/bin/bash
# Secrets that authenticate ADD of URLs and of git repositories, and contexts: sent to whom they are meant for, kept from
# everybody else (dockerfile.md 3.3.11, 3.3.12).
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/web.sh
. "$tests_dir/web.sh"

start_web
start_other_web
user=$U
good=tok-$$-$RANDOM$RANDOM
wrong=bad-$$-$RANDOM$RANDOM
secrets=$scratch/$user/secrets
mkdir -p "$secrets"
printf '%s' "$good" >"$secrets/good"
printf '%s' "$wrong" >"$secrets/wrong"
printf 'Custom %s' "$good" >"$secrets/header"
basic() { printf 'x-access-token:%s' "$1" | base64 -w0; }
give "$user" "$secrets"
printf '%s\n' "Bearer $good" "Custom $good" "Basic $(basic "$good")" >"$web/accepted"
echo private >"$web/f"
auth_log=$web_log.auth
: >"$auth_log"
: >"$other_log.auth"
mkdir -p t

forget() {
	: >"$auth_log"
	: >"$other_log.auth"
}
add() { printf '%s\n' "FROM scratch" "$@" >t/Dockerfile; }
b() {
	layout=$(dest "$user" t)
	forget
	w "$user" build -D --no-cache --progress plain -o "type=oci,dest=$layout,tar=false" "$@"
}
# no_trace DESCRIPTION: the secrets are in no output, no file of the store or the image, no command line, no other server
no_trace() {
	local found='' word
	for word in "$good" "$wrong" "$(basic "$good")" "$(basic "$wrong")"; do
		grep -qF -- "$word" "$scratch/out" "$scratch/err" && found+="output: $word "
		grep -rqF -- "$word" "$scratch/$user/store" "$scratch/$user/out" "$scratch/$user/tmp" "$scratch/$user/home" \
			2>/dev/null && found+="files: $word "
	done
	grep -q ^LEAK "$auth_log" && found+="command line "
	[ ! -s "$other_log.auth" ] || found+="another host: $(cat "$other_log.auth")"
	is "$found" "" "$1: and the secret is nowhere else"
}
# builds DESCRIPTION ARGUMENT...
builds() {
	b "${@:2}"
	is "$status" 0 "$1" || diag "$err"
	[ "$status" = 0 ] || diag "$(tail -n 20 <<<"$err")"
	no_trace "$1"
}
# refuses STATUS MESSAGE DESCRIPTION ARGUMENT...
refuses() {
	b "${@:4}"
	is "$status" "$1" "$3"
	like "$err" "$2" "$3: the message"
	no_trace "$3"
}
asked() { cut -d' ' -f1,3- "$auth_log" | sort -u; }

# --- the check for leaks finds one ----------------------------------------------------------------------------
curl -s -o /dev/null -H "Authorization: Bearer $good" "$url/private/f"
ok "the server sees a secret on a command line" grep -q ^LEAK "$auth_log"

# --- files ----------------------------------------------------------------------------------------------------
add "ADD $url/private/f /f"
refuses 8 'the server answers 401' "a file without credentials" t
is "$(asked)" "" "nothing was sent"
builds "a token" --secret "id=HTTP_AUTH_TOKEN_127.0.0.1,src=$secrets/good" t
is "$(asked)" "GET Bearer $good" "comes as a bearer"
builds "a header" --secret "id=HTTP_AUTH_HEADER_127.0.0.1,src=$secrets/header" t
is "$(asked)" "GET Custom $good" "comes as it is"
builds "both" --secret "id=HTTP_AUTH_HEADER_127.0.0.1,src=$secrets/wrong" \
	--secret "id=HTTP_AUTH_TOKEN_127.0.0.1,src=$secrets/good" t
is "$(asked)" "GET Bearer $good" "the token is the one"
user_env=("TOKEN=$good")
builds "a token of the environment" --secret "id=HTTP_AUTH_TOKEN_127.0.0.1,env=TOKEN" t
user_env=()
refuses 8 'the server answers 401' "a wrong token" --secret "id=HTTP_AUTH_TOKEN_127.0.0.1,src=$secrets/wrong" t
is "$(asked)" "GET Bearer $wrong" "was sent"
refuses 8 'the server answers 401' "a token of another host" --secret "id=HTTP_AUTH_TOKEN_localhost,src=$secrets/good" t
is "$(asked)" "" "is not sent"
refuses 8 'the server answers 401' "an empty token" --secret "id=HTTP_AUTH_TOKEN_127.0.0.1,env=UNSET" t
is "$(asked)" "" "is none"

add "ADD $url/private/away/$other_port/g /g"
echo elsewhere >"$scratch/web2/g"
builds "a redirect to another host" --secret "id=HTTP_AUTH_TOKEN_127.0.0.1,src=$secrets/good" t
is "$(asked)" "GET Bearer $good" "takes the credentials to the first alone"
add "ADD $url/private/moved/f /f"
builds "a redirect on the host" --secret "id=HTTP_AUTH_TOKEN_127.0.0.1,src=$secrets/good" t

add "ADD http://192.0.2.1/f /f"
refuses 8 "HTTP_AUTH_TOKEN_192.0.2.1 is not sent to '192.0.2.1' over plain http: use https" "plain http" \
	--secret "id=HTTP_AUTH_TOKEN_192.0.2.1,src=$secrets/good" t
add "ADD $url/private/f /f"
user_env=("http_proxy=http://127.0.0.1:$other_port")
refuses 8 'by a proxy: use https' "a proxy that would read along" \
	--secret "id=HTTP_AUTH_TOKEN_127.0.0.1,src=$secrets/good" t
user_env=()

# --- hostile values -------------------------------------------------------------------------------------------
hostile() { # NAME MESSAGE, the value on stdin
	cat >"$secrets/hostile"
	chmod 644 "$secrets/hostile"
	add "ADD $url/private/f /f"
	refuses 1 "$2" "a token with $1" --secret "id=HTTP_AUTH_TOKEN_127.0.0.1,src=$secrets/hostile" t
	add "ADD $url/private/git/r.git /f"
	refuses 1 "$2" "a token for git with $1" --secret "id=GIT_AUTH_TOKEN,src=$secrets/hostile" t
	is "$(asked)" "" "a token with $1 is not sent"
}
hostile "CR and LF" 'cannot be sent: it has a control character' < <(printf '%s\r\nX-Evil: 1' "$good")
hostile "a newline at its end" 'a newline at its end' < <(printf '%s\n' "$good")
hostile "a NUL" 'control character' < <(printf 'a\0b')
hostile "8193 bytes" 'more than 8192 bytes' < <(head -c 8193 /dev/zero | tr '\0' a)

# --- git ------------------------------------------------------------------------------------------------------
new_repository r
mkdir -p r/sub
echo one >r/one
echo 'FROM scratch
COPY one /one' >r/Dockerfile
commit r >/dev/null
publish r
cp -r "$web/r.git" "$scratch/web2/r.git"
add "ADD $url/private/git/r.git /r"
refuses 8 'GIT_AUTH_TOKEN lends a token' "a repository without credentials" t
is "$(asked)" "" "nothing was sent to it"
builds "a token for git" --secret "id=GIT_AUTH_TOKEN,src=$secrets/good" t
is "$(asked)" "GET Basic $(basic "$good")
POST Basic $(basic "$good")" "is the password of x-access-token"
image_tree "$layout" >"$scratch/work/tree"
ok "the repository is there" grep -q '^/r/one ' "$scratch/work/tree"
builds "a header for git" --secret "id=GIT_AUTH_HEADER,src=$secrets/header" t
is "$(asked)" "GET Custom $good
POST Custom $good" "comes as it is to the repository"
builds "ids with the host" --secret "id=GIT_AUTH_TOKEN.127.0.0.1:$web_port,src=$secrets/good" \
	--secret "id=GIT_AUTH_TOKEN,src=$secrets/wrong" --secret "id=GIT_AUTH_HEADER,src=$secrets/wrong" t
builds "an empty one gives way" --secret "id=GIT_AUTH_HEADER.127.0.0.1:$web_port,env=UNSET" \
	--secret "id=GIT_AUTH_TOKEN,src=$secrets/good" t
refuses 8 'Authentication failed|could not read Username|40[13]' "a wrong token for git" \
	--secret "id=GIT_AUTH_TOKEN,src=$secrets/wrong" t
add "ADD --keep-git-dir=true $url/private/git/r.git /r"
builds "a kept .git" --secret "id=GIT_AUTH_TOKEN,src=$secrets/good" t
mkdir -p "$scratch/unpacked"
for blob in "$layout"/blobs/sha256/*; do
	zstd -dcq "$blob" 2>/dev/null | tar -x -C "$scratch/unpacked" 2>/dev/null
done
ok "the .git is in the image" test -f "$scratch/unpacked/r/.git/config"
not "and no credentials in it" grep -rqE "$good|$(basic "$good")|extra[Hh]eader" "$scratch/unpacked"
add "ADD $url/private/away/$other_port/git/r.git /r"
refuses 7 'by git' "a repository that redirects to another host" --secret "id=GIT_AUTH_TOKEN,src=$secrets/good" t
add "ADD http://192.0.2.1/r.git /r"
refuses 8 "GIT_AUTH_TOKEN is not sent to '192.0.2.1' over plain http" "git by plain http" \
	--secret "id=GIT_AUTH_TOKEN,src=$secrets/good" t
# a submodule elsewhere gets nothing
new_repository s
cat >s/.gitmodules <<END
[submodule "x"]
	path = x
	url = http://127.0.0.1:$other_port/git/r.git
END
g s update-index --add --cacheinfo "160000,$(git -C r rev-parse HEAD),x"
g s add .gitmodules && g s commit -qm s
publish s
add "ADD $url/private/git/s.git /s"
builds "a submodule on another host" --secret "id=GIT_AUTH_TOKEN,src=$secrets/good" t

# --- contexts -------------------------------------------------------------------------------------------------
builds "a git context" --secret "id=GIT_AUTH_TOKEN,src=$secrets/good" "$url/private/git/r.git"
refuses 8 'GIT_AUTH_TOKEN' "a git context without credentials" "$url/private/git/r.git"
tar -C r -cf "$web/c.tar" one Dockerfile
builds "a context by URL" --secret "id=HTTP_AUTH_TOKEN_127.0.0.1,src=$secrets/good" "$url/private/c.tar"
cp r/Dockerfile "$web/d"
builds "a Dockerfile by URL" --secret "id=HTTP_AUTH_TOKEN_127.0.0.1,src=$secrets/good" -f "$url/private/d" r
printf 'FROM scratch\nCOPY --from=x one /one\n' >t/Dockerfile
builds "a named context" --secret "id=GIT_AUTH_TOKEN,src=$secrets/good" --build-context "x=$url/private/git/r.git" t

# --- what decides about the cache -----------------------------------------------------------------------------
add "ADD $url/private/f /f"
w "$user" build --progress plain --secret "id=HTTP_AUTH_TOKEN_127.0.0.1,src=$secrets/good" t
w "$user" build --progress plain --secret "id=HTTP_AUTH_HEADER_127.0.0.1,src=$secrets/header" t
like "$err" 'CACHED' "another secret for the same file: the step is cached"
done_testing
