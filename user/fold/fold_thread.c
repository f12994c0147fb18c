/* SPDX-License-Identifier: MIT */
#include "fold/fold_priv.h"

struct fold_thread *fold_threads__add(struct fold_threads *ts, struct thread *thread)
{
	struct fold_thread *t = idmap__find(&ts->all, (uintptr_t)thread);

	if (!t) {
		t = calloc(1, sizeof(*t));
		if (!t || idmap__put(&ts->all, (uintptr_t)thread, t)) {
			free(t);
			return NULL;
		}
		t->thread = thread;
		thread__hold(thread); /* as long as we are: it is the key */
		t->last_ns = ts->start_ns;
		t->full = UINT32_MAX;
	}
	return ts->near[thread->uid % FOLD_NEAR_THREADS] = t;
}

void fold_threads__done(struct fold_threads *ts)
{
	struct fold_thread *t;
	u64 i;

	for (i = 0; (t = idmap__next(&ts->all, &i));) {
		free(t->stack);
		free(t);
	}
	idmap__done(&ts->all);
}
