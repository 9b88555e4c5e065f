#include "oci/platform.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "arch/arch.h"

/* Three parts, each within its buffer, and a bracket in which every byte may be escaped as %XX. */
#define PLATFORM_TEXT_MAX                                                                          \
	(3 * PLATFORM_PART_SIZE + 3 * PLATFORM_OS_VERSION_SIZE + 3 * PLATFORM_OS_FEATURES_SIZE)

static const char *const known_os[] = {
	"aix",
	"android",
	"darwin",
	"dragonfly",
	"freebsd",
	"hurd",
	"illumos",
	"ios",
	"js",
	"linux",
	"nacl",
	"netbsd",
	"openbsd",
	"plan9",
	"solaris",
	"windows",
	"zos",
	NULL,
};

static const char *const known_architecture[] = {
	"386",
	"amd64",
	"amd64p32",
	"arm",
	"armbe",
	"arm64",
	"arm64be",
	"loong64",
	"mips",
	"mipsle",
	"mips64",
	"mips64le",
	"mips64p32",
	"mips64p32le",
	"ppc",
	"ppc64",
	"ppc64le",
	"riscv",
	"riscv64",
	"s390",
	"s390x",
	"sparc",
	"sparc64",
	"wasm",
	NULL,
};

static bool in_list(const char *const *list, const char *s)
{
	for (; *list; list++)
		if (strcmp(*list, s) == 0)
			return true;
	return false;
}

static void set_part(char part[PLATFORM_PART_SIZE], const char *value)
{
	snprintf(part, PLATFORM_PART_SIZE, "%s", value);
}

