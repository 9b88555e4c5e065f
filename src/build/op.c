#include "build/op.h"

#include <stdlib.h>

void op_chain(const struct op *op, struct snapchain *ret)
{
	size_t n = 0;
	const struct op *o;

	for (o = op; o && o->kind != OP_IMAGE; o = o->base)
		n++;
	if (o)
		snapchain_copy(ret, &o->image->chain);
	/* The chain is linked from its top: fill in from the end. */
	for (size_t i = 0; i < n; i++)
		snapchain_push(ret, 0);
	for (size_t i = ret->len; n > 0; op = op->base, n--)
		ret->ids[--i] = op->snapshot;
}

const struct resolved_image *op_base_image(const struct op *op)
{
	while (op && op->kind != OP_IMAGE)
		op = op->base;
	return op ? op->image : NULL;
}

size_t op_inputs(const struct op *op)
{
	return 1 + op->nmounts;
}

struct op *op_input(const struct op *op, size_t i)
{
	return i == 0 ? op->from : op->mounts[i - 1].from;
}

void op_free(struct op *op)
{
	if (!op)
		return;
	resolved_image_free(op->image);
	step_spec_release(&op->step);
	copy_spec_release(&op->copy);
	for (size_t i = 0; i < op->nmounts; i++)
		run_mount_release(&op->mounts[i].options);
	free(op->mounts);
	free(op->script_name);
	free(op->script);
	free(op->origins);
	free(op->name);
	free(op);
}
