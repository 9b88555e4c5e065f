#include "build/giturl.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/strbuf.h"

#define SHA1_HEX 40
#define SHORT_HEX_MIN 7

void giturl_release(struct giturl *u)
{
	free(u->remote);
	free(u->ref);
	free(u->subdir);
	free(u->commit);
	*u = (struct giturl)GITURL_INIT;
}

/* ---- which texts are meant ---- */

static bool begins(const char *s, const char *prefix)
{
	return strncasecmp(s, prefix, strlen(prefix)) == 0;
}

/* Length up to the query or fragment. */
static size_t bare_len(const char *text)
{
	return strcspn(text, "?#");
}

static bool is_http_git(const char *text)
{
	size_t n = bare_len(text);

	return (begins(text, "http://") || begins(text, "https://")) && n > 4 && strncmp(text + n - 4, ".git", 4) == 0;
}

/* user@host:path, as scp has it: no slash before the colon. */
static bool is_scp(const char *text)
{
	size_t user = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
	size_t host;

	if (user == 0 || text[user] != '@')
		return false;
	host = strcspn(text + user + 1, ":/?#");
	return host > 0 && text[user + 1 + host] == ':' && text[user + host + 2] != '\0';
}

static bool is_git(const char *text, bool context)
{
	if (begins(text, "git://") || begins(text, "ssh://") || is_http_git(text))
		return true;
	if (context && strncmp(text, "github.com/", 11) == 0)
		return true;
	return is_scp(text);
}

/* ---- checks ---- */

bool giturl_is_hash(const char *s)
{
	size_t n = strlen(s);

	return (n == SHA1_HEX || n == GITURL_HASH_MAX) && strspn(s, "0123456789abcdef") == n;
}

int giturl_check_commit(const char *commit, struct err *err)
{
	size_t n = strlen(commit);

	if (n >= SHORT_HEX_MIN && n <= GITURL_HASH_MAX && strspn(commit, "0123456789abcdefABCDEF") == n)
		return 0;
	return err_set(err, ERR_INPUT, "invalid checksum %s for Git URL, expected hex commit hash", commit);
}

/*
 * What git could take for an option, a refspec with two sides, or a pattern is no ref (git-check-ref-format(1) forbids
 * all of it but the dash).
 */
static int check_ref(const char *ref, struct err *err)
{
	bool bad = !*ref || strlen(ref) > GITURL_REF_MAX || ref[0] == '-' || strstr(ref, "..") || strstr(ref, "//") ||
		   strstr(ref, "@{") || ref[0] == '/' || strpbrk(ref, " ~^:?*[\\+");

	for (const char *p = ref; *p; p++)
		bad |= iscntrl((unsigned char)*p) != 0;
	return bad ? err_set(err, ERR_INPUT, "'%s' is no ref of a git repository", ref) : 0;
}

