#include "build/git.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fsutil.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "build/fetch_auth.h"

#define OUTPUT_MAX ((size_t)1 << 20) /* of one git: an ls-remote of four patterns is a few lines */
#define SAID_MAX 240                 /* bytes of git's own words in a message */
#define DEPTH_MAX 256                /* of a checkout: as of a layer */

/* One git after the other on one repository. */
struct git {
	const char *dir;
	const volatile sig_atomic_t *cancel;
	const struct fetch_auth *auth;
	struct strv env;
	struct strv net_env;  /* env and the credentials: for those that speak to the remote */
	struct strbuf output; /* of the last one */
};

/* ---- running it ---- */

/*
 * The environment is made anew: GIT_* variables of the user (GIT_DIR, GIT_SSH, GIT_CONFIG_PARAMETERS) and everything
 * below his HOME could make git do what no Dockerfile says.
 */
static void make_env(struct strv *env)
{
	static const char *const kept[] = { "PATH", "USER", "LOGNAME", "TMPDIR", "SSH_AUTH_SOCK", "SSL_CERT_FILE",
		"SSL_CERT_DIR", "http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "ALL_PROXY",
		"NO_PROXY" };
	static const char *const fixed[] = { "LC_ALL=C", "HOME=/dev/null", "XDG_CONFIG_HOME=/dev/null",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_ASKPASS=true", "SSH_ASKPASS=true", "SSH_ASKPASS_REQUIRE=never",
		"GIT_SSH_COMMAND=ssh -o BatchMode=yes -o ConnectTimeout=30 -o PermitLocalCommand=no", "GIT_PROTOCOL_FROM_USER=0",
		"GIT_ALLOW_PROTOCOL=git:http:https:ssh", "GIT_OPTIONAL_LOCKS=0" };
	const char *authorities = getenv("SSL_CERT_FILE");

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		const char *value = getenv(kept[i]);

		if (value)
			strv_env_set(env, kept[i], value);
	}
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		strv_add(env, fixed[i]);
	if (authorities && *authorities)
		strv_env_set(env, "GIT_SSL_CAINFO", authorities);
}

/*
 * The environment of a process is read by its user alone, its arguments by everybody. Git would send the header along to
 * wherever a redirect leads, so there is none.
 */
static void make_net_env(struct git *g, const char *remote)
{
	auto_free char *scope = NULL;

	strv_add_all(&g->net_env, &g->env);
	if (!g->auth || !g->auth->header)
		return;
	scope = fetch_auth_git_scope(remote);
	strv_add(&g->net_env, "GIT_CONFIG_COUNT=2");
	strv_take(&g->net_env, xasprintf("GIT_CONFIG_KEY_0=http.%s.extraHeader", scope));
	strv_take(&g->net_env, xasprintf("GIT_CONFIG_VALUE_0=Authorization: %s", g->auth->header));
	strv_take(&g->net_env, xasprintf("GIT_CONFIG_KEY_1=http.%s.followRedirects", scope));
	strv_add(&g->net_env, "GIT_CONFIG_VALUE_1=false");
}

static const struct strv *env_for(const struct git *g, const char *command)
{
	static const char *const online[] = { "ls-remote", "fetch", "submodule" };

	for (size_t i = 0; i < sizeof(online) / sizeof(online[0]); i++)
		if (strcmp(command, online[i]) == 0)
			return &g->net_env;
	return &g->env;
}

/* Run git with the arguments up to NULL. Returns its exit status, or -1 and *err. */
static int run(struct git *g, const char *const args[], struct err *err)
{
	static const char *const config[] = { "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.symlinks=true",
		"core.autocrlf=false", "core.logAllRefUpdates=false", "core.attributesFile=/dev/null",
		"core.excludesFile=/dev/null", "credential.helper=", "protocol.allow=never", "protocol.git.allow=always",
		"protocol.http.allow=always", "protocol.https.allow=always", "protocol.ssh.allow=always",
		"http.lowSpeedLimit=1024", "http.lowSpeedTime=60", "gc.auto=0", "maintenance.auto=false",
		"advice.detachedHead=false", "fetch.recurseSubmodules=false", "init.defaultBranch=main" };
	struct proc_options o = { .env = (const char *const *)env_for(g, args[0])->v, .mask = 022, .cancel = g->cancel };
	auto_strv argv = STRV_INIT;
	int status;

	strv_add(&argv, "git");
	for (size_t i = 0; i < sizeof(config) / sizeof(config[0]); i++) {
		strv_add(&argv, "-c");
		strv_add(&argv, config[i]);
	}
	strv_add(&argv, "-C");
	strv_add(&argv, g->dir);
	for (size_t i = 0; args[i]; i++)
		strv_add(&argv, args[i]);
	strbuf_reset(&g->output);
	status = proc_run_with((const char *const *)argv.v, &o, &g->output, OUTPUT_MAX, err);
	fetch_auth_hide(g->auth, g->output.buf, g->output.len);
	return status;
}

