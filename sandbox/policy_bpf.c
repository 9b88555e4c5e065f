/*
 * Neighbours with one verdict are one range; the ranges of an architecture are a balanced tree of comparisons, so that
 * seven or eight decide. The system call number is loaded before anything else: then the kernel finds out by itself
 * which calls are always allowed, and does not run the program for them (seccomp_cache_prepare, Linux 5.11).
 *
 *   load arch; if it is A1: [load nr; tree]; if it is A2: [load nr; tree]; ENOSYS
 *
 * A jump of classic BPF goes forward by at most 255. So the program is written from its end: whatever a jump leads to
 * stands already, and places are counted from the end.
 */
#include "sandbox/policy_bpf.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"

#define REACH 240 /* under 255, for what is put between a check of the distance and the jump */
#define NOWHERE SIZE_MAX

struct program {
	struct sock_filter *code; /* filled from code[max - 1] down */
	size_t max, used;
	bool bad; /* too long, or a jump too far */
	size_t answers[3]; /* the place of the last return of each verdict */
};

/* A run of numbers from start to the next range's start. */
struct range {
	uint32_t start;
	enum verdict verdict;
	const struct policy_rule *rule; /* one number with conditions, or NULL */
};

static size_t emit(struct program *p, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
	if (p->used == p->max) {
		p->bad = true;
		return 0;
	}
	p->code[p->max - 1 - p->used] = (struct sock_filter){ code, jt, jf, k };
	return p->used++;
}

/* How far the next instruction would have to jump. */
static size_t distance(const struct program *p, size_t place)
{
	return p->used - place - 1;
}

/* The place itself, or a jump to it, within reach of the next few instructions. */
static size_t within_reach(struct program *p, size_t place)
{
	return distance(p, place) <= REACH ? place :
					     emit(p, BPF_JMP | BPF_JA, (uint32_t)distance(p, place), 0, 0);
}

static size_t answer(struct program *p, enum verdict v)
{
	static const uint32_t values[] = { [VERDICT_ALLOW] = SECCOMP_RET_ALLOW,
		[VERDICT_EPERM] = SECCOMP_RET_ERRNO | EPERM, [VERDICT_ENOSYS] = SECCOMP_RET_ERRNO | ENOSYS };

	if (p->answers[v] == NOWHERE || distance(p, p->answers[v]) > REACH)
		p->answers[v] = emit(p, BPF_RET | BPF_K, values[v], 0, 0);
	return p->answers[v];
}

static size_t branch(struct program *p, uint16_t test, uint32_t k, size_t if_true, size_t if_false)
{
	p->bad |= distance(p, if_true) > UINT8_MAX || distance(p, if_false) > UINT8_MAX;
	return emit(p, BPF_JMP | BPF_K | test, k, (uint8_t)distance(p, if_true), (uint8_t)distance(p, if_false));
}

/* The low half of an argument. */
static size_t load_argument(struct program *p, unsigned arg, bool big_endian)
{
	size_t at = offsetof(struct seccomp_data, args) + arg * sizeof(uint64_t) + (big_endian ? 4 : 0);

	return emit(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)at, 0, 0);
}

static size_t place_conditions(struct program *p, const struct policy_rule *r, bool big_endian)
{
	size_t next = answer(p, r->verdict);

	for (size_t i = r->nargs; i-- > 0;) {
		const struct policy_argument *a = &r->args[i];
		size_t hit = answer(p, a->verdict);

		next = branch(p, a->test == TEST_EQUAL ? BPF_JEQ : BPF_JSET, a->value, hit, next);
		if (i == 0 || r->args[i - 1].arg != a->arg)
			next = load_argument(p, a->arg + r->shift, big_endian);
	}
	return next;
}

static size_t place_tree(struct program *p, const struct range *r, size_t n, bool big_endian)
{
	size_t low, high;

	if (n == 1 && r->rule)
		return place_conditions(p, r->rule, big_endian);
	if (n == 1)
		return answer(p, r->verdict);
	high = place_tree(p, r + n / 2, n - n / 2, big_endian);
	low = place_tree(p, r, n / 2, big_endian);
	high = within_reach(p, high);
	return branch(p, BPF_JGE, r[n / 2].start, high, within_reach(p, low));
}

/* Append a range unless it goes on with the verdict of the one before. */
static size_t add_range(struct range *r, size_t n, uint32_t start, enum verdict v, const struct policy_rule *rule)
{
	if (n && !rule && !r[n - 1].rule && r[n - 1].verdict == v)
		return n;
	r[n] = (struct range){ start, v, rule };
	return n + 1;
}

static void place_arch(struct program *p, const struct policy_arch *a)
{
	/* Each rule is at most one range and the gap behind it; the first gap is before all of them. */
	auto_free struct range *ranges = xcalloc(2 * a->len + 1, sizeof(*ranges));
	size_t n = 0, tree;
	uint32_t next = 0;

	for (size_t i = 0; i < a->len; i++) {
		const struct policy_rule *r = &a->rules[i];

		if (r->nr > next)
			n = add_range(ranges, n, next, VERDICT_ENOSYS, NULL);
		n = add_range(ranges, n, r->nr, r->verdict, r->nargs ? r : NULL);
		next = r->nr + 1;
	}
	n = add_range(ranges, n, next, VERDICT_ENOSYS, NULL);
	tree = place_tree(p, ranges, n, a->big_endian);
	if (distance(p, tree) != 0)
		emit(p, BPF_JMP | BPF_JA, (uint32_t)distance(p, tree), 0, 0);
	emit(p, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
}

size_t policy_bpf_assemble(const struct policy_arch *archs, size_t narchs, struct sock_filter *ret, size_t max)
{
	struct program p = { .code = ret, .max = max, .answers = { NOWHERE, NOWHERE, NOWHERE } };
	auto_free size_t *starts = xcalloc(narchs, sizeof(*starts));
	size_t next;

	for (size_t i = 0; i < narchs; i++) {
		place_arch(&p, &archs[i]);
		starts[i] = p.used - 1;
	}
	next = answer(&p, VERDICT_ENOSYS);
	for (size_t i = narchs; i-- > 0;) {
		size_t start = within_reach(&p, starts[i]);

		next = branch(&p, BPF_JEQ, archs[i].audit_arch, start, within_reach(&p, next));
	}
	emit(&p, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
	if (p.bad)
		return 0;
	memmove(ret, ret + max - p.used, p.used * sizeof(*ret));
	return p.used;
}
