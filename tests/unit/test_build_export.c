#include "build_images.h"

#include "build/export_internal.h"
#include "layer/bounds.h"
#include "oci/image_archive.h"
#include "store/snapshot.h"

#define EPOCH 1700000000
#define EPOCH_TEXT "2023-11-14T22:13:20Z"

/* ---- output_parse ---- */

static struct output parsed(const char *text)
{
	struct err err = ERR_INIT;
	struct output o;

	if (output_parse(text, &o, &err) < 0)
		fail_msg("%s: %s", text, err.msg);
	return o;
}

static void refused(const char *text, enum err_kind kind, const char *why)
{
	struct err err = ERR_INIT;
	struct output o = { .dest = NULL };

	if (output_parse(text, &o, &err) == 0)
		fail_msg("'%s' was accepted", text);
	assert_string_equal(err_kind_name(err.kind), err_kind_name(kind));
	if (!strstr(err.msg, why))
		fail_msg("'%s' does not say '%s'", err.msg, why);
	assert_null(o.dest);
}

static void reads_the_short_forms(void **state)
{
	struct output o = parsed("out/dir");

	(void)state;
	assert_int_equal(o.kind, OUTPUT_LOCAL);
	assert_string_equal(o.dest, "out/dir");
	output_release(&o);
	o = parsed("-");
	assert_int_equal(o.kind, OUTPUT_TAR);
	assert_string_equal(o.dest, "-");
	output_release(&o);
	o = parsed("\"a,b\"");
	assert_int_equal(o.kind, OUTPUT_LOCAL);
	assert_string_equal(o.dest, "a,b");
	output_release(&o);
}

static void reads_types_and_attributes(void **state)
{
	struct output o = parsed("type=oci,dest=a.tar");

	(void)state;
	assert_int_equal(o.kind, OUTPUT_OCI);
	assert_true(o.tar);
	assert_int_equal(o.compression, COMPRESSION_ZSTD);
	assert_int_equal(o.level, 0);
	assert_false(o.push || o.force_compression || o.rewrite_timestamp);
	output_release(&o);

	o = parsed("Type=oci,TAR=0,dest=d,compression=gzip,compression-level=9,force-compression=true,"
		   "rewrite-timestamp=1,oci-mediatypes=true,\"name=a:1,b:2\",name=c:3");
	assert_false(o.tar);
	assert_int_equal(o.compression, COMPRESSION_GZIP);
	assert_int_equal(o.level, 9);
	assert_true(o.force_compression && o.rewrite_timestamp);
	assert_int_equal(o.names.len, 3);
	assert_string_equal(o.names.v[1], "b:2");
	assert_string_equal(o.names.v[2], "c:3");
	output_release(&o);

	o = parsed("type=docker,\"dest=a \"\"b\"\",c.tar\"");
	assert_int_equal(o.kind, OUTPUT_DOCKER);
	assert_string_equal(o.dest, "a \"b\",c.tar");
	output_release(&o);
	o = parsed("dest=x,type=tar");
	assert_int_equal(o.kind, OUTPUT_TAR);
	output_release(&o);
	o = parsed("type=local,dest=x");
	assert_int_equal(o.kind, OUTPUT_LOCAL);
	output_release(&o);
}

static void a_push_is_a_registry_output(void **state)
{
	static const struct {
		const char *text;
		enum output_kind kind;
	} rows[] = {
		{ "type=image", OUTPUT_STORE },
		{ "type=store,name=a:1", OUTPUT_STORE },
		{ "type=image,push=true", OUTPUT_REGISTRY },
		{ "type=registry", OUTPUT_REGISTRY },
		{ "type=registry,push=false", OUTPUT_STORE },
		{ "type=docker", OUTPUT_STORE }, /* what "docker load" would do */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct output o = parsed(rows[i].text);

		assert_int_equal(o.kind, rows[i].kind);
		output_release(&o);
	}
}

