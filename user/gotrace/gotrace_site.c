/* SPDX-License-Identifier: MIT */
/* gotrace_site.c - names of callsites, threads and processes as strings and stacks of the trace. */
#include "gotrace/gotrace_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Made-up program counters. They must mean one frame in the whole file: names count from 1, callsites have their ids above. */
#define CALLSITE_PC (1ULL << 32)

static const char *const level_name[] = { "TRACE", "DEBUG", "INFO", "WARN", "ERROR" };

/* Clean, at most what the format takes, on the heap. "" becomes `empty`. */
static char *keep(struct gotrace *g, const char *a, const char *b, const char *empty, u32 *bytes)
{
	char tmp[GO_MAX_TEXT], *text;
	struct text_buf t;

	text_buf__init(&t, tmp, sizeof(tmp));
	text_buf__puts(&t, a);
	if (*a && *b)
		text_buf__puts(&t, " ");
	text_buf__puts(&t, b);
	if (t.at == tmp)
		text_buf__puts(&t, empty);
	g->st.cut_texts += t.cut;
	*bytes = t.at - tmp;
	text = malloc(*bytes + 1);
	if (text)
		memcpy(text, tmp, *bytes);
	return text;
}

static void free_site(struct gsite *s)
{
	if (!s)
		return;
	free(s->text);
	free(s->func);
	free(s->file);
	free(s);
}

static struct gsite *make_site(struct gotrace *g, const char *a, const char *b, const struct callsite *c)
{
	struct gsite *s = calloc(1, sizeof(*s));
	const char *func = c ? (c->target && c->target[0] ? c->target : c->module) : "";

	if (!s)
		return NULL;
	s->text = keep(g, a, b, "(unnamed)", &s->text_bytes);
	s->func = keep(g, func ? func : "", "", "(unknown)", &s->func_bytes);
	s->file = keep(g, c && c->file ? c->file : "", "", "", &s->file_bytes);
	s->line = c ? c->line : 0;
	s->callsite = c ? c->id : 0;
	s->pc = c ? CALLSITE_PC + c->id : 0;
	if (s->text && s->func && s->file)
		return s;
	free_site(s);
	return NULL;
}

struct gsite *gotrace__far_site(struct gotrace *g, const struct callsite *c)
{
	struct gsite *s = idmap__find(&g->sites, c->id);
	const char *level = c->level < ARRAY_SIZE(level_name) ? level_name[c->level] : "?";

	if (!s) {
		s = c->is_span ? make_site(g, c->name, "", c) : make_site(g, level, c->target, c);
		if (s && idmap__put(&g->sites, c->id, s)) {
			free_site(s);
			s = NULL;
		}
	}
	g->near_site[c->id % NEAR_SITES] = s;
	return s;
}

int gotrace__make_notes(struct gotrace *g)
{
	static const char *const key[NOTE_MAX] = {
		[NOTE_LOSS] = "LOSS", [NOTE_PROCESS] = "process", [NOTE_RECORDING] = "recording",
		[NOTE_TRIGGER] = "TRIGGER",
	};
	int i;

	for (i = 0; i < NOTE_MAX; i++) {
		g->note[i] = make_site(g, key[i], "", NULL);
		if (!g->note[i])
			return -ENOMEM;
	}
	return 0;
}

void gotrace__free_sites(struct gotrace *g)
{
	struct gsite *s;
	u64 i = 0;
	int n;

	while ((s = idmap__next(&g->sites, &i)))
		free_site(s);
	for (n = 0; n < NOTE_MAX; n++)
		free_site(g->note[n]);
	idmap__done(&g->sites);
	idmap__done(&g->name_pcs);
}

void gsite__resolve_text(struct gotrace *g, struct gsite *s)
{
	s->text_id = go_wire__string(&g->wire, s->text, s->text_bytes);
	s->text_gen = g->wire.gen;
	s->text_ref_bytes = go_varint(s->ref, s->text_id) - s->ref;
}

void gsite__resolve_stack(struct gotrace *g, struct gsite *s)
{
	gsite__text(g, s);
	s->stack_id = go_wire__stack(&g->wire, s->pc, s->func, s->func_bytes, s->file, s->file_bytes, s->line);
	s->stack_gen = g->wire.gen;
	s->ref_bytes = go_varint(s->ref + s->text_ref_bytes, s->stack_id) - s->ref;
}

/* The same name, the same pc, in the whole file. Kept by hash: 64 bits do not meet by chance among thread names. */
static u64 name_pc(struct gotrace *g, const char *name, size_t bytes)
{
	u64 hash = 0xcbf29ce484222325ULL, pc;
	size_t i;

	for (i = 0; i < bytes; i++)
		hash = (hash ^ (u8)name[i]) * 0x100000001b3ULL;
	pc = (u64)(uintptr_t)idmap__find(&g->name_pcs, hash);
	if (!pc) {
		pc = ++g->name_pc_cnt;
		if (idmap__put(&g->name_pcs, hash, (void *)(uintptr_t)pc))
			g->wire.err = -ENOMEM;
	}
	return pc;
}

u64 gotrace__name_stack(struct gotrace *g, const char *name)
{
	static const char file[] = "[thread]";
	char tmp[GO_MAX_TEXT];
	struct text_buf t;

	text_buf__init(&t, tmp, sizeof(tmp));
	/* goroutines of Go's own runtime are drawn and counted otherwise */
	if (!strncmp(name, "runtime.", 8))
		text_buf__puts(&t, "thread ");
	text_buf__puts(&t, name);
	return go_wire__stack(&g->wire, name_pc(g, tmp, t.at - tmp), tmp, t.at - tmp, file, sizeof(file) - 1, 1);
}

u64 gthread__name_stack(struct gotrace *g, const struct thread *t)
{
	char number[32];

	if (t->name && t->name[0])
		return gotrace__name_stack(g, t->name);
	/* as dump calls it */
	if (t->tid)
		snprintf(number, sizeof(number), "%u", t->tid);
	else
		snprintf(number, sizeof(number), "%08" PRIx64, t->uid);
	return gotrace__name_stack(g, number);
}

const char *gproc__name(const struct gproc *p, char dst[96])
{
	const struct process *pr = p->process;
	const char *name = pr ? pr->comm : "", *slash;

	if (pr && !name[0] && pr->exe) {
		slash = strrchr(pr->exe, '/');
		name = slash ? slash + 1 : pr->exe;
	}
	if (!name[0])
		name = "process";
	if (pr && pr->pid)
		snprintf(dst, 96, "%.70s[%u]", name, pr->pid);
	else
		snprintf(dst, 96, "%.70s", pr && name[0] ? name : "tapebpf");
	return dst;
}
