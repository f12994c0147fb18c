/* SPDX-License-Identifier: MIT */
#include "cmd/input.h"

#include "cmd/cmd.h"
#include "cmd/progress.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define CHUNK_BYTES (1u << 20)

struct input {
	struct input_opts opts;
	char *const *path;
	u32 cnt;
	struct tape_merge *merge;
	struct input_damage *damage;
	struct progress progress;
};

static void on_defect(void *ctx, const struct tape_defect *d)
{
	struct input_damage *dm = ctx;

	dm->cnt[d->kind]++;
	/* spans that are never closed have their marks in the output; a killed recorder leaves them */
	if (d->kind != TAPE_DEFECT_UNCLOSED && !dm->all++)
		dm->first = *d;
}

int input__open(char *const *path, u32 cnt, const struct input_opts *o, struct input **out, struct diag *d)
{
	__free_ptr struct tape_reader_ops *ops = calloc(cnt, sizeof(*ops));
	struct input *in = calloc(1, sizeof(*in));
	int err;
	u32 i;

	if (in)
		in->damage = calloc(cnt, sizeof(*in->damage));
	if (!ops || !in || !in->damage) {
		free(in);
		return diag__set(d, -ENOMEM, "no memory for reading %u tapes", cnt);
	}
	in->opts = *o;
	in->path = path;
	in->cnt = cnt;
	for (i = 0; i < cnt; i++)
		ops[i] = (struct tape_reader_ops){ .defect = on_defect, .ctx = &in->damage[i] };
	err = tape_merge__open(path, cnt, ops, &in->merge, d);
	if (err) {
		input__free(in);
		return err;
	}
	*out = in;
	return 0;
}

void input__free(struct input *in)
{
	if (!in)
		return;
	tape_merge__free(in->merge);
	free(in->damage);
	free(in);
}

int input__run(struct input *in, const struct sink *sink, int (*keep_on)(void *ctx), void *ctx)
{
	int more, err = 0;

	progress__init(&in->progress, in->opts.quiet);
	do {
		more = tape_merge__run(in->merge, sink, CHUNK_BYTES);
		progress__update(&in->progress, tape_merge__offset(in->merge), tape_merge__size(in->merge));
		if (keep_on)
			err = keep_on(ctx);
	} while (more > 0 && err >= 0);
	progress__clear(&in->progress);
	return more < 0 ? more : err < 0 ? err : 0;
}

u32 input__cnt(const struct input *in)
{
	return in->cnt;
}

const char *input__path(const struct input *in, u32 i)
{
	return in->path[i];
}

const struct tape_reader *input__reader(const struct input *in, u32 i)
{
	return tape_merge__reader(in->merge, i);
}

s64 input__unix_ns(void *in, u64 time_ns)
{
	return tape_merge__unix_ns(((struct input *)in)->merge, time_ns);
}

u64 input__start_ns(const struct input *in)
{
	return tape_merge__time_ns(in->merge, tape_reader__intro(input__reader(in, 0))->base_unix_ns);
}

/* Defects of content are reported and repaired; where bytes were skipped, what was read is not whole. */
static int report_one(const char *path, const struct input_damage *dm)
{
	struct diag d = {};

	if (!dm->all)
		return EXIT_DONE;
	diag__set(&d, 0, "%s: %" PRIu64 " defect%s, the first at byte %" PRIu64 ": %s", path, dm->all, dm->all > 1 ? "s" : "",
		  dm->first.offset, dm->first.text);
	diag__hint(&d, "`tapebpf verify` lists them; what could be read has been used");
	cmd__fail(EXIT_FAILED, &d);
	return dm->cnt[TAPE_DEFECT_LENGTH] || dm->cnt[TAPE_DEFECT_TORN] || dm->cnt[TAPE_DEFECT_CHECKSUM] ? EXIT_FAILED :
													    EXIT_DONE;
}

int input__report(const struct input *in)
{
	int status = EXIT_DONE, one;
	u32 i;

	for (i = 0; i < in->cnt; i++) {
		one = report_one(in->path[i], &in->damage[i]);
		status = MAX(status, one);
	}
	return status;
}