static void begin(struct git *g, const struct giturl *u, const struct fetch_auth *auth, const char *dir,
	const volatile sig_atomic_t *cancel)
{
	*g = (struct git){ .dir = dir, .cancel = cancel, .auth = auth, .env = STRV_INIT, .net_env = STRV_INIT,
		.output = STRBUF_INIT };
	make_env(&g->env);
	make_net_env(g, u->remote);
}

static void end(struct git *g)
{
	for (size_t i = 0; i < g->net_env.len; i++)
		explicit_bzero(g->net_env.v[i], strlen(g->net_env.v[i]));
	strv_release(&g->env);
	strv_release(&g->net_env);
	strbuf_release(&g->output);
}

/* What git said last, on one line: its final complaint stands at the end. */
static char *said(const struct git *g)
{
	auto_free char *text = xstrndup(g->output.buf, g->output.len);
	size_t len;

	for (char *p = text; *p; p++)
		if (*p == '\n')
			*p = ' ';
	len = strlen(text);
	while (len > 0 && text[len - 1] == ' ')
		text[--len] = '\0';
	return len > SAID_MAX ? xasprintf("...%s", text + len - SAID_MAX) : xstrdup(text);
}

/* Git has one exit status for everything, and says these in the language C. */
static bool is_refusal(const char *words)
{
	static const char *const signs[] = { "Authentication failed", "could not read Username",
		"could not read Password", "error: 401", "error: 403" };

	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
		if (strstr(words, signs[i]))
			return true;
	return false;
}

static int failed(const struct git *g, const struct giturl *u, const char *what, struct err *err)
{
	auto_free char *words = said(g);
	auto_free char *shown = giturl_display(u->remote);

	if (is_refusal(words))
		return err_set(err, ERR_DENIED, "cannot %s '%s' by git: %s (--secret id=GIT_AUTH_TOKEN lends a token for "
			"http and https)", what, shown, words);
	return err_set(err, ERR_NETWORK, "cannot %s '%s' by git: %s", what, shown, words);
}

/* run(), and any exit status but 0 is an error: "cannot WHAT 'REMOTE' by git: ...". */
static int need(struct git *g, const struct giturl *u, const char *what, const char *const args[], struct err *err)
{
	int status = run(g, args, err);

	return status < 0 ? -1 : status ? failed(g, u, what, err) : 0;
}

/* ---- which commit ---- */

void git_commit_release(struct git_commit *c)
{
	free(c->ref);
	*c = (struct git_commit)GIT_COMMIT_INIT;
}

/* The hash that a line "<hash> TAB <ref>" of ls-remote gives the ref, into hash. Returns whether there is one. */
static bool listed(const char *text, const char *ref, char hash[GITURL_HASH_MAX + 1])
{
	for (const char *line = text; *line;) {
		size_t n = strcspn(line, "\n"), h = strcspn(line, "\t\n");
		const char *name = line + h + 1;

		if (h <= GITURL_HASH_MAX && h < n && strlen(ref) == n - h - 1 && strncmp(name, ref, n - h - 1) == 0) {
			snprintf(hash, GITURL_HASH_MAX + 1, "%.*s", (int)h, line);
			return giturl_is_hash(hash);
		}
		line += n + (line[n] == '\n');
	}
	return false;
}

/* A ref found as fmt says: its commit, and the tag object that it may be in tag_hash. */
static bool look_up(const char *text, const char *prefix, const char *name, struct git_commit *ret,
	char tag_hash[GITURL_HASH_MAX + 1])
{
	auto_free char *full = xasprintf("%s%s", prefix, name);
	auto_free char *peeled = xasprintf("%s^{}", full);

	tag_hash[0] = '\0';
	if (!listed(text, full, ret->hash))
		return false;
	snprintf(tag_hash, GITURL_HASH_MAX + 1, "%s", ret->hash);
	listed(text, peeled, ret->hash);
	ret->ref = take_ptr(full);
	return true;
}

