/* SPDX-License-Identifier: MIT */
/* defs_read.c - reading definitions back: hostile input, and there is a copy of it. */
#include "flight/defs_priv.h"

#include <errno.h>
#include <string.h>

/* What is beyond the end reads as zeros, and `bad` says so. */
struct in {
	const u8 *at, *end;
	bool bad;
};

static void get(struct in *in, void *to, size_t bytes)
{
	if ((size_t)(in->end - in->at) < bytes) {
		in->bad = true;
		in->at = in->end;
		memset(to, 0, bytes);
		return;
	}
	memcpy(to, in->at, bytes);
	in->at += bytes;
}

static u32 get32(struct in *in)
{
	u32 v;

	get(in, &v, sizeof(v));
	return v;
}

static u64 get64(struct in *in)
{
	u64 v;

	get(in, &v, sizeof(v));
	return v;
}

/* malloc'ed, NUL-terminated; NULL: none, or bad. */
static char *get_text(struct in *in)
{
	u32 n = get32(in);
	char *s;

	if (n > DEFS_MAX_TEXT || (size_t)(in->end - in->at) < n) {
		in->bad = true;
		return NULL;
	}
	s = n ? strndup((const char *)in->at, n) : NULL;
	in->at += n;
	return s;
}

static void read_run(struct defs *d, struct in *in)
{
	char *exe;

	d->at.mono_ns = get64(in);
	d->at.real_ns = (s64)get64(in);
	d->at.boot_ns = get64(in);
	exe = get_text(in);
	if (exe && strlen(exe) < sizeof(d->exe))
		strcpy(d->exe, exe);
	free(exe);
}

/* Where a text has to be: "" instead of NULL. */
static const char *get_name(struct in *in)
{
	char *s = get_text(in);

	return s ? s : strdup("");
}

static void read_tape_site(struct elf_tape_site *s, struct in *in)
{
	u32 bits;

	s->addr = get64(in);
	bits = get32(in);
	s->kind = bits & 1;
	s->level = MIN(bits >> 8 & 0xff, (u32)WIRE_ERROR);
	s->field_cnt = MIN(bits >> 16 & 0xff, (u32)WIRE_MAX_FIELDS);
	s->line = get32(in);
	s->name = get_name(in);
	s->target = get_name(in);
	s->module = get_name(in);
	s->file = get_name(in);
	for (u32 i = 0; i < s->field_cnt; i++) {
		bits = get32(in);
		s->type[i] = MIN(bits, (u32)WIRE_T_ERROR);
		s->field[i] = get_name(in);
	}
}

static void read_site(struct elf_site *s, struct in *in)
{
	u32 cnt;

	s->provider = get_name(in);
	s->name = get_name(in);
	s->file = get_text(in);
	s->line = get32(in);
	cnt = get32(in);
	s->arg_cnt = MIN(cnt, (u32)WIRE_MAX_ARGS);
	for (u32 i = 0; i < s->arg_cnt; i++) {
		struct wire_arg *a = &s->arg[i];

		get(in, a, sizeof(*a));
		if (a->size != 1 && a->size != 2 && a->size != 4 && abs(a->size) != 8 && a->size != -1 && a->size != -2 && a->size != -4)
			a->size = 8;
		if (a->text > WIRE_TEXT_LEN_ARG)
			a->text = WIRE_TEXT_NO;
	}
}

static void free_file(struct elf_file *f)
{
	for (u32 i = 0; f->tape_site && i < f->tape_site_cnt; i++) {
		struct elf_tape_site *s = &f->tape_site[i];

		free((char *)s->name);
		free((char *)s->target);
		free((char *)s->module);
		free((char *)s->file);
		for (u32 k = 0; k < s->field_cnt; k++)
			free((char *)s->field[k]);
	}
	for (u32 i = 0; f->site && i < f->site_cnt; i++) {
		free((char *)f->site[i].provider);
		free((char *)f->site[i].name);
		free((char *)f->site[i].file);
	}
	free(f->tape_site);
	free(f->site);
	free(f->path);
	free(f);
}

