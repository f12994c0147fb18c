/* SPDX-License-Identifier: MIT */
/* One shared object of th_dso; built several times, with PART as its provider. */
#define TAPE_PROVIDER PART
#include <tape.h>

#define TRUTH_READER
#include "truth.h"

/* Makes `cnt` spans numbered in `s`, which is the caller's. */
__attribute__((visibility("default"))) void part_work(struct truth_slot *s, int cnt)
{
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
