/* SPDX-License-Identifier: MIT */
/*
 * trigger_hint.c - why a trigger does not fire.
 *
 * Callsites are known when the first of their spans or events comes, or is left out. A trigger that names one (NAME, or `name` in its
 * expression) and asks for a field that this one does not have is told of at once; another callsite of the same name may have it, and then it is
 * forgotten. One that names none may wait for any: only status says that nothing so far could fire it.
 */
#include "flight/trigger_priv.h"

#include "base/text.h"

#include <string.h>

static void tell(struct trigger_set *s, u32 i, const char *why)
{
	struct trigger *t = &s->trigger[i];

	text__clean(t->hint, sizeof(t->hint), why, strlen(why));
	if (!t->told && s->hint)
		s->hint(s->ctx, i, t->hint);
	t->told = true;
}

/* Into why. false: nothing. */
static bool find(const struct trigger *t, const struct callsite *c, bool possible, char *why, size_t bytes)
{
	bool named = t->name || (t->cond && expr__asks_name(t->cond));

	if (!t->cond || t->hint[0] || (!possible && (!named || t->possible)))
		return false;
	if (!possible && expr__hint_missing(t->cond, c, why, bytes))
		return true;
	return expr__hint_mistaken(t->cond, c, named, why, bytes);
}

static bool matches(const struct trigger *t, const struct callsite *c)
{
	if (t->kind > TRIGGER_EVENT || (t->kind == TRIGGER_EVENT) == c->is_span)
		return false;
	return !t->name || !strcmp(t->name, c->name);
}

void hint__callsite(struct trigger_set *s, u32 i, const struct callsite *c, bool possible)
{
	struct trigger *t = &s->trigger[i];
	char why[400];

	if (!matches(t, c))
		return;
	t->met = true;
	if (possible && !t->possible)
		t->hint[0] = '\0'; /* that was of another one of the name */
	t->possible |= possible;
	if (find(t, c, possible, why, sizeof(why)))
		tell(s, i, why);
}

void trigger_set__tell_hints(struct trigger_set *s, trigger_hint_fn hint)
{
	s->hint = hint;
}

const char *trigger_set__hint(const struct trigger_set *s, u32 i)
{
	const struct trigger *t = &s->trigger[i];
	bool event = t->kind == TRIGGER_EVENT;

	if (t->kind > TRIGGER_EVENT || t->fired)
		return NULL;
	if (t->hint[0])
		return t->hint;
	if (t->name && !t->met)
		return event ? "no event of this name so far" : "no span of this name so far";
	if (!t->possible)
		return event ? "no event so far that could fire it" : "no span so far that could fire it";
	return NULL;
}
