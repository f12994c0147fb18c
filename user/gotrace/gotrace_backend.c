/* SPDX-License-Identifier: MIT */
/* gotrace_backend.c - `tapebpf export --format go`. */
#include "gotrace/gotrace_backend.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gotrace/gotrace.h"

static const struct backend_option options[] = {
	{ "go-version", "1.22|1.26", "go: the format's version. 1.22 (default): Go 1.22 and later read it; 1.26 tells the wall clock" },
	{ 0 },
};

static int open_trace(const struct backend_opts *o, void **run, struct diag *d)
{
	struct gotrace_opts go = { .sz = sizeof(go), .clock = o->clock, .start_ns = o->start_ns };
	const char *version = o->option[0];

	if (version && !strcmp(version, "1.26"))
		go.version = 26;
	else if (version && strcmp(version, "1.22") != 0)
		return diag__set(d, -EINVAL, "--go-version takes 1.22 or 1.26, not %s", version);
	*run = gotrace__new(&go, o->write, o->ctx);
	return *run ? 0 : diag__set(d, -errno, "cannot begin a Go trace: %s", strerror(errno));
}

static struct sink trace_sink(void *run)
{
	return gotrace__sink(run);
}

static int finish_trace(void *run, struct diag *note)
{
	int err = gotrace__finish(run);
	struct gotrace_stats st;

	gotrace__stats(run, &st);
	if (err)
		return err;
	if (st.out_of_range)
		diag__set(note, 0, "%" PRIu64 " times are more than 104 days from the beginning; the format cannot hold them, "
			  "they stand at its limit", st.out_of_range);
	else if (st.late)
		diag__set(note, 0, "%" PRIu64 " records came too late for their place and stand a little later", st.late);
	return 0;
}

static void free_trace(void *run)
{
	gotrace__free(run);
}

const struct backend gotrace_backend = {
	.name = "go",
	.ending = ".trace",
	.what = "Go execution trace, for `go tool trace` and gotraceui",
	.option = options,
	.open = open_trace,
	.sink = trace_sink,
	.finish = finish_trace,
	.free = free_trace,
};
