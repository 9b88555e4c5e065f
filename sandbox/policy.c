#include "sandbox/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/log.h"
#include "base/mem.h"
#include "sandbox/policy_table.h"

#define INSTRUCTIONS_MAX 4096 /* BPF_MAXINSNS, the kernel's limit for one filter */
#define NAME_MAX_LEN 48

static uint32_t action(enum verdict v)
{
	if (v == VERDICT_ALLOW)
		return SCMP_ACT_ALLOW;
	return SCMP_ACT_ERRNO(v == VERDICT_EPERM ? EPERM : ENOSYS);
}

static int refuse(struct err *err, int rc, const char *what)
{
	return err_set(err, ERR_SANDBOX, "cannot compile the system call filter: %s: %s", what, strerror(-rc));
}

static int add_name(scmp_filter_ctx ctx, enum verdict v, const char *name, struct err *err)
{
	int nr = seccomp_syscall_resolve_name(name), rc;

	if (nr == __NR_SCMP_ERROR) {
		log_debug("seccomp: '%s' is unknown to libseccomp and gets ENOSYS", name);
		return 0;
	}
	rc = seccomp_rule_add(ctx, action(v), nr, 0);
	/* A call that some architecture of the filter lacks is fine; EACCES: the default already says ENOSYS. */
	return rc == 0 || rc == -EDOM || rc == -EACCES ? 0 : refuse(err, rc, name);
}

static int add_group(scmp_filter_ctx ctx, const struct policy_group *g, struct err *err)
{
	for (const char *p = g->names; *p;) {
		size_t len = strcspn(p, " ");
		char name[NAME_MAX_LEN];

		snprintf(name, sizeof(name), "%.*s", (int)len, p);
		if (len && add_name(ctx, g->verdict, name, err) < 0)
			return -1;
		p += len + (p[len] == ' ');
	}
	return 0;
}

/* The conditions of the table whose verdict is an allowance, or those that refuse. */
static int add_arguments(scmp_filter_ctx ctx, bool allowances, struct err *err)
{
	for (size_t i = 0; i < policy_arguments_len; i++) {
		const struct policy_argument *a = &policy_arguments[i];
		int nr = seccomp_syscall_resolve_name(a->name), rc;

		if ((a->verdict == VERDICT_ALLOW) != allowances)
			continue;
		rc = seccomp_rule_add(ctx, action(a->verdict), nr, 1,
			SCMP_CMP(a->arg, SCMP_CMP_MASKED_EQ, a->mask, a->value));
		if (rc != 0 && rc != -EDOM)
			return refuse(err, rc, a->name);
	}
	return 0;
}

/* The 32-bit sibling that the same kernel runs. x32 stays out: its calls get ENOSYS. */
static void add_sibling(scmp_filter_ctx ctx)
{
	uint32_t native = seccomp_arch_native();

	if (native == SCMP_ARCH_X86_64)
		seccomp_arch_add(ctx, SCMP_ARCH_X86);
	if (native == SCMP_ARCH_AARCH64)
		seccomp_arch_add(ctx, SCMP_ARCH_ARM);
}

static int export(scmp_filter_ctx ctx, unsigned short *ret_count, void **ret_code, struct err *err)
{
	auto_fd int fd = memfd_create("filter", MFD_CLOEXEC);
	auto_strbuf code = STRBUF_INIT;
	int rc;

	if (fd < 0)
		return err_sys(err, "cannot make a memory file");
	rc = seccomp_export_bpf(ctx, fd);
	if (rc != 0)
		return refuse(err, rc, "export");
	if (lseek(fd, 0, SEEK_SET) < 0 || read_all(fd, &code, INSTRUCTIONS_MAX * sizeof(struct sock_filter)) < 0)
		return err_sys(err, "cannot read the compiled filter");
	*ret_count = (unsigned short)(code.len / sizeof(struct sock_filter));
	*ret_code = strbuf_take(&code);
	return 0;
}

static int compile_one(bool allow_list, unsigned short *ret_count, void **ret_code, struct err *err)
{
	scmp_filter_ctx ctx = seccomp_init(allow_list ? SCMP_ACT_ERRNO(ENOSYS) : SCMP_ACT_ALLOW);
	int rc = 0;

	if (!ctx)
		return err_set(err, ERR_SANDBOX, "cannot start a system call filter");
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
	add_sibling(ctx);
	for (size_t i = 0; allow_list && rc == 0 && i < policy_groups_len; i++)
		rc = add_group(ctx, &policy_groups[i], err);
	if (rc == 0)
		rc = add_arguments(ctx, allow_list, err);
	if (rc == 0)
		rc = export(ctx, ret_count, ret_code, err);
	seccomp_release(ctx);
	return rc;
}

struct policy_program *policy_compile(struct err *err)
{
	struct policy_program *p = xcalloc(1, sizeof(*p));

	for (int i = 0; i < 2; i++)
		if (compile_one(i == 0, &p->filters[i].count, &p->filters[i].code, err) < 0) {
			policy_free(p);
			return NULL;
		}
	return p;
}

int policy_install(const struct policy_program *p, struct err *err)
{
	for (int i = 0; i < 2; i++) {
		struct sock_fprog prog = { p->filters[i].count, p->filters[i].code };

		if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0) {
			err_sys(err, "cannot install the system call filter");
			err->kind = ERR_SANDBOX;
			return -1;
		}
	}
	return 0;
}

void policy_free(struct policy_program *p)
{
	if (!p)
		return;
	for (int i = 0; i < 2; i++)
		free(p->filters[i].code);
	free(p);
}
