#include "cross/binfmt.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/wire.h"
#include "sandbox/diagnose.h"

#define LINE_MAX_LEN 1920 /* MAX_REGISTER_LENGTH of the kernel */

void binfmt_format(const struct arch *a, const char *interpreter, struct strbuf *line)
{
	strbuf_printf(line, ":whittle-%s%s:M::", a->architecture, a->variant);
	for (size_t i = 0; i < ARCH_MAGIC_SIZE; i++)
		strbuf_printf(line, "\\x%02x", a->magic[i]);
	strbuf_putc(line, ':');
	for (size_t i = 0; i < ARCH_MAGIC_SIZE; i++)
		strbuf_printf(line, "\\x%02x", a->mask[i]);
	strbuf_printf(line, ":%s:POCF", interpreter);
}

void binfmt_put(const struct arch *a, const char *path, struct strbuf *payload)
{
	wire_put_str(payload, a->architecture);
	wire_put_str(payload, a->variant);
	wire_put_str(payload, path);
}

/* A mount that is attached nowhere lives as long as its descriptor. */
static int make_instance(struct err *err)
{
	auto_fd int ctx = fsopen("binfmt_misc", FSOPEN_CLOEXEC);
	struct utsname u;
	int fd = -1;

	uname(&u);
	if (ctx >= 0 && fsconfig(ctx, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		fd = fsmount(ctx, FSMOUNT_CLOEXEC, 0);
	if (fd >= 0)
		return fd;
	err_sys(err, "cannot make a private binfmt_misc (this kernel is %s, 6.7 or newer is needed)", u.release);
	err->kind = ERR_SANDBOX;
	return diagnose(DIAGNOSE_BINFMT, NULL, err);
}

static int register_line(int instance, const struct strbuf *line, struct err *err)
{
	auto_fd int fd = openat(instance, "register", O_WRONLY | O_CLOEXEC);

	if (line->len > LINE_MAX_LEN)
		return err_set(err, ERR_INPUT, "the path of the emulator is too long");
	if (fd < 0)
		return err_sys(err, "cannot open the private binfmt_misc");
	if (write(fd, line->buf, line->len) == (ssize_t)line->len || errno == EEXIST)
		return 0;
	err_sys(err, "cannot register '%s'", line->buf);
	err->kind = ERR_SANDBOX;
	return -1;
}

int binfmt_run(struct job *job, struct err *err)
{
	auto_strbuf line = STRBUF_INIT;
	struct wire w;
	const struct arch *a;
	int *instance;

	wire_init(&w, job->payload, job->len);
	auto_free char *architecture = wire_get_str(&w);
	auto_free char *variant = wire_get_str(&w);
	auto_free char *path = wire_get_str(&w);
	auto_strbuf nothing = STRBUF_INIT;

	a = arch_find(architecture, variant);
	if (!wire_done(&w) || !a)
		return err_set(err, ERR_SYSTEM, "a request to emulate is malformed");
	if (!*job->state) {
		int fd = make_instance(err);

		if (fd < 0)
			return -1;
		instance = xmalloc(sizeof(*instance));
		*instance = fd;
		*job->state = instance;
	}
	instance = *job->state;
	binfmt_format(a, path, &line);
	if (register_line(*instance, &line, err) < 0)
		return -1;
	return job_reply(job, &nothing, err);
}
