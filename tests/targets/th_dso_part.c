/* SPDX-License-Identifier: MIT */
/* One shared object of th_dso; built several times, with PART as its provider. */
#define TAPE_PROVIDER PART
#include <tape.h>

#define TRUTH_READER
#include "truth.h"

static struct truth_slot *last;

/* After the header's own destructor, as those of C++'s static objects: what they record still counts. */
__attribute__((destructor(101))) static void at_unload(void)
{
	uint64_t seq;

	if (!last)
		return;
	seq = ++last->intended;
	tape_event(INFO, "at_unload", (slot, last->no), (seq, seq));
	__atomic_store_n(&last->committed, seq, __ATOMIC_RELAXED);
}

/* Makes `cnt` spans numbered in `s`, which is the caller's. */
__attribute__((visibility("default"))) void part_work(struct truth_slot *s, int cnt)
{
	last = s;
	for (int i = 0; i < cnt; i++) {
		uint64_t seq = s->intended + 1;

		__atomic_store_n(&s->intended, seq, __ATOMIC_RELAXED);
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		{
			tape_span(INFO, "part", (slot, s->no), (seq, seq));
			__atomic_signal_fence(__ATOMIC_SEQ_CST);
			__atomic_store_n(&s->committed, seq, __ATOMIC_RELAXED);
			s->other_intended++;
		}
		s->other_committed++;
	}
}
