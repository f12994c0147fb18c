/* SPDX-License-Identifier: MIT */
/* tape_end.c - the end of a finished tape: what is open is closed, then losses, totals, checksum. */
#include <errno.h>

#include "tape/tape_sink.h"
#include "tape/tape_sink_priv.h"

/* Whatever the model has left open, children first. */
static int close_rest(struct tape_sink *s, u64 time_ns)
{
	struct sink k = tape_sink__sink(s);
	u64 *id, i = 0, n = 0, cnt = nearmap__cnt(&s->spans);
	struct tape_span *sp;
	int err = 0;

	if (!cnt)
		return 0;
	id = malloc(cnt * sizeof(*id));
	if (!id)
		return -ENOMEM;
	while ((sp = nearmap__next(&s->spans, &i)))
		id[n++] = sp->ident.id;
	for (i = 0; i < n; i++) {
		int e = k.ops->span_close(k.ctx, id[i], time_ns, time_ns, SINK_CUT);

		/* -ENOENT: it was waiting for a child */
		err = err || e == -ENOENT ? err : e;
	}
	free(id);
	return err;
}

/*
 * Upstream's viewer leaves out an event that carries the largest timestamp of the tape, and gets
 * no time range
 * from a tape without any: then an empty span of our own ends the tape.
 */
static int put_end_mark(struct tape_sink *s, s64 time)
{
	static const struct callsite end = {
		.is_span = 1, .name = "end of recording", .target = "tapebpf", .module = "", .file = ""
	};
	struct tape_span_open *o;
	struct tape_span_end *c;
	struct tape_callsite *d;
	size_t name = strlen(end.name), target = strlen(end.target);

	if (s->last_span > s->last_event)
		return 0;
	tape_group__synthetic(&s->group, TAPE_P_END, 3);
	d = tape_group__add(&s->group, TAPE_CALLSITE, sizeof(*d) + name + target);
	if (d) {
		*d = (struct tape_callsite){ .h = d->h, .info = TAPE_INFO_SPAN, .name_len = name,
					     .target_len = target, .id = s->next_site++ };
		memcpy(d + 1, end.name, name);
		memcpy((char *)(d + 1) + name, end.target, target);
	}
	time = MAX(time, s->last_event < INT64_MAX ? s->last_event + 1 : INT64_MAX);
	o = tape_group__add(&s->group, TAPE_SPAN_OPEN, sizeof(*o));
	if (o)
		*o = (struct tape_span_open){ .h = o->h, .span = s->next_alias++, .callsite = s->next_site - 1,
					      .time = time };
	c = tape_group__add(&s->group, TAPE_SPAN_CLOSE, sizeof(*c));
	if (c) {
		c->span = s->next_alias - 1;
		c->time = time;
	}
	return tape_sink__emit_last(s);
}

void tape_sink__complete(struct tape_sink *s, u64 complete_ns)
{
	s->cut_off = true;
	s->complete = tape_time(s, complete_ns);
}

static void put_totals(struct tape_sink *s, s64 time, u64 emitted, u64 stored, u64 lost)
{
	size_t bytes = s->cut_off ? sizeof(struct tape_x_totals) : TAPE_X_TOTALS_MIN;
	struct tape_x_totals *x = tape_group__add(&s->group, TAPE_X_TOTALS, bytes);
	struct tape_x_totals t = { .time = time, .emitted = emitted, .stored = stored, .lost = lost, .spans = s->span_cnt,
				   .events = s->event_cnt, .complete = MIN(s->complete, time) };

	if (!x)
		return;
	t.h = x->h;
	memcpy(x, &t, bytes);
}

int tape_sink__finish(struct tape_sink *s, u64 time_ns, u64 emitted, u64 stored, u64 lost)
{
	s64 time = tape_time(s, time_ns);
	int err, e;

	err = close_rest(s, time_ns);
	e = put_end_mark(s, time);
	err = err ? err : e;
	for (u32 i = 0; i < LOSS_MAX; i++) {
		struct tape_x_loss *l;

		if (!s->missed[i].count)
			continue;
		l = tape_group__add(&s->group, TAPE_X_LOSS, sizeof(*l));
		if (l)
			*l = (struct tape_x_loss){ .h = l->h, .from = s->missed[i].from, .to = s->missed[i].to,
						   .cpu = ~0u, .cause = i, .count = s->missed[i].count };
	}
	put_totals(s, time, emitted, stored, lost);
	e = tape_sink__emit_last(s);
	err = err ? err : e;
	tape_writer__publish(s->w); /* asks for space once more */
	if (!tape_sink__drained(s))
		return -ENOSPC;
	e = tape_writer__checksum(s->w);
	return err ? err : e;
}
