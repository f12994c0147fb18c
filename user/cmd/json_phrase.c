/* SPDX-License-Identifier: MIT */
#include "cmd/json_phrase.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "cmd/show.h"

void json__member_text(FILE *f, const char *name, const char *text)
{
	fprintf(f, ",\"%s\":", name);
	text__json(f, text, strlen(text));
}

void json__member_u64(FILE *f, const char *name, u64 v)
{
	fprintf(f, ",\"%s\":%" PRIu64, name, v);
}

static FILE *spell(struct phrase *p)
{
	free(p->text);
	*p = (struct phrase){};
	return open_memstream(&p->text, &p->bytes);
}

void json__members_thread(FILE *f, const struct thread *t)
{
	json__member_u64(f, "thread", t->uid);
	if (t->process->pid)
		json__member_u64(f, "pid", t->process->pid);
	if (t->tid)
		json__member_u64(f, "tid", t->tid);
	if (t->name && t->name[0])
		json__member_text(f, "thread_name", t->name);
}

static struct thread_phrase *get_thread(struct phrases *p, const struct thread *t)
{
	struct thread_phrase **near = &p->near_thread[t->uid % PHRASES_NEAR], *s = *near;

	if (s && s->thread == t)
		return s;
	s = idmap__find(&p->thread_of, (uintptr_t)t);
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s || idmap__put(&p->thread_of, (uintptr_t)t, s)) {
			free(s);
			return NULL;
		}
		s->thread = t;
		thread__hold((struct thread *)t); /* as long as we are: it is the key */
		s->next = p->threads;
		p->threads = s;
	}
	return *near = s;
}

/* NULL: no memory. */
static const struct phrase *phrase_of(struct phrases *p, const struct thread *t)
{
	struct thread_phrase *s = get_thread(p, t);
	FILE *f;

	if (s && s->phrase.text && s->uid == t->uid && s->pid == t->process->pid)
		return &s->phrase;
	f = s ? spell(&s->phrase) : NULL;
	if (!f)
		return NULL;
	s->uid = t->uid;
	s->pid = t->process->pid;
	json__members_thread(f, t);
	return fclose(f) ? NULL : &s->phrase;
}

void phrases__put_thread(struct phrases *p, struct outbuf *o, const struct thread *t)
{
	const struct phrase *known = t ? phrase_of(p, t) : NULL;

	if (known)
		phrase__put(o, known);
	else if (t)
		json__members_thread(outbuf__file(o), t);
}

void phrases__forget_thread(struct phrases *p, const struct thread *t)
{
	struct thread_phrase *s = get_thread(p, t);

	if (s) {
		free(s->phrase.text);
		s->phrase.text = NULL;
	}
}

void json__members_callsite(FILE *f, const struct callsite *c)
{
	fprintf(f, ",\"level\":\"%s\"", show__level(c->level));
	json__member_text(f, "target", c->target);
	json__member_text(f, "name", c->name);
}

/* Two fields of one name would make an object whose second member hides the first. */
static void spell_field(FILE *f, const struct callsite *c, u32 field)
{
	const char *name = c->field[field].name;
	char numbered[128];
	u32 i, same = 1;

	for (i = 0; i < field; i++)
		same += strcmp(c->field[i].name, name) == 0;
	if (same == 1) {
		text__json(f, name, strlen(name));
	} else {
		snprintf(numbered, sizeof(numbered), "%.100s#%u", name, same);
		text__json(f, numbered, strlen(numbered));
	}
	fputc(':', f);
}

static bool spell_site(struct site_phrases *s, const struct callsite *c)
{
	FILE *f = spell(&s->names);
	u32 i;

	if (!f)
		return false;
	json__members_callsite(f, c);
	if (fclose(f) || !(f = spell(&s->number)))
		return false;
	json__member_u64(f, "callsite", c->id);
	if (fclose(f))
		return false;
	for (i = 0; i < s->field_cnt; i++) {
		f = spell(&s->field[i]);
		if (!f)
			return false;
		spell_field(f, c, i);
		if (fclose(f))
			return false;
	}
	return true;
}

static void free_site(struct site_phrases *s)
{
	u32 i;

	for (i = 0; i < s->field_cnt; i++)
		free(s->field[i].text);
	free(s->names.text);
	free(s->number.text);
	free(s);
}

const struct site_phrases *phrases__site(struct phrases *p, const struct callsite *c)
{
	struct site_phrases **near = &p->near_site[c->id % PHRASES_NEAR], *s = *near;

	if (s && s->callsite == c)
		return s;
	s = idmap__find(&p->site_of, (uintptr_t)c);
	if (!s) {
		s = calloc(1, sizeof(*s) + c->field_cnt * sizeof(s->field[0]));
		if (!s)
			return NULL;
		s->callsite = c;
		s->field_cnt = c->field_cnt;
		if (!spell_site(s, c) || idmap__put(&p->site_of, (uintptr_t)c, s)) {
			free_site(s);
			return NULL;
		}
		s->next = p->sites;
		p->sites = s;
	}
	return *near = s;
}
void phrases__done(struct phrases *p)
{
	struct site_phrases *site;
	struct thread_phrase *t;

	while ((site = p->sites)) {
		p->sites = site->next;
		free_site(site);
	}
	while ((t = p->threads)) {
		p->threads = t->next;
		free(t->phrase.text);
		free(t);
	}
	idmap__done(&p->site_of);
	idmap__done(&p->thread_of);
}