static int check_commit(const struct giturl *u, const struct git_commit *c, const char *tag_hash, struct err *err)
{
	size_t n = u->commit ? strlen(u->commit) : 0;

	if (n == 0 || strncmp(c->hash, u->commit, n) == 0 || strncmp(tag_hash, u->commit, n) == 0)
		return 0;
	return err_set(err, ERR_INPUT, "expected checksum to match %s, got %s", u->commit, c->hash);
}

/* Branches come before tags; a full name is taken as it is. */
static int choose(const struct git *g, const struct giturl *u, struct git_commit *ret, struct err *err)
{
	const char *ref = u->ref ? u->ref : "HEAD";
	char tag_hash[GITURL_HASH_MAX + 1] = "";
	bool full = strncmp(ref, "refs/", 5) == 0 || strcmp(ref, "HEAD") == 0;
	auto_free char *shown = NULL;

	if (full ? look_up(g->output.buf, "", ref, ret, tag_hash) :
		   look_up(g->output.buf, "refs/heads/", ref, ret, tag_hash) ||
			   look_up(g->output.buf, "refs/tags/", ref, ret, tag_hash) ||
			   look_up(g->output.buf, "refs/", ref, ret, tag_hash))
		return check_commit(u, ret, tag_hash, err);
	shown = giturl_display(u->remote);
	return err_set(err, ERR_NOT_FOUND, "repository '%s' does not contain ref %s", shown, ref);
}

int git_resolve(const struct giturl *u, const struct fetch_auth *auth, const volatile sig_atomic_t *cancel,
	struct git_commit *ret, struct err *err)
{
	const char *ref = u->ref ? u->ref : "HEAD";
	auto_free char *head = xasprintf("refs/heads/%s", ref);
	auto_free char *tag = xasprintf("refs/tags/%s", ref);
	auto_free char *peeled = xasprintf("%s^{}", ref);
	auto_free char *peeled_tag = xasprintf("%s^{}", tag);
	const char *const args[] = { "ls-remote", "--quiet", "--", u->remote, ref, head, tag, peeled, peeled_tag, NULL };
	const char *hash = u->ref && giturl_is_hash(u->ref) ? u->ref :
			   !u->ref && u->commit && giturl_is_hash(u->commit) ? u->commit :
									       NULL;
	struct git g;
	int rc;

	*ret = (struct git_commit)GIT_COMMIT_INIT;
	if (hash) {
		snprintf(ret->hash, sizeof(ret->hash), "%s", hash);
		return check_commit(u, ret, "", err);
	}
	/* not where we stand: that may be somebody's repository with a configuration of its own */
	begin(&g, u, auth, "/", cancel);
	rc = need(&g, u, "list", args, err);
	if (rc == 0)
		rc = choose(&g, u, ret, err);
	end(&g);
	if (rc < 0)
		git_commit_release(ret);
	return rc;
}

/* ---- checking out ---- */

/* Whether the repository has the commit now. -1 and *err. */
static int has_commit(struct git *g, const char *hash, struct err *err)
{
	auto_free char *object = xasprintf("%s^{commit}", hash);
	const char *const args[] = { "cat-file", "-e", object, NULL };
	int status = run(g, args, err);

	return status < 0 ? -1 : status == 0;
}

/*
 * The one commit if the server gives that; else, from one that only serves branches and tags or plain files, all of
 * them.
 */
static int fetch(struct git *g, const struct giturl *u, const struct git_commit *c, struct err *err)
{
	const char *what = c->ref ? c->ref : c->hash;
	const char *const one[] = { "fetch", "--quiet", "--depth=1", "--no-tags", "--", u->remote, what, NULL };
	const char *const by_hash[] = { "fetch", "--quiet", "--depth=1", "--no-tags", "--", u->remote, c->hash, NULL };
	const char *const all[] = { "fetch", "--quiet", "--", u->remote, "+refs/heads/*:refs/remotes/origin/*",
		"+refs/tags/*:refs/tags/*", NULL };
	const char *const *const ways[] = { one, by_hash, all };

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		int status = run(g, ways[i], err), has;

		if (status < 0)
			return -1;
		if (status != 0) {
			log_debug("git fetch: %s", g->output.buf);
			if (ways[i] == all)
				return failed(g, u, "fetch", err);
			continue;
		}
		has = has_commit(g, c->hash, err);
		if (has != 0)
			return has < 0 ? -1 : 0;
	}
	return err_set(err, ERR_NOT_FOUND, "the git repository no longer has commit %s: build again", c->hash);
}