static void levels_have_ranges_and_one_default(void **state)
{
	struct output o = parsed("type=image,compression-level=3");

	(void)state;
	assert_int_equal(o.level, 0); /* the same layer as without it */
	output_release(&o);
	o = parsed("type=image,compression=gzip,compression-level=6");
	assert_int_equal(o.level, 0);
	output_release(&o);
	o = parsed("type=image,compression=gzip,compression-level=3");
	assert_int_equal(o.level, 3);
	output_release(&o);
	o = parsed("type=image,compression-level=19");
	assert_int_equal(o.level, 19);
	output_release(&o);
	refused("type=image,compression-level=20", ERR_USAGE, "'20' for compression-level");
	refused("type=image,compression-level=-1", ERR_USAGE, "'-1'");
	refused("type=image,compression-level=x", ERR_USAGE, "'x'");
	refused("type=image,compression=gzip,compression-level=10", ERR_USAGE, "gzip has 0 to 9");
	refused("type=image,compression-level=10,compression=gzip", ERR_USAGE, "gzip has 0 to 9");
	refused("type=image,compression=uncompressed,compression-level=1", ERR_USAGE, "needs compression=gzip or zstd");
}

static void refuses_what_is_wrong(void **state)
{
	(void)state;
	refused("", ERR_USAGE, "output");
	refused("dest=x", ERR_USAGE, "type is required for output");
	refused("dest=x,name=a", ERR_USAGE, "type is required for output");
	refused("type=oci,foo", ERR_USAGE, "invalid value foo");
	refused("type=zip,dest=x", ERR_USAGE, "'zip'");
	refused("type=,dest=x", ERR_USAGE, "unknown output type ''");
	refused("type=oci,dest=", ERR_USAGE, "dest=");
	refused("type=oci,tar=maybe", ERR_USAGE, "'maybe' for tar");
	refused("type=oci,colour=red", ERR_USAGE, "'colour'");
	refused("type=local,dest=x,compression=gzip", ERR_USAGE, "local exporter has no attribute 'compression'");
	refused("type=tar,name=a", ERR_USAGE, "'name'");
	refused("type=image,dest=x", ERR_USAGE, "'dest'");
	refused("type=oci,dest=x,compression=lzma", ERR_USAGE, "lzma");
	refused("type=oci,dest=x,compression=none", ERR_USAGE, "none");
	refused("type=oci,dest=x,compression=estargz", ERR_UNSUPPORTED, "estargz");
	refused("type=oci,dest=x,oci-mediatypes=false", ERR_UNSUPPORTED, "oci-mediatypes=false");
	refused("type=docker,dest=x,tar=false", ERR_UNSUPPORTED, "tar=false");
	refused("type=oci,dest=x,name=UPPER", ERR_USAGE, "UPPER");
	refused("type=oci,\"dest=x", ERR_USAGE, "quotes");
	refused("type=oci,\"dest=x\"y", ERR_USAGE, "quotes");
	refused("type=oci,dest=\"x\"", ERR_USAGE, "quotes");
}

/* ---- outputs_check ---- */

static int check(struct fixture *f, const char *a, const char *b, size_t nplatforms, bool tty)
{
	struct output o[2];
	size_t n = 0;
	int rc;

	o[n++] = parsed(a);
	if (b)
		o[n++] = parsed(b);
	rc = outputs_check(o, n, nplatforms, tty, &f->err);
	while (n)
		output_release(&o[--n]);
	return rc;
}

