#include "sandbox/policy.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/auto.h"
#include "base/log.h"
#include "base/mem.h"
#include "sandbox/policy_bpf.h"
#include "sandbox/policy_table.h"
#include "sandbox/refusal.h"

#define INSTRUCTIONS_MAX 4096 /* BPF_MAXINSNS, the kernel's limit for one filter */
#define NAME_MAX_LEN 48
#define ARCHS_MAX 2 /* an architecture and its 32-bit sibling */

/* The rules of one architecture while they are gathered. */
struct rules {
	uint32_t audit_arch;
	struct policy_rule *v;
	size_t len, cap;
};

/* The table's own number where libseccomp has none or its placeholder below zero; -1: no such call there. */
static int number_of(uint32_t audit_arch, const char *name)
{
	int nr = seccomp_syscall_resolve_name_arch(audit_arch, name);

	for (size_t i = 0; nr < 0 && i < policy_numbers_len; i++) {
		const struct policy_number *n = &policy_numbers[i];

		if ((n->audit_arch == 0 || n->audit_arch == audit_arch) && strcmp(n->name, name) == 0)
			return n->nr;
	}
	return nr < 0 ? -1 : nr;
}

static void add_call(struct rules *r, const char *name, enum verdict v)
{
	int nr = number_of(r->audit_arch, name);

	if (nr < 0)
		return;
	GROW(r->v, r->len, r->cap);
	r->v[r->len++] = (struct policy_rule){ .nr = (uint32_t)nr, .verdict = v };
}

static void add_group(struct rules *r, const struct policy_group *g)
{
	for (const char *p = g->names; *p;) {
		size_t len = strcspn(p, " ");
		char name[NAME_MAX_LEN];

		snprintf(name, sizeof(name), "%.*s", (int)len, p);
		if (len)
			add_call(r, name, g->verdict);
		p += len + (p[len] == ' ');
	}
}

static struct policy_rule *find_rule(const struct rules *r, uint32_t nr)
{
	for (size_t i = 0; i < r->len; i++)
		if (r->v[i].nr == nr)
			return &r->v[i];
	return NULL;
}

/* The rows of one call, which begin at a and stand together. Returns how many. */
static size_t add_conditions(struct rules *r, const struct policy_argument *a, size_t left)
{
	int nr = number_of(r->audit_arch, a->name);
	struct policy_rule *rule;
	size_t n = 1;

	while (n < left && strcmp(a[n].name, a->name) == 0)
		n++;
	if (nr < 0)
		return n;
	if (!find_rule(r, (uint32_t)nr))
		add_call(r, a->name, VERDICT_ENOSYS);
	rule = find_rule(r, (uint32_t)nr);
	rule->args = a;
	rule->nargs = n;
	/* clone(stack, flags, ...) there, clone(flags, stack, ...) elsewhere */
	rule->shift = r->audit_arch == AUDIT_ARCH_S390X && strcmp(a->name, "clone") == 0;
	return n;
}

static int by_number(const void *a, const void *b)
{
	const struct policy_rule *x = a, *y = b;

	return x->nr < y->nr ? -1 : x->nr > y->nr;
}

/* Two names of one number (fstatat64 and newfstatat) agree: a test of the table sees to it. */
static void sort_rules(struct rules *r)
{
	size_t n = 0;

	qsort(r->v, r->len, sizeof(*r->v), by_number);
	for (size_t i = 0; i < r->len; i++)
		if (n == 0 || r->v[n - 1].nr != r->v[i].nr)
			r->v[n++] = r->v[i];
	r->len = n;
}

static void gather(struct rules *r, uint32_t audit_arch)
{
	r->audit_arch = audit_arch;
	for (size_t i = 0; i < policy_groups_len; i++)
		add_group(r, &policy_groups[i]);
	sort_rules(r);
	for (size_t i = 0; i < policy_arguments_len;)
		i += add_conditions(r, &policy_arguments[i], policy_arguments_len - i);
	sort_rules(r);
}

/*
 * x32 shares the identity of x86_64 and has numbers of its own above 2^30, which get ENOSYS; s390's 31-bit programs are
 * nothing that builds need.
 */
static bool is_left_out(const char *name)
{
	return strcmp(name, "x32") == 0 || strcmp(name, "s390") == 0;
}

struct policy_program *policy_compile_for(const struct arch *arch, struct err *err)
{
	auto_free struct sock_filter *code = xcalloc(INSTRUCTIONS_MAX, sizeof(*code));
	struct rules rules[ARCHS_MAX] = { 0 };
	struct policy_arch archs[ARCHS_MAX];
	struct policy_program *p;
	size_t n = 0, count;

	for (size_t i = 0; arch->seccomp_names[i] && n < ARCHS_MAX; i++) {
		if (is_left_out(arch->seccomp_names[i]))
			continue;
		gather(&rules[n], seccomp_arch_resolve_name(arch->seccomp_names[i]));
		archs[n] = (struct policy_arch){ rules[n].audit_arch, arch->big_endian, rules[n].v, rules[n].len };
		n++;
	}
	count = policy_bpf_assemble(archs, n, code, INSTRUCTIONS_MAX);
	for (size_t i = 0; i < n; i++) {
		log_debug("seccomp: %zu calls of architecture %#x have a rule", rules[i].len, rules[i].audit_arch);
		free(rules[i].v);
	}
	if (count == 0) {
		err_set(err, ERR_SANDBOX, "the system call filter is over %d instructions", INSTRUCTIONS_MAX);
		return NULL;
	}
	p = xcalloc(1, sizeof(*p));
	p->count = (unsigned short)count;
	p->code = xmemdup(code, count * sizeof(*code));
	return p;
}

struct policy_program *policy_compile(struct err *err)
{
	return policy_compile_for(arch_host(), err);
}

int policy_install(const struct policy_program *p, struct err *err)
{
	struct sock_fprog prog = { p->count, p->code };

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) == 0)
		return 0;
	err_sys(err, "cannot install the system call filter");
	return refusal(err, "seccomp");
}

void policy_free(struct policy_program *p)
{
	if (!p)
		return;
	free(p->code);
	free(p);
}