static int commit_time(struct git *g, const struct giturl *u, const char *hash, int64_t *ret, struct err *err)
{
	const char *const args[] = { "show", "--no-patch", "--format=%ct", hash, NULL };
	uint64_t seconds;

	if (need(g, u, "read the commit of", args, err) < 0)
		return -1;
	strbuf_setlen(&g->output, strcspn(g->output.buf, "\n"));
	/* a commit may claim any time; an unusable one counts as 1970 */
	*ret = parse_u64(g->output.buf, 0, INT32_MAX, &seconds) == 0 ? (int64_t)seconds : 0;
	return 0;
}

static int submodules(struct git *g, const struct giturl *u, struct err *err)
{
	const char *const shallow[] = { "submodule", "--quiet", "update", "--init", "--recursive", "--depth=1", NULL };
	const char *const whole[] = { "submodule", "--quiet", "update", "--init", "--recursive", NULL };
	auto_free char *file = xasprintf("%s/.gitmodules", g->dir);
	struct stat st;
	int status;

	if (u->no_submodules || lstat(file, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	status = run(g, shallow, err);
	if (status <= 0)
		return status;
	/* a server of plain files gives no part of a repository */
	log_debug("git submodule: %s", g->output.buf);
	return need(g, u, "check out the submodules of", whole, err);
}

/* Remove everything called .git: no tracked file can be. fd is closed. */
static int drop_git_dirs(int fd, unsigned depth, struct err *err)
{
	auto_closedir DIR *d = fdopendir(fd);
	struct dirent *e;

	if (!d) {
		err_sys(err, "cannot read a checkout");
		close_fd(fd);
		return -1;
	}
	if (depth > DEPTH_MAX)
		return err_set(err, ERR_INPUT, "a checkout is deeper than %d folders", DEPTH_MAX);
	while (errno = 0, (e = readdir(d))) {
		int sub;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (strcmp(e->d_name, ".git") == 0) {
			if (remove_tree(dirfd(d), e->d_name) < 0)
				return err_sys(err, "cannot remove '.git' of a checkout");
			continue;
		}
		sub = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (sub < 0 && (errno == ENOTDIR || errno == ELOOP))
			continue;
		if (sub < 0)
			return err_sys(err, "cannot open a folder of a checkout");
		if (drop_git_dirs(sub, depth + 1, err) < 0)
			return -1;
	}
	return errno ? err_sys(err, "cannot read a checkout") : 0;
}

static int check_out(struct git *g, const struct giturl *u, const struct git_commit *c, int64_t *ret_time,
	struct err *err)
{
	bool sha256 = strlen(c->hash) == GITURL_HASH_MAX;
	auto_free char *shown = giturl_display(u->remote);
	const char *const init[] = { "init", "--quiet", "--template=",
		sha256 ? "--object-format=sha256" : "--object-format=sha1", NULL };
	/* submodules with relative URLs start from it; a password is not to end up in an image */
	const char *const origin[] = { "config", "remote.origin.url", shown, NULL };
	const char *const checkout[] = { "checkout", "--quiet", "--force", "--detach", c->hash, NULL };

	if (need(g, u, "prepare a checkout of", init, err) < 0 || need(g, u, "prepare a checkout of", origin, err) < 0 ||
		fetch(g, u, c, err) < 0 || need(g, u, "check out", checkout, err) < 0 ||
		commit_time(g, u, c->hash, ret_time, err) < 0)
		return -1;
	return submodules(g, u, err);
}

int git_checkout(const struct giturl *u, const struct fetch_auth *auth, const struct git_commit *commit, const char *dir,
	bool keep_git_dir, const volatile sig_atomic_t *cancel, int64_t *ret_time, struct err *err)
{
	struct git g;
	int rc, fd;

	begin(&g, u, auth, dir, cancel);
	rc = check_out(&g, u, commit, ret_time, err);
	end(&g);
	if (rc < 0 || keep_git_dir)
		return rc;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_sys(err, "cannot open a checkout") : drop_git_dirs(fd, 0, err);
}
