#include "store/image.h"

#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store/store_internal.h"

#define IMAGE_COLUMNS "SELECT name, media_type, digest, size, updated FROM image "

static int check_name(const char *name, struct err *err)
{
	size_t n = strlen(name);

	if (n == 0 || n > IMAGE_NAME_MAX)
		return err_set(err, ERR_INPUT, "image name '%.64s...' must have 1 to %d bytes",
			name, IMAGE_NAME_MAX);
	for (const unsigned char *p = (const unsigned char *)name; *p; p++)
		if (*p <= ' ' || *p >= 0x7f)
			return err_set(err, ERR_INPUT,
				"image name '%s' holds a character that no reference may hold",
				name);
	return 0;
}

static void fill(sqlite3_stmt *stmt, struct image *ret)
{
	db_text(stmt, 0, ret->name, sizeof(ret->name));
	db_text(stmt, 1, ret->media_type, sizeof(ret->media_type));
	db_text(stmt, 2, ret->digest, sizeof(ret->digest));
	ret->size = (uint64_t)sqlite3_column_int64(stmt, 3);
	ret->updated = sqlite3_column_int64(stmt, 4);
}

/* Returns 1 and *ret, 0, or -1 and *err. */
static int by_name(struct store *store, const char *name, struct image *ret, struct err *err)
{
	auto_stmt stmt = db_query(store, err, IMAGE_COLUMNS "WHERE name = ?1", "s", name);
	int r = stmt ? db_step(store, stmt, err) : -1;

	if (r > 0)
		fill(stmt, ret);
	return r;
}

int image_put(struct store *store, const char *name, const char *media_type, const char *digest,
	uint64_t size, struct err *err)
{
	STORE_GUARD(store);
	auto_tx tx = DB_TX_INIT;
	struct image old;
	int r;

	if (check_name(name, err) < 0)
		return -1;
	if (!digest_valid(digest))
		return err_set(err, ERR_INPUT, "malformed digest '%s' of image '%s'", digest, name);
	if (!*media_type || strlen(media_type) >= IMAGE_MEDIA_TYPE_SIZE || size > INT64_MAX)
		return err_set(err, ERR_INPUT, "malformed descriptor of image '%s'", name);
	r = by_name(store, name, &old, err);
	if (r < 0)
		return -1;
	if (r > 0 && strcmp(old.digest, digest) == 0 && strcmp(old.media_type, media_type) == 0 &&
		old.size == size)
		return 0;
	if (db_begin(store, &tx, err) < 0 ||
		db_run(store, err,
			"INSERT OR REPLACE INTO image(name, media_type, digest, size, updated)"
			" VALUES(?1, ?2, ?3, ?4, ?5)",
			"sssii", name, media_type, digest, (int64_t)size, clock_wall()) < 0)
		return -1;
	return db_commit(&tx, err);
}

int image_get(struct store *store, const char *name, struct image *ret, struct err *err)
{
	STORE_GUARD(store);
	int r = by_name(store, name, ret, err);

	if (r == 0)
		return err_set(err, ERR_NOT_FOUND, "no image '%s' in the store", name);
	return r < 0 ? -1 : 0;
}

/* Returns 1 and *ret, 0, or -1 and *err (ERR_INPUT when several ids begin with hex). */
static int by_id(struct store *store, const char *hex, struct image *ret, struct err *err)
{
	char from[DIGEST_STR_SIZE], to[DIGEST_STR_SIZE + 1];
	auto_stmt stmt = NULL;
	struct image other;
	int r;

	snprintf(from, sizeof(from), DIGEST_PREFIX "%s", hex);
	snprintf(to, sizeof(to), "%sg", from); /* the first text after all that begin with from */
	stmt = db_query(store, err,
		IMAGE_COLUMNS "WHERE digest >= ?1 AND digest < ?2 ORDER BY name", "ss", from, to);
	r = stmt ? db_step(store, stmt, err) : -1;
	if (r <= 0)
		return r;
	fill(stmt, ret);
	while ((r = db_step(store, stmt, err)) > 0) {
		fill(stmt, &other);
		if (strcmp(other.digest, ret->digest) != 0)
			return err_set(err, ERR_INPUT,
				"several image ids begin with '%s' ('%s', '%s'); give more digits",
				hex, ret->name, other.name);
	}
	return r < 0 ? -1 : 1;
}

int image_lookup(struct store *store, const char *text, struct image *ret, struct err *err)
{
	size_t skip =
		strncmp(text, DIGEST_PREFIX, strlen(DIGEST_PREFIX)) ? 0 : strlen(DIGEST_PREFIX);
	const char *hex = text + skip;
	size_t n = strlen(hex);
	struct image found;
	STORE_GUARD(store);
	int r = by_name(store, text, &found, err);

	if (r == 0 && n >= IMAGE_ID_PREFIX_MIN && n <= DIGEST_HEX && store_is_hex(hex, n))
		r = by_id(store, hex, &found, err);
	if (r == 0)
		return err_set(err, ERR_NOT_FOUND, "no image '%s' in the store", text);
	if (r < 0)
		return -1;
	*ret = found;
	return 0;
}

/* All images, for a walk that does not hold the mutex. The caller frees *ret. */
static int read_all_images(struct store *store, struct image **ret, size_t *ret_n, struct err *err)
{
	STORE_GUARD(store);
	auto_stmt stmt = db_query(store, err, IMAGE_COLUMNS "ORDER BY name", "");
	size_t cap = 0;
	int r;

	if (!stmt)
		return -1;
	while ((r = db_step(store, stmt, err)) > 0) {
		GROW(*ret, *ret_n, cap);
		fill(stmt, &(*ret)[(*ret_n)++]);
	}
	return r;
}

int image_each(struct store *store,
	int (*each)(const struct image *image, void *arg, struct err *err), void *arg,
	struct err *err)
{
	auto_free struct image *images = NULL;
	size_t n = 0;
	int r = read_all_images(store, &images, &n, err);

	for (size_t i = 0; r == 0 && i < n; i++)
		r = each(&images[i], arg, err);
	return r;
}

int image_remove(struct store *store, const char *name, struct err *err)
{
	STORE_GUARD(store);
	auto_tx tx = DB_TX_INIT;

	if (db_begin(store, &tx, err) < 0 ||
		db_run(store, err, "DELETE FROM image WHERE name = ?1", "s", name) < 0)
		return -1;
	if (sqlite3_changes(store->db) == 0)
		return err_set(err, ERR_NOT_FOUND, "no image '%s' in the store", name);
	return db_commit(&tx, err);
}