static void checks_where_outputs_go(void **state)
{
	struct fixture *f = *state;
	auto_free char *file = xasprintf("%s/file", f->dir);
	auto_free char *local_file = xasprintf("type=local,dest=%s", file);
	auto_free char *layout_file = xasprintf("type=oci,tar=false,dest=%s", file);
	auto_free char *tar_folder = xasprintf("type=tar,dest=%s", f->dir);
	auto_free char *no_parent = xasprintf("type=tar,dest=%s/not/there/x.tar", f->dir);
	auto_free char *file_parent = xasprintf("type=tar,dest=%s/x.tar", file);
	auto_free char *fine = xasprintf("type=tar,dest=%s/x.tar", f->dir);

	assert_ok(f, write_file_atomic(AT_FDCWD, file, "x", 1, 0644, &f->err));
	assert_fails(f, ERR_USAGE, "dest is required for local exporter", check(f, "type=local", NULL, 1, false));
	assert_fails(f, ERR_USAGE, "dest is required for oci exporter", check(f, "type=oci,tar=false", NULL, 1, false));
	assert_fails(f, ERR_USAGE, "dest cannot be stdout for local exporter",
		check(f, "type=local,dest=-", NULL, 1, false));
	assert_fails(f, ERR_USAGE, "dest cannot be stdout for oci exporter",
		check(f, "type=oci,tar=false,dest=-", NULL, 1, false));
	assert_fails(f, ERR_USAGE, "destination directory", check(f, local_file, NULL, 1, false));
	assert_fails(f, ERR_USAGE, "is a file", check(f, layout_file, NULL, 1, false));
	assert_fails(f, ERR_USAGE, "destination file", check(f, tar_folder, NULL, 1, false));
	assert_fails(f, ERR_USAGE, "not/there", check(f, no_parent, NULL, 1, false));
	assert_fails(f, ERR_USAGE, "not a directory", check(f, file_parent, NULL, 1, false));
	assert_ok(f, check(f, fine, "type=image", 1, true));
}

static void checks_stdout(void **state)
{
	struct fixture *f = *state;

	assert_fails(f, ERR_USAGE, "dest file is required for tar exporter. refusing to write to console",
		check(f, "-", NULL, 1, true));
	assert_fails(f, ERR_USAGE, "dest file is required for oci exporter. refusing to write to console",
		check(f, "type=oci", NULL, 1, true));
	assert_ok(f, check(f, "-", "type=image", 1, false));
	assert_fails(f, ERR_USAGE, "multiple outputs configured to write to stdout",
		check(f, "-", "type=docker,dest=-", 1, false));
	assert_fails(f, ERR_USAGE, "multiple outputs configured to write to stdout",
		check(f, "type=oci", "type=tar", 1, false));
}

static void checks_platforms(void **state)
{
	struct fixture *f = *state;

	assert_fails(f, ERR_USAGE,
		"docker exporter does not support exporting manifest lists, use the oci exporter instead",
		check(f, "type=docker,dest=-", NULL, 2, false));
	assert_fails(f, ERR_USAGE, "tar exporter", check(f, "-", NULL, 2, false));
	assert_ok(f, check(f, "type=oci,dest=-", "type=image", 2, false));
}

static void checks_names(void **state)
{
	struct fixture *f = *state;
	struct output o = parsed("type=registry");
	struct output named = parsed("type=registry,name=a:1");
	auto_strv tags = STRV_INIT;

	assert_fails(f, ERR_USAGE, "tag is needed when pushing to registry", outputs_check_names(&o, 1, &tags, &f->err));
	assert_fails(f, ERR_USAGE, "tag is needed when pushing to registry", outputs_check_names(&o, 1, NULL, &f->err));
	assert_ok(f, outputs_check_names(&named, 1, &tags, &f->err));
	strv_add(&tags, "app:1");
	assert_ok(f, outputs_check_names(&o, 1, &tags, &f->err));
	strv_add(&tags, "BAD");
	assert_fails(f, ERR_USAGE, "invalid tag \"BAD\"", outputs_check_names(NULL, 0, &tags, &f->err));
	output_release(&o);
	output_release(&named);
}

/* ---- export_products ---- */

/* A product as the engine hands it over: the base's config, one new entry. */
static void make_product(struct fixture *f, const char *platform, size_t nlayers, struct build_product *ret)
{
	struct descriptor d = DESCRIPTOR_INIT;
	struct resolved_image *img;

	make_image(f, platform, nlayers, &d);
	name_image(f, "docker.io/library/base:1", &d);
	img = resolve(f, "base:1", platform);
	*ret = (struct build_product){ .platform = platform_of(platform) };
	snapchain_copy(&ret->chain, &img->chain);
	config_copy(&img->config, &ret->config);
	config_history_add(&ret->config, NULL, "ENV K=V", NULL, true);
	resolved_image_free(img);
	descriptor_release(&d);
}

