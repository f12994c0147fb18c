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

#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>

static void put_duration(FILE *f, u64 ns)
{
	if (ns >= NSEC_PER_SEC)
		fprintf(f, "%.4gs", (double)ns / 1e9);
	else if (ns >= NSEC_PER_MSEC)
		fprintf(f, "%.4gms", (double)ns / 1e6);
	else if (ns >= 1000)
		fprintf(f, "%.4gus", (double)ns / 1e3);
	else
		fprintf(f, "%" PRIu64 "ns", ns);
}

static void put_text(FILE *f, const char *text)
{
	text__print(f, text, strlen(text));
}

static void put_bytes(FILE *f, const struct value *v)
{
	fputc('[', f);
	for (u32 i = 0; i < MIN(v->text_bytes, 64u); i++)
		fprintf(f, i ? " %02x" : "%02x", (u8)v->text[i]);
	fputs(v->text_bytes > 64 ? " ...]" : "]", f);
}

static void put_value(FILE *f, const struct value *v)
{
	if (v->flags & VALUE_UNREADABLE) {
		fputs("(unreadable)", f);
		return;
	}
	switch (v->type) {
	case WIRE_T_BOOL:
		fputs(v->u ? "true" : "false", f);
		break;
	case WIRE_T_I64:
		fprintf(f, "%" PRId64, v->i);
		break;
	case WIRE_T_U64:
		fprintf(f, "%" PRIu64, v->u);
		break;
	case WIRE_T_PTR:
		fprintf(f, "0x%" PRIx64, v->u);
		break;
	case WIRE_T_I128:
	case WIRE_T_U128:
		fprintf(f, "0x%" PRIx64 "%016" PRIx64, v->wide[1], v->wide[0]);
		break;
	case WIRE_T_F64:
		fprintf(f, "%.15g", v->f);
		break;
	case WIRE_T_BYTES:
		put_bytes(f, v);
		break;
	default:
		text__quote(f, v->text_bytes ? v->text : "", v->text_bytes);
		fputs(v->flags & VALUE_TRUNCATED ? "..." : "", f);
	}
}

static void put_thread(FILE *f, const struct thread *t)
{
	if (!t)
		return;
	fputs(", thread ", f);
	put_text(f, t->name);
	fprintf(f, " (%u)", t->tid);
	if (!t->process)
		return;
	fputs(" of ", f);
	put_text(f, t->process->comm);
	fprintf(f, " (%u)", t->process->pid);
}

static void put_subject(FILE *f, const struct expr_subject *s)
{
	static const char *const level[] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR"};
	const struct callsite *c = s->callsite;

	/* an event without a name of its own is called `event FILE:LINE` */
	if (c->is_span || strncmp(c->name, "event ", 6))
		fputs(c->is_span ? "span " : "event ", f);
	put_text(f, c->name);
	fprintf(f, " %s", c->level < ARRAY_SIZE(level) ? level[c->level] : "?");
	if (s->timed) {
		fputc(' ', f);
		put_duration(f, s->duration_ns);
		fputs(", busy ", f);
		put_duration(f, MIN(s->busy_ns, s->duration_ns));
	}
	put_thread(f, s->thread);
	for (u32 i = 0; i < s->value_cnt; i++) {
		fputs(i ? " " : ": ", f);
		put_text(f, c->field[s->value[i].field].name);
		fputc('=', f);
		put_value(f, &s->value[i]);
	}
}

/* A line that was written to memory, as much of it as there is room. */
static void take_line(struct trigger_set *s, char *text, size_t bytes)
{
	text__clean(s->what, sizeof(s->what), text ? text : "", bytes);
	free(text);
}

void show__subject(struct trigger_set *s, const struct expr_subject *subject)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *f = open_memstream(&text, &bytes);

	if (f) {
		put_subject(f, subject);
		fclose(f);
	}
	take_line(s, text, bytes);
}

void show__process_end(struct trigger_set *s, u32 pid, const char *comm, u32 status)
{
	char name[64], end[96];
	int st = (int)status;

	text__clean(name, sizeof(name), comm ? comm : "", comm ? strlen(comm) : 0);
	if (WIFSIGNALED(st))
		snprintf(end, sizeof(end), "was killed by signal %d (%s)%s", WTERMSIG(st), strsignal(WTERMSIG(st)),
			 WCOREDUMP(st) ? ", core dumped" : "");
	else
		snprintf(end, sizeof(end), "exited with status %d", WEXITSTATUS(st));
	snprintf(s->what, sizeof(s->what), "%s%s%u%s %s", name[0] ? name : "process ", name[0] ? " (" : "", pid,
		 name[0] ? ")" : "", end);
}
