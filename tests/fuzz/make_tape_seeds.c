/* SPDX-License-Identifier: MIT */
/* make_tape_seeds.c - writes the seeds of fuzz_tape into a folder: small tapes with every kind of record. */
#include "../unit/tape/tape_build.h"

static void save(struct build *b, const char *dir, const char *name)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "wb");
	if (!f || fwrite(b->data, 1, b->bytes, f) != b->bytes || fclose(f)) {
		perror(path);
		exit(1);
	}
	build__done(b);
}

int main(int argc, char **argv)
{
	const char *dir = argc > 1 ? argv[1] : ".";
	struct build b;

	build__example(&b);
	save(&b, dir, "example");
	build__everything(&b, 16);
	save(&b, dir, "everything");
	build__init(&b, 16, 0);
	save(&b, dir, "empty");
	return 0;
}
