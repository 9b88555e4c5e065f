/*
 * Release by scope. A variable marked auto_x is initialised where it is declared (NULL, or -1) and is
 * released when it goes out of scope; hand it over with take_ptr() or take_fd(). All keep errno. The type is
 * written after it: "auto_fd int fd = -1;", "auto_free char *s = NULL;", "auto_fclose FILE *f = NULL;".
 */
#ifndef WHITTLE_BASE_AUTO_H
#define WHITTLE_BASE_AUTO_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Close once (EINTR included: on Linux the descriptor is gone), keep errno, accept -1. Returns -1. */
static inline int close_fd(int fd)
{
	if (fd >= 0) {
		int saved = errno;
		close(fd);
		errno = saved;
	}
	return -1;
}

static inline void auto_fd_release(int *fd)
{
	close_fd(*fd);
}

static inline void auto_free_release(void *p)
{
	free(*(void **)p);
}

static inline void auto_fclose_release(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void auto_closedir_release(DIR **d)
{
	if (*d)
		closedir(*d);
}

#define auto_fd __attribute__((cleanup(auto_fd_release)))
#define auto_free __attribute__((cleanup(auto_free_release)))
#define auto_fclose __attribute__((cleanup(auto_fclose_release)))
#define auto_closedir __attribute__((cleanup(auto_closedir_release)))

/* For a large buffer that is written before it is read: spares it the zeroing that the compiler gives all variables
 * (-ftrivial-auto-var-init), which touches every page of it at every call. */
#define auto_uninitialized __attribute__((uninitialized))

/* DEFINE_AUTO(struct x *, x_free): makes auto_release_x_free, used as AUTO(x_free) struct x *p = NULL. */
#define DEFINE_AUTO(type, release)                                                                 \
	static inline void auto_release_##release(type *p)                                         \
	{                                                                                          \
		if (*p)                                                                            \
			release(*p);                                                               \
	}
#define AUTO(release) __attribute__((cleanup(auto_release_##release)))

#define take_ptr(p)                                                                                \
	({                                                                                         \
		__typeof__(p) taken_ = (p);                                                        \
		(p) = NULL;                                                                        \
		taken_;                                                                            \
	})
#define take_fd(fd)                                                                                \
	({                                                                                         \
		int taken_ = (fd);                                                                 \
		(fd) = -1;                                                                         \
		taken_;                                                                            \
	})

#endif
