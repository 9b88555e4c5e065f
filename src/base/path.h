/* Lexical path work; nothing here touches a file system. */
#ifndef WHITTLE_BASE_PATH_H
#define WHITTLE_BASE_PATH_H

#include <stdbool.h>

/*
 * Clean path as dockerfile.md "join/clean" defines it: collapse // and ., resolve .., drop a trailing /,
 * never above / for an absolute path; ".." stays in front of a relative one. "" becomes ".".
 * The caller frees the result.
 */
char *path_clean(const char *path);
/* path_clean() of base + "/" + path, or of path alone when it is absolute. The caller frees. */
char *path_join(const char *base, const char *path);
/* What stands after the last /, or the whole path; points into path. */
const char *path_base(const char *path);
/*
 * Order of two relative paths component by component, bytes within a component: a directory comes
 * directly before what it holds ("a" < "a/b" < "a-b"). Less than, equal to or greater than zero.
 */
int path_compare(const char *a, const char *b);
/* Whether path is dir itself or lies below it, both cleaned and relative or both absolute. */
bool path_is_below(const char *path, const char *dir);

#endif
