#!/bin/bash
# What `make install` puts where, that it works from there, and that `make uninstall` takes it all away again.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

dest=$scratch/dest
installed() { (cd "$dest" && find . -type f | sort | tr '\n' ' '); }
run_make() { make -C "$top" --no-print-directory "MODE=$(basename "$O")" NOSTRIP=1 "DESTDIR=$dest" "$@"; }
profile=$dest/etc/apparmor.d/whittle

ok "make install" run_make install
is "$(installed | tr ' ' '\n' | grep -c '/man1/whittle.*\.1$')" "$(find "$top/docs" -name '*.1' | wc -l)" "the manual pages are there"
ok "the program works from there" as_user "$U" "$dest/usr/local/bin/whittle" --version
ok "the AppArmor profile is there" test -f "$profile"
is "$(grep '^profile' "$profile")" "profile whittle /usr/local/bin/whittle flags=(unconfined) {" "for the installed path"
is "$(grep -c '@' "$profile")" 0 "with everything filled in"
like "$(cat "$profile")" 'abi <abi/4\.0>,.*[[:space:]]userns,' "and grants user namespaces"
as_user "$U" "$dest/usr/local/bin/whittle" doctor --apparmor-profile >"$scratch/printed"
sed "s|$dest||" "$scratch/printed" >"$scratch/printed.here"
same_files "$profile" "$scratch/printed.here" "whittle doctor --apparmor-profile prints the same"

# Parsed whole by AppArmor 4; an older parser knows neither the ABI nor the rule, but all the rest.
if command -v apparmor_parser >/dev/null; then
	cp "$profile" "$scratch/profile"
	[ -e /etc/apparmor.d/abi/4.0 ] || sed -i -e '/^abi /d' -e '/userns,/d' "$scratch/profile"
	ok "AppArmor parses it" apparmor_parser -Q --skip-kernel-load --skip-cache "$scratch/profile"
	echo 'profile broken {' >>"$scratch/profile"
	not "and would not parse just anything" apparmor_parser -Q --skip-kernel-load --skip-cache "$scratch/profile"
else
	skip "AppArmor parses it" "apparmor_parser is not installed"
fi

ok "make uninstall" run_make uninstall
is "$(installed)" "" "leaves no file"
ok "make install with a PREFIX of one's own" run_make install PREFIX=/opt/w
is "$(installed | tr ' ' '\n' | grep -v '^\./opt/w/' | tr -d '\n')" "" "stays below it"
is "$(grep '^profile' "$dest/opt/w/etc/apparmor.d/whittle")" "profile whittle /opt/w/bin/whittle flags=(unconfined) {" "and the profile knows"
ok "make uninstall" run_make uninstall PREFIX=/opt/w
is "$(installed)" "" "leaves no file"
ok "SYSCONFDIR" run_make install SYSCONFDIR=/conf
ok "is where the profile goes" test -f "$dest/conf/apparmor.d/whittle"
done_testing