static void product_release(struct build_product *p)
{
	snapchain_release(&p->chain);
	config_release(&p->config);
}

static void read_manifest(struct fixture *f, const char *digest, struct manifest *m, struct image_config *c)
{
	auto_strbuf text = STRBUF_INIT;

	assert_ok(f, blob_read(f->s.store, digest, MANIFEST_BYTES_MAX, &text, &f->err));
	assert_ok(f, manifest_parse(text.buf, text.len, NULL, m, &f->err));
	strbuf_reset(&text);
	assert_ok(f, blob_read(f->s.store, m->config.digest, CONFIG_BYTES_MAX, &text, &f->err));
	assert_ok(f, config_parse(text.buf, text.len, c, &f->err));
}

static void makes_an_image_with_the_epoch(void **state)
{
	struct fixture *f = *state;
	struct build_product p;
	struct export_options o = { .epoch = EPOCH, .stdout_fd = -1 };
	struct export_result r, again;
	auto_manifest m = MANIFEST_INIT;
	auto_image_config c = IMAGE_CONFIG_INIT;

	make_product(f, "linux/arm64", 2, &p);
	assert_ok(f, export_products(&f->s, &p, 1, &o, &r, &f->err));
	read_manifest(f, r.digest, &m, &c);
	assert_string_equal(m.media_type, MEDIA_OCI_MANIFEST);
	assert_string_equal(m.config.digest, r.config_digest);
	assert_int_equal(m.nlayers, 2);
	assert_int_equal(r.size, m.layers[0].size + m.layers[1].size);
	assert_string_equal(c.created, EPOCH_TEXT);
	assert_int_equal(c.nhistory, 3);
	assert_string_equal(c.history[0].created, "2020-01-01T00:00:00Z"); /* the base's own */
	assert_string_equal(c.history[2].created, EPOCH_TEXT);
	assert_true(config_history_fits(&c));
	assert_int_equal(c.diff_ids.len, 2);
	assert_string_equal(c.platform.architecture, "arm64");
	assert_ok(f, export_products(&f->s, &p, 1, &o, &again, &f->err));
	assert_string_equal(r.digest, again.digest);
	product_release(&p);
}

static void without_an_epoch_old_layers_date_the_image(void **state)
{
	struct fixture *f = *state;
	struct build_product p;
	struct export_options o = { .epoch = LAYER_EPOCH_NONE, .stdout_fd = -1 };
	struct export_result r;
	auto_manifest m = MANIFEST_INIT;
	auto_image_config c = IMAGE_CONFIG_INIT;

	make_product(f, "linux/amd64", 1, &p);
	assert_ok(f, export_products(&f->s, &p, 1, &o, &r, &f->err));
	read_manifest(f, r.digest, &m, &c);
	assert_string_equal(c.history[1].created, "2020-01-01T00:00:00Z");
	assert_string_equal(c.created, "2020-01-01T00:00:00Z");
	product_release(&p);
}

static void a_new_layer_dates_what_comes_before_it(void **state)
{
	struct fixture *f = *state;
	struct build_product p;
	struct export_options o = { .epoch = LAYER_EPOCH_NONE, .stdout_fd = -1 };
	struct export_result r;
	struct layer_form form;
	struct timespec times[2] = { { .tv_sec = EPOCH }, { .tv_sec = EPOCH } };
	auto_free char *blob = NULL;
	auto_manifest m = MANIFEST_INIT;
	auto_image_config c = IMAGE_CONFIG_INIT;

	make_product(f, "linux/amd64", 2, &p);
	/* the second layer becomes one of the build's own, behind an ENV */
	free(p.config.history[1].created);
	p.config.history[1].created = NULL;
	p.config.history[0].empty_layer = false;
	assert_true(snapshot_any_layer(f->s.store, p.chain.ids[1], &form));
	blob = xasprintf("%s/blobs/sha256/%s", f->root, digest_hex(form.digest));
	assert_int_equal(utimensat(AT_FDCWD, blob, times, 0), 0);
	assert_ok(f, export_products(&f->s, &p, 1, &o, &r, &f->err));
	read_manifest(f, r.digest, &m, &c);
	assert_string_equal(c.history[0].created, "2020-01-01T00:00:00Z");
	assert_string_equal(c.history[1].created, EPOCH_TEXT);
	assert_string_equal(c.history[2].created, EPOCH_TEXT); /* ENV, behind it */
	assert_string_equal(c.created, EPOCH_TEXT);
	product_release(&p);
}

