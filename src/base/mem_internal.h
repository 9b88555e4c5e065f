/*
 * The end of the road when memory is out; shared by the files of this folder that cover a library.
 */
#ifndef WHITTLE_BASE_MEM_INTERNAL_H
#define WHITTLE_BASE_MEM_INTERNAL_H

/* Write "whittle: what" to stderr and abort(). */
_Noreturn void mem_abort(const char *what);

#endif
