/* What is in the store: images, inspect, tag, rmi, prune; and version. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/doc.h"
#include "base/mem.h"
#include "build/image.h"
#include "cli/cli.h"
#include "oci/index.h"
#include "oci/manifest.h"
#include "oci/reference.h"
#include "store/blob.h"
#include "store/gc.h"
#include "store/image.h"

#define DOCUMENT_MAX (4u << 20) /* a manifest or an index (oci.md appendix A) */
#define SHORT_ID 12

static struct {
	bool quiet, json, all, dry_run, raw;
	const char *platform;
} opt;

/* Open, work, close; the tables of all commands here are small enough to share this. */
static int with_store(int (*work)(struct session *s, struct strv *operands, struct err *err), struct strv *operands)
{
	struct session s;
	struct err err = ERR_INIT;
	int rc;

	if (cli_session_open(&s, NULL, &err) < 0)
		return cli_fail(&err);
	rc = work(&s, operands, &err);
	cli_session_close(&s);
	return rc < 0 ? cli_fail(&err) : EXIT_OK;
}

/* The image that a person means: by name, completed as a reference, or by id. */
static int find_image(struct session *s, const char *name, struct image *ret, struct err *err)
{
	struct reference ref = REFERENCE_INIT;
	struct err ignored = ERR_INIT;
	auto_free char *full = NULL;
	int rc = -1;

	if (reference_parse(name, &ref, &ignored) == 0) {
		full = reference_format(&ref);
		rc = image_get(s->store, full, ret, &ignored);
	}
	reference_release(&ref);
	return rc == 0 ? 0 : image_lookup(s->store, name, ret, err);
}

/* ---- images ---- */

static const struct option_def images_options[] = {
	{ OPTION_FLAG, 'q', "quiet", NULL, "print digests alone", &opt.quiet },
	{ OPTION_FLAG, 0, "json", NULL, "print JSON", &opt.json },
	{ OPTION_END, 0, NULL, NULL, NULL, NULL },
};

/* Compressed bytes of the layers of one manifest. */
static uint64_t manifest_bytes(struct session *s, const char *digest)
{
	auto_strbuf body = STRBUF_INIT;
	struct err ignored = ERR_INIT;
	struct manifest m = MANIFEST_INIT;
	uint64_t sum = 0;

	if (blob_read(s->store, digest, DOCUMENT_MAX, &body, &ignored) < 0 ||
		manifest_parse(body.buf, body.len, NULL, &m, &ignored) < 0)
		return 0;
	for (size_t i = 0; i < m.nlayers; i++)
		sum += m.layers[i].size;
	manifest_release(&m);
	return sum;
}

struct listing {
	struct session *s;
	struct doc *json;
};

static void add_platform(struct strbuf *platforms, const struct descriptor *d)
{
	char text[PLATFORM_STR_SIZE];

	if (!d->has_platform || platform_is_unknown(&d->platform))
		return;
	platform_format(&d->platform, text);
	strbuf_printf(platforms, "%s%s", platforms->len ? "," : "", text);
}

/* Platforms and size: of the index's manifests that are here, or of the manifest itself. */
static void describe(struct session *s, const struct image *image, struct strbuf *platforms, uint64_t *bytes)
{
	auto_strbuf body = STRBUF_INIT;
	struct err ignored = ERR_INIT;
	struct image_index idx = IMAGE_INDEX_INIT;
	struct manifest m = MANIFEST_INIT;
	struct image_config config;
	auto_strbuf text = STRBUF_INIT;
	char name[PLATFORM_STR_SIZE];

	*bytes = 0;
	if (blob_read(s->store, image->digest, DOCUMENT_MAX, &body, &ignored) < 0)
		return;
	if (media_kind(image->media_type) == MEDIA_INDEX) {
		if (index_parse(body.buf, body.len, image->media_type, &idx, &ignored) == 0)
			for (size_t i = 0; i < idx.n; i++) {
				add_platform(platforms, &idx.manifests[i]);
				*bytes += manifest_bytes(s, idx.manifests[i].digest);
			}
		index_release(&idx);
		return;
	}
	*bytes = manifest_bytes(s, image->digest);
	if (manifest_parse(body.buf, body.len, image->media_type, &m, &ignored) == 0 &&
		blob_read(s->store, m.config.digest, 2 * DOCUMENT_MAX, &text, &ignored) == 0 &&
		config_parse(text.buf, text.len, &config, &ignored) == 0) {
		platform_format(&config.platform, name);
		strbuf_puts(platforms, name);
		config_release(&config);
	}
	manifest_release(&m);
}