static void history_is_made_to_fit(void **state)
{
	struct fixture *f = *state;
	struct build_product p;
	struct export_options o = { .epoch = EPOCH, .stdout_fd = -1 };
	struct export_result r;

	make_product(f, "linux/amd64", 2, &p);
	for (int more = 0; more < 2; more++) {
		auto_manifest m = MANIFEST_INIT;
		auto_image_config c = IMAGE_CONFIG_INIT;

		p.config.history[0].empty_layer = !more;           /* one entry too few, */
		p.config.history[2].empty_layer = !more;           /* then one too many */
		assert_ok(f, export_products(&f->s, &p, 1, &o, &r, &f->err));
		read_manifest(f, r.digest, &m, &c);
		assert_int_equal(c.nhistory, more ? 3 : 4);
		assert_true(config_history_fits(&c));
	}
	product_release(&p);
}

static void translates_docker_media_types(void **state)
{
	struct fixture *f = *state;
	struct build_product p = { .platform = platform_of("linux/amd64") };
	struct export_options o = { .epoch = EPOCH, .stdout_fd = -1 };
	struct export_result r;
	struct manifest base = MANIFEST_INIT;
	auto_manifest m = MANIFEST_INIT;
	auto_image_config c = IMAGE_CONFIG_INIT;
	int64_t id;

	config_init_scratch(&p.platform, &p.config);
	add_layer(f, &base, &p.config, "docker", MEDIA_DOCKER_LAYER_GZIP);
	assert_ok(f, snapshot_of_layer(f->s.store, base.layers[0].digest, base.layers[0].digest, MEDIA_DOCKER_LAYER_GZIP,
			     base.layers[0].size, &id, &f->err));
	snapchain_push(&p.chain, id);
	assert_ok(f, export_products(&f->s, &p, 1, &o, &r, &f->err));
	read_manifest(f, r.digest, &m, &c);
	assert_string_equal(m.layers[0].media_type, MEDIA_OCI_LAYER_GZIP);
	assert_string_equal(m.layers[0].digest, base.layers[0].digest);
	manifest_release(&base);
	product_release(&p);
}

static void several_platforms_are_an_index_in_their_order(void **state)
{
	static const char *const names[] = { "linux/arm/v7", "linux/amd64", "linux/arm64" };
	struct fixture *f = *state;
	struct build_product p[3];
	struct export_options o = { .epoch = EPOCH, .stdout_fd = -1 };
	struct export_result r, alone;
	auto_image_index idx = IMAGE_INDEX_INIT;
	auto_strbuf text = STRBUF_INIT;
	auto_strv tags = STRV_INIT;
	struct image row;

	strv_add(&tags, "app:1");
	strv_add(&tags, "example.org/app");
	o.tags = &tags;
	for (size_t i = 0; i < 3; i++)
		make_product(f, names[i], 1, &p[i]);
	assert_ok(f, export_products(&f->s, p, 3, &o, &r, &f->err));
	assert_ok(f, blob_read(f->s.store, r.digest, MANIFEST_BYTES_MAX, &text, &f->err));
	assert_ok(f, index_parse(text.buf, text.len, NULL, &idx, &f->err));
	assert_int_equal(idx.n, 3);
	for (size_t i = 0; i < 3; i++)
		assert_true(platform_equal(&idx.manifests[i].platform, &p[i].platform));
	assert_ok(f, image_get(f->s.store, "docker.io/library/app:1", &row, &f->err));
	assert_string_equal(row.digest, r.digest);
	assert_string_equal(row.media_type, MEDIA_OCI_INDEX);
	assert_ok(f, image_get(f->s.store, "example.org/app:latest", &row, &f->err));
	/* one of several is the same as it is alone */
	o.tags = NULL;
	assert_ok(f, export_products(&f->s, &p[1], 1, &o, &alone, &f->err));
	assert_string_equal(alone.digest, idx.manifests[1].digest);
	o.index_always = true;
	assert_ok(f, export_products(&f->s, &p[1], 1, &o, &alone, &f->err));
	assert_string_not_equal(alone.digest, idx.manifests[1].digest);
	for (size_t i = 0; i < 3; i++)
		product_release(&p[i]);
}

