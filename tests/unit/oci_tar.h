/* Tar archives in memory with any member at all, for the tests of src/oci. */
#ifndef TESTS_UNIT_OCI_TAR_H
#define TESTS_UNIT_OCI_TAR_H

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fsutil.h"

static inline int tar_new(void)
{
	int fd = memfd_create("tar", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* Append one member: link and data may be NULL. */
static inline void tar_add(int fd, const char *name, char type, const char *link, const char *data)
{
	char h[512] = "", zeros[512] = "";
	size_t n = data ? strlen(data) : 0;
	unsigned int sum = 0;

	snprintf(h, 100, "%s", name);
	snprintf(h + 100, 8, "%07o", 0644u);
	snprintf(h + 108, 8, "%07o", 0u);
	snprintf(h + 116, 8, "%07o", 0u);
	snprintf(h + 124, 12, "%011o", (unsigned int)n & 077777777u);
	snprintf(h + 136, 12, "%011o", 0u);
	memset(h + 148, ' ', 8);
	h[156] = type;
	snprintf(h + 157, 100, "%s", link ? link : "");
	memcpy(h + 257, "ustar\00000", 8);
	for (size_t i = 0; i < sizeof(h); i++)
		sum += (unsigned char)h[i];
	snprintf(h + 148, 8, "%06o", sum);
	assert_int_equal(write_all(fd, h, sizeof(h)), 0);
	if (n)
		assert_int_equal(write_all(fd, data, n), 0);
	if (n % 512)
		assert_int_equal(write_all(fd, zeros, 512 - n % 512), 0);
}

static inline void tar_end(int fd)
{
	char zeros[1024] = "";

	assert_int_equal(write_all(fd, zeros, sizeof(zeros)), 0);
}

#endif
