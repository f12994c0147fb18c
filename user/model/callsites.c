/* SPDX-License-Identifier: MIT */
/*
 * callsites.c - the one table of callsite definitions, and those of tape.h.
 *
 * Equal definitions share one callsite: a probe in an inlined function, or in a header, has many
 * sites and is one thing to its reader; viewers of tapes count a repeated definition twice
 * (tape-format.md 9.3). A definition is made and told to the sinks when it is first used, so a
 * binary with 100,000 sites costs what is used of it.
 */
#include "model/model_priv.h"
#include "base/text.h"
#include <errno.h>
#include <string.h>
#include <uthash.h>

struct callsite_def {
	UT_hash_handle hh;
	struct callsite c;
	struct value *plain; /* see struct near_site; NULL: not, or not yet */
	size_t key_bytes;
	char key[]; /* the texts of c point into it */
};

#define MAX_MODULES (1u << 20)

/* --- the table --- */

struct key {
	char *at, *end; /* NULL: only measure */
	size_t bytes;
};

static void key__raw(struct key *k, const void *p, size_t bytes)
{
	if (k->at)
		memcpy(k->at + k->bytes, p, bytes);
	k->bytes += bytes;
}

/* A text as valid UTF-8 with its NUL; returns where it is. */
static const char *key__text(struct key *k, const char *s)
{
	size_t len = strlen(s), bytes = len;
	char *dst = k->at ? k->at + k->bytes : NULL;

	if (!text__is_utf8(s, len)) {
		bytes = 3 * len; /* room: each byte may become U+FFFD */
		if (dst) {
			size_t used = text__utf8(dst, bytes, s, len);

			memset(dst + used, 0, bytes - used);
		}
	} else if (dst) {
		memcpy(dst, s, len);
	}
	if (dst)
		dst[bytes] = 0;
	k->bytes += bytes + 1;
	return dst;
}

/* Write the definition into the key and point c's texts there. */
static void key__fill(struct key *k, struct callsite *c, const struct callsite *def)
{
	u32 i;

	k->bytes = 0;
	key__raw(k, &def->is_span, 1);
	key__raw(k, &def->level, 1);
	key__raw(k, &def->foreign, 1);
	key__raw(k, &def->line, sizeof(def->line));
	c->name = key__text(k, def->name);
	c->target = key__text(k, def->target);
	c->module = key__text(k, def->module);
	c->file = key__text(k, def->file);
	for (i = 0; i < def->field_cnt; i++) {
		key__raw(k, &def->field[i].type, 1);
		c->field[i].name = key__text(k, def->field[i].name);
	}
}

struct callsite *callsites__intern(struct model *m, const struct callsite *def)
{
	struct callsite_def *d, *old;
	struct callsite measure = *def;
	struct key k = {0};

	key__fill(&k, &measure, def);
	d = calloc(1, sizeof(*d) + k.bytes);
	if (!d)
		return NULL;
	d->c = *def;
	k.at = d->key;
	key__fill(&k, &d->c, def);
	d->key_bytes = k.bytes;
	HASH_FIND(hh, m->cs.defs, d->key, k.bytes, old);
	if (old) {
		free(d);
		return &old->c;
	}
	d->c.id = ++m->cs.next_id;
	HASH_ADD_KEYPTR(hh, m->cs.defs, d->key, d->key_bytes, d);
	fanout__callsite(m, &d->c);
	return &d->c;
}

struct callsite *callsites__unknown(struct model *m)
{
	if (!m->cs.unknown) {
		struct callsite def = {.is_span = 1,
				       .level = WIRE_INFO,
				       .name = "(opened before recording)",
				       .target = "tapebpf",
				       .module = "",
				       .file = ""};

		m->cs.unknown = callsites__intern(m, &def);
	}
	return m->cs.unknown;
}

void callsites__done(struct model *m)
{
	struct callsite_def *d, *tmp;
	u32 i;

	HASH_ITER(hh, m->cs.defs, d, tmp)
	{
		HASH_DEL(m->cs.defs, d);
		free(d->plain);
		free(d);
	}
	for (i = 0; i < m->cs.module_cnt; i++)
		idmap__done(&m->cs.module[i].sites);
	free(m->cs.module);
	pairs__done(m);
	for (i = 0; i < m->cs.probe_cnt; i++)
		free(m->cs.probe[i]);
	free(m->cs.probe);
	for (i = 0; i < m->cs.site_cnt; i++) {
		free(m->cs.site[i].plan[0]);
		free(m->cs.site[i].plan[1]);
	}
	free(m->cs.site);
}