static size_t files_in(const char *dir)
{
	auto_closedir DIR *d = opendir(dir);
	size_t n = 0;

	assert_non_null(d);
	for (struct dirent *e = readdir(d); e; e = readdir(d))
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	return n;
}

static void writes_archives_and_layouts(void **state)
{
	struct fixture *f = *state;
	struct build_product p;
	struct output outs[3];
	struct export_options o = { .outputs = outs, .noutputs = 3, .epoch = EPOCH, .stdout_fd = -1 };
	struct export_result r;
	auto_free char *dir = xasprintf("%s/out", f->dir);
	auto_free char *oci = xasprintf("type=oci,name=example.org/app:7,dest=%s/a.tar", dir);
	auto_free char *docker = xasprintf("type=docker,name=app:docker,dest=%s/d.tar", dir);
	auto_free char *layout = xasprintf("type=oci,tar=false,dest=%s/layout", dir);
	auto_free char *from_oci = xasprintf("oci-archive:%s/a.tar:7", dir);
	auto_free char *from_layout = xasprintf("oci-layout://%s/layout", dir);
	auto_free char *docker_path = xasprintf("%s/d.tar", dir);
	struct resolved_image *img;
	struct image_archive *a;
	size_t n;

	assert_int_equal(mkdir(dir, 0755), 0);
	outs[0] = parsed(oci);
	outs[1] = parsed(docker);
	outs[2] = parsed(layout);
	make_product(f, "linux/amd64", 3, &p);
	assert_ok(f, export_products(&f->s, &p, 1, &o, &r, &f->err));
	assert_int_equal(files_in(dir), 3); /* and no temporary file */
	img = resolve(f, from_oci, "linux/amd64");
	assert_string_equal(img->digest, r.digest);
	resolved_image_free(img);
	img = resolve(f, from_layout, "linux/amd64");
	assert_string_equal(img->digest, r.digest);
	resolved_image_free(img);
	a = image_archive_open(AT_FDCWD, docker_path, &f->err);
	assert_non_null(a);
	assert_string_equal(image_archive_docker_images(a, &n)->repo_tags.v[0], "app:docker");
	assert_non_null(image_archive_docker_select(a, NULL, &f->err));
	image_archive_free(a);
	product_release(&p);
	for (size_t i = 0; i < 3; i++)
		output_release(&outs[i]);
}

static void a_failed_file_leaves_the_old_one(void **state)
{
	struct fixture *f = *state;
	struct build_product p;
	struct output out;
	struct export_options o = { .outputs = &out, .noutputs = 1, .epoch = EPOCH, .stdout_fd = -1 };
	struct export_result r;
	struct layer_form form;
	auto_free char *dir = xasprintf("%s/out", f->dir);
	auto_free char *text = xasprintf("type=oci,dest=%s/a.tar", dir);
	auto_free char *file = xasprintf("%s/a.tar", dir);
	auto_free char *blob = NULL;
	auto_strbuf left = STRBUF_INIT;
	int fd;

	assert_int_equal(mkdir(dir, 0755), 0);
	assert_ok(f, write_file_atomic(AT_FDCWD, file, "old", 3, 0644, &f->err));
	out = parsed(text);
	make_product(f, "linux/amd64", 1, &p);
	assert_true(snapshot_any_layer(f->s.store, p.chain.ids[0], &form));
	blob = xasprintf("%s/blobs/sha256/%s", f->root, digest_hex(form.digest));
	assert_int_equal(chmod(blob, 0644), 0);
	fd = open(blob, O_WRONLY | O_CLOEXEC);
	assert_int_equal(write_all(fd, "X", 1), 0);
	close(fd);
	assert_fails(f, ERR_CORRUPT, form.digest, export_products(&f->s, &p, 1, &o, &r, &f->err));
	assert_int_equal(files_in(dir), 1);
	assert_ok(f, read_file(AT_FDCWD, file, 100, &left, &f->err));
	assert_string_equal(left.buf, "old");
	output_release(&out);
	product_release(&p);
}

