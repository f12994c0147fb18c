/* SPDX-License-Identifier: MIT */
/* defs.c - writing definitions; reading them: defs_read.c. */
#include "flight/defs_priv.h"

#include <errno.h>
#include <string.h>

struct out {
	u8 *data;
	size_t bytes, cap;
	bool failed;
};

static void put(struct out *o, const void *p, size_t bytes)
{
	if (o->bytes + bytes > o->cap) {
		size_t cap = MAX(2 * o->cap, o->bytes + bytes + 256);
		u8 *grown = realloc(o->data, cap);

		if (!grown) {
			o->failed = true;
			return;
		}
		o->data = grown;
		o->cap = cap;
	}
	if (bytes)
		memcpy(o->data + o->bytes, p, bytes);
	o->bytes += bytes;
}

static void put32(struct out *o, u32 v)
{
	put(o, &v, sizeof(v));
}

static void put64(struct out *o, u64 v)
{
	put(o, &v, sizeof(v));
}

static void put_text(struct out *o, const char *s)
{
	u32 n = s ? (u32)strnlen(s, DEFS_MAX_TEXT) : 0;

	put32(o, n);
	put(o, s, n);
}

static struct out begin(void)
{
	struct out o = { 0 };

	put(&o, &(struct defs_head){ 0 }, sizeof(struct defs_head));
	return o;
}

/* One write: a record is there, or its beginning at the end of the file. */
static int finish(struct out *o, int fd, u32 kind)
{
	struct defs_head h = { .magic = DEFS_MAGIC, .kind = kind };
	ssize_t n = 0;
	int err = o->failed ? -ENOMEM : 0;

	if (!err) {
		h.bytes = (u32)(o->bytes - sizeof(h));
		h.crc = defs__crc(&h, o->data + sizeof(h));
		memcpy(o->data, &h, sizeof(h));
		n = write(fd, o->data, o->bytes);
		err = n < 0 ? -errno : n < (ssize_t)o->bytes ? -ENOSPC : 0;
	}
	free(o->data);
	return err;
}

int defs__put_run(int fd, const struct clock_pair *at, const char *exe)
{
	struct out o = begin();

	put64(&o, at->mono_ns);
	put64(&o, (u64)at->real_ns);
	put64(&o, at->boot_ns);
	put_text(&o, exe);
	return finish(&o, fd, DEFS_RUN);
}

static void put_tape_site(struct out *o, const struct elf_tape_site *s)
{
	put64(o, s->addr);
	put32(o, s->kind | s->level << 8 | (u32)s->field_cnt << 16);
	put32(o, s->line);
	put_text(o, s->name);
	put_text(o, s->target);
	put_text(o, s->module);
	put_text(o, s->file);
	for (u32 i = 0; i < s->field_cnt; i++) {
		put32(o, s->type[i]);
		put_text(o, s->field[i]);
	}
}

static void put_site(struct out *o, const struct elf_site *s)
{
	put_text(o, s->provider);
	put_text(o, s->name);
	put_text(o, s->file);
	put32(o, s->line);
	put32(o, s->arg_cnt);
	for (u32 i = 0; i < MIN(s->arg_cnt, (u32)WIRE_MAX_ARGS); i++)
		put(o, &s->arg[i], sizeof(s->arg[i]));
}

int defs__put_file(int fd, const struct elf_file *f, u32 module, u32 first_site)
{
	struct out o = begin();

	put32(&o, module);
	put32(&o, first_site);
	put_text(&o, f->path);
	put64(&o, f->module_addr);
	put32(&o, f->tape_site_cnt);
	put32(&o, f->site_cnt);
	for (u32 i = 0; i < f->tape_site_cnt; i++)
		put_tape_site(&o, &f->tape_site[i]);
	for (u32 i = 0; i < f->site_cnt; i++)
		put_site(&o, &f->site[i]);
	return finish(&o, fd, DEFS_FILE);
}

int defs__put_process(int fd, const struct roster_process *p)
{
	struct out o = begin();

	put32(&o, p->pub.pid);
	put32(&o, p->pub.ns_pid);
	put32(&o, p->pub.parent_pid);
	put64(&o, p->pub.start_ns);
	put64(&o, p->pub.dev);
	put64(&o, p->pub.ino);
	put64(&o, p->since_ns);
	put(&o, p->pub.comm, sizeof(p->pub.comm));
	put_text(&o, p->pub.exe);
	put_text(&o, p->pub.cmdline);
	return finish(&o, fd, DEFS_PROCESS);
}

static int put_thread(int fd, const struct roster_thread *t, u32 kind)
{
	struct out o = begin();

	put32(&o, t->pid);
	put32(&o, t->tid);
	put64(&o, t->since_ns);
	put(&o, t->comm, sizeof(t->comm));
	put_text(&o, t->name);
	return finish(&o, fd, kind);
}

int defs__put_thread(int fd, const struct roster_thread *t)
{
	return put_thread(fd, t, DEFS_THREAD);
}

int defs__put_name(int fd, const struct roster_thread *t)
{
	return put_thread(fd, t, DEFS_NAME);
}

int defs__put_reading(int fd, const struct sig_set *sigs, bool no_pairs)
{
	char text[DEFS_MAX_TEXT];
	struct out o;
	int err = 0;

	for (u32 i = 0; !err && sigs && sig_set__text(sigs, i, text, sizeof(text)); i++) {
		o = begin();
		put_text(&o, text);
		err = finish(&o, fd, DEFS_SIG);
	}
	if (err || !no_pairs)
		return err;
	o = begin();
	return finish(&o, fd, DEFS_NO_PAIRS);
}

