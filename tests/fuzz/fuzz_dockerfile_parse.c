/* A Dockerfile: it parses or fails with an error; what fails has an excerpt, what parses can be
 * searched. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "dockerfile/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void refire(const struct dockerfile *df)
{
	for (size_t i = 0; i < df->nstages; i++) {
		const struct stage *stage = &df->stages[i];

		for (size_t j = 0; j < stage->ninstructions; j++) {
			struct arena arena = ARENA_INIT;
			struct instruction in;
			struct err err = ERR_INIT;

			if (stage->instructions[j].kind == INSTRUCTION_ONBUILD)
				dockerfile_parse_instruction(
					&arena, stage->instructions[j].args[0], &in, &err);
			arena_release(&arena);
		}
		if (stage->name && dockerfile_find_stage(df, stage->name, i + 1) != (int)i)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dockerfile_location loc = {0, 0};
	struct err err = ERR_INIT;
	struct dockerfile *df = dockerfile_parse("Dockerfile", data, size, &loc, &err);

	if (df) {
		refire(df);
	} else {
		struct strbuf out = STRBUF_INIT;

		if (err.kind != ERR_DOCKERFILE || !*err.msg || loc.last_line < loc.first_line)
			abort();
		dockerfile_excerpt("Dockerfile", data, size, &loc, &out);
		strbuf_release(&out);
	}
	dockerfile_free(df);
	return 0;
}
