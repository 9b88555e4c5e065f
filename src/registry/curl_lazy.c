#define CURL_LAZY_DEFINE
#include "registry/curl_lazy.h"


#include <assert.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>

static const char *const names[] = { "libcurl.so.4", "libcurl-gnutls.so.4", NULL };

/* Written once, under the once; read-only afterwards. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct curl_lazy api;
static bool loaded;

static void load(void)
{
	void *lib = NULL;

	for (size_t i = 0; names[i] && !lib; i++)
		lib = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		return;
	loaded = true;
#define X(name)                                                                                    \
	*(void **)&api.name##_ = dlsym(lib, #name);                                                \
	loaded = loaded && api.name##_;
	CURL_LAZY_FUNCTIONS(X)
#undef X
}

int curl_lazy_load(struct err *err)
{
	pthread_once(&once, load);
	return loaded ? 0 :
			err_set(err, ERR_SYSTEM, "the network needs libcurl (libcurl.so.4): install package libcurl4");
}

const struct curl_lazy *curl_lazy(void)
{
	pthread_once(&once, load);
	assert(loaded); /* every path here went through curl_lazy_load() */
	return &api;
}
