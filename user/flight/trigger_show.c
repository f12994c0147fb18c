/* SPDX-License-Identifier: MIT */
/*
 * trigger_show.c - what fired a trigger, in one line:
 *
 *	span order 62.1ms, busy 20ms, thread worker-1 (4712) of shopd (4711): id=5 path="/api"
 *	event src/shop.c:50 ERROR, thread main (4711) of shopd (4711): message="cannot pay"
 *	shopd (4711) was killed by signal 11 (Segmentation fault)
 *
 * All texts are the program's, so they are cleaned; what does not fit is cut at a character's border.
 */
#include "flight/trigger_priv.h"

#include "base/text.h"
#include "export/value_text.h"

#include <string.h>
#include <sys/wait.h>

static void put_duration(struct text_buf *b, u64 ns)
{
	char text[32];

	if (ns >= NSEC_PER_SEC)
		snprintf(text, sizeof(text), "%.4gs", (double)ns / 1e9);
	else if (ns >= NSEC_PER_MSEC)
		snprintf(text, sizeof(text), "%.4gms", (double)ns / 1e6);
	else if (ns >= 1000)
		snprintf(text, sizeof(text), "%.4gus", (double)ns / 1e3);
	else
		snprintf(text, sizeof(text), "%uns", (unsigned int)ns);
	text_buf__puts(b, text);
}

static void put_named(struct text_buf *b, const char *what, const char *name, u32 number)
{
	text_buf__puts(b, what);
	text_buf__puts(b, name);
	text_buf__puts(b, " (");
	text_buf__u64(b, number);
	text_buf__puts(b, ")");
}

static void put_subject(struct text_buf *b, const struct expr_subject *s)
{
	static const char *const level[] = {" TRACE", " DEBUG", " INFO", " WARN", " ERROR"};
	const struct callsite *c = s->callsite;
	const struct thread *t = s->thread;

	/* an event without a name of its own is called `event FILE:LINE` */
	if (c->is_span || strncmp(c->name, "event ", 6))
		text_buf__puts(b, c->is_span ? "span " : "event ");
	text_buf__puts(b, c->name);
	text_buf__puts(b, c->level < ARRAY_SIZE(level) ? level[c->level] : " ?");
	if (s->timed) {
		text_buf__puts(b, " ");
		put_duration(b, s->duration_ns);
		text_buf__puts(b, ", busy ");
		put_duration(b, MIN(s->busy_ns, s->duration_ns));
	}
	if (t)
		put_named(b, ", thread ", t->name, t->tid);
	if (t && t->process)
		put_named(b, " of ", t->process->comm, t->process->pid);
	for (u32 i = 0; i < s->value_cnt; i++) {
		text_buf__puts(b, i ? " " : ": ");
		text_buf__puts(b, c->field[s->value[i].field].name);
		text_buf__puts(b, "=");
		text_buf__value(b, &s->value[i], true);
	}
}

void show__subject(struct trigger_set *s, const struct expr_subject *subject)
{
	struct text_buf b;

	text_buf__init(&b, s->what, sizeof(s->what) - 1);
	put_subject(&b, subject);
	*b.at = '\0';
}

void show__process_end(struct trigger_set *s, u32 pid, const char *comm, u32 status, bool known)
{
	char name[64], end[128];
	int st = (int)status;

	text__clean(name, sizeof(name), comm ? comm : "", comm ? strlen(comm) : 0);
	if (!known)
		snprintf(end, sizeof(end), "has ended, nobody knows how: the record of it did not fit into a ring");
	else if (WIFSIGNALED(st))
		snprintf(end, sizeof(end), "was killed by signal %d (%s)%s", WTERMSIG(st), strsignal(WTERMSIG(st)),
			 WCOREDUMP(st) ? ", core dumped" : "");
	else
		snprintf(end, sizeof(end), "exited with status %d", WEXITSTATUS(st));
	snprintf(s->what, sizeof(s->what), "%s%s%u%s %s", name[0] ? name : "process ", name[0] ? " (" : "", pid,
		 name[0] ? ")" : "", end);
}
