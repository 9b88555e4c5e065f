/* WWW-Authenticate values, scopes and token answers: what is kept must be fit to be sent back. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "registry/auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *s)
{
	for (; s && *s; s++)
		assert((unsigned char)*s >= 0x20 || *s == '\t');
}

static void check_scopes(const char *text)
{
	struct strv once = STRV_INIT, twice = STRV_INIT;

	auth_scopes_add(&once, text);
	for (size_t i = 0; i < once.len; i++) {
		assert(strchr(once.v[i], ':') != strrchr(once.v[i], ':'));
		auth_scopes_add(&twice, once.v[i]);
	}
	assert(once.len == twice.len);
	for (size_t i = 0; i < once.len; i++)
		assert(strcmp(once.v[i], twice.v[i]) == 0);
	strv_release(&once);
	strv_release(&twice);
}

static void check_challenge(const char *value)
{
	struct auth_challenge c = AUTH_CHALLENGE_INIT, before = AUTH_CHALLENGE_INIT;
	struct err e = ERR_INIT;

	if (auth_challenge_parse(value, &c, &e) < 0) {
		assert(c.scheme == AUTH_NONE && !c.realm && !c.scope);
		assert(e.kind == ERR_INPUT);
		return;
	}
	assert(c.scheme != AUTH_BEARER || (c.realm && *c.realm));
	check_text(c.realm);
	check_text(c.service);
	check_text(c.scope);
	if (c.scope)
		check_scopes(c.scope);
	/* A second header of the same text changes nothing. */
	auth_challenge_copy(&before, &c);
	assert(auth_challenge_parse(value, &c, &e) == 0);
	assert(c.scheme == before.scheme);
	assert(!c.realm == !before.realm && (!c.realm || strcmp(c.realm, before.realm) == 0));
	auth_challenge_release(&c);
	auth_challenge_release(&before);
}

static void check_token(const uint8_t *data, size_t size)
{
	struct auth_token t = AUTH_TOKEN_INIT;
	struct err e = ERR_INIT;

	if (auth_token_parse(data, size, &t, &e) < 0)
		return;
	assert(t.lifetime_s >= 60 && *t.value);
	for (const char *p = t.value; *p; p++)
		assert(*p > 0x20 && *p < 0x7f);
	auth_token_release(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *s = xstrndup((const char *)data, size);

	check_challenge(s);
	check_scopes(s);
	check_token(data, size);
	free(s);
	return 0;
}
