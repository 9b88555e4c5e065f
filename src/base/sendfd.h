/* Messages over Unix sockets that carry descriptors (unix(7), SCM_RIGHTS). */
#ifndef WHITTLE_BASE_SENDFD_H
#define WHITTLE_BASE_SENDFD_H

#include <stddef.h>
#include <sys/types.h>

#define SENDFD_MAX 253 /* descriptors of one message: the kernel's SCM_MAX_FD */

/*
 * Send n bytes (at least one) and nfds descriptors, which stay open here, as one message. Never raises SIGPIPE.
 * Returns 0, or -1 and errno: what sendmsg(2) gives; EMSGSIZE when only a part was taken; EINVAL above SENDFD_MAX.
 */
int sendfd(int sock, const void *data, size_t n, const int *fds, size_t nfds);

/*
 * Receive a message of at most n bytes, with flags of recvmsg(2). *fds is set to its descriptors, which the caller
 * closes; they are O_CLOEXEC. *nfds says how many fds holds, then how many came; the kernel closes those beyond.
 * fds may be NULL where *nfds is 0. Returns the number of bytes, 0 at the end of the stream, or -1 and errno, never EINTR.
 */
ssize_t recvfd(int sock, void *data, size_t n, int flags, int *fds, size_t *nfds);

#endif