static int keep_file(struct defs *d, const struct snapshot_file *f)
{
	struct snapshot_file *grown;

	for (u32 i = 0; i < d->file_cnt; i++)
		if (d->file[i].module == f->module)
			return -EEXIST; /* written again: the same */
	grown = realloc(d->file, (d->file_cnt + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	d->file = grown;
	d->file[d->file_cnt++] = *f;
	return 0;
}

static int by_addr(const void *a, const void *b)
{
	const struct elf_tape_site *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

#define MAX_FIRST_SITE (1u << 22) /* the model's table is as long */

static int read_file(struct defs *d, struct in *in)
{
	struct elf_file *f = calloc(1, sizeof(*f));
	struct snapshot_file sf = { .elf = f };
	u32 tape, plain, i;
	int err;

	if (!f)
		return -ENOMEM;
	sf.module = get32(in);
	sf.first_site = get32(in);
	f->path = get_text(in);
	f->module_addr = get64(in);
	tape = get32(in);
	plain = get32(in);
	/* the least that one takes in the file bounds how many there can be */
	if (in->bad || sf.module > MAX_FIRST_SITE || sf.first_site > MAX_FIRST_SITE || tape > (size_t)(in->end - in->at) / 32 ||
	    plain > (size_t)(in->end - in->at) / 20)
		goto bad;
	f->tape_site = calloc(MAX(tape, 1u), sizeof(*f->tape_site));
	f->site = calloc(MAX(plain, 1u), sizeof(*f->site));
	if (!f->path)
		f->path = strdup("");
	for (i = 0; f->tape_site && i < tape && !in->bad; i++, f->tape_site_cnt++)
		read_tape_site(&f->tape_site[i], in);
	for (i = 0; f->site && i < plain && !in->bad; i++, f->site_cnt++)
		read_site(&f->site[i], in);
	if (in->bad || !f->tape_site || !f->site)
		goto bad;
	qsort(f->tape_site, f->tape_site_cnt, sizeof(*f->tape_site), by_addr);
	err = keep_file(d, &sf);
	if (err)
		free_file(f);
	return err == -EEXIST ? 0 : err;
bad:
	d->damaged++;
	free_file(f);
	return 0;
}

static int read_process(struct defs *d, struct in *in)
{
	struct process p = { 0 };
	u64 since;

	p.pid = get32(in);
	p.ns_pid = get32(in);
	p.parent_pid = get32(in);
	p.start_ns = get64(in);
	p.dev = get64(in);
	p.ino = get64(in);
	since = get64(in);
	get(in, p.comm, sizeof(p.comm));
	p.comm[sizeof(p.comm) - 1] = '\0';
	p.exe = get_text(in);
	p.cmdline = get_text(in);
	return roster__add_process(&d->roster, &p, since);
}

static int read_thread(struct defs *d, struct in *in, u32 kind)
{
	u32 pid = get32(in), tid = get32(in);
	u64 since = get64(in);
	char comm[16], *name;
	int err;

	get(in, comm, sizeof(comm));
	comm[sizeof(comm) - 1] = '\0';
	name = get_text(in);
	err = roster__add_thread(&d->roster, pid, tid, since, comm, name, kind == DEFS_NAME);
	free(name);
	return err;
}

/* Nothing but what was taken once before is in such a record; a file it cannot name. */
static int read_sig(struct defs *d, struct in *in)
{
	char *text = get_text(in);
	struct diag why;

	if (!d->sigs)
		d->sigs = sig_set__new();
	if (!text || text[0] == '@' || !d->sigs || sig_set__add(d->sigs, text, &why))
		d->damaged++;
	free(text);
	return d->sigs ? 0 : -ENOMEM;
}

static int read_one(struct defs *d, const struct defs_head *h, const u8 *payload)
{
	struct in in = { payload, payload + h->bytes, false };

	switch (h->kind) {
	case DEFS_RUN:
		read_run(d, &in);
		return 0;
	case DEFS_FILE:
		return read_file(d, &in);
	case DEFS_PROCESS:
		return read_process(d, &in);
	case DEFS_THREAD:
	case DEFS_NAME:
		return read_thread(d, &in, h->kind);
	case DEFS_SIG:
		return read_sig(d, &in);
	case DEFS_NO_PAIRS:
		d->no_pairs = true;
		return 0;
	}
	return 0;
}

/* A file with records. bytes 0: there is none. */
struct text {
	const u8 *data;
	size_t bytes;
	u64 in_vain; /* bytes summed up for what was no record */
	size_t asked, found; /* from the one place on the next record is at the other; found 0: nobody has asked */
};

/*
 * Each place of a hostile file can claim to be a record up to the end of the file. After so many times its length (damage takes no more than a few)
 * nothing more is looked at.
 */
#define MAX_IN_VAIN(t) (64 * (u64)(t)->bytes + (1u << 20))

static bool is_whole(struct text *t, size_t at, struct defs_head *h)
{
	if (at > t->bytes || t->bytes - at < sizeof(*h) || t->in_vain > MAX_IN_VAIN(t))
		return false;
	memcpy(h, t->data + at, sizeof(*h));
	if (h->magic != DEFS_MAGIC || h->bytes > t->bytes - at - sizeof(*h))
		return false;
	if (h->crc == defs__crc(h, t->data + at + sizeof(*h)))
		return true;
	t->in_vain += h->bytes;
	return false;
}

/* Where the next record that is whole begins; the end: there is none. */
static size_t next_whole(struct text *t, size_t at)
{
	const u32 magic = DEFS_MAGIC;
	const u8 *p;
	struct defs_head h;

	if (t->found && at >= t->asked && at <= t->found)
		return t->found;
	t->asked = at;
	t->found = t->bytes;
	for (; at < t->bytes; at++) {
		p = memmem(t->data + at, t->bytes - at, &magic, sizeof(magic));
		if (!p)
			break;
		at = (size_t)(p - t->data);
		if (is_whole(t, at, &h)) {
			t->found = at;
			break;
		}
	}
	return t->found;
}

/* Some record of the one is in the other, at the same place, and none contradicts: both were written by the same calls. */
static bool say_the_same(struct text *a, struct text *b)
{
	struct defs_head h, k;
	size_t at;
	u32 same = 0;

	for (at = next_whole(a, 0); at < a->bytes; at = next_whole(a, at)) {
		is_whole(a, at, &h);
		if (is_whole(b, at, &k)) {
			if (h.bytes != k.bytes || memcmp(a->data + at, b->data + at, sizeof(h) + h.bytes))
				return false;
			same++;
		}
		at += sizeof(h) + h.bytes;
	}
	return same > 0;
}

static u32 count_whole(struct text *t)
{
	struct defs_head h;
	u32 cnt = 0;

	for (size_t at = next_whole(t, 0); at < t->bytes; at = next_whole(t, at)) {
		is_whole(t, at, &h);
		at += sizeof(h) + h.bytes;
		cnt++;
	}
	return cnt;
}

static void note(u32 *cnt, u64 *first, u64 at)
{
	if (!(*cnt)++)
		*first = at;
}

/* What neither has. */
static size_t pass_over(struct defs *d, struct text *a, struct text *b, size_t at)
{
	size_t end = MAX(a->bytes, b->bytes), in_a = next_whole(a, at), in_b = next_whole(b, at);

	note(&d->damaged, &d->damaged_at, at);
	/* the end of the shorter one is not the end */
	return MIN(in_a < a->bytes ? in_a : end, in_b < b->bytes ? in_b : end);
}

static int read_both(struct defs *d, struct text *a, struct text *b)
{
	size_t at = 0, end = MAX(a->bytes, b->bytes);
	const u8 *payload;
	struct defs_head h;
	int err = 0;

	while (!err && at < end) {
		if (is_whole(a, at, &h)) {
			payload = a->data;
		} else if (is_whole(b, at, &h)) {
			payload = b->data;
			if (a->bytes)
				note(&d->healed, &d->healed_at, at);
		} else {
			at = pass_over(d, a, b, at);
			continue;
		}
		err = read_one(d, &h, payload + at + sizeof(h));
		at += sizeof(h) + h.bytes;
	}
	return err;
}

int defs__read(struct defs *d, const void *data, size_t bytes, const void *copy, size_t copy_bytes)
{
	struct text a = { .data = data, .bytes = data ? bytes : 0 }, b = { .data = copy, .bytes = copy ? copy_bytes : 0 };

	memset(d, 0, sizeof(*d));
	/* a kill can come between the two when they are written anew */
	if (a.bytes && b.bytes && !say_the_same(&a, &b)) {
		if (count_whole(&b) > count_whole(&a)) {
			note(&d->healed, &d->healed_at, 0);
			a = b;
		}
		b = (struct text){ 0 };
	}
	return read_both(d, &a, &b);
}

void defs__done(struct defs *d)
{
	for (u32 i = 0; i < d->file_cnt; i++)
		free_file((struct elf_file *)d->file[i].elf);
	free(d->file);
	sig_set__free(d->sigs);
	roster__done(&d->roster);
}
