#!/bin/bash
# The accelerator of recorded ownership says what the supervisor says: every form of the calls that it answers itself, made
# through it and past it, and by a static program; under chroot, for other users, while files change their places.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

arch=$(host_arch)
[ "$arch" = amd64 ] || skip_all "the Debian tree of this test is for amd64"
fixture debian amd64 || skip_all "$reason"

context gate <<'END'
FROM debian:12
COPY gate.c /gate.c
RUN gcc -Wall -O2 -D_GNU_SOURCE -o /dynamic /gate.c -lpthread && gcc -O2 -D_GNU_SOURCE -static -o /static /gate.c -lpthread
RUN mkdir -p /f/dir /f/team /f/plain /jail/f/dir && cd /f && touch root own dir/own one many -d @1700000000 && ln many many2 && ln one one2 && \
	chown 5:6 own dir/own many && chown 7:8 dir && chown :1600 team && chmod 2775 team && ln -s own link && chown -h 9:10 link && \
	ln -s root plainlink && mkfifo fifo && chown 11:12 fifo && mknod -m 600 null c 1 3 && mknod -m 600 disk b 259 70000 && chown 13:14 disk && \
	cp -a own dir /jail/f/ && cp /static /jail/static
RUN cd /f && echo >>many && test "$(stat -c %u:%g many)" = 5:6 && touch here && chown 15:16 here && touch /dev/shm/beside && chown 17:18 /dev/shm/beside && \
	stat -c '%n %u:%g %t,%T' own dir many2 one link fifo null disk here /dev/shm/beside >/list && \
	/dynamic forms /f >/forms.dynamic && /static forms /f >/forms.static && \
	/dynamic forms /jail/f /jail >/chroot.dynamic && /static forms /jail/f /jail >/chroot.static && \
	/dynamic users && /static users && /dynamic race /f && \
	if [ -e /dev/.whittle ]; then /dynamic led; else echo none; fi >/led