/* --- tape.h --- */

static struct callsite *make_tape(struct model *m, const struct elf_tape_site *s)
{
	struct callsite def = {
		.is_span = s->kind == WIRE_SITE_SPAN,
		.level = MIN(s->level, WIRE_ERROR),
		.line = s->line,
		.name = s->name ?: "",
		.target = s->target ?: "",
		.module = s->module ?: "",
		.file = s->file ?: "",
		.field_cnt = MIN(s->field_cnt, WIRE_MAX_FIELDS),
	};
	u32 i;

	for (i = 0; i < def.field_cnt; i++) {
		def.field[i].name = s->field[i] ?: "";
		def.field[i].type = s->type[i];
	}
	return callsites__intern(m, &def);
}

static struct callsite *find_or_make(struct model *m, struct module *mod, u64 addr)
{
	struct callsite *c = idmap__find(&mod->sites, addr);
	const struct elf_tape_site *s;

	if (c)
		return c;
	s = elf_file__find_tape_site(mod->file, addr);
	if (!s)
		return NULL;
	c = make_tape(m, s);
	if (c)
		idmap__put(&mod->sites, addr, c);
	return c;
}

/* NULL: its spans are not plain, or there is no memory. */
static struct value *make_plain(const struct callsite *c)
{
	struct value *v;
	u32 i;

	for (i = 0; i < c->field_cnt; i++)
		if (!(1ULL << (c->field[i].type & 63) &
		      (1ULL << WIRE_T_I64 | 1ULL << WIRE_T_U64 | 1ULL << WIRE_T_F64 | 1ULL << WIRE_T_PTR)))
			return NULL;
	v = calloc(MAX(c->field_cnt, 1u), sizeof(*v));
	for (i = 0; v && i < c->field_cnt; i++) {
		v[i].field = (u16)i;
		v[i].type = c->field[i].type;
	}
	return v;
}

static struct value *plain_of(struct callsite *c)
{
	struct callsite_def *d = container_of(c, struct callsite_def, c);

	if (!d->plain && c->is_span)
		d->plain = make_plain(c);
	return d->plain;
}

struct callsite *callsites__look_up(struct model *m, u32 module, u64 addr)
{
	struct callsite *c = NULL;

	if (module < m->cs.module_cnt && m->cs.module[module].file)
		c = find_or_make(m, &m->cs.module[module], addr);
	if (c)
		m->cs.near[addr / NEAR_SITE_BYTES % NEAR_SITES] = (struct near_site){addr, module, c, plain_of(c)};
	return c;
}

struct callsite *callsites__of_ref(struct model *m, const struct proc *p, const struct rec *r,
				   const struct wire_ref *ref)
{
	u32 i, module = m->cs.module_cnt;
	s32 off = (s32)(ref->callsite - (u32)ref->module);

	if (ref == &r->ref && r->site_addr) /* ingest has worked it out */
		return callsites__find(m, r->module, r->site_addr);
	for (i = 0; i < p->mod_cnt; i++)
		if (p->mod[i].addr == ref->module)
			module = p->mod[i].module;
	if (module >= m->cs.module_cnt || !m->cs.module[module].file || !ref->callsite)
		return NULL;
	return callsites__find(m, module, m->cs.module[module].file->module_addr + (u64)(s64)off);
}

static int grow_modules(struct model *m, u32 cnt)
{
	struct module *mod;

	if (cnt <= m->cs.module_cnt)
		return 0;
	mod = realloc(m->cs.module, cnt * sizeof(*mod));
	if (!mod)
		return -ENOMEM;
	memset(mod + m->cs.module_cnt, 0, (cnt - m->cs.module_cnt) * sizeof(*mod));
	m->cs.module = mod;
	m->cs.module_cnt = cnt;
	return 0;
}

int model__add_file(struct model *m, const struct elf_file *f, u32 module, u32 first_site)
{
	int err;

	if (module >= MAX_MODULES)
		return -EINVAL;
	err = grow_modules(m, module + 1);
	if (err)
		return err;
	if (m->cs.module[module].file && m->cs.module[module].file != f)
		return -EEXIST;
	err = probes__add(m, f, first_site);
	if (!err)
		m->cs.module[module].file = f;
	return err;
}
