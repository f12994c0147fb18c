/* SPDX-License-Identifier: MIT */
/*
 * th_deep HOW TRUTH N - depth N of nested spans with events at the bottom and on the way (deep), a pause of N ms within a span (pause),
 * a partly filled page that nobody touches for N ms before SIGKILL (idle).
 */
#define TAPE_PROVIDER th_deep
#include <tape.h>

#include "truth.h"

static struct truth_slot *s;

static __attribute__((noinline)) void down(int n)
{
	if (!n) {
		for (int i = 0; i < 500; i++)
			TRUTH_EVENT(s, "bottom");
		return;
	}
	if (n % 64 == 1)
		TRUTH_EVENT(s, "on_the_way");
	TRUTH_SPAN(s, "level", down(n - 1));
}

int main(int argc, char **argv)
{
	int n;

	if (argc < 4)
		return 2;
	truth__open(argv[2]);
	n = atoi(argv[3]);
	s = truth__take();
	if (!strcmp(argv[1], "deep")) {
		down(n);
		TRUTH_SPAN(s, "after", (void)0);
	} else if (!strcmp(argv[1], "pause")) {
		TRUTH_SPAN(s, "long", {
			TRUTH_EVENT(s, "before");
			usleep((unsigned)n * 1000);
			TRUTH_EVENT(s, "after");
		});
	} else {
		uint64_t seq = truth__begin(s);

		tape_span(INFO, "open", (slot, s->no), (seq, seq));
		truth__done(s, seq);
		TRUTH_EVENT(s, "tick");
		TRUTH_EVENT(s, "tick");
		usleep((unsigned)n * 1000);
		kill(getpid(), SIGKILL);
	}
	puts("done");
	return 0;
}
