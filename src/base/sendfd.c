#include "base/sendfd.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

int sendfd(int sock, const void *data, size_t n, const int *fds, size_t nfds)
{
	struct iovec iov = { (void *)(uintptr_t)data, n }; /* sendmsg() only reads it */
	char control[CMSG_SPACE(SENDFD_MAX * sizeof(int))];
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t sent;

	if (nfds > SENDFD_MAX) {
		errno = EINVAL;
		return -1;
	}
	if (nfds) {
		struct cmsghdr *c;

		memset(control, 0, CMSG_SPACE(nfds * sizeof(int)));
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	do
		sent = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent >= 0 && (size_t)sent != n) {
		errno = EMSGSIZE;
		return -1;
	}
	return sent < 0 ? -1 : 0;
}

ssize_t recvfd(int sock, void *data, size_t n, int flags, int *fds, size_t *nfds)
{
	struct iovec iov = { data, n };
	char control[CMSG_SPACE(SENDFD_MAX * sizeof(int))];
	size_t room = *nfds < SENDFD_MAX ? *nfds : SENDFD_MAX;
	/* CMSG_LEN: the padding of CMSG_SPACE would be room for one more */
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room ? control : NULL,
		.msg_controllen = room ? CMSG_LEN(room * sizeof(int)) : 0 };
	ssize_t got;

	*nfds = 0;
	do
		got = recvmsg(sock, &msg, flags | MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
			*nfds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
			memcpy(fds, CMSG_DATA(c), *nfds * sizeof(int));
		}
	return got;
}
