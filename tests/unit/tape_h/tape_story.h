/* SPDX-License-Identifier: MIT */
/*
 * tape_story.h - a program that traces itself: what tape.h delivers, without BPF and without root.
 *
 * A breakpoint of our own is written over each probe's nop (as uprobes do); the SIGTRAP handler reads the pinned argument
 * registers and copies what they point to into a log, which is shared with forked children. The words are raised by hand. A story
 * is the log as text, one line a record, made by a decoder of its own:
 *	BEGIN 0 outer i=5		kind, depth, callsite, fields
 *	END 0
 *	imm EVENT 1 x			came by itself
 *	site EVENT 1 x			through the site's own nop
 *	PRE 0 BEGIN outer i=5		in a preamble
 */
#ifndef TAPE_STORY_H
#define TAPE_STORY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>
#include <cmocka.h>
#include <tape.h>
#include "elf/elf_file.h"

enum story_what { STORY_THREAD, STORY_FLUSH, STORY_GONE, STORY_RECORD, STORY_SITE };

struct story_trap {
	uint64_t addr;
	enum story_what what;
};

struct story_entry {
	enum story_what what;
	uint32_t pid, tid, bytes;
	uint64_t page, seq;
	uint8_t data[8192];
};

#define STORY_MAX 16384
struct story_log {
	uint32_t cnt, big;
	struct story_entry entry[STORY_MAX];
};

static struct story_log *story_log;
static struct story_trap story_traps[4096];
static uint32_t story_trap_cnt;
static struct elf_file *story_elf;

/* --- catching ---------------------------------------------------------------------------------------------- */

static void story_take(enum story_what what, const void *p, uint64_t bytes)
{
	uint32_t i = __atomic_fetch_add(&story_log->cnt, 1, __ATOMIC_RELAXED);
	struct story_entry *e;

	if (i >= STORY_MAX)
		return;
	e = &story_log->entry[i];
	e->what = what;
	e->pid = (uint32_t)getpid();
	e->tid = (uint32_t)syscall(SYS_gettid);
	e->page = (uint64_t)p;
	e->bytes = what >= STORY_RECORD ? (uint32_t)bytes : 4096;
	if (e->bytes > sizeof(e->data)) {
		story_log->big = e->bytes;
		bytes = sizeof(e->data);
	}
	memcpy(e->data, p, what >= STORY_RECORD ? bytes : 4096);
}

static void story_on_trap(int sig, siginfo_t *info, void *ctx)
{
	ucontext_t *u = ctx;
	uint64_t pc, a, b;
	uint32_t i;

	(void)sig;
	(void)info;
#if defined(__x86_64__)
	pc = (uint64_t)u->uc_mcontext.gregs[REG_RIP] - 1;
	a = (uint64_t)u->uc_mcontext.gregs[REG_RDI];
	b = (uint64_t)u->uc_mcontext.gregs[REG_RSI];
#else
	pc = u->uc_mcontext.pc;
	a = u->uc_mcontext.regs[0];
	b = u->uc_mcontext.regs[1];
	u->uc_mcontext.pc += 4;
#endif
	for (i = 0; i < story_trap_cnt; i++)
		if (story_traps[i].addr == pc) {
			story_take(story_traps[i].what, (const void *)a, b);
			return;
		}
	abort();
}

static void story_trap(uint64_t offset, enum story_what what)
{
	uint64_t link, addr, page;

	assert_int_equal(elf_file__addr(story_elf, offset, &link), 0);
	addr = link + (uint64_t)&tape_1_module - story_elf->module_addr;
	page = addr & ~4095ULL;
	assert_int_equal(mprotect((void *)page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC), 0);
#if defined(__x86_64__)
	assert_int_equal(*(uint8_t *)addr, 0x90);
	*(uint8_t *)addr = 0xcc;
#else
	*(uint32_t *)addr = 0xd4200000; /* brk #0 */
	__builtin___clear_cache((char *)addr, (char *)addr + 4);
#endif
	story_traps[story_trap_cnt].addr = addr;
	story_traps[story_trap_cnt++].what = what;
}

