#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "build/doctor_internal.h"
#include "sandbox/probe.h"

#define DISK_WANTED (2ull << 30)    /* bytes: a compiler image and what it makes */
#define DISK_NEEDED (100ull << 20)
#define MEMORY_WANTED (512ull << 20)
#define PAGE_SIZE_USUAL 4096
#define CLOCK_FIRST 1735689600      /* 2025: older than this program cannot be */
#define CLOCK_LAST 4102444800       /* 2100 */

bool doctor_clock_is_sane(int64_t seconds)
{
	return seconds >= CLOCK_FIRST && seconds < CLOCK_LAST;
}

static void check_clock(struct doctor_report *r)
{
	char now[RFC3339_SIZE];

	rfc3339_format(clock_wall(), now);
	if (doctor_clock_is_sane(clock_wall()))
		doctor_add(r, "clock", CHECK_OK, NULL, MEND_NONE, "%s", now);
	else
		doctor_add(r, "clock", CHECK_LIMITED, "certificates of registries are refused, new files have wrong times",
			MEND_CLOCK, "says %s, which cannot be", now);
}

/* Calls of a step that its supervisor answers: how one id records owners. */
static void check_listener(struct doctor_report *r, const struct probe_host *h)
{
	static const char name[] = "call listener", without[] = "with one id, owners that a step sets are not recorded";

	if (h->notify)
		doctor_add_refusal(r, name, CHECK_LIMITED, without, DIAGNOSE_LISTENER, h->notify, "none");
	else if (h->listener)
		doctor_add_refusal(r, name, CHECK_LIMITED, without, DIAGNOSE_LISTENER, h->listener, "none");
	else if (!h->locks_unlimited)
		doctor_add(r, name, CHECK_LIMITED, without, MEND_LOCKS,
			"the kernel has it, but the hard limit RLIMIT_LOCKS is not unlimited");
	else
		doctor_add(r, name, CHECK_OK, NULL, MEND_NONE, "seccomp notification works");
}

static void check_landlock(struct doctor_report *r, const struct probe_host *h)
{
	if (h->landlock_abi > 0)
		doctor_add(r, "landlock", CHECK_OK, NULL, MEND_NONE, "ABI %d", h->landlock_abi);
	else
		doctor_add(r, "landlock", CHECK_LIMITED, "namespaces and the call filter alone confine a step",
			MEND_LANDLOCK, "this kernel offers none");
}

static void check_cgroup(struct doctor_report *r, const struct probe_cgroup *cg)
{
	static const char name[] = "cgroup", without[] = "nothing but the whole machine limits memory and CPU of a step";

	if (!cg->v2)
		doctor_add(r, name, CHECK_LIMITED, without, MEND_CGROUP_V2, "this process is in no cgroup2");
	else if (!probe_has_controller(cg, "memory"))
		doctor_add(r, name, CHECK_LIMITED, without, cg->is_pi ? MEND_CGROUP_MEMORY_PI : MEND_CGROUP_MEMORY,
			"no memory controller here (only: %s)", *cg->controllers ? cg->controllers : "none");
	else if (!cg->writable)
		doctor_add(r, name, CHECK_LIMITED, without, MEND_CGROUP_DELEGATE,
			"the cgroup of this process is not delegated to it");
	else
		doctor_add(r, name, CHECK_OK, NULL, MEND_NONE, "delegated, with %s", cg->controllers);
}

/* The kernel of a Raspberry Pi 5 has pages of 16 KiB, and 32-bit programs that assume 4 KiB do not start (cross.md). */
static void check_pages(struct doctor_report *r, const struct probe_cgroup *cg)
{
	long size = sysconf(_SC_PAGESIZE);

	if (size > PAGE_SIZE_USUAL)
		doctor_add(r, "page size", CHECK_LIMITED, "32-bit ARM runs only where its programs are aligned to more",
			cg->is_pi ? MEND_PAGES_PI : MEND_PAGES, "%ld KiB; 32-bit programs expect 4 KiB", size >> 10);
}

static bool in_path(const char *program)
{
	const char *path = getenv("PATH");

	for (path = path ? path : "/usr/bin:/bin"; *path;) {
		size_t len = strcspn(path, ":");
		auto_free char *file = xasprintf("%.*s/%s", (int)len, path, program);

		if (len && access(file, X_OK) == 0)
			return true;
		path += len + (path[len] == ':');
	}
	return false;
}

static void check_network(struct doctor_report *r, const struct probe_host *h)
{
	static const char name[] = "isolated network", without[] = "steps share the host's network, or have none";
	const char *helper = in_path("pasta") ? "pasta" : in_path("slirp4netns") ? "slirp4netns" : NULL;

	if (!helper)
		doctor_add(r, name, CHECK_LIMITED, without, MEND_NETWORK_HELPER,
			"neither pasta nor slirp4netns is in PATH");
	else if (h->tun)
		doctor_add_refusal(r, name, CHECK_LIMITED, without, DIAGNOSE_TUN, h->tun, helper);
	else
		doctor_add(r, name, CHECK_OK, NULL, MEND_NONE, "%s and /dev/net/tun are there", helper);
}

/* MemAvailable of /proc/meminfo in bytes; what sysinfo(2) calls free where there is none. */
static uint64_t available_memory(void)
{
	auto_strbuf text = STRBUF_INIT;
	struct err ignored = ERR_INIT;
	struct sysinfo si = { 0 };
	const char *at = NULL;

	if (read_file(AT_FDCWD, "/proc/meminfo", 1 << 16, &text, &ignored) == 0)
		at = strstr(text.buf, "MemAvailable:");
	if (at)
		return strtoull(at + strlen("MemAvailable:"), NULL, 10) << 10;
	sysinfo(&si);
	return (uint64_t)si.freeram * si.mem_unit;
}

static void check_memory(struct doctor_report *r)
{
	uint64_t bytes = available_memory();

	if (bytes < MEMORY_WANTED)
		doctor_add(r, "memory", CHECK_LIMITED, "compilers may be killed in a step", MEND_NONE,
			"%.0f MB are available", (double)bytes / 1e6);
	else
		doctor_add(r, "memory", CHECK_OK, NULL, MEND_NONE, "%.1f GB are available", (double)bytes / 1e9);
}

void doctor_store(struct doctor_report *r, const char *path)
{
	struct statvfs fs;
	uint64_t bytes;

	if (statvfs(path, &fs) < 0) {
		doctor_add(r, "store", CHECK_MISSING, NULL, MEND_NONE, "%s: %s", path, strerror(errno));
		return;
	}
	bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (bytes < DISK_WANTED)
		doctor_add(r, "store", bytes < DISK_NEEDED ? CHECK_MISSING : CHECK_LIMITED,
			"only builds of small images fit", MEND_DISK, "%.0f MB are free in %s", (double)bytes / 1e6, path);
	else
		doctor_add(r, "store", CHECK_OK, NULL, MEND_NONE, "%.1f GB are free in %s", (double)bytes / 1e9, path);
}

void doctor_host(struct doctor_report *r)
{
	struct probe_host h;
	struct probe_cgroup cg;
	struct err err = ERR_INIT;

	if (probe_host(&h, &err) < 0) {
		doctor_add_error(r, "call listener", CHECK_LIMITED, NULL, &err);
	} else {
		check_listener(r, &h);
		check_landlock(r, &h);
		check_network(r, &h);
	}
	probe_cgroup("", &cg);
	check_cgroup(r, &cg);
	check_pages(r, &cg);
	check_memory(r);
	check_clock(r);
}
