# shellcheck shell=bash disable=SC2154
# Sourced by tests that fetch: a web server on loopback (tests/fixtures/web.py) and git repositories in its folder.

web_says_port() {
	web_port=$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\)$/\1/p' "$scratch/web.out")
	[ -n "$web_port" ]
}

# start_web: serves $web; sets url (http://127.0.0.1:PORT) and web_log
start_web() {
	web=$scratch/web
	web_log=$scratch/web.log
	serve_web
}
serve_web() {
	mkdir -p "$web"
	: >"$scratch/web.out"
	: >"$web_log"
	/usr/bin/python3 "$tests_dir/fixtures/web.py" "$web" "$web_log" >"$scratch/web.out" 2>"$scratch/web.err" &
	kill_at_exit+=($!)
	wait_for 20 web_says_port || bail "the web server starts" "$(tail -n 3 "$scratch/web.err")"
	# shellcheck disable=SC2034 # for the tests
	url=http://127.0.0.1:$web_port
}

# start_other_web: a second server with a folder of its own, as if on another host; sets other_port and other_log
start_other_web() {
	local first=$web first_log=$web_log first_url=$url first_port=$web_port
	web=$scratch/web2 web_log=$scratch/web2.log
	serve_web
	# shellcheck disable=SC2034 # for the tests
	other_port=$web_port other_log=$web_log
	web=$first web_log=$first_log url=$first_url web_port=$first_port
}

# requests_for PATTERN: how many lines of the log match (extended expression), since forget_requests
requests_for() { grep -cE -- "$1" "$web_log"; }
forget_requests() { : >"$web_log"; }

# g FOLDER ARGUMENT...: git with an identity and a fixed time
g() {
	git -C "$1" -c user.name=t -c user.email=t@example.org -c init.defaultBranch=main \
		-c protocol.file.allow=always -c commit.gpgsign=false "${@:2}"
}
export GIT_AUTHOR_DATE='2021-02-03T04:05:06Z' GIT_COMMITTER_DATE='2021-02-03T04:05:06Z' GIT_CONFIG_GLOBAL=/dev/null

# new_repository NAME [INIT-FLAG...]: an empty repository in work/NAME
new_repository() {
	rm -rf "${scratch:?}/work/$1"
	mkdir -p "$scratch/work/$1"
	g "$scratch/work/$1" init -q "${@:2}"
}

# commit NAME: everything in work/NAME; prints the hash
commit() {
	g "$scratch/work/$1" add -A && g "$scratch/work/$1" commit -qm "$1" && g "$scratch/work/$1" rev-parse HEAD
}

# publish NAME: as $web/NAME.git, by the smart protocol at $url/git/NAME.git and as plain files at $url/NAME.git
publish() {
	rm -rf "${web:?}/$1.git"
	git clone -q --bare "$scratch/work/$1" "$web/$1.git" && g "$web/$1.git" update-server-info
}
