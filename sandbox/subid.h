/* Subordinate ids that a directory service has instead of /etc/subuid (nsswitch.conf(5), since shadow 4.9). */
#ifndef WHITTLE_SANDBOX_SUBID_H
#define WHITTLE_SANDBOX_SUBID_H

#include <stdbool.h>
#include <stddef.h>

#include "base/strbuf.h"

#define SUBID_SOURCE_SIZE 32

/*
 * The first source of the "subid:" line in the text of nsswitch.conf, where it is another than "files": then the files
 * do not count. Returns whether it is, and its name in ret (cut where it is longer).
 */
bool subid_directory_of(const char *nsswitch, char ret[SUBID_SOURCE_SIZE]);
/* The same for the file of this host. */
bool subid_directory(char ret[SUBID_SOURCE_SIZE]);

/*
 * Ask getsubids(1) for the ranges of user, group ids if groups, and append them as lines of subuid(5). Returns whether
 * it ran and gave any. Blocks as long as that program does.
 */
bool subid_ask(const char *user, bool groups, struct strbuf *lines);
/* Its output ("0: ada 100000 65536") as such lines; exposed for its tests. Other lines are skipped. */
void subid_convert(const char *output, struct strbuf *lines);

#endif