static int list_image(const struct image *image, void *arg, struct err *err)
{
	struct listing *l = arg;
	struct reference ref = REFERENCE_INIT;
	struct err ignored = ERR_INIT;
	auto_strbuf platforms = STRBUF_INIT;
	auto_free char *name = NULL;
	char created[RFC3339_SIZE];
	uint64_t bytes;

	(void)err;
	if (opt.quiet) {
		printf("%s\n", image->digest);
		return 0;
	}
	name = reference_parse(image->name, &ref, &ignored) == 0 ? reference_familiar(&ref) : xstrdup(image->name);
	reference_release(&ref);
	describe(l->s, image, &platforms, &bytes);
	rfc3339_format(image->updated, created);
	if (l->json) {
		struct doc *d = doc_object();

		doc_set_str(d, "name", image->name);
		doc_set_str(d, "digest", image->digest);
		doc_set_str(d, "mediaType", image->media_type);
		doc_set_str(d, "platforms", platforms.buf);
		doc_set_int(d, "size", (int64_t)bytes);
		doc_set_str(d, "updated", created);
		doc_append(l->json, d);
		return 0;
	}
	printf("%-32s  %.*s  %8.1f MB  %s\n", name, SHORT_ID, digest_hex(image->digest), (double)bytes / 1e6,
		platforms.buf);
	return 0;
}

static int images(struct session *s, struct strv *operands, struct err *err)
{
	struct listing l = { .s = s, .json = opt.json ? doc_array() : NULL };
	auto_strbuf text = STRBUF_INIT;
	int rc;

	(void)operands;
	if (!opt.quiet && !opt.json)
		printf("%-32s  %-*s  %11s  %s\n", "NAME", SHORT_ID, "ID", "SIZE", "PLATFORMS");
	rc = image_each(s->store, list_image, &l, err);
	if (rc == 0 && l.json) {
		doc_format_pretty(l.json, &text);
		printf("%s\n", text.buf);
	}
	doc_free(l.json);
	return rc;
}

static int run_images(const struct command *self, int argc, char **argv)
{
	auto_strv operands = STRV_INIT;
	int status = cli_options(self, images_options, argc, argv, false, 0, 0, &operands);

	return status >= 0 ? status : with_store(images, &operands);
}

const struct command command_images = { "images", "[OPTIONS]", "list the images of the store", run_images };

/* ---- inspect ---- */

static const struct option_def inspect_options[] = {
	{ OPTION_STRING, 0, "platform", "OS/ARCH", "of an image with several platforms", &opt.platform },
	{ OPTION_FLAG, 0, "raw", NULL, "print the manifest or index byte for byte", &opt.raw },
	{ OPTION_END, 0, NULL, NULL, NULL, NULL },
};

static int load_document(struct session *s, const char *digest, const char *name, struct doc *into, struct err *err)
{
	auto_strbuf body = STRBUF_INIT;
	struct doc *d;

	if (blob_read(s->store, digest, 2 * DOCUMENT_MAX, &body, err) < 0)
		return -1;
	d = doc_parse(body.buf, body.len, digest, err);
	if (!d)
		return -1;
	doc_set(into, name, d);
	return 0;
}

static int inspect(struct session *s, struct strv *operands, struct err *err)
{
	struct image image;
	struct platform platform;
	struct resolve_options r = { .platform = &platform, .any_platform = !opt.platform };
	struct resolved_image *resolved;
	struct doc *out;
	auto_strbuf text = STRBUF_INIT;
	char name[PLATFORM_STR_SIZE];
	int rc;

	if (find_image(s, operands->v[0], &image, err) < 0)
		return -1;
	if (opt.raw) {
		if (blob_read(s->store, image.digest, DOCUMENT_MAX, &text, err) < 0)
			return -1;
		fwrite(text.buf, 1, text.len, stdout);
		return 0;
	}
	platform_host(&platform);
	if (opt.platform && platform_parse(opt.platform, &platform, &platform, err) < 0)
		return -1;
	resolved = image_resolve(s, image.name, &r, err);
	if (!resolved)
		return -1;
	platform_format(&resolved->platform, name);
	out = doc_object();
	doc_set_str(out, "name", image.name);
	doc_set_str(out, "digest", image.digest);
	doc_set_str(out, "mediaType", image.media_type);
	doc_set_str(out, "platform", name);
	doc_set_str(out, "manifestDigest", resolved->digest);
	rc = load_document(s, resolved->digest, "manifest", out, err);
	if (rc == 0)
		rc = load_document(s, resolved->manifest.config.digest, "config", out, err);
	if (rc == 0) {
		doc_format_pretty(out, &text);
		printf("%s\n", text.buf);
	}
	doc_free(out);
	resolved_image_free(resolved);
	return rc;
}

