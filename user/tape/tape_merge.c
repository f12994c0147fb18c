/* SPDX-License-Identifier: MIT */
/*
 * tape_merge.c - the tape whose next record is the earliest goes on by one record.
 *
 * Each tape's calls pass through an adapter (tape_adapter.c). Tapes of one recording (record --rotate-*) are one source after the other:
 * numbers mean the same in all of them, their clock is one, and spans go on where the tape before was cut.
 *
 * Whose turn it is says a heap; mostly it is the turn of the one that was it before (tapes of a rotation lie one behind
 * the other), and that costs two comparisons.
 */
#include "tape/tape_merge_priv.h"

#include <errno.h>
#include <string.h>

/* --- the merge --------------------------------------------------------------------------------------------- */

/* The next of the paths; what cannot be opened leaves no trace. */
static int open_source(struct tape_merge *m, const char *path, const struct tape_reader_ops *ops, struct diag *d)
{
	struct source *s = &m->source[m->cnt];
	int err = tape_reader__open(path, ops, &s->reader, d);

	if (err)
		return err;
	s->merge = m;
	s->lane = s;
	tape_part__read(path, &s->part, &s->mono_ns);
	m->cnt++;
	s->sink = (struct sink){ &tape_adapter__ops, s };
	s->shift = (u64)tape_reader__intro(s->reader)->base_unix_ns -
		   (u64)tape_reader__intro(m->source[0].reader)->base_unix_ns;
	return 0;
}

static int open_all(struct tape_merge *m, char *const *path, u32 cnt, const struct tape_merge_opts *o, struct diag *d)
{
	struct diag own = {};
	int err = 0;
	u32 i;

	for (i = 0; i < cnt; i++) {
		own = (struct diag){};
		err = open_source(m, path[i], o && o->ops ? &o->ops[i] : NULL, &own);
		if (!err)
			continue;
		if (cnt == 1 || !o || !o->unopened)
			break;
		o->unopened(o->ctx, i, &own);
	}
	if (i < cnt && d)
		*d = own;
	else if (!m->cnt)
		diag__set(d, err, "none of these %u tapes can be read", cnt);
	return i < cnt || !m->cnt ? err : 0;
}

static struct source *part_before(struct tape_merge *m, const struct source *s)
{
	for (u32 i = 0; i < m->cnt; i++) {
		struct source *b = &m->source[i];

		if (b->part.no && b->part.no + 1 == s->part.no && !b->later &&
		    !memcmp(b->part.recording, s->part.recording, sizeof(s->part.recording)))
			return b;
	}
	return NULL;
}

/* Tapes of a recording that lie one behind the other, in whatever order they were named, are a lane. */
static void link_parts(struct tape_merge *m)
{
	struct source *b, *s;
	u32 i;

	for (i = 0; i < m->cnt; i++) {
		s = &m->source[i];
		b = s->part.no > 1 ? part_before(m, s) : NULL;
		if (!b)
			continue;
		b->later = s;
		s->beginning = true;
		s->lane = b;
	}
	for (i = 0; i < m->cnt; i++) {
		s = &m->source[i];
		if (s->lane == s)
			s->place = m->lanes++;
	}
	for (i = 0; i < m->cnt; i++) {
		s = &m->source[i];
		if (s->lane == s)
			continue;
		while (s->lane->lane != s->lane)
			s->lane = s->lane->lane;
		s->place = s->lane->place;
		s->shift = s->lane->shift + s->mono_ns - s->lane->mono_ns;
		s->begin_ns = tape_reader__time_ns(s->reader, tape_reader__intro(s->reader)->base_unix_ns);
	}
}

int tape_merge__open(char *const *path, u32 cnt, const struct tape_merge_opts *o, struct tape_merge **out, struct diag *d)
{
	struct tape_merge *m = calloc(1, sizeof(*m));
	int err;

	if (m) {
		m->source = calloc(cnt, sizeof(*m->source));
		m->heap = calloc(cnt, sizeof(struct source *));
	}
	err = m && m->source && m->heap ? open_all(m, path, cnt, o, d) :
					   diag__set(d, -ENOMEM, "no memory for reading %u tapes", cnt);
	if (err) {
		tape_merge__free(m);
		return err;
	}
	link_parts(m);
	*out = m;
	return 0;
}

void tape_merge__free(struct tape_merge *m)
{
	u32 i;

	if (!m)
		return;
	for (i = 0; i < m->cnt; i++) {
		tape_reader__free(m->source[i].reader);
		idmap__done(&m->source[i].span);
		idmap__done(&m->source[i].known);
		idmap__done(&m->source[i].lane_process);
		idmap__done(&m->source[i].lane_thread);
		tape_join__done(&m->source[i].join);
	}
	idmap__done(&m->process_uids);
	idmap__done(&m->thread_uids);
	free(m->source);
	free(m->heap);
	free(m);
}

/* --- whose turn it is -------------------------------------------------------------------------------------- */

static bool before(const struct source *a, const struct source *b)
{
	return a->next_ns != b->next_ns ? a->next_ns < b->next_ns : a->place < b->place;
}