static void writes_to_stdout_and_through_links(void **state)
{
	struct fixture *f = *state;
	struct build_product p;
	struct output outs[2];
	struct export_options o = { .outputs = outs, .noutputs = 2, .epoch = EPOCH };
	struct export_result r;
	auto_free char *link_name = xasprintf("%s/link.tar", f->dir);
	auto_free char *target = xasprintf("%s/target.tar", f->dir);
	auto_free char *copy = xasprintf("%s/stdout.tar", f->dir);
	auto_free char *text = xasprintf("type=oci,dest=%s", link_name);
	auto_strbuf a = STRBUF_INIT, b = STRBUF_INIT;
	auto_fd int fd = open(copy, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	struct stat st;

	assert_ok(f, write_file_atomic(AT_FDCWD, target, "old", 3, 0644, &f->err));
	assert_int_equal(symlink("target.tar", link_name), 0);
	outs[0] = parsed("type=oci,dest=-");
	outs[1] = parsed(text);
	o.stdout_fd = fd;
	make_product(f, "linux/amd64", 1, &p);
	assert_ok(f, export_products(&f->s, &p, 1, &o, &r, &f->err));
	assert_int_equal(lstat(link_name, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_ok(f, read_file(AT_FDCWD, target, 1 << 20, &a, &f->err));
	assert_ok(f, read_file(AT_FDCWD, copy, 1 << 20, &b, &f->err));
	assert_true(a.len > 100 && a.len == b.len && memcmp(a.buf, b.buf, a.len) == 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC); /* still open: it is the caller's */
	output_release(&outs[0]);
	output_release(&outs[1]);
	product_release(&p);
}

static void a_failed_push_keeps_the_image(void **state)
{
	struct fixture *f = *state;
	struct build_product p;
	struct output out = parsed("type=registry,name=localhost:1/app:1");
	struct export_options o = { .outputs = &out, .noutputs = 1, .epoch = EPOCH, .stdout_fd = -1 };
	struct export_result r;
	struct image row;

	make_product(f, "linux/amd64", 1, &p);
	assert_fails(f, ERR_PUSH, "localhost:1/app:1", export_products(&f->s, &p, 1, &o, &r, &f->err));
	assert_ok(f, image_get(f->s.store, "localhost:1/app:1", &row, &f->err));
	assert_string_equal(row.digest, r.digest);
	output_release(&out);
	product_release(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_short_forms),
		cmocka_unit_test(reads_types_and_attributes),
		cmocka_unit_test(a_push_is_a_registry_output),
		cmocka_unit_test(levels_have_ranges_and_one_default),
		cmocka_unit_test(refuses_what_is_wrong),
		build_test(checks_where_outputs_go),
		build_test(checks_stdout),
		build_test(checks_platforms),
		build_test(checks_names),
		build_test(makes_an_image_with_the_epoch),
		build_test(without_an_epoch_old_layers_date_the_image),
		build_test(a_new_layer_dates_what_comes_before_it),
		build_test(history_is_made_to_fit),
		build_test(translates_docker_media_types),
		build_test(several_platforms_are_an_index_in_their_order),
		build_test(writes_archives_and_layouts),
		build_test(a_failed_file_leaves_the_old_one),
		build_test(writes_to_stdout_and_through_links),
		build_test(a_failed_push_keeps_the_image),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