static int run_inspect(const struct command *self, int argc, char **argv)
{
	auto_strv operands = STRV_INIT;
	int status = cli_options(self, inspect_options, argc, argv, false, 1, 1, &operands);

	return status >= 0 ? status : with_store(inspect, &operands);
}

const struct command command_inspect = { "inspect", "[OPTIONS] IMAGE",
	"print the manifest and config of an image as JSON", run_inspect };

/* ---- tag and rmi ---- */

static const struct option_def no_options[] = {
	{ OPTION_END, 0, NULL, NULL, NULL, NULL },
};

static int tag(struct session *s, struct strv *operands, struct err *err)
{
	struct image image;
	struct reference ref = REFERENCE_INIT;
	auto_free char *full = NULL;

	if (find_image(s, operands->v[0], &image, err) < 0 || reference_parse(operands->v[1], &ref, err) < 0)
		return -1;
	full = reference_format(&ref);
	reference_release(&ref);
	return image_put(s->store, full, image.media_type, image.digest, image.size, err);
}

static int run_tag(const struct command *self, int argc, char **argv)
{
	auto_strv operands = STRV_INIT;
	int status = cli_options(self, no_options, argc, argv, false, 2, 2, &operands);

	return status >= 0 ? status : with_store(tag, &operands);
}

const struct command command_tag = { "tag", "IMAGE NAME", "give an image of the store another name", run_tag };

static int rmi(struct session *s, struct strv *operands, struct err *err)
{
	struct image image;

	for (size_t i = 0; i < operands->len; i++) {
		if (find_image(s, operands->v[i], &image, err) < 0 || image_remove(s->store, image.name, err) < 0)
			return -1;
		printf("%s\n", image.name);
	}
	return 0;
}

static int run_rmi(const struct command *self, int argc, char **argv)
{
	auto_strv operands = STRV_INIT;
	int status = cli_options(self, no_options, argc, argv, false, 1, (size_t)-1, &operands);

	return status >= 0 ? status : with_store(rmi, &operands);
}

const struct command command_rmi = { "rmi", "IMAGE...", "remove names of images ('prune' frees their blobs)", run_rmi };

/* ---- prune ---- */

static const struct option_def prune_options[] = {
	{ OPTION_FLAG, 'a', "all", NULL, "everything but the blobs of images: the whole step cache and all cache mounts too", &opt.all },
	{ OPTION_FLAG, 'n', "dry-run", NULL, "only say what would go", &opt.dry_run },
	{ OPTION_END, 0, NULL, NULL, NULL, NULL },
};

static int prune(struct session *s, struct strv *operands, struct err *err)
{
	struct gc_options o = { .all = opt.all, .dry_run = opt.dry_run };
	struct gc_result result;
	int rc;

	(void)operands;
	memset(&result, 0, sizeof(result));
	if (store_lock_exclusive(s->store, err) < 0)
		return -1;
	rc = gc_run(s->store, &o, &result, err);
	if (rc == 0 && result.folders_for_worker.len && !opt.dry_run)
		rc = session_remove(s, &result.folders_for_worker, err);
	store_unlock_exclusive(s->store);
	if (rc == 0)
		printf("%s %llu blobs, %llu snapshots and %llu cache mounts, %.1f MB\n",
			opt.dry_run ? "would remove" : "removed", (unsigned long long)result.blobs,
			(unsigned long long)result.snapshots, (unsigned long long)result.caches,
			(double)result.bytes / 1e6);
	gc_result_release(&result);
	return rc;
}

static int run_prune(const struct command *self, int argc, char **argv)
{
	auto_strv operands = STRV_INIT;
	int status = cli_options(self, prune_options, argc, argv, false, 0, 0, &operands);

	return status >= 0 ? status : with_store(prune, &operands);
}

const struct command command_prune = { "prune", "[OPTIONS]",
	"remove what no image and no step of the cache needs", run_prune };

/* ---- version ---- */

static int run_version(const struct command *self, int argc, char **argv)
{
	auto_strv operands = STRV_INIT;
	int status = cli_options(self, no_options, argc, argv, false, 0, 0, &operands);

	if (status >= 0)
		return status;
	printf("whittle %s\n", WHITTLE_VERSION);
	return EXIT_OK;
}

const struct command command_version = { "version", "", "print the version", run_version };
