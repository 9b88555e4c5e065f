#include "oci/image_archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/doc.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "oci/document.h"
#include "oci/layout.h"
#include "oci/manifest.h"
#include "oci/member.h"
#include "oci/reference.h"

DEFINE_AUTO(struct doc *, doc_free)

#define HEADER_NAME "oci-layout"
#define INDEX_NAME "index.json"
#define DOCKER_NAME "manifest.json"
#define REPO_TAGS_MAX 1024 /* ours: names of one image */
#define OFFER_MAX 1500	   /* bytes of a list of names in a message */
#define FD_PATH_SIZE 32

struct image_archive {
	int fd;
	struct member_table members;
	bool has_index;
	struct image_index index;
	struct docker_image *images;
	size_t nimages;
};

/* The digests of all configs that the OCI index reaches. */
struct config_search {
	const struct image_archive *archive;
	struct strv digests;
	size_t documents;
};

/* Follow a link member once, inside the archive's names. NULL and *err when it leads elsewhere. */
static const struct member *resolve(
	const struct image_archive *a, const struct member *m, struct err *err)
{
	/* a hard link names its target from the root of the archive, a symbolic one from its own
	 * directory */
	const char *slash = m->type == '2' ? strrchr(m->name, '/') : NULL;
	auto_free char *joined =
		slash ? xasprintf("%.*s/%s", (int)(slash - m->name), m->name, m->link)
		      : xstrdup(m->link);
	auto_free char *target = path_clean(joined);
	const struct member *found = NULL;

	if (m->link[0] != '/' && target[0] != '/' && strncmp(target, "..", 2) != 0)
		found = member_lookup(&a->members, target, NULL);
	if (!found || (found->type != '0')) {
		err_set(err, ERR_INPUT,
			"archive member '%s' is a link to '%s', which is no file of the archive",
			m->name, m->link);
		return NULL;
	}
	return found;
}

/* Whether name, as a document gives it, can be that of a member: relative, without "..". */
static bool name_confined(const char *name)
{
	if (!*name || *name == '/')
		return false;
	for (const char *p = name; *p;) {
		size_t n = strcspn(p, "/");

		if (n == 2 && p[0] == '.' && p[1] == '.')
			return false;
		p += n + (p[n] == '/');
	}
	return true;
}

int image_archive_member(
	const struct image_archive *a, const char *name, struct blob_region *ret, struct err *err)
{
	const struct member *m;

	if (!name_confined(name))
		return err_set(err, ERR_INPUT, "'%s' is not a name inside the archive", name);
	auto_free char *clean = path_clean(name);
	m = member_lookup(&a->members, clean, NULL);
	if (!m)
		return err_set(err, ERR_NOT_FOUND, "no '%s' in the archive", name);
	if (m->type == '1' || m->type == '2') {
		m = resolve(a, m, err);
		if (!m)
			return -1;
	}
	if (m->type != '0')
		return err_set(err, ERR_INPUT, "archive member '%s' is not a file", name);
	*ret = (struct blob_region){.fd = a->fd, .offset = m->offset, .size = m->size};
	return 0;
}

int image_archive_blob(
	const struct image_archive *a, const char *digest, struct blob_region *ret, struct err *err)
{
	auto_free char *name = NULL;

	if (document_check_digest(digest, "blob", err) < 0)
		return -1;
	name = xasprintf("blobs/sha256/%s", digest_hex(digest));
	return image_archive_member(a, name, ret, err);
}