static void sift_down(struct tape_merge *m, u32 i)
{
	struct source *s = m->heap[i];
	u32 child;

	while ((child = 2 * i + 1) < m->heap_cnt) {
		if (child + 1 < m->heap_cnt && before(m->heap[child + 1], m->heap[child]))
			child++;
		if (!before(m->heap[child], s))
			break;
		m->heap[i] = m->heap[child];
		i = child;
	}
	m->heap[i] = s;
}

static int look(struct source *s)
{
	int err = tape_reader__peek(s->reader, &s->next_ns);

	if (s->next_ns) /* else nothing has a time yet: at once */
		s->next_ns += s->shift;
	return err;
}

static int begin(struct tape_merge *m)
{
	int err;
	u32 i;

	for (i = 0; i < m->cnt; i++) {
		if (m->source[i].lane != &m->source[i])
			continue; /* when the one before it has ended */
		err = look(&m->source[i]);
		if (err < 0)
			return err;
		m->heap[m->heap_cnt++] = &m->source[i];
	}
	for (i = m->heap_cnt / 2; i-- > 0;)
		sift_down(m, i);
	m->begun = true;
	return 0;
}

/* NULL with *err 0: all have ended. */
static struct source *earliest(struct tape_merge *m, int *err)
{
	*err = m->begun ? 0 : begin(m);
	if (!*err && m->taken) {
		*err = look(m->heap[0]);
		if (*err >= 0) {
			*err = m->taken = 0;
			sift_down(m, 0);
		}
	}
	return *err || !m->heap_cnt ? NULL : m->heap[0];
}

/* The first has ended. */
static int drop_first(struct tape_merge *m)
{
	struct source *s = m->heap[0];
	int err = tape_adapter__begun(s);

	if (s->later) {
		m->heap[0] = s->later;
		err = err ?: look(s->later);
	} else {
		m->heap[0] = m->heap[--m->heap_cnt];
	}
	if (m->heap_cnt)
		sift_down(m, 0);
	return MIN(err, 0);
}

int tape_merge__peek(struct tape_merge *m, u64 *time_ns)
{
	struct source *s;
	int err;

	if (m->cnt == 1)
		return tape_reader__peek(m->source[0].reader, time_ns);
	s = earliest(m, &err);
	if (s)
		*time_ns = s->next_ns;
	return s ? 1 : err;
}

/* One record of the tape whose turn it is; 0: all have ended. */
static int step(struct tape_merge *m)
{
	struct source *s;
	int err;

	s = earliest(m, &err);
	if (!s)
		return err;
	err = tape_reader__run(s->reader, &s->sink, 1);
	if (err < 0)
		return err;
	m->taken = err > 0;
	err = m->taken ? 0 : drop_first(m);
	return err ?: 1;
}

static void set_out(struct tape_merge *m, const struct sink *sink)
{
	m->out = sink;
	m->ops = sink__complete(sink->ops);
}

int tape_merge__run(struct tape_merge *m, const struct sink *sink, u64 bytes)
{
	u64 until = tape_merge__offset(m) + bytes;
	int more, sum = 0;

	if (m->cnt == 1)
		return tape_reader__run(m->source[0].reader, sink, bytes);
	set_out(m, sink);
	while ((more = step(m)) > 0)
		if (bytes && (++sum & 1023) == 0 && tape_merge__offset(m) >= until)
			return 1;
	return more;
}

int tape_merge__run_to(struct tape_merge *m, const struct sink *sink, u64 time_ns, u32 records)
{
	u64 next_ns;
	int more = TAPE_MERGE_MORE;

	set_out(m, sink);
	for (; records && more > 0; records--) {
		more = tape_merge__peek(m, &next_ns);
		if (more > 0 && next_ns >= time_ns)
			return TAPE_MERGE_REACHED;
		if (more > 0)
			more = m->cnt == 1 ? tape_reader__run(m->source[0].reader, sink, 1) : step(m);
	}
	return more;
}

u32 tape_merge__cnt(const struct tape_merge *m)
{
	return m->cnt;
}

const struct tape_reader *tape_merge__reader(const struct tape_merge *m, u32 i)
{
	return m->source[i].reader;
}

s64 tape_merge__unix_ns(const struct tape_merge *m, u64 time_ns)
{
	return tape_reader__unix_ns(m->source[0].reader, time_ns);
}

u64 tape_merge__time_ns(const struct tape_merge *m, s64 unix_ns)
{
	return tape_reader__time_ns(m->source[0].reader, unix_ns);
}

u64 tape_merge__offset(const struct tape_merge *m)
{
	u64 sum = 0;
	u32 i;

	for (i = 0; i < m->cnt; i++)
		sum += tape_reader__offset(m->source[i].reader);
	return sum;
}

u64 tape_merge__size(const struct tape_merge *m)
{
	u64 sum = 0, one;
	u32 i;

	for (i = 0; i < m->cnt; i++) {
		one = tape_reader__size(m->source[i].reader);
		if (!one)
			return 0;
		sum += one;
	}
	return sum;
}
