/* SPDX-License-Identifier: MIT */
#include "flight/trigger_priv.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "expr/lexer.h"

struct trigger_set *trigger_set__new(trigger_fired_fn fired, void *ctx)
{
	struct trigger_set *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->fired = fired;
	s->ctx = ctx;
	s->open_least_ns = UINT64_MAX;
	watch__init(s);
	return s;
}

void trigger_set__free(struct trigger_set *s)
{
	if (!s)
		return;
	watch__done(s);
	for (u32 i = 0; i < s->cnt; i++)
		trigger__free(&s->trigger[i]);
	free(s->trigger);
	free(s);
}

int trigger_set__add(struct trigger_set *s, const char *text, struct expr_error *err)
{
	struct trigger *more, t;
	int e;

	if (s->cnt == TRIGGER_MAX) {
		expr_error__set(err, 0, "more than %d triggers", TRIGGER_MAX);
		return -E2BIG;
	}
	more = realloc(s->trigger, (s->cnt + 1) * sizeof(*more));
	if (!more) {
		expr_error__set(err, 0, "not enough memory");
		return -ENOMEM;
	}
	s->trigger = more;
	e = trigger__parse(&t, text, err);
	if (e) {
		trigger__free(&t);
		return e;
	}
	if (t.kind == TRIGGER_OPEN)
		s->open_least_ns = MIN(s->open_least_ns, t.bound_ns);
	more[s->cnt++] = t;
	return 0;
}

u32 trigger_set__cnt(const struct trigger_set *s)
{
	return s->cnt;
}

const char *trigger_set__text(const struct trigger_set *s, u32 i)
{
	return s->trigger[i].text;
}

u64 trigger_set__fired(const struct trigger_set *s, u32 i)
{
	return s->trigger[i].fired;
}

bool trigger_set__needs_decoding(const struct trigger_set *s)
{
	for (u32 i = 0; i < s->cnt; i++)
		if (s->trigger[i].kind <= TRIGGER_EVENT)
			return true;
	return false;
}

void trigger_set__stats(const struct trigger_set *s, struct trigger_stats *st)
{
	*st = s->st;
	st->watched = nearmap__cnt(&s->spans);
}

void trigger__fire(struct trigger_set *s, u32 i, const struct trigger_fired *f)
{
	struct trigger_fired full = *f;

	full.kind = s->trigger[i].kind;
	full.trigger = s->trigger[i].text;
	full.what = s->what;
	s->trigger[i].fired++;
	s->st.fired++;
	s->fired(s->ctx, &full);
}

bool trigger__is_crash(u32 status)
{
	int sig = WIFSIGNALED((int)status) ? WTERMSIG((int)status) : 0;

	return sig && sig != SIGHUP && sig != SIGINT && sig != SIGTERM;
}

void trigger_set__process_end(struct trigger_set *s, u32 pid, const char *comm, u32 status, bool known, u64 time_ns)
{
	struct trigger_fired f = {.time_ns = time_ns, .pid = pid, .tid = pid};
	bool crash = known && trigger__is_crash(status), shown = false;

	for (u32 i = 0; i < s->cnt; i++) {
		enum trigger_kind kind = s->trigger[i].kind;

		if (kind != TRIGGER_EXIT && !(kind == TRIGGER_CRASH && crash))
			continue;
		if (!shown)
			show__process_end(s, pid, comm, status, known);
		shown = true;
		trigger__fire(s, i, &f);
	}
}

bool trigger_set__signal(struct trigger_set *s, u64 time_ns)
{
	struct trigger_fired f = {.time_ns = time_ns};
	bool any = false;

	for (u32 i = 0; i < s->cnt; i++) {
		if (s->trigger[i].kind != TRIGGER_SIGNAL)
			continue;
		snprintf(s->what, sizeof(s->what), "SIGUSR2");
		trigger__fire(s, i, &f);
		any = true;
	}
	return any;
}