int image_archive_blob_opener(void *ctx, const char *digest, uint64_t *ret_size, struct err *err)
{
	const struct image_archive *a = ctx;
	struct blob_region region;
	char path[FD_PATH_SIZE];

	if (image_archive_blob(a, digest, &region, err) < 0)
		return -1;
	/* dup(2) would share the offset with all others; opening anew gives an own one. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", a->fd);
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "cannot open the archive again");
	if (lseek(fd, (off_t)region.offset, SEEK_SET) < 0)
		return err_sys(err, "cannot seek in the archive");
	*ret_size = region.size;
	return take_fd(fd);
}

/* Read a whole member of at most max bytes. */
static int read_region(const struct blob_region *region, const char *name, size_t max,
	struct strbuf *sb, struct err *err)
{
	size_t done = 0;

	if (region->size > max)
		return err_set(err, ERR_INPUT, "'%s' has %llu bytes, more than %zu", name,
			(unsigned long long)region->size, max);
	auto_free char *data = xmalloc((size_t)region->size + 1);
	while (done < region->size) {
		ssize_t n = pread(region->fd, data + done, (size_t)region->size - done,
			(off_t)(region->offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? err_sys(err, "cannot read '%s'", name)
				     : err_set(err, ERR_INPUT, "the archive ends inside '%s'",
					       name);
		done += (size_t)n;
	}
	strbuf_add(sb, data, done);
	return 0;
}

static int read_member(const struct image_archive *a, const char *name, size_t max,
	struct strbuf *sb, struct err *err)
{
	struct blob_region region;

	if (image_archive_member(a, name, &region, err) < 0)
		return -1;
	return read_region(&region, name, max, sb, err);
}

static int load_oci(struct image_archive *a, struct err *err)
{
	auto_strbuf header = STRBUF_INIT, text = STRBUF_INIT;

	if (read_member(a, HEADER_NAME, LAYOUT_HEADER_MAX, &header, err) < 0 ||
		layout_header_check(header.buf, header.len, err) < 0 ||
		read_member(a, INDEX_NAME, MANIFEST_BYTES_MAX, &text, err) < 0)
		return -1;
	if (index_parse(text.buf, text.len, MEDIA_OCI_INDEX, &a->index, err) < 0)
		return err_wrap(err, "'%s'", INDEX_NAME);
	a->has_index = true;
	return 0;
}

static int parse_docker_image(const struct doc *d, struct docker_image *image, struct err *err)
{
	if (!doc_is_object(d))
		return err_set(err, ERR_INPUT, "not an object");
	if (document_check_names(d, "image", err) < 0 ||
		document_get_str(d, "Config", "image", &image->config, err) < 0 ||
		document_get_strv(d, "RepoTags", "image", REPO_TAGS_MAX, &image->repo_tags, err) <
			0 ||
		document_get_strv(d, "Layers", "image", MANIFEST_LAYERS_MAX, &image->layers, err) <
			0)
		return -1;
	if (!image->config || !name_confined(image->config))
		return err_set(err, ERR_INPUT, "'Config' is not a name inside the archive: '%s'",
			image->config ? image->config : "");
	for (size_t i = 0; i < image->layers.len; i++)
		if (!name_confined(image->layers.v[i]))
			return err_set(err, ERR_INPUT,
				"'Layers[%zu]' is not a name inside the archive: '%s'", i,
				image->layers.v[i]);
	return 0;
}

static int load_docker(struct image_archive *a, struct err *err)
{
	auto_strbuf text = STRBUF_INIT;
	AUTO(doc_free) struct doc *d = NULL;
	size_t n;

	if (read_member(a, DOCKER_NAME, IMAGE_ARCHIVE_MANIFEST_MAX, &text, err) < 0)
		return -1;
	d = doc_parse(text.buf, text.len, DOCKER_NAME, err);
	if (!d)
		return -1;
	n = doc_len(d);
	if (!doc_is_array(d) || !n)
		return err_set(err, ERR_INPUT, "'%s' is not an array of images", DOCKER_NAME);
	if (n > IMAGE_ARCHIVE_IMAGES_MAX)
		return err_set(err, ERR_INPUT, "'%s' lists %zu images, more than %d", DOCKER_NAME,
			n, IMAGE_ARCHIVE_IMAGES_MAX);
	a->images = xcalloc(n, sizeof(a->images[0]));
	a->nimages = n;
	for (size_t i = 0; i < n; i++)
		if (parse_docker_image(doc_at(d, i), &a->images[i], err) < 0)
			return err_wrap(err, "'%s': image %zu", DOCKER_NAME, i);
	return 0;
}

static int collect_configs(
	struct config_search *s, const struct image_index *idx, size_t depth, struct err *err);

/* Blobs of other platforms are often left out of an archive: what is absent is passed over. */
static int collect_entry(
	struct config_search *s, const struct descriptor *d, size_t depth, struct err *err)
{
	enum media_kind kind = media_kind(d->media_type);
	struct image_archive opener = *s->archive;
	struct image_index child = IMAGE_INDEX_INIT;
	struct manifest m = MANIFEST_INIT;
	auto_strbuf text = STRBUF_INIT;
	struct err failed = ERR_INIT;
	int r;

	if (kind != MEDIA_INDEX && kind != MEDIA_MANIFEST)
		return 0;
	if (depth > WALK_DEPTH_MAX || ++s->documents > WALK_MANIFESTS_MAX)
		return err_set(err, ERR_INPUT,
			"the index of the archive is nested too deeply or too large");
	if (walk_load(d, image_archive_blob_opener, &opener, MANIFEST_BYTES_MAX, &text, &failed) <
		0) {
		if (failed.kind == ERR_NOT_FOUND)
			return 0;
		*err = failed;
		return -1;
	}
	if (kind == MEDIA_MANIFEST) {
		if (manifest_parse(text.buf, text.len, d->media_type, &m, err) < 0)
			return err_wrap(err, "manifest %s", d->digest);
		strv_add(&s->digests, m.config.digest);
		manifest_release(&m);
		return 0;
	}
	if (index_parse(text.buf, text.len, d->media_type, &child, err) < 0)
		return err_wrap(err, "index %s", d->digest);
	r = collect_configs(s, &child, depth + 1, err);
	index_release(&child);
	return r;
}

static int collect_configs(
	struct config_search *s, const struct image_index *idx, size_t depth, struct err *err)
{
	for (size_t i = 0; i < idx->n; i++)
		if (collect_entry(s, &idx->manifests[i], depth, err) < 0)
			return -1;
	return 0;
}

static bool is_listed(const struct strv *l, const char *s)
{
	for (size_t i = 0; i < l->len; i++)
		if (strcmp(l->v[i], s) == 0)
			return true;
	return false;
}

/* Both formats in one archive must mean the same images (oci.md 3.2). */
static int check_agreement(const struct image_archive *a, struct err *err)
{
	struct config_search s = {.archive = a};
	int r = collect_configs(&s, &a->index, 1, err);

	for (size_t i = 0; r == 0 && i < a->nimages; i++) {
		const struct docker_image *image = &a->images[i];
		char digest[DIGEST_STR_SIZE];
		auto_strbuf text = STRBUF_INIT;

		r = read_member(a, image->config, CONFIG_BYTES_MAX, &text, err);
		if (r < 0)
			break;
		sha256_buf_str(text.buf, text.len, digest);
		if (!is_listed(&s.digests, digest))
			r = err_set(err, ERR_INPUT,
				"'%s' and '%s' describe different images: config '%s'", DOCKER_NAME,
				INDEX_NAME, image->config);
	}
	strv_release(&s.digests);
	return r;
}

static int load_documents(struct image_archive *a, struct err *err)
{
	static const char *const unique[] = {HEADER_NAME, INDEX_NAME, DOCKER_NAME};
	bool there[3];

	for (size_t i = 0; i < 3; i++) {
		size_t count;

		there[i] = member_lookup(&a->members, unique[i], &count) != NULL;
		if (count > 1)
			return err_set(
				err, ERR_INPUT, "the archive has '%s' %zu times", unique[i], count);
	}
	if (!there[0] && !there[2])
		return err_set(err, ERR_INPUT,
			"neither an oci-archive nor a docker-archive: no '%s', no '%s'",
			HEADER_NAME, DOCKER_NAME);
	if (there[0] && load_oci(a, err) < 0)
		return -1;
	if (there[2] && load_docker(a, err) < 0)
		return -1;
	return there[0] && there[2] ? check_agreement(a, err) : 0;
}

static int open_file(int dirfd, const char *path, struct err *err)
{
	/* O_NONBLOCK: a FIFO must not make us wait for a writer */
	auto_fd int fd = openat(dirfd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return err_set(err, ERR_NOT_FOUND, "no such file");
	if (fd < 0)
		return err_sys(err, "cannot open it");
	if (fstat(fd, &st) < 0)
		return err_sys(err, "cannot stat it");
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_UNSUPPORTED,
			"not a regular file: save the archive to a file first");
	return take_fd(fd);
}

struct image_archive *image_archive_open(int dirfd, const char *path, struct err *err)
{
	AUTO(image_archive_free) struct image_archive *a = xcalloc(1, sizeof(*a));

	a->fd = open_file(dirfd, path, err);
	if (a->fd < 0 || member_table_read(a->fd, &a->members, err) < 0 ||
		load_documents(a, err) < 0) {
		err_wrap(err, "'%s'", path);
		return NULL;
	}
	return take_ptr(a);
}

void image_archive_free(struct image_archive *a)
{
	if (!a)
		return;
	close_fd(a->fd);
	member_table_release(&a->members);
	index_release(&a->index);
	for (size_t i = 0; i < a->nimages; i++) {
		free(a->images[i].config);
		strv_release(&a->images[i].layers);
		strv_release(&a->images[i].repo_tags);
	}
	free(a->images);
	free(a);
}

const struct image_index *image_archive_index(const struct image_archive *a)
{
	return a->has_index ? &a->index : NULL;
}

int image_archive_select(
	const struct image_archive *a, const char *name, struct descriptor *ret, struct err *err)
{
	const char *digest = name && *name == '@' ? name + 1 : name;
	struct image_archive opener = *a; /* blob_opener takes a pointer to non-const */
	size_t i;

	if (!a->has_index)
		return err_set(err, ERR_NOT_FOUND, "the archive has no '%s'", INDEX_NAME);
	if (digest && digest_valid(digest))
		return walk_find(&a->index, digest, image_archive_blob_opener, &opener, ret, err);
	if (index_select(&a->index, name, &i, err) < 0)
		return -1;
	descriptor_copy(&a->index.manifests[i], ret);
	return 0;
}

const struct docker_image *image_archive_docker_images(const struct image_archive *a, size_t *ret_n)
{
	*ret_n = a->nimages;
	return a->images;
}

/* One member as two different layers would let a loader check one and unpack the other
 * (oci.md 9.3.89). */
static int check_layers(const struct image_archive *a, const struct docker_image *image,
	const struct image_config *c, struct err *err)
{
	uint64_t offsets[MANIFEST_LAYERS_MAX];

	if (config_check_layers(c, image->layers.len, err) < 0)
		return -1;
	for (size_t i = 0; i < image->layers.len; i++) {
		struct blob_region region;

		if (image_archive_member(a, image->layers.v[i], &region, err) < 0)
			return -1;
		offsets[i] = region.offset;
		for (size_t k = 0; k < i; k++)
			if (offsets[k] == offsets[i] &&
				strcmp(c->diff_ids.v[k], c->diff_ids.v[i]) != 0)
				return err_set(err, ERR_INPUT,
					"'%s' stands for two different layers", image->layers.v[i]);
	}
	return 0;
}

static int check_docker_image(
	const struct image_archive *a, const struct docker_image *image, struct err *err)
{
	struct image_config c = IMAGE_CONFIG_INIT;
	auto_strbuf text = STRBUF_INIT;
	int r;

	if (read_member(a, image->config, CONFIG_BYTES_MAX, &text, err) < 0)
		return -1;
	if (config_parse(text.buf, text.len, &c, err) < 0)
		return err_wrap(err, "'%s'", image->config);
	r = check_layers(a, image, &c, err);
	config_release(&c);
	return r;
}

/* The reference in full, or NULL when it is none; the caller frees. */
static char *full_name(const char *name, struct err *err)
{
	struct reference ref = REFERENCE_INIT;
	char *full;

	if (reference_parse(name, &ref, err) < 0)
		return NULL;
	full = reference_format(&ref);
	reference_release(&ref);
	return full;
}

static bool has_tag(const struct docker_image *image, const char *full)
{
	for (size_t i = 0; i < image->repo_tags.len; i++) {
		struct err ignored = ERR_INIT;
		auto_free char *tag = full_name(image->repo_tags.v[i], &ignored);

		if (tag && strcmp(tag, full) == 0)
			return true;
	}
	return false;
}

static void offer_tags(const struct image_archive *a, struct strbuf *list)
{
	for (size_t i = 0; i < a->nimages; i++)
		for (size_t k = 0; k < a->images[i].repo_tags.len; k++)
			strbuf_printf(
				list, "%s%s", list->len ? ", " : "", a->images[i].repo_tags.v[k]);
}

static const struct docker_image *find_docker_image(
	const struct image_archive *a, const char *name, struct err *err)
{
	auto_strbuf list = STRBUF_INIT_MAX(OFFER_MAX);
	auto_free char *full = NULL;

	if (!name && a->nimages == 1)
		return &a->images[0];
	if (name) {
		full = full_name(name, err);
		if (!full)
			return NULL;
	}
	for (size_t i = 0; full && i < a->nimages; i++)
		if (has_tag(&a->images[i], full))
			return &a->images[i];
	offer_tags(a, &list);
	if (name || !a->nimages)
		err_set(err, ERR_NOT_FOUND, "no image '%s' in the archive; there are: %s",
			name ? name : "", list.len ? list.buf : "none with a name");
	else
		err_set(err, ERR_INPUT, "the archive has %zu images: name one of %s", a->nimages,
			list.buf);
	return NULL;
}

const struct docker_image *image_archive_docker_select(
	const struct image_archive *a, const char *name, struct err *err)
{
	const struct docker_image *image = find_docker_image(a, name, err);

	return image && check_docker_image(a, image, err) == 0 ? image : NULL;
}