/* Neither user, host nor path may begin with what a program they are handed to takes for an option. */
static int check_remote(const char *remote, struct err *err)
{
	size_t scheme = strspn(remote, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
	bool scp = strncmp(remote + scheme, "://", 3) != 0;
	const char *host = scp ? remote : remote + scheme + 3;
	const char *at;

	for (const char *p = remote; *p; p++)
		if (iscntrl((unsigned char)*p) || isspace((unsigned char)*p))
			return err_set(err, ERR_INPUT, "a blank or control character in a git URL");
	at = strchr(host, '@');
	if (*host == '-' || (at && at < host + strcspn(host, "/") && at[1] == '-'))
		return err_set(err, ERR_INPUT, "the host of the git URL '%s' begins with '-'", remote);
	if (scp && strstr(remote, ":-"))
		return err_set(err, ERR_INPUT, "the path of the git URL '%s' begins with '-'", remote);
	return 0;
}

/* ---- options ---- */

/* Percent-decode n bytes. Returns NULL when a NUL is among them. */
static char *decode(const char *s, size_t n, bool percent)
{
	auto_strbuf out = STRBUF_INIT;

	for (size_t i = 0; i < n; i++) {
		unsigned value = 0;

		if (percent && s[i] == '%' && i + 2 < n && isxdigit((unsigned char)s[i + 1]) &&
			isxdigit((unsigned char)s[i + 2])) {
			char hex[3] = { s[i + 1], s[i + 2], '\0' };

			value = (unsigned)strtoul(hex, NULL, 16);
			if (value == 0)
				return NULL;
			strbuf_putc(&out, (char)value);
			i += 2;
			continue;
		}
		strbuf_putc(&out, s[i]);
	}
	return strbuf_take(&out);
}

static int set_ref(struct giturl *u, const char *ref, struct err *err)
{
	if (u->ref && strcmp(u->ref, ref) != 0)
		return err_set(err, ERR_INPUT, "ref conflicts: \"%s\" vs \"%s\"", u->ref, ref);
	if (check_ref(ref, err) < 0)
		return -1;
	free(u->ref);
	u->ref = xstrdup(ref);
	return 0;
}

static int set_subdir(struct giturl *u, const char *text, struct err *err)
{
	auto_free char *absolute = path_join("/", text);
	const char *clean = absolute[0] == '/' ? absolute + 1 : absolute;

	if (u->subdir && strcmp(u->subdir, clean) != 0)
		return err_set(err, ERR_INPUT, "subdir conflicts: \"%s\" vs \"%s\"", u->subdir, clean);
	free(u->subdir);
	u->subdir = *clean ? xstrdup(clean) : NULL;
	return 0;
}

static int parse_bool(const char *key, const char *value, bool has_value, bool *ret, struct err *err)
{
	if (!has_value || strcasecmp(value, "true") == 0 || strcmp(value, "1") == 0)
		*ret = true;
	else if (strcasecmp(value, "false") == 0 || strcmp(value, "0") == 0)
		*ret = false;
	else
		return err_set(err, ERR_INPUT, "invalid %s value: \"%s\"", key, value);
	return 0;
}

/* Options of the query that were seen, to find those given twice. */
enum seen { SEEN_REF = 1, SEEN_TAG = 2, SEEN_BRANCH = 4, SEEN_SUBDIR = 8, SEEN_COMMIT = 16, SEEN_KEEP = 32,
	SEEN_SUBMODULES = 64, SEEN_MTIME = 128, SEEN_FETCH = 256 };

static int set_commit(struct giturl *u, const char *value, struct err *err)
{
	if (giturl_check_commit(value, err) < 0)
		return -1;
	free(u->commit);
	u->commit = xstrdup(value);
	for (char *p = u->commit; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return 0;
}

static int set_prefixed(struct giturl *u, const char *prefix, const char *value, struct err *err)
{
	auto_free char *ref = strncmp(value, prefix, strlen(prefix)) == 0 ? xstrdup(value) :
									     xasprintf("%s%s", prefix, value);

	return set_ref(u, ref, err);
}

static int set_option(struct giturl *u, enum seen which, const char *key, const char *value, bool has_value,
	struct err *err)
{
	bool flag = true;

	switch (which) {
	case SEEN_REF:
		return set_ref(u, value, err);
	case SEEN_TAG:
		return set_prefixed(u, "refs/tags/", value, err);
	case SEEN_BRANCH:
		return set_prefixed(u, "refs/heads/", value, err);
	case SEEN_SUBDIR:
		return set_subdir(u, value, err);
	case SEEN_COMMIT:
		return set_commit(u, value, err);
	case SEEN_KEEP:
		u->keep_git_dir_set = true;
		return parse_bool(key, value, has_value, &u->keep_git_dir, err);
	case SEEN_SUBMODULES:
		if (parse_bool(key, value, has_value, &flag, err) < 0)
			return -1;
		u->no_submodules = !flag;
		return 0;
	case SEEN_MTIME: /* files always have the time of the commit */
		if (strcmp(value, "checkout") != 0 && strcmp(value, "commit") != 0)
			return err_set(err, ERR_INPUT, "invalid mtime value: \"%s\"", value);
		return 0;
	case SEEN_FETCH: /* a way to fetch, not a choice of what */
		return parse_bool(key, value, has_value, &flag, err);
	}
	return 0;
}

static int parse_option(struct giturl *u, const char *text, size_t n, unsigned *seen, struct err *err)
{
	static const struct {
		const char *name;
		enum seen which;
		bool needs_value;
	} known[] = { { "ref", SEEN_REF, true }, { "tag", SEEN_TAG, true }, { "branch", SEEN_BRANCH, true },
		{ "subdir", SEEN_SUBDIR, true }, { "checksum", SEEN_COMMIT, true }, { "commit", SEEN_COMMIT, true },
		{ "keep-git-dir", SEEN_KEEP, false }, { "submodules", SEEN_SUBMODULES, false },
		{ "mtime", SEEN_MTIME, true }, { "fetch-by-commit", SEEN_FETCH, false } };
	size_t key_len = strcspn(text, "=") < n ? strcspn(text, "=") : n;
	auto_free char *key = decode(text, key_len, true);
	auto_free char *value = key_len < n ? decode(text + key_len + 1, n - key_len - 1, true) : xstrdup("");

	if (!key || !value)
		return err_set(err, ERR_INPUT, "a NUL in the query of a git URL");
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(known[i].name, key) != 0)
			continue;
		if (known[i].needs_value && !*value)
			return err_set(err, ERR_INPUT, "query \"%s\" has no value", key);
		if (*seen & known[i].which)
			return err_set(err, ERR_INPUT, "query \"%s\" has multiple values", key);
		*seen |= known[i].which;
		if ((*seen & SEEN_TAG) && (*seen & SEEN_BRANCH))
			return err_set(err, ERR_INPUT, "branch conflicts with tag");
		return set_option(u, known[i].which, key, value, key_len < n, err);
	}
	return err_set(err, ERR_INPUT, "unexpected query \"%s\"", key);
}

