/* SPDX-License-Identifier: MIT */
/*
 * bench_attach.c - how long the sites of a file take to attach and to detach: bench_attach FILE PID. Prints a line
 * "attach_ms MS" and a line "detach_ms MS" a round.
 */
#include <stdio.h>
#include <stdlib.h>
#include "attach/attach.h"
#include "bench_rounds.h"

#define ROUNDS 5

static int nothing(void *ctx, const void *rec, size_t bytes)
{
	return 0;
}

static int round_trip(const struct features *features, const char *path, u32 pid, struct diag *d)
{
	const struct attach_opts opts = { .sz = sizeof(opts), .features = features, .ring_bytes = 1 << 20 };
	const struct attach_file_opts file_opts = { .sz = sizeof(file_opts), .pid = -1, .path = path };
	const struct attach_ops ops = { .ring = nothing };
	struct attach *a = NULL;
	struct elf_file *f = NULL;
	u64 start_ns, attached_ns, stop_ns;
	int err = elf_file__open(path, NULL, &f, d);

	err = err ?: attach__new(&opts, &a, d);
	err = err ?: attach__add_target(a, pid, d);
	if (err)
		goto out;
	attach__set_ops(a, &ops);
	start_ns = bench__now_ns();
	err = attach__add_file(a, f, &file_opts, d);
	attached_ns = bench__now_ns();
	if (err)
		goto out;
	stop_ns = bench__now_ns();
	attach__stop(a);
	printf("attach_ms %.3f\ndetach_ms %.3f\n", (double)(attached_ns - start_ns) / 1e6,
	       (double)(bench__now_ns() - stop_ns) / 1e6);
out:
	if (a)
		attach__free(a);
	if (f)
		elf_file__free(f);
	return err;
}

int main(int argc, char **argv)
{
	struct features features;
	struct diag d = { 0 };
	int err;

	if (argc != 3) {
		fprintf(stderr, "usage: bench_attach FILE PID\n");
		return 2;
	}
	err = features__probe(&features, &d);
	for (int i = 0; !err && i < ROUNDS; i++)
		err = round_trip(&features, argv[1], (u32)atoi(argv[2]), &d);
	if (err)
		fprintf(stderr, "bench_attach: %s\n", d.text);
	return err ? 1 : 0;
}