END
cat >gate/gate.c <<'END'
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define WANT(cond) ((cond) ? (void)0 : (void)(fprintf(stderr, "line %d: %s: %s\n", __LINE__, #cond, strerror(errno)), exit(1)))

static void print(const char *form, const char *name, int r, const struct stat *st)
{
	if (r < 0)
		printf("%s %s %s\n", form, name, strerror(errno));
	else
		printf("%s %s %u:%u %o %lx\n", form, name, st->st_uid, st->st_gid, st->st_mode, (long)st->st_rdev);
}

/* The same call through the C library and by syscall(2), which is asked about. */
static void one(const char *form, int dirfd, const char *path, int flags)
{
	static const unsigned masks[] = { STATX_BASIC_STATS, STATX_UID, STATX_MODE, STATX_SIZE, STATX_ALL };
	struct stat st, raw;
	struct statx sx, rawx;
	int r = fstatat(dirfd, path, &st, flags), e = errno;
	int s = (int)syscall(SYS_newfstatat, dirfd, path, &raw, flags);

	WANT(r == s && (r == 0 || e == errno));
	WANT(r < 0 || memcmp(&st, &raw, sizeof(st)) == 0);
	errno = e;
	print(form, path, r, &st);
	for (unsigned i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
		r = statx(dirfd, path, flags, masks[i], &sx);
		s = (int)syscall(SYS_statx, dirfd, path, flags, masks[i], &rawx);
		WANT(r == s);
		if (r < 0)
			continue;
		WANT((sx.stx_mask & masks[i] & STATX_BASIC_STATS) == (masks[i] & STATX_BASIC_STATS));
		if (masks[i] & (STATX_UID | STATX_MODE))
			WANT(sx.stx_uid == rawx.stx_uid && sx.stx_gid == rawx.stx_gid && sx.stx_mode == rawx.stx_mode &&
				sx.stx_rdev_major == rawx.stx_rdev_major && sx.stx_rdev_minor == rawx.stx_rdev_minor);
		if (masks[i] == STATX_BASIC_STATS)
			WANT(st.st_uid == sx.stx_uid && st.st_mode == sx.stx_mode);
	}
}

static void by_fd(const char *form, const char *path, int flags)
{
	struct stat st, raw;
	int fd = open(path, flags);

	if (fd < 0)
		return;
	WANT(fstat(fd, &st) == 0 && syscall(SYS_fstat, fd, &raw) == 0 && memcmp(&st, &raw, sizeof(st)) == 0);
	print(form, path, 0, &st);
	one(form, fd, "", AT_EMPTY_PATH);
	close(fd);
}

static int forms(const char *dir, const char *root)
{
	static const char *const names[] = { "root", "own", "dir", "dir/own", "dir/../own", "many", "many2", "one", "link",
		"plainlink", "fifo", "null", "disk", "here", ".", "", "gone", "gone/x", "/proc/self/exe", "/proc/1",
		"/dev/null", "/dev/shm/beside" };
	char full[256];
	int fd;

	WANT(chdir(dir) == 0);
	if (root) {
		WANT(chroot(root) == 0);
		dir = "/f";
	}
	fd = open(dir, O_PATH | O_DIRECTORY);
	WANT(fd >= 0);
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(full, sizeof(full), "%s%s%s", names[i][0] == '/' ? "" : dir, names[i][0] == '/' ? "" : "/", names[i]);
		one("path", AT_FDCWD, full, 0);
		one("path, itself", AT_FDCWD, full, AT_SYMLINK_NOFOLLOW);
		one("relative", AT_FDCWD, names[i], 0);
		one("relative, itself", AT_FDCWD, names[i], AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT);
		one("in folder", fd, names[i], 0);
		one("in folder, itself", fd, names[i], AT_SYMLINK_NOFOLLOW);
		one("empty allowed", fd, names[i], AT_EMPTY_PATH);
		by_fd("open", full, O_RDONLY | O_NONBLOCK);
		by_fd("named", full, O_PATH);
		by_fd("named, itself", full, O_PATH | O_NOFOLLOW);
	}
	one("working folder", AT_FDCWD, "", AT_EMPTY_PATH);
	one("bad", 999, "own", 0);
	one("bad flags", fd, "own", 1 << 30);
	one("nowhere", AT_FDCWD, (const char *)"", 0);
	return 0;
}

static void owned(const char *path, unsigned uid, unsigned gid)
{
	struct stat st, raw;

	WANT(lstat(path, &st) == 0 && syscall(SYS_newfstatat, AT_FDCWD, path, &raw, AT_SYMLINK_NOFOLLOW) == 0);
	WANT(st.st_uid == raw.st_uid && st.st_gid == raw.st_gid);
	if (st.st_uid != uid || st.st_gid != gid)
		fprintf(stderr, "%s is %u:%u, not %u:%u\n", path, st.st_uid, st.st_gid, uid, gid), exit(1);
}

static void make(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_EXCL, 0644);

	WANT(fd >= 0);
	close(fd);
}

/* What who makes and gives away, once there is more than root. */
static int users(void)
{
	static const char *const made[] = { "/tmp/u", "/tmp/ud", "/tmp/r", "/f/plain/x", "/f/plain/d", "/f/team/x", "/f/team/t" };
	int status;
	pid_t pid;

	for (unsigned i = 0; i < sizeof(made) / sizeof(made[0]); i++)
		remove(made[i]);
	chmod("/tmp", 01777);
	pid = fork();
	if (pid == 0) {
		WANT(setresgid(1001, 1001, 1001) == 0 && setresuid(1000, 1000, 1000) == 0);
		make("/tmp/u");
		WANT(mkdir("/tmp/ud", 0755) == 0);
		owned("/tmp/u", 1000, 1001);
		owned("/tmp/ud", 1000, 1001);
		WANT(chown("/f/root", 0, 0) < 0 && errno == EPERM);
		WANT(chown("/tmp/u", 0, -1) < 0 && errno == EPERM);
		exit(0);
	}
	WANT(waitpid(pid, &status, 0) == pid && status == 0);
	make("/tmp/r");
	make("/f/plain/x");
	WANT(mkdir("/f/plain/d", 0755) == 0);
	owned("/tmp/r", 0, 0);
	owned("/f/plain/x", 0, 0);
	owned("/f/plain/d", 0, 0);
	make("/f/team/x");
	owned("/f/team/x", 0, 1600);
	WANT(chown("/f/team/x", 0, 0) == 0);
	owned("/f/team/x", 0, 0);
	WANT(chown("/tmp/u", 0, 0) == 0);
	owned("/tmp/u", 0, 0);
	WANT(chown("/f/plain/x", 20, 21) == 0 && lchown("/f/plain/x", -1, 22) == 0);
	owned("/f/plain/x", 20, 22);
	WANT(open("/f/plain/x", O_CREAT | O_EXCL, 0600) < 0 && errno == EEXIST && mkdir("/f/plain/d", 0700) < 0 && errno == EEXIST);
	WANT(open((const char *)8, O_CREAT, 0600) < 0 && errno == EFAULT && mkdir((const char *)8, 0700) < 0 && errno == EFAULT);
	WANT(open("/f/gone/x", O_CREAT, 0600) < 0 && errno == ENOENT && open("", O_CREAT, 0600) < 0 && errno == ENOENT);
	return 0;
}

static volatile int over;

static void *exchange(void *arg)
{
	for (int i = 0; !over; i++) {
		syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", 2 /* RENAME_EXCHANGE */);
		rename("c", "b");
		close(open("c", O_CREAT | O_WRONLY, 0600));
		WANT(chown("c", 7, 8) == 0);
		unlink("b");
		rename("c", "b");
	}
	return arg;
}

/* Files that change their places: whatever is found, the owner is that of one of them. */
static int race(const char *dir)
{
	pthread_t t;
	int found = 0;

	WANT(chdir(dir) == 0);
	close(open("a", O_CREAT | O_WRONLY, 0600));
	close(open("b", O_CREAT | O_WRONLY, 0600));
	WANT(chown("a", 5, 6) == 0 && pthread_create(&t, NULL, exchange, NULL) == 0);
	for (int i = 0; i < 20000; i++) {
		struct stat st;

		if (lstat(i & 1 ? "a" : "b", &st) < 0) {
			WANT(errno == ENOENT);
			continue;
		}
		found++;
		WANT((st.st_uid == 5 && st.st_gid == 6) || (st.st_uid == 7 && st.st_gid == 8) || (st.st_uid == 0 && st.st_gid == 0));
	}
	over = 1;
	WANT(pthread_join(t, NULL) == 0 && found > 0);
	return unlink("a") + unlink("b") < -2;
}

/* The C library's own looks at files come through the accelerator. */
static int led(void)
{
	void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
	unsigned char *f = libc ? dlsym(libc, "fstatat64") : NULL;

	WANT(f);
	puts(*f == 0xe9 ? "led" : "not led");
	return 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	return strcmp(argv[1], "forms") == 0 ? forms(argv[2], argc > 3 ? argv[3] : NULL) :
	       strcmp(argv[1], "users") == 0 ? users() :
	       strcmp(argv[1], "race") == 0  ? race(argv[2]) :
					       led();
}
END

wanted='own 5:6 0,0
dir 7:8 0,0
many2 5:6 0,0
one 0:0 0,0
link 9:10 0,0
fifo 11:12 0,0
null 0:0 1,3
disk 13:14 103,11170
here 15:16 0,0
/dev/shm/beside 17:18 0,0'
for user in "${users[@]}"; do
	runs "$user imports Debian" "$user" import -q "$fixture" debian:12
	layout=$(dest "$user" gate)
	runs "$user: through the accelerator and past it" "$user" build --progress plain -o "type=oci,dest=$layout,tar=false" gate || continue
	is "$(cat_in "$layout" /list)" "$wanted" "$user: owners and devices"
	for what in forms chroot; do
		cat_in "$layout" /$what.dynamic >dynamic
		cat_in "$layout" /$what.static >static
		is "$(wc -l <dynamic | tr -d ' ')" "$(wc -l <static | tr -d ' ')" "$user, $what: as many answers"
		like "$(cat dynamic)" 'in folder, itself own 5:6 100644' "$user, $what: there are records"
		same_files dynamic static "$user, $what: a static program sees the same"
		cp dynamic "$what.$user"
	done
	[ "$user" != wt-single ] || is "$(cat_in "$layout" /led)" led "$user: the C library's own calls come through it"
done
if [ ${#users[@]} -gt 1 ]; then
	same_files forms.wt-subid forms.wt-single "mapped and recorded ids look the same"
	same_files chroot.wt-subid chroot.wt-single "under chroot too"
fi
done_testing