static int parse_query(struct giturl *u, const char *query, size_t len, struct err *err)
{
	unsigned seen = 0;

	for (size_t at = 0; at < len;) {
		size_t n = strcspn(query + at, "&");

		if (n > len - at)
			n = len - at;
		if (n > 0 && parse_option(u, query + at, n, &seen, err) < 0)
			return -1;
		at += n + 1;
	}
	return 0;
}

/* "ref", "ref:subdir", ":subdir". */
static int parse_fragment(struct giturl *u, const char *text, bool percent, struct err *err)
{
	size_t n = strcspn(text, ":");
	auto_free char *ref = decode(text, n, percent);
	auto_free char *subdir = text[n] ? decode(text + n + 1, strlen(text + n + 1), percent) : xstrdup("");

	if (!ref || !subdir)
		return err_set(err, ERR_INPUT, "a NUL in a git URL");
	if (*ref && set_ref(u, ref, err) < 0)
		return -1;
	return *subdir ? set_subdir(u, subdir, err) : 0;
}

int giturl_parse(const char *text, bool context, struct giturl *ret, struct err *err)
{
	struct giturl u = GITURL_INIT;
	const char *query, *fragment;
	size_t n = bare_len(text);
	bool url = strstr(text, "://") != NULL;
	int rc = 0;

	*ret = u;
	if (!is_git(text, context))
		return 0;
	if (strlen(text) > GITURL_MAX)
		return err_set(err, ERR_INPUT, "a git URL is longer than %d bytes", GITURL_MAX);
	query = text[n] == '?' ? text + n + 1 : NULL;
	fragment = strchr(text + n, '#');
	u.remote = strncmp(text, "github.com/", 11) == 0 ? xasprintf("https://%.*s", (int)n, text) : xstrndup(text, n);
	rc = check_remote(u.remote, err);
	if (rc == 0 && fragment)
		rc = parse_fragment(&u, fragment + 1, url, err);
	if (rc == 0 && query)
		rc = parse_query(&u, query, strcspn(query, "#"), err);
	if (rc < 0) {
		giturl_release(&u);
		return -1;
	}
	*ret = u;
	return 1;
}

char *giturl_display(const char *remote)
{
	const char *host = strstr(remote, "://");
	const char *at, *end;

	if (!host)
		return xstrdup(remote);
	host += 3;
	end = host + strcspn(host, "/");
	at = memrchr(host, '@', (size_t)(end - host));
	return at ? xasprintf("%.*s%s", (int)(host - remote), remote, at + 1) : xstrdup(remote);
}