static void lower(char *s)
{
	for (; *s; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s = (char)(*s - 'A' + 'a');
}

/* Replace part by the value beside it in a NULL-terminated list from, to, from, to ... */
static void replace(char part[PLATFORM_PART_SIZE], const char *const *pairs)
{
	for (; *pairs; pairs += 2) {
		if (strcmp(part, pairs[0]) == 0) {
			set_part(part, pairs[1]);
			return;
		}
	}
}

void platform_normalize(struct platform *p)
{
	static const char *const os[] = {"macos", "darwin", NULL};
	static const char *const architecture[] = {
		"x86_64", "amd64", "x86-64", "amd64", "aarch64", "arm64", NULL};
	static const char *const amd64[] = {"v1", "", NULL};
	static const char *const arm64[] = {
		"8", "", "v8", "", "v8.0", "", "9", "v9", "9.0", "v9", "v9.0", "v9", NULL};
	static const char *const arm[] = {
		"", "v7", "7", "v7", "5", "v5", "6", "v6", "8", "v8", NULL};

	lower(p->os);
	lower(p->architecture);
	lower(p->variant);
	replace(p->os, os);
	replace(p->architecture, architecture);
	if (strcmp(p->architecture, "i386") == 0) {
		set_part(p->architecture, "386");
		p->variant[0] = '\0';
	} else if (strcmp(p->architecture, "armhf") == 0) {
		set_part(p->architecture, "arm");
		set_part(p->variant, "v7");
	} else if (strcmp(p->architecture, "armel") == 0) {
		set_part(p->architecture, "arm");
		set_part(p->variant, "v6");
	}
	if (strcmp(p->architecture, "amd64") == 0)
		replace(p->variant, amd64);
	else if (strcmp(p->architecture, "arm64") == 0)
		replace(p->variant, arm64);
	else if (strcmp(p->architecture, "arm") == 0)
		replace(p->variant, arm);
}

void platform_publish(struct platform *p)
{
	platform_normalize(p);
	if (strcmp(p->architecture, "arm64") == 0 && !p->variant[0])
		set_part(p->variant, "v8");
}

static bool chars_ok(const char *s, size_t n, const char *extra)
{
	for (size_t i = 0; i < n; i++)
		if (!(isascii(s[i]) && isalnum((unsigned char)s[i])) &&
			!memchr(extra, s[i], strlen(extra)))
			return false;
	return n > 0;
}

/* Copy one part of the text after checking its characters. */
static int copy_part(const char *s, size_t n, const char *extra, const char *whole,
	char part[PLATFORM_PART_SIZE], struct err *err)
{
	if (!chars_ok(s, n, extra))
		return err_set(err, ERR_INPUT,
			"malformed platform '%s': want os/architecture[/variant]", whole);
	if (n >= PLATFORM_PART_SIZE)
		return err_set(err, ERR_INPUT,
			"malformed platform '%s': a part is longer than %d bytes", whole,
			PLATFORM_PART_SIZE - 1);
	memcpy(part, s, n);
	part[n] = '\0';
	return 0;
}

/* Decode n bytes of a version or feature (oci.md 1.7.2: five characters are written %XX) onto the
 * string out. */
static int decode(const char *s, size_t n, char *out, size_t size)
{
	static const char *const escapes[] = {"25", "2B", "28", "29", "2F"};
	static const char plain[] = "%+()/";
	size_t len = strlen(out);

	for (size_t i = 0; i < n; i++) {
		char c = s[i];

		if (c == '%') {
			size_t k = 0;

			while (k < 5 && !(n - i >= 3 && strncasecmp(s + i + 1, escapes[k], 2) == 0))
				k++;
			if (k == 5)
				return -1;
			c = plain[k];
			i += 2;
		} else if (!chars_ok(&c, 1, "_.-")) {
			return -1;
		}
		if (len + 1 >= size)
			return -1;
		out[len++] = c;
		out[len] = '\0';
	}
	return 0;
}

/* "version+feature+feature", what stands in the brackets after an OS. */
static int parse_brackets(const char *s, size_t n, struct platform *p)
{
	const char *end = s + n;
	const char *plus = memchr(s, '+', n);

	if (decode(s, (size_t)((plus ? plus : end) - s), p->os_version, sizeof(p->os_version)) < 0)
		return -1;
	while (plus) {
		const char *start = plus + 1;
		size_t have = strlen(p->os_features);

		plus = memchr(start, '+', (size_t)(end - start));
		if (have) {
			if (have + 1 >= sizeof(p->os_features))
				return -1;
			p->os_features[have] = ',';
			p->os_features[have + 1] = '\0';
		}
		if (decode(start, (size_t)((plus ? plus : end) - start), p->os_features,
			    sizeof(p->os_features)) < 0)
			return -1;
	}
	return 0;
}

static int parse_os(const char *s, size_t n, const char *whole, struct platform *p, struct err *err)
{
	const char *open = memchr(s, '(', n);
	size_t name = open ? (size_t)(open - s) : n;

	if (copy_part(s, name, "_-", whole, p->os, err) < 0)
		return -1;
	if (!open)
		return 0;
	if (s[n - 1] != ')' || parse_brackets(open + 1, n - name - 2, p) < 0)
		return err_set(err, ERR_INPUT,
			"malformed platform '%s': want os(version+feature)/architecture", whole);
	return 0;
}

/* A text of one part: an OS completed by the host's architecture, or an architecture by its OS. */
static int parse_single(
	const char *s, const struct platform *host, struct platform *p, struct err *err)
{
	struct platform as_architecture = {.os = ""};

	if (!strchr(s, '(') &&
		copy_part(s, strlen(s), "_.-", s, as_architecture.architecture, err) < 0)
		return -1;
	platform_normalize(&as_architecture);
	if (in_list(known_architecture, as_architecture.architecture)) {
		*p = as_architecture;
		set_part(p->os, host->os);
		return 0;
	}
	if (parse_os(s, strlen(s), s, p, err) < 0)
		return -1;
	set_part(p->architecture, host->architecture);
	set_part(p->variant, host->variant);
	platform_normalize(p);
	if (!in_list(known_os, p->os))
		return err_set(err, ERR_INPUT, "unknown operating system or architecture '%s'", s);
	return 0;
}

int platform_parse(
	const char *s, const struct platform *host_default, struct platform *ret, struct err *err)
{
	struct platform p = {.os = ""};
	const char *slash, *second;

	if (strnlen(s, PLATFORM_TEXT_MAX + 1) > PLATFORM_TEXT_MAX)
		return err_set(err, ERR_INPUT,
			"malformed platform '%.40s...': longer than %d bytes", s,
			PLATFORM_TEXT_MAX);
	if (!*s)
		return err_set(err, ERR_INPUT, "empty platform");
	if (strcasecmp(s, "local") == 0) {
		*ret = *host_default;
		platform_normalize(ret);
		return 0;
	}
	slash = strchr(s, '/');
	if (!slash) {
		if (parse_single(s, host_default, &p, err) < 0)
			return -1;
		*ret = p;
		return 0;
	}
	second = strchr(slash + 1, '/');
	if (parse_os(s, (size_t)(slash - s), s, &p, err) < 0)
		return -1;
	slash++;
	if (copy_part(slash, second ? (size_t)(second - slash) : strlen(slash), "_.-", s,
		    p.architecture, err) < 0)
		return -1;
	if (second && copy_part(second + 1, strlen(second + 1), "_.-", s, p.variant, err) < 0)
		return -1;
	platform_normalize(&p);
	*ret = p;
	return 0;
}

void platform_format(const struct platform *p, char out[PLATFORM_STR_SIZE])
{
	int n = snprintf(out, PLATFORM_STR_SIZE, "%s", p->os);

	if (p->architecture[0])
		n += snprintf(out + n, (size_t)(PLATFORM_STR_SIZE - n), "/%s", p->architecture);
	if (p->architecture[0] && p->variant[0])
		snprintf(out + n, (size_t)(PLATFORM_STR_SIZE - n), "/%s", p->variant);
}

void platform_host(struct platform *ret)
{
	const struct arch *a = arch_host();
	char variant[ARCH_VARIANT_SIZE];

	*ret = (struct platform){.os = ""};
	arch_host_variant(variant);
	set_part(ret->os, a->os);
	set_part(ret->architecture, a->architecture);
	set_part(ret->variant, variant[0] ? variant : a->variant);
	platform_normalize(ret);
}

/* "v8" or "v8.5" to 80 or 85; -1 when it has another form. */
static int level(const char *variant)
{
	if (variant[0] != 'v' || variant[1] < '1' || variant[1] > '9')
		return -1;
	if (!variant[2])
		return (variant[1] - '0') * 10;
	if (variant[2] != '.' || variant[3] < '0' || variant[3] > '9' || variant[4])
		return -1;
	return (variant[1] - '0') * 10 + variant[3] - '0';
}

/* amd64/vN takes vN down to v2, then plain; arm/vN down to v5. floor: level of the last. */
static int rank_whole(int want, int have, int floor)
{
	if (want % 10 || have % 10 || want < floor || have < floor || have > want)
		return -1;
	return (want - have) / 10;
}

/* v8.k takes v8.k ... v8; v9.k takes v9.k ... v9, then v8.(k+5), at most v8.9, ... v8. */
static int rank_arm64(int want, int have)
{
	int top;

	if (want / 10 == have / 10)
		return have <= want ? want - have : -1;
	if (want / 10 != 9 || have / 10 != 8)
		return -1;
	top = want % 10 + 5 < 9 ? want % 10 + 5 : 9;
	return have % 10 <= top ? want % 10 + 1 + top - have % 10 : -1;
}

static int rank_variant(const char *architecture, const char *want, const char *have)
{
	int r = -1;

	if (strcmp(want, have) == 0)
		return 0;
	if (strcmp(architecture, "amd64") == 0)
		r = rank_whole(*want ? level(want) : 10, *have ? level(have) : 10, 10);
	else if (strcmp(architecture, "arm") == 0)
		r = rank_whole(level(want), level(have), 50);
	else if (strcmp(architecture, "arm64") == 0 && (!*want || level(want) >= 80) &&
		 (!*have || level(have) >= 80))
		r = rank_arm64(*want ? level(want) : 80, *have ? level(have) : 80);
	return r;
}

static bool features_within(const char *have, const char *want)
{
	while (*have) {
		size_t n = strcspn(have, ",");
		const char *w = want;
		bool found = false;

		while (*w && !found) {
			size_t k = strcspn(w, ",");

			found = k == n && memcmp(w, have, n) == 0;
			w += k + (w[k] == ',');
		}
		if (!found)
			return false;
		have += n + (have[n] == ',');
	}
	return true;
}

int platform_match_rank(const struct platform *want, const struct platform *have)
{
	struct platform w = *want, h = *have;

	platform_normalize(&w);
	platform_normalize(&h);
	if (strcmp(w.os, h.os) != 0 || strcmp(w.architecture, h.architecture) != 0)
		return -1;
	if (!features_within(h.os_features, w.os_features))
		return -1;
	if (strcmp(w.os, "windows") == 0 &&
		strncmp(w.os_version, h.os_version, strlen(w.os_version)) != 0)
		return -1;
	return rank_variant(w.architecture, w.variant, h.variant);
}

bool platform_equal(const struct platform *a, const struct platform *b)
{
	struct platform x = *a, y = *b;

	platform_normalize(&x);
	platform_normalize(&y);
	return strcmp(x.os, y.os) == 0 && strcmp(x.architecture, y.architecture) == 0 &&
	       strcmp(x.variant, y.variant) == 0;
}

bool platform_is_unknown(const struct platform *p)
{
	return strcmp(p->os, "unknown") == 0 && strcmp(p->architecture, "unknown") == 0;
}
