/* SPDX-License-Identifier: MIT */
#include "cmd/progress.h"

#include "base/clock.h"
#include "base/units.h"

#include <stdio.h>
#include <string.h>

#define BAR_CELLS 30
#define EVERY_NS (100 * NSEC_PER_MSEC)

void progress__init(struct progress *p, bool quiet)
{
	const char *term = getenv("TERM");

	*p = (struct progress){ .start_ns = clock__mono_ns() };
	p->on = !quiet && isatty(STDERR_FILENO) && !(term && !strcmp(term, "dumb"));
	p->next_ns = p->start_ns + NSEC_PER_SEC;
}

static void draw(const struct progress *p, u64 done, u64 all, u64 now)
{
	double seconds = (double)(now - p->start_ns) / 1e9, rate = (double)done / seconds;
	char size[24], speed[24], bar[BAR_CELLS * 3 + 1] = "";
	u32 i, full = all ? (u32)(done * BAR_CELLS / all) : 0;

	units__show_bytes(size, sizeof(size), done);
	units__show_bytes(speed, sizeof(speed), (u64)rate);
	if (!all) {
		fprintf(stderr, "\r\x1b[Kreading: %s, %s/s", size, speed);
		return;
	}
	for (i = 0; i < BAR_CELLS; i++)
		strcat(bar, i < full ? "\u2588" : "\u2591");
	fprintf(stderr, "\r\x1b[Kreading: %s %3u%%, %s/s, %.0f s left", bar, (u32)(done * 100 / all), speed,
		rate > 0 ? (double)(all - done) / rate : 0);
}

void progress__update(struct progress *p, u64 done_bytes, u64 all_bytes)
{
	u64 now;

	if (!p->on)
		return;
	now = clock__mono_ns();
	if (now < p->next_ns)
		return;
	p->next_ns = now + EVERY_NS;
	p->shown = true;
	draw(p, MIN(done_bytes, all_bytes ? all_bytes : done_bytes), all_bytes, now);
	fflush(stderr);
}

void progress__clear(struct progress *p)
{
	if (p->shown)
		fputs("\r\x1b[K", stderr);
	p->shown = false;
}
