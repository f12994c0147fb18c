/* SPDX-License-Identifier: MIT */
/*
 * probes.c - foreign probes: the sites of a file gathered by provider and name, their types merged,
 * their callsites.
 *
 * The types in a note belong to the site (usdt.md 1.3): an argument's type is the widest size seen,
 * signed if any site is. A signature overrules it. An argument that no site can read is no field;
 * one that some can read is.
 */
#include "model/model_priv.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <uthash.h>

#define MAX_SITE_NUMBER (1u << 26)

struct gather {
	UT_hash_handle hh;
	struct probe *probe;
	char key[];
};

static void merge_arg(struct probe_arg *a, const struct wire_arg *w)
{
	int size = MAX(abs(a->size), abs(w->size));

	if (w->kind == WIRE_ARG_NONE)
		return;
	a->size = (s8)(a->size < 0 || w->size < 0 ? -size : size);
	if (w->text != WIRE_TEXT_NO)
		a->type = WIRE_T_STR;
	else if (w->flags & WIRE_ARG_FLOAT && a->type != WIRE_T_STR)
		a->type = WIRE_T_F64;
	else if (a->type != WIRE_T_STR && a->type != WIRE_T_F64)
		a->type = a->size < 0 ? (size > 4 ? WIRE_T_I64 : WIRE_T_I32)
				      : (size > 4 ? WIRE_T_U64 : WIRE_T_U32);
}

static void merge_site(struct probe *p, const struct elf_site *s)
{
	u32 i, cnt = MIN(s->arg_cnt, (u32)WIRE_MAX_ARGS);

	for (i = 0; i < cnt; i++)
		merge_arg(&p->arg[i], &s->arg[i]);
	p->arg_cnt = MAX(p->arg_cnt, cnt);
	if (!p->file && s->file) {
		p->file = s->file;
		p->line = s->line;
	}
}

/* Let the signature have its say, then number the fields. */
static void finish_probe(struct model *m, struct probe *p)
{
	u32 i, fields = 0;

	p->sig = m->opts.sigs ? sig_set__find(m->opts.sigs, p->provider, p->name) : NULL;
	for (i = 0; i < p->arg_cnt; i++) {
		struct probe_arg *a = &p->arg[i];

		if (p->sig && i < p->sig->param_cnt && a->type != WIRE_T_EMPTY) {
			const struct sig_param *par = &p->sig->param[i];

			a->type = par->skip ? WIRE_T_EMPTY : par->type;
			if (par->size)
				a->size = par->size;
		}
		a->field = a->type == WIRE_T_EMPTY ? -1 : (s8)fields++;
		a->span_field = -1;
	}
}

static struct probe *gather_probe(struct model *m, struct gather **all, const struct elf_site *s)
{
	size_t plen = strlen(s->provider), nlen = strlen(s->name), bytes = plen + 1 + nlen;
	struct gather *g, *old;
	struct probe **list;

	g = calloc(1, sizeof(*g) + bytes + 1);
	if (!g)
		return NULL;
	memcpy(g->key, s->provider, plen);
	memcpy(g->key + plen + 1, s->name, nlen);
	HASH_FIND(hh, *all, g->key, bytes, old);
	if (old) {
		free(g);
		return old->probe;
	}
	list = realloc(m->cs.probe, (m->cs.probe_cnt + 1) * sizeof(*list));
	if (list)
		m->cs.probe = list;
	g->probe = list ? calloc(1, sizeof(*g->probe)) : NULL;
	if (!g->probe) {
		free(g);
		return NULL;
	}
	g->probe->provider = s->provider;
	g->probe->name = s->name;
	m->cs.probe[m->cs.probe_cnt++] = g->probe;
	HASH_ADD_KEYPTR(hh, *all, g->key, bytes, g);
	return g->probe;
}

static int grow_sites(struct model *m, u32 cnt)
{
	struct probe_site *site;

	if (cnt <= m->cs.site_cnt)
		return 0;
	site = realloc(m->cs.site, cnt * sizeof(*site));
	if (!site)
		return -ENOMEM;
	memset(site + m->cs.site_cnt, 0, (cnt - m->cs.site_cnt) * sizeof(*site));
	m->cs.site = site;
	m->cs.site_cnt = cnt;
	return 0;
}

