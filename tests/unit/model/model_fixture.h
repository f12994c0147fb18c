/* SPDX-License-Identifier: MIT */
/*
 * model_fixture.h - a made-up program for the tests of the model: span callsites a .. h, each with
 * the fields n (u64) and late (empty), an event callsite ev with the field n, one page a thread,
 * and foreign probes given by each test. Times are what the test says. A page's depths are kept by
 * the test's own words, as tape.h would.
 */
#ifndef TAPEBPF_MODEL_FIXTURE_H
#define TAPEBPF_MODEL_FIXTURE_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdarg.h>
#include <cmocka.h>

#include "model/model.h"
#include "recording_sink.h"

#define FIX_LINK  0x10000ULL	    /* link address of the wire_module */
#define FIX_RUN	  0x7f0000010000ULL /* where it is in the process */
#define FIX_SITES 0x2000ULL	    /* link address of the first site */
#define FIX_SPANS 8
#define FIX_EVENT FIX_SPANS /* index of the event's site */
#define FIX_PID	  100
#define FIX_PAGES 16

struct fix {
	struct recording rec;
	struct model *m;
	struct elf_file file;
	struct elf_tape_site site[FIX_SPANS + 1];
	struct rec_page page[FIX_PAGES]; /* of threads FIX_PID + i */
	struct elf_site *probe;		 /* foreign sites, the test's */
	struct model_opts opts;
	struct sink first; /* hears each call before the recording; ops NULL: nobody */
};

static inline void fix__sites(struct fix *f)
{
	static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "ev"};
	u32 i;

	for (i = 0; i <= FIX_SPANS; i++) {
		f->site[i] = (struct elf_tape_site){
			.addr = FIX_SITES + 48 * i,
			.kind = i < FIX_SPANS ? WIRE_SITE_SPAN : WIRE_SITE_EVENT,
			.level = WIRE_INFO,
			.field_cnt = i < FIX_SPANS ? 2 : 1,
			.line = i + 1,
			.name = names[i],
			.target = "app",
			.module = "app",
			.file = "app.c",
			.field = {"n", "late"},
			.type = {WIRE_T_U64, WIRE_T_EMPTY},
		};
	}
	f->file.tape_site = f->site;
	f->file.tape_site_cnt = FIX_SPANS + 1;
	f->file.module_addr = FIX_LINK;
}

/* probes: foreign sites, or NULL. The caller may set f->opts and f->rec before. */
static inline void fix__start(struct fix *f, struct elf_site *probes, u32 probe_cnt)
{
	struct sink sinks[2] = {f->first};
	u32 i, cnt = f->first.ops ? 1 : 0;

	fix__sites(f);
	f->file.site = probes;
	f->file.site_cnt = probe_cnt;
	f->opts.sz = sizeof(f->opts);
	sinks[cnt++] = recording__sink(&f->rec);
	f->m = model__new(sinks, cnt, &f->opts);
	assert_non_null(f->m);
	assert_int_equal(model__add_file(f->m, &f->file, 0, 0), 0);
	for (i = 0; i < FIX_PAGES; i++)
		f->page[i] = (struct rec_page){
			.id = i + 1, .module_addr = FIX_RUN, .pid = FIX_PID, .tid = FIX_PID + i};
}

static inline void fix__stop(struct fix *f)
{
	model__free(f->m);
	recording__done(&f->rec);
}

static inline struct model_stats fix__stats(const struct fix *f)
{
	struct model_stats st;

	model__stats(f->m, &st);
	return st;
}

static inline u64 fix__lost(const struct model_stats *st)
{
	u64 sum = 0;
	u32 i;

	for (i = 0; i < LOSS_MAX; i++)
		sum += st->lost[i];
	return sum;
}

/* Everything that was told since the last time, which must be `text`. */
static inline void fix__expect(struct fix *f, const char *text)
{
	assert_string_equal(f->rec.text ? f->rec.text : "", text);
	recording__clear(&f->rec);
}

