#include "cli/metadata.h"

#include <fcntl.h>

#include "base/auto.h"
#include "base/doc.h"
#include "base/fsutil.h"
#include "base/mem.h"
#include "oci/reference.h"

/* "docker.io/library/a:latest,..." */
static char *full_names(const struct strv *names)
{
	auto_strbuf sb = STRBUF_INIT;

	for (size_t i = 0; i < names->len; i++) {
		struct reference ref = REFERENCE_INIT;
		auto_free char *full = NULL;
		struct err unused = ERR_INIT;

		if (reference_parse(names->v[i], &ref, &unused) == 0)
			full = reference_format(&ref);
		strbuf_printf(&sb, "%s%s", sb.len ? "," : "", full ? full : names->v[i]);
		reference_release(&ref);
	}
	return strbuf_take(&sb);
}

int metadata_write(const char *path, const struct export_result *result, const struct strv *names, struct err *err)
{
	struct doc *root = doc_object();
	auto_strbuf text = STRBUF_INIT;

	if (result->digest[0]) {
		struct doc *d = doc_object();

		doc_set_str(d, "mediaType", result->media_type);
		doc_set_str(d, "digest", result->digest);
		doc_set_int(d, "size", (int64_t)result->top_size);
		doc_set_str(root, "containerimage.config.digest", result->config_digest);
		doc_set(root, "containerimage.descriptor", d);
		doc_set_str(root, "containerimage.digest", result->digest);
	}
	if (names->len) {
		auto_free char *list = full_names(names);

		doc_set_str(root, "image.name", list);
	}
	doc_format_pretty(root, &text);
	doc_free(root);
	strbuf_putc(&text, '\n');
	return write_file_atomic(AT_FDCWD, path, text.buf, text.len, 0644, err);
}