int probes__add(struct model *m, const struct elf_file *f, u32 first_site)
{
	struct gather *all = NULL, *g, *tmp;
	u32 i, first_probe = m->cs.probe_cnt;
	int err = 0;

	if (!f->site_cnt)
		return 0;
	if (first_site > MAX_SITE_NUMBER || f->site_cnt > MAX_SITE_NUMBER - first_site)
		return -EINVAL;
	err = grow_sites(m, first_site + f->site_cnt);
	for (i = 0; i < f->site_cnt && !err; i++) {
		struct probe *p = gather_probe(m, &all, &f->site[i]);

		if (!p) {
			err = -ENOMEM;
			break;
		}
		merge_site(p, &f->site[i]);
		m->cs.site[first_site + i] = (struct probe_site){.probe = p, .elf = &f->site[i]};
	}
	HASH_ITER(hh, all, g, tmp)
	{
		HASH_DEL(all, g);
		free(g);
	}
	for (i = first_probe; i < m->cs.probe_cnt; i++)
		finish_probe(m, m->cs.probe[i]);
	if (!err && !m->opts.no_pairs)
		err = pairs__find(m, m->cs.probe + first_probe, m->cs.probe_cnt - first_probe);
	return err;
}

/* --- callsites --- */

/* Names of fields while a definition is made. */
struct names {
	char buf[2 * WIRE_MAX_ARGS][24];
	char *made[2 * WIRE_MAX_ARGS]; /* to free */
	u32 made_cnt;
};

static bool taken(const struct callsite *def, const char *name)
{
	u32 i;

	for (i = 0; i < def->field_cnt; i++)
		if (!strcmp(def->field[i].name, name))
			return true;
	return false;
}

/* What the signature says, else [end_]argN. The end's "id" is "end_id" if the begin has an "id" as
 * well. */
static const char *field_name(struct names *n, const struct callsite *def, const struct probe *p,
			      u32 i, bool end)
{
	char *buf = n->buf[def->field_cnt];

	if (p->sig && i < p->sig->param_cnt && p->sig->param[i].name) {
		const char *name = p->sig->param[i].name;
		char *made;

		if (!end || !taken(def, name) || asprintf(&made, "end_%s", name) < 0)
			return name;
		n->made[n->made_cnt++] = made;
		return made;
	}
	snprintf(buf, sizeof(n->buf[0]), "%sarg%u", end ? "end_" : "", i);
	return buf;
}

/* field: which argument became which. */
static void add_fields(struct names *n, struct callsite *def, const struct probe *p, bool end, s8 *field)
{
	u32 i;

	for (i = 0; i < p->arg_cnt; i++) {
		field[i] = -1;
		if (p->arg[i].type == WIRE_T_EMPTY)
			continue;
		def->field[def->field_cnt].name = field_name(n, def, p, i, end);
		def->field[def->field_cnt].type = p->arg[i].type;
		field[i] = (s8)def->field_cnt++;
	}
}

static struct callsite *define(struct model *m, struct names *n, struct callsite *def)
{
	struct callsite *c = callsites__intern(m, def);

	while (n->made_cnt)
		free(n->made[--n->made_cnt]);
	return c;
}

static struct callsite probe_def(const struct probe *p)
{
	return (struct callsite){.level = WIRE_INFO,
				 .foreign = 1,
				 .line = p->line,
				 .name = p->name,
				 .target = p->provider,
				 .module = "",
				 .file = p->file ?: ""};
}

static struct callsite *define_event(struct model *m, struct probe *p)
{
	struct names n = {.made_cnt = 0};
	struct callsite def = probe_def(p);
	s8 field[WIRE_MAX_ARGS];

	add_fields(&n, &def, p, false, field);
	return define(m, &n, &def);
}

static struct callsite *define_span(struct model *m, struct probe *begin)
{
	size_t len = strlen(begin->name) - strlen(begin->pair->rule->begin);
	struct names n = {.made_cnt = 0};
	struct callsite def = probe_def(begin);
	char name[ELF_MAX_NAME_BYTES + 1];
	s8 field[WIRE_MAX_ARGS];
	u32 i;

	snprintf(name, sizeof(name), "%.*s", (int)MIN(len, (size_t)ELF_MAX_NAME_BYTES),
		 begin->name);
	def.name = name;
	def.is_span = 1;
	add_fields(&n, &def, begin, false, field);
	for (i = 0; i < begin->arg_cnt; i++)
		begin->arg[i].span_field = field[i];
	memset(begin->end_field, -1, sizeof(begin->end_field));
	add_fields(&n, &def, begin->end, true, begin->end_field);
	return define(m, &n, &def);
}

struct callsite *probes__event(struct model *m, struct probe *p)
{
	struct rec_look look;

	if (p->event)
		return p->event;
	p->event = define_event(m, p);
	p->quiet = p->event && wanted__ns(m, p->event, &look) == ~0ULL;
	return p->event;
}

struct callsite *probes__span(struct model *m, struct probe *begin)
{
	if (!begin->end)
		begin->end = begin->pair->end;
	if (!begin->span)
		begin->span = define_span(m, begin);
	return begin->span;
}