static inline u64 fix__addr(u32 site)
{
	return FIX_SITES + 48 * site;
}

/* The low half of the run-time address of a site, as records hold it. */
static inline u32 fix__callsite(u32 site)
{
	return (u32)(FIX_RUN + fix__addr(site) - FIX_LINK);
}

static inline struct wire_ref fix__ref(u64 id, u64 open_ns, u32 site)
{
	return (struct wire_ref){
		.id = id, .module = FIX_RUN, .open_ns = open_ns, .callsite = fix__callsite(site)};
}

static inline struct rec fix__rec(struct fix *f, u8 kind, u32 thread, u64 ns, u16 depth)
{
	return (struct rec){.kind = kind,
			    .depth = depth,
			    .time_ns = ns,
			    .page = &f->page[thread],
			    .pid = FIX_PID,
			    .tid = FIX_PID + thread,
			    .number = ns};
}

static inline void fix__send(struct fix *f, const struct rec *r)
{
	assert_int_equal(model__rec(f->m, r), 0);
}

static inline void fix__begin(struct fix *f, u32 thread, u64 ns, u16 depth, u32 site)
{
	struct rec r = fix__rec(f, WIRE_R_BEGIN, thread, ns, depth);
	u64 n = ns;

	r.site_addr = fix__addr(site);
	r.payload = (const u8 *)&n;
	r.payload_bytes = sizeof(n);
	fix__send(f, &r);
}

static inline void fix__end(struct fix *f, u32 thread, u64 ns, u16 depth)
{
	struct rec r = fix__rec(f, WIRE_R_END, thread, ns, depth);

	fix__send(f, &r);
}

/* kind with a ref: ENTER, EXIT, CLONE, DROP */
static inline void fix__op(struct fix *f, u8 kind, u32 thread, u64 ns, u16 depth,
			   struct wire_ref ref)
{
	struct rec r = fix__rec(f, kind, thread, ns, depth);

	r.ref = ref;
	fix__send(f, &r);
}

static inline void fix__open(struct fix *f, u32 thread, u64 ns, struct wire_ref ref, u32 site,
			     u8 parent, struct wire_ref other)
{
	struct rec r = fix__rec(f, WIRE_R_OPEN, thread, ns, 0);
	u64 n = ns;

	r.ref = ref;
	r.other = other;
	r.parent = parent;
	r.site_addr = fix__addr(site);
	r.payload = (const u8 *)&n;
	r.payload_bytes = sizeof(n);
	fix__send(f, &r);
}

static inline void fix__event(struct fix *f, u32 thread, u64 ns, u8 parent, struct wire_ref other)
{
	struct rec r = fix__rec(f, WIRE_R_EVENT, thread, ns, 0);
	u64 n = ns;

	r.other = other;
	r.parent = parent;
	r.site_addr = fix__addr(FIX_EVENT);
	r.payload = (const u8 *)&n;
	r.payload_bytes = sizeof(n);
	fix__send(f, &r);
}

static inline void fix__value(struct fix *f, u32 thread, u64 ns, u16 depth, struct wire_ref ref,
			      u16 field, u64 n)
{
	struct rec r = fix__rec(f, WIRE_R_VALUE, thread, ns, depth);

	r.ref = ref;
	r.value_field = field;
	r.value_type = WIRE_T_U64;
	r.payload = (const u8 *)&n;
	r.payload_bytes = sizeof(n);
	fix__send(f, &r);
}

static inline void fix__life(struct fix *f, u8 kind, u32 pid, u32 tid, u64 ns, struct wire_life *l)
{
	struct rec r = {
		.kind = kind, .time_ns = ns, .pid = pid, .tid = tid, .number = ~0ULL, .life = l};

	l->head.bytes = MAX(l->head.bytes, (u32)sizeof(*l));
	fix__send(f, &r);
}

static const struct wire_ref fix_none;

#endif
