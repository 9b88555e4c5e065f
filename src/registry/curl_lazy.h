/*
 * libcurl, loaded when the network is first needed. It brings some thirty libraries along, whose loading takes 20 ms and
 * whose mappings every fork would copy: a build that finds everything cached, and the holder, do without.
 *
 * Include this instead of <curl/curl.h>: the names of libcurl stand for the loaded functions.
 */
#ifndef WHITTLE_REGISTRY_CURL_LAZY_H
#define WHITTLE_REGISTRY_CURL_LAZY_H

#define CURL_DISABLE_TYPECHECK /* its macros call the functions by name */
#include <curl/curl.h>

#include "base/err.h"

#define CURL_LAZY_FUNCTIONS(X)                                                                     \
	X(curl_easy_cleanup)                                                                       \
	X(curl_easy_getinfo)                                                                       \
	X(curl_easy_init)                                                                          \
	X(curl_easy_perform)                                                                       \
	X(curl_easy_reset)                                                                         \
	X(curl_easy_setopt)                                                                        \
	X(curl_easy_strerror)                                                                      \
	X(curl_free)                                                                               \
	X(curl_getdate)                                                                            \
	X(curl_global_init)                                                                        \
	X(curl_slist_append)                                                                       \
	X(curl_slist_free_all)                                                                     \
	X(curl_url)                                                                                \
	X(curl_url_cleanup)                                                                        \
	X(curl_url_get)                                                                            \
	X(curl_url_set)                                                                            \
	X(curl_url_strerror)                                                                       \
	X(curl_version_info)

struct curl_lazy {
#define X(name) __typeof__(name) *name##_;
	CURL_LAZY_FUNCTIONS(X)
#undef X
};

/*
 * Load the library unless it is loaded; thread-safe. Returns 0, or -1 and ERR_SYSTEM naming the package.
 */
int curl_lazy_load(struct err *err);
/* The functions; curl_lazy_load() has succeeded. */
const struct curl_lazy *curl_lazy(void);

#ifndef CURL_LAZY_DEFINE
#undef curl_easy_getinfo
#undef curl_easy_setopt
#define curl_easy_cleanup (curl_lazy()->curl_easy_cleanup_)
#define curl_easy_getinfo (curl_lazy()->curl_easy_getinfo_)
#define curl_easy_init (curl_lazy()->curl_easy_init_)
#define curl_easy_perform (curl_lazy()->curl_easy_perform_)
#define curl_easy_reset (curl_lazy()->curl_easy_reset_)
#define curl_easy_setopt (curl_lazy()->curl_easy_setopt_)
#define curl_easy_strerror (curl_lazy()->curl_easy_strerror_)
#define curl_free (curl_lazy()->curl_free_)
#define curl_getdate (curl_lazy()->curl_getdate_)
#define curl_global_init (curl_lazy()->curl_global_init_)
#define curl_slist_append (curl_lazy()->curl_slist_append_)
#define curl_slist_free_all (curl_lazy()->curl_slist_free_all_)
#define curl_url (curl_lazy()->curl_url_)
#define curl_url_cleanup (curl_lazy()->curl_url_cleanup_)
#define curl_url_get (curl_lazy()->curl_url_get_)
#define curl_url_set (curl_lazy()->curl_url_set_)
#define curl_url_strerror (curl_lazy()->curl_url_strerror_)
#define curl_version_info (curl_lazy()->curl_version_info_)
#endif

#endif