/* Once, at the start of a test program. */
static int story_setup(void **state)
{
	static const enum story_what what[] = { STORY_THREAD, STORY_FLUSH, STORY_GONE, STORY_RECORD };
	struct diag d = { 0 };
	struct sigaction sa;
	uint32_t i;

	(void)state;
	if (elf_file__open("/proc/self/exe", NULL, &story_elf, &d))
		return -1;
	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = story_on_trap;
	sa.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
	sigaction(SIGTRAP, &sa, NULL);
	story_log = mmap(NULL, sizeof(*story_log), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (story_log == MAP_FAILED)
		return -1;
	for (i = 0; i < story_elf->tape_probe_cnt; i++)
		story_trap(story_elf->tape_probe[i].offset, what[story_elf->tape_probe[i].what]);
	for (i = 0; i < story_elf->tape_site_cnt; i++) {
		const struct elf_tape_site *s = &story_elf->tape_site[i];

		if (s->nop_offset)
			story_trap(s->nop_offset, STORY_SITE);
		if (s->nop_end_offset)
			story_trap(s->nop_end_offset, STORY_SITE);
	}
	return 0;
}

extern const struct tape_site __start_tape_sites[] __attribute__((visibility("hidden")));
extern const struct tape_site __stop_tape_sites[] __attribute__((visibility("hidden")));

static inline const char *story_name(const struct tape_site *s)
{
	return (const char *)&s->text + s->text;
}

/* Raise or lower the words of all sites of that name (NULL: all). */
__attribute__((unused)) static void story_words(const char *name, uint16_t armed, uint16_t semaphore)
{
	const struct tape_site *s;

	for (s = __start_tape_sites; s < __stop_tape_sites; s++) {
		struct tape_words *w = (struct tape_words *)((char *)(uintptr_t)&s->words + s->words);

		if (name && strcmp(name, story_name(s)))
			continue;
		w->armed = armed;
		w->semaphore = semaphore;
	}
}

/* --- telling ----------------------------------------------------------------------------------------------- */

struct story_text {
	char *s;
	size_t len, room;
};

__attribute__((format(printf, 2, 3))) static void say(struct story_text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (t->room - t->len < 8192) {
		t->room = t->room * 2 + 16384;
		t->s = realloc(t->s, t->room);
		assert_non_null(t->s);
	}
	va_start(ap, fmt);
	n = vsnprintf(t->s + t->len, t->room - t->len, fmt, ap);
	va_end(ap);
	t->len += (size_t)n;
}

static uint32_t story_value(struct story_text *t, uint32_t type, const uint8_t *p)
{
	uint64_t wide = 0, hi = 0;
	uint16_t len, flags;
	uint32_t word = 0, orig = 0, skip = 4;
	double f;

	memcpy(&word, p, 4);
	if (type == TAPE_T_EMPTY) {
		say(t, "-");
		return 0;
	}
	if (type <= TAPE_T_U32) {
		if (type == TAPE_T_I32)
			say(t, "%d", (int)word);
		else if (type == TAPE_T_BOOL)
			say(t, "%s", word ? "true" : "false");
		else
			say(t, "%u", word);
		return 4;
	}
	if (type == TAPE_T_STR || type == TAPE_T_BYTES || type == TAPE_T_ERROR) {
		memcpy(&len, p, 2);
		memcpy(&flags, p + 2, 2);
		if (flags & TAPE_TEXT_TRUNCATED) {
			memcpy(&orig, p + 4, 4);
			skip = 8;
		}
		if (flags & TAPE_TEXT_NULL)
			say(t, "null");
		else if (len > 40)
			say(t, "'%.4s..%.4s'#%u", p + skip, p + skip + len - 4, len);
		else
			say(t, "'%.*s'", len, p + skip);
		if (flags & TAPE_TEXT_TRUNCATED)
			say(t, "/%u", orig);
		return skip + ((len + 3u) & ~3u);
	}
	memcpy(&wide, p, 8);
	if (type == TAPE_T_I128 || type == TAPE_T_U128) {
		memcpy(&hi, p + 8, 8);
		say(t, "%llx:%llx", (unsigned long long)hi, (unsigned long long)wide);
		return 16;
	}
	memcpy(&f, p, 8);
	if (type == TAPE_T_F64)
		say(t, "%g", f);
	else if (type == TAPE_T_PTR)
		say(t, "0x%llx", (unsigned long long)wide);
	else if (type == TAPE_T_I64)
		say(t, "%lld", (long long)wide);
	else
		say(t, "%llu", (unsigned long long)wide);
	return 8;
}

static const struct tape_site *story_site(uint32_t callsite)
{
	const struct tape_site *s;

	for (s = __start_tape_sites; s < __stop_tape_sites; s++)
		if ((uint32_t)(uint64_t)s == callsite)
			return s;
	fail_msg("callsite %x is not in the table", callsite);
	return NULL;
}

/* Handles are told by name of their callsite, and by A, B, C ... in order of appearance within a story. */
static uint64_t story_ids[64];
static char story_letter(uint64_t id)
{
	uint32_t i;

	if (!id)
		return '-';
	for (i = 0; i < 26 && story_ids[i] && story_ids[i] != id; i++)
		;
	story_ids[i] = id;
	return (char)('A' + i);
}

static void story_ref(struct story_text *t, const uint8_t *p)
{
	uint64_t id;
	uint32_t callsite;

	memcpy(&id, p, 8);
	memcpy(&callsite, p + 24, 4);
	say(t, " %c:%s", story_letter(id), callsite ? story_name(story_site(callsite)) : "?");
}

static void story_fields(struct story_text *t, const struct tape_site *s, const uint8_t *p, const uint8_t *end)
{
	const char *name = story_name(s);
	uint32_t i;

	for (i = 0; i < 4; i++)
		name += strlen(name) + 1;
	for (i = 0; i < s->field_cnt; i++) {
		say(t, " %s=", name);
		p += story_value(t, (uint32_t)(s->types[i / 16] >> 4 * (i % 16)) & 15, p);
		name += strlen(name) + 1;
	}
	assert_ptr_equal(p, end);
}

/* One record; returns its size. */
static uint32_t story_record(struct story_text *t, const uint8_t *p)
{
	static const char *const names[16] = { "?",	"BEGIN", "END",	 "EVENT",  "OPEN",	  "ENTER", "EXIT", "CLONE",
					       "DROP", "VALUE", "FOLLOWS", "NUMBER", "THREAD_NAME", "PAUSE", "PRE",	  "?" };
	static const char *const parents[4] = { "", " root", " in", "?" };
	const struct tape_site *s;
	uint32_t head, kind, size, word;
	const uint8_t *end;
	uint64_t id;

	memcpy(&head, p, 4);
	memcpy(&word, p + 4, 4);
	kind = head & 15;
	size = head >> 18 << 2;
	end = p + size;
	assert_in_range(size, 8, 65532);
	say(t, "%s %u", names[kind], head >> 6 & 4095);
	p += 8;
	switch (kind) {
	case TAPE_R_BEGIN:
	case TAPE_R_EVENT:
		memcpy(&word, p, 4);
		s = story_site(word);
		say(t, " %s%s", story_name(s), parents[head >> 4 & 3]);
		p += 4;
		if ((head >> 4 & 3) == TAPE_PARENT_EXPLICIT) {
			story_ref(t, p);
			p += 28;
		}
		if (p == end && s->field_cnt && s->types[0])
			say(t, " (cut)");
		else
			story_fields(t, s, p, end);
		break;
	case TAPE_R_OPEN:
		story_ref(t, p);
		memcpy(&word, p + 24, 4);
		p += 28;
		say(t, "%s", parents[head >> 4 & 3]);
		if ((head >> 4 & 3) == TAPE_PARENT_EXPLICIT) {
			story_ref(t, p);
			p += 28;
		}
		story_fields(t, story_site(word), p, end);
		break;
	case TAPE_R_ENTER:
	case TAPE_R_EXIT:
	case TAPE_R_CLONE:
	case TAPE_R_DROP:
		story_ref(t, p);
		assert_int_equal(size, 36);
		break;
	case TAPE_R_FOLLOWS:
		story_ref(t, p);
		story_ref(t, p + 28);
		assert_int_equal(size, 64);
		break;
	case TAPE_R_VALUE:
		story_ref(t, p);
		memcpy(&word, p + 28, 4);
		say(t, " %u=", word & 255);
		assert_ptr_equal(p + 32 + story_value(t, word >> 8, p + 32), end);
		break;
	case TAPE_R_NUMBER:
		memcpy(&id, p, 8);
		say(t, " %c", story_letter(id));
		break;
	case TAPE_R_THREAD_NAME:
		say(t, " ");
		story_value(t, TAPE_T_STR, p);
		break;
	case TAPE_R_PRE:
		memcpy(&id, p, 8);
		say(t, " #%llu ", (unsigned long long)id);
		p += 16;
		if (word & TAPE_PRE_NUMBERED) {
			memcpy(&id, p, 8);
			say(t, "%c ", story_letter(id));
			p += 8;
		}
		assert_ptr_equal(p + story_record(t, p), end);
		return size;
	default:
		break;
	}
	say(t, "\n");
	return size;
}

/* A page's batch, from record number `from` on; its preamble only if `pre`. */
static void story_page(struct story_text *t, const void *page, int pre)
{
	struct tape_page h;
	const uint8_t *p = (const uint8_t *)page + TAPE_DATA, *end;
	uint32_t seq, cnt, pre_len, n = 0;

	memcpy(&h, page, sizeof(h));
	assert_int_equal(h.magic, TAPE_PAGE_MAGIC);
	seq = (uint32_t)(h.commit >> 32);
	cnt = (uint32_t)(h.commit >> 16) & 0xffff;
	end = p + (h.commit & 0xffff);
	pre_len = h.pre_len[seq & 1];
	while (p < end) {
		struct story_text skip = { 0 };
		int is_pre = p < (const uint8_t *)page + TAPE_DATA + pre_len;

		p += story_record(is_pre && !pre ? &skip : t, p);
		n += !is_pre;
		free(skip.s);
	}
	assert_int_equal(n, cnt);
}

/* Everything that was delivered since story_begin(), in order of delivery, then what the thread's page still holds. The
 * result is freed by the next call. */
static struct story_text story_now;

__attribute__((unused)) static void story_begin(void)
{
	struct tape_page *p = tape_1_tls.page;

	story_log->cnt = 0;
	story_log->big = 0;
	memset(story_ids, 0, sizeof(story_ids));
	if (p && p->magic == TAPE_PAGE_MAGIC) {
		p->busy = 1;
		tape_1_flush(p, tape_1_tls.depth);
		p->busy = 0;
	}
	story_log->cnt = 0;
}

static const char *story_tell(int pre)
{
	struct story_text *t = &story_now;
	uint32_t i;

	t->len = 0;
	say(t, "%s", "");
	for (i = 0; i < story_log->cnt && i < STORY_MAX; i++) {
		const struct story_entry *e = &story_log->entry[i];

		switch (e->what) {
		case STORY_FLUSH:
		case STORY_GONE:
			story_page(t, e->data, pre);
			break;
		case STORY_RECORD:
		case STORY_SITE:
			say(t, "%s ", e->what == STORY_SITE ? "site" : "imm");
			story_record(t, e->data + sizeof(struct tape_imm));
			break;
		default:
			break;
		}
	}
	if (tape_1_tls.page && tape_1_tls.page->magic == TAPE_PAGE_MAGIC)
		story_page(t, tape_1_tls.page, pre);
	return t->s;
}

static inline const char *story(void)
{
	return story_tell(0);
}

/* Entries of a kind in the log. */
__attribute__((unused)) static uint32_t story_count(enum story_what what)
{
	uint32_t i, n = 0;

	for (i = 0; i < story_log->cnt && i < STORY_MAX; i++)
		n += story_log->entry[i].what == what;
	return n;
}

#endif
