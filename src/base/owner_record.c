#include "base/owner_record.h"

#include <endian.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define VERSION 1

static void put32(uint8_t *at, uint32_t v)
{
	v = htole32(v);
	memcpy(at, &v, sizeof(v));
}

static uint32_t get32(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return le32toh(v);
}

void owner_record_format(const struct owner_record *r, uint8_t out[OWNER_RECORD_SIZE])
{
	memset(out, 0, OWNER_RECORD_SIZE);
	out[0] = VERSION;
	put32(out + 4, r->uid);
	put32(out + 8, r->gid);
	put32(out + 12, r->type);
	put32(out + 16, r->type ? (uint32_t)makedev(r->major, r->minor) : 0);
	put32(out + 20, r->seen_uid);
	put32(out + 24, r->seen_gid);
}

bool owner_record_parse(const void *data, size_t n, struct owner_record *ret)
{
	const uint8_t *p = data;
	uint32_t rdev;

	if (n != OWNER_RECORD_SIZE || p[0] != VERSION || p[1] || p[2] || p[3])
		return false;
	rdev = get32(p + 16);
	*ret = (struct owner_record){
		.uid = get32(p + 4),
		.gid = get32(p + 8),
		.type = get32(p + 12) & S_IFMT,
		.major = major(rdev),
		.minor = minor(rdev),
		.seen_uid = get32(p + 20),
		.seen_gid = get32(p + 24),
	};
	return ret->type == 0 || S_ISCHR(ret->type) || S_ISBLK(ret->type);
}

void owner_record_resolve(const struct owner_record *r, uint32_t st_uid, uint32_t st_gid, uint32_t *ret_uid,
	uint32_t *ret_gid)
{
	*ret_uid = st_uid == r->seen_uid ? r->uid : st_uid;
	*ret_gid = st_gid == r->seen_gid ? r->gid : st_gid;
}

uint32_t owner_native_id(uint32_t id, uint32_t ids)
{
	return id < ids ? id : ids - 1;
}

bool owner_record_get(int fd, struct owner_record *ret)
{
	uint8_t bytes[OWNER_RECORD_SIZE + 1];
	ssize_t n = fgetxattr(fd, OWNER_XATTR, bytes, sizeof(bytes));

	return n > 0 && owner_record_parse(bytes, (size_t)n, ret);
}

bool owner_record_get_path(const char *path, struct owner_record *ret)
{
	uint8_t bytes[OWNER_RECORD_SIZE + 1];
	ssize_t n = getxattr(path, OWNER_XATTR, bytes, sizeof(bytes));

	return n > 0 && owner_record_parse(bytes, (size_t)n, ret);
}

int owner_record_put(int fd, const struct owner_record *r)
{
	uint8_t bytes[OWNER_RECORD_SIZE];

	owner_record_format(r, bytes);
	return fsetxattr(fd, OWNER_XATTR, bytes, sizeof(bytes), 0);
}

int owner_record_put_path(const char *path, const struct owner_record *r)
{
	uint8_t bytes[OWNER_RECORD_SIZE];

	owner_record_format(r, bytes);
	return setxattr(path, OWNER_XATTR, bytes, sizeof(bytes), 0);
}
