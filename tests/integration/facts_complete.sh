#!/bin/bash
# Every fact of the specification (section 10) is named by a test, or by docs/differences.md with a reason.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

is "$("$tests_dir/facts" | tr '\n' ' ')" "" "no fact from 1 to 300 is without a test or a difference"

# the forms that name a fact, those that do not, and what is missing then
mkdir -p tree/tests/unit tree/docs
cat >tree/tests/a.sh <<'END'
ok "one (fact 1)" x # facts 2, 3 and 4; fact 5,6: see Facts 7 to 9, facts 11-13 (facts 14, and 15)
gives 20 '.x' y
	label "21 (empty)" x
wrong 22,23 "message of 24" 1
# fact 1.25, facts 26.1, artefact27, gives 28, fact 301
END
printf '\t\t{30, "text"},\n{31, F "text"},\n\t{0, ""} // 32\n' >tree/tests/unit/test_dockerfile_facts.c
printf '\t{33, "text"}, /* fact 34 */\n' >tree/tests/unit/test_other.c
printf '| fact | why |\n|---|---|\n| 40, 41 | 42 |\n| (43) | (1.44) |\n' >tree/docs/differences.md
not "where some are missing it fails" "$tests_dir/facts" tree
is "$(seq 300 | grep -vxF "$("$tests_dir/facts" tree)" | tr '\n' ' ')" \
	"1 2 3 4 5 6 7 8 9 11 12 13 14 15 20 21 22 23 30 31 34 40 41 " "and lists exactly those that nothing names"
printf '# facts 1-300\n' >>tree/tests/a.sh
ok "where none is missing it succeeds" "$tests_dir/facts" tree
not "without tests it fails" "$tests_dir/facts" nowhere
done_testing
