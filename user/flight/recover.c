/* SPDX-License-Identifier: MIT */
#include "flight/recover.h"

#include "base/crc32c.h"
#include "flight/ring_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define MAX_GENERATIONS 65536
#define MAX_FILE_BYTES (1ULL << 36)

struct recovered *recover__new(void)
{
	return calloc(1, sizeof(struct recovered));
}

void recover__free(struct recovered *r)
{
	if (!r)
		return;
	for (u32 i = 0; i < r->snap.gen_cnt; i++) {
		struct generation *g = (struct generation *)r->snap.gen[i];
		struct chunk *c, *next;

		for (c = g->first; c; c = next) {
			next = c->next;
			free(c);
		}
		free(g);
	}
	free(r->snap.gen);
	for (u32 i = 0; i < r->snap.partial_cnt; i++)
		partial__put(r->snap.partial[i]);
	free(r->snap.partial);
	free(r->snap.carried.data);
	for (u32 i = 0; i < r->memory_cnt; i++)
		free(r->memory[i]);
	free(r->memory);
	defs__done(&r->defs);
	free(r);
}

int recover__defs(struct recovered *r, const void *data, size_t bytes)
{
	int err = defs__read(&r->defs, data, bytes);

	r->damaged += r->defs.damaged;
	return err;
}

/* --- a generation -------------------------------------------------------------------------------------------------------- */

/* The most that a record takes, of the kernel's or our own; what claims more is damaged. */
#define MAX_REC_BYTES (128u << 10)
#define SEARCH_BYTES (64u * CHUNK_BYTES) /* summed up in vain in one chunk; the rest of it is left then */

static bool is_padded(const u8 *at, u32 bytes)
{
	for (u32 i = bytes; i < ALIGN_UP(bytes + 1, 8); i++)
		if (at[i])
			return false;
	return true;
}

/* Does a record that may be one begin here? With room for the zeros behind it. */
static bool is_plausible(const u8 *at, size_t left)
{
	const struct wire_head *h = (const void *)at;

	if (left < sizeof(*h) || !h->kind || (h->kind > WIRE_RENAME && h->kind < FLIGHT_CLOCK) || h->time_ns >> 62)
		return false;
	return h->bytes >= sizeof(*h) && h->bytes < MIN(left, (size_t)MAX_REC_BYTES) && ALIGN_UP(h->bytes + 1, 8) <= left &&
	       is_padded(at, h->bytes);
}

static bool is_whole(u64 no, const u8 *at, size_t left)
{
	const struct wire_head *h = (const void *)at;

	return is_plausible(at, left) && h->seq == generation_rec__crc(no, h);
}

/* The next record that is whole, from `off` on; `bytes`: there is none. */
static u32 next_whole(u64 no, const u8 *data, u32 off, u32 bytes, u64 *in_vain)
{
	for (; off < bytes && *in_vain < SEARCH_BYTES; off += 8) {
		if (is_whole(no, data + off, bytes - off))
			return off;
		if (is_plausible(data + off, bytes - off))
			*in_vain += ((const struct wire_head *)(data + off))->bytes;
	}
	return bytes;
}

/* Nothing has been written there: a record is made from its end, its length last. */
static bool is_end(const u8 *at, u32 left)
{
	return left < sizeof(struct wire_head) || !((const struct wire_head *)at)->bytes;
}

static int add_chunk(struct generation *g, u8 *data, u32 used)
{
	struct chunk *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	*c = (struct chunk){ .data = data, .used = used, .cap = used };
	if (g->last)
		g->last->next = c;
	else
		g->first = c;
	g->last = c;
	return 0;
}

/* Runs of whole records, each as a chunk of its own. */
static int take_chunk(struct recovered *r, struct generation *g, u8 *data, u32 bytes)
{
	u32 off = 0, from, next, room;
	u64 in_vain = 0;
	int err = 0;

	while (off < bytes && !err) {
		next = next_whole(g->no, data, off, bytes, &in_vain);
		r->damaged += next < bytes ? next != off : !is_end(data + off, bytes - off);
		for (from = off = next; off < bytes && is_whole(g->no, data + off, bytes - off); off += room) {
			const struct wire_head *h = (const void *)(data + off);

			room = ALIGN_UP(h->bytes + 1, 8);
			g->bytes += h->bytes;
			g->rec_cnt++;
			g->end_ns = MAX(g->end_ns, h->time_ns);
			/* all that was emitted later came later: for where the file does not say when it begins */
			if (!g->start_ns && h->kind == FLIGHT_CLOCK)
				g->start_ns = h->time_ns;
		}
		err = off > from ? add_chunk(g, data + from, off - from) : 0;
	}
	return err;
}

static int keep_generation(struct recovered *r, struct generation *g)
{
	const struct generation **grown;

	if (r->snap.gen_cnt >= MAX_GENERATIONS)
		return -E2BIG;
	grown = realloc(r->snap.gen, (r->snap.gen_cnt + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	r->snap.gen = grown;
	r->snap.gen[r->snap.gen_cnt++] = g;
	return 0;
}

static bool head_is_good(const struct gen_file_head *h)
{
	return h->magic == GEN_FILE_MAGIC && h->crc == crc32c(0, h, offsetof(struct gen_file_head, crc)) &&
	       h->chunk_bytes == CHUNK_BYTES && !(h->start_ns >> 62) && !(h->mono_ns >> 62);
}

/* false: nothing is known of it but perhaps its number. */
static bool read_head(struct recovered *r, const u8 *data, size_t bytes, struct gen_file_head *h)
{
	memcpy(h, data, MIN(bytes, sizeof(*h)));
	if (bytes >= sizeof(*h) && head_is_good(h))
		return true;
	r->damaged++;
	return false;
}

/*
 * Files grow by whole chunks. Only the newest can have been killed between its making and its first chunk, and cannot be told from one
 * that was cut there.
 */
static void look_for_cut(struct recovered *r, u64 no, bool known, size_t bytes)
{
	/* where the head is unknown that has been counted */
	bool cut = known && (bytes <= GEN_FILE_HEAD || (bytes - GEN_FILE_HEAD) % CHUNK_BYTES);

	if (no <= r->newest_no) {
		r->damaged += cut;
		return;
	}
	r->damaged += r->newest_cut;
	r->newest_no = no;
	r->newest_cut = cut;
}

int recover__generation(struct recovered *r, u64 no, u8 *data, size_t bytes)
{
	struct gen_file_head h = { 0 };
	bool known = read_head(r, data, bytes, &h);
	struct generation *g;
	size_t at;
	int err;

	no = known ? h.no : no;
	if (!no || no <= r->folded)
		return 0;
	look_for_cut(r, no, known, bytes);
	if (!known && bytes <= GEN_FILE_HEAD) /* nothing in it, not even since when it was */
		return 0;
	g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->no = no;
	g->start_ns = known ? h.start_ns : 0;
	err = keep_generation(r, g);
	if (err) {
		free(g);
		return err;
	}
	if (known && h.mono_ns > r->snap.at.mono_ns)
		r->snap.at = (struct clock_pair){ .mono_ns = h.mono_ns, .real_ns = h.real_ns, .boot_ns = h.boot_ns };
	for (at = GEN_FILE_HEAD; at < bytes && !err; at += CHUNK_BYTES)
		err = take_chunk(r, g, data + at, (u32)MIN(bytes - at, (size_t)CHUNK_BYTES));
	r->snap.bytes += g->bytes;
	return err;
}

/* --- what is beside the ring ----------------------------------------------------------------------------------------------- */

int recover__carried(struct recovered *r, const void *data, size_t bytes)
{
	const u8 *rec = (const u8 *)data + sizeof(struct carried_head);
	struct carried_head h;
	u32 off;

	if (bytes < sizeof(h))
		return 0;
	memcpy(&h, data, sizeof(h));
	if (h.magic != CARRIED_MAGIC || h.bytes > bytes - sizeof(h) ||
	    h.crc != crc32c(crc32c(crc32c(0, &h.no, sizeof(h.no)), &h.bytes, sizeof(h.bytes)), rec, h.bytes)) {
		r->damaged++;
		return 0;
	}
	r->folded = h.no;
	if (!h.bytes)
		return 0;
	r->snap.carried.data = malloc(h.bytes);
	if (!r->snap.carried.data)
		return -ENOMEM;
	memcpy(r->snap.carried.data, rec, h.bytes);
	for (off = 0; off < h.bytes && is_plausible(r->snap.carried.data + off, h.bytes - off);)
		off += ALIGN_UP(((const struct wire_head *)(r->snap.carried.data + off))->bytes + 1, 8);
	r->damaged += off < h.bytes;
	r->snap.carried.used = r->snap.carried.cap = off;
	return 0;
}

static int keep_page(struct recovered *r, const struct wire_batch *b, u32 bytes)
{
	struct partial *p = malloc(sizeof(*p) + bytes + 1), **grown;

	grown = p ? realloc(r->snap.partial, (r->snap.partial_cnt + 1) * sizeof(*grown)) : NULL;
	if (!grown) {
		free(p);
		return -ENOMEM;
	}
	r->snap.partial = grown;
	grown[r->snap.partial_cnt++] = p;
	p->refs = 1;
	p->bytes = bytes;
	memcpy(p->rec, b, bytes);
	p->rec[bytes] = 0;
	return 0;
}

int recover__pages(struct recovered *r, const void *data, size_t bytes)
{
	struct {
		struct page_slot head;
		_Alignas(8) u8 rec[PAGE_SLOT - sizeof(struct page_slot)];
	} s;
	const struct wire_batch *b = (const void *)s.rec;
	struct claim c;
	int err = 0;

	for (size_t at = 0; at < bytes && !err; at += PAGE_SLOT) {
		size_t have = MIN(bytes - at, sizeof(s));

		memset(&s, 0, sizeof(s));
		memcpy(&s, (const u8 *)data + at, have);
		if (!s.head.magic && !s.head.crc)
			continue;
		if (s.head.magic != PAGE_SLOT_MAGIC || s.head.bytes > sizeof(s.rec) || s.head.bytes < sizeof(*b) ||
		    s.head.crc != crc32c(0, &s.head.bytes, s.head.bytes + sizeof(s.head) - offsetof(struct page_slot, bytes)) ||
		    b->head.bytes != s.head.bytes || b->head.time_ns >> 62 ||
		    (b->head.kind != WIRE_BATCH && b->head.kind != FLIGHT_ADOPT) || !claim__of(b, s.head.bytes, &c))
			r->damaged++;
		else
			err = keep_page(r, b, s.head.bytes);
	}
	return err;
}

/* Of one page: its id alone need not be its own. */
static u64 page_key(const struct wire_batch *b, const struct claim *c)
{
	return c->id + ((u64)b->head.tid << 40);
}

static void drop_old_page(struct idmap *pages, const struct wire_head *h)
{
	const struct wire_batch *b = (const void *)h;
	struct claim flush, c;
	struct partial *p;

	if (h->kind != WIRE_BATCH || h->bytes < sizeof(*b) || b->why == WIRE_WHY_IDLE || b->why == WIRE_WHY_EXEC ||
	    !claim__of(b, h->bytes, &flush))
		return;
	p = idmap__find(pages, page_key(b, &flush));
	if (p && claim__of((const void *)p->rec, p->bytes, &c) && claim__is_old(&c, flush.seq))
		p->bytes = 0;
}

/* The kill came between a flush and the word that the image of its page is old. */
static int drop_old_pages(struct recovered *r)
{
	struct snapshot *s = &r->snap;
	struct idmap pages = { 0 };
	const struct wire_head *h;
	const struct chunk *k;
	struct claim c;
	u32 i, n = 0, off;
	int err = 0;

	for (i = 0; i < s->partial_cnt && !err; i++)
		if (claim__of((const void *)s->partial[i]->rec, s->partial[i]->bytes, &c))
			err = idmap__put(&pages, page_key((const void *)s->partial[i]->rec, &c), s->partial[i]);
	for (i = 0; i < s->gen_cnt && pages.cnt; i++)
		for (k = s->gen[i]->first; k; k = k->next)
			for (off = 0; (h = chunk__rec(k, &off));)
				drop_old_page(&pages, h);
	idmap__done(&pages);
	for (i = 0; i < s->partial_cnt; i++) {
		if (s->partial[i]->bytes)
			s->partial[n++] = s->partial[i];
		else
			free(s->partial[i]);
	}
	s->partial_cnt = n;
	return err;
}

static int by_no(const void *a, const void *b)
{
	const struct generation *x = *(const struct generation *const *)a, *y = *(const struct generation *const *)b;

	return x->no < y->no ? -1 : x->no > y->no;
}

/* A damaged time must not make the snapshot end in years. */
#define MAX_AHEAD_NS (3600 * NSEC_PER_SEC)

int recover__finish(struct recovered *r)
{
	struct snapshot *s = &r->snap;
	u64 latest = 0, ahead;
	int err = drop_old_pages(r);

	if (err)
		return err;
	if (s->gen_cnt)
		qsort(s->gen, s->gen_cnt, sizeof(*s->gen), by_no);
	for (u32 i = 0; i < s->gen_cnt; i++)
		latest = MAX(latest, s->gen[i]->end_ns);
	for (u32 i = 0; i < s->partial_cnt; i++)
		latest = MAX(latest, ((const struct wire_head *)s->partial[i]->rec)->time_ns);
	if (!s->at.mono_ns) /* no generation says what the clocks were */
		s->at = r->defs.at;
	if (latest > s->at.mono_ns && latest - s->at.mono_ns < MAX_AHEAD_NS) {
		ahead = latest - s->at.mono_ns;
		s->at.mono_ns = latest;
		s->at.real_ns += (s64)ahead;
		s->at.boot_ns += ahead;
	}
	s->roster = r->defs.roster;
	s->file = r->defs.file;
	s->file_cnt = r->defs.file_cnt;
	return 0;
}

/* --- a folder -------------------------------------------------------------------------------------------------------------- */

static int read_whole(int dir_fd, const char *name, u8 **data, size_t *bytes)
{
	__close_fd int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	size_t got = 0;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || (u64)st.st_size > MAX_FILE_BYTES)
		return -EINVAL;
	*data = calloc(1, (size_t)st.st_size + 8);
	if (!*data)
		return -ENOMEM;
	while (got < (size_t)st.st_size && (n = pread(fd, *data + got, (size_t)st.st_size - got, (off_t)got)) > 0)
		got += (size_t)n;
	*bytes = got;
	return 0;
}

static int read_generations(struct recovered *r, int dir_fd)
{
	int fd = dup(dir_fd), err = 0;
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!list)
		return -errno;
	while (!err && (e = readdir(list))) {
		void **grown;
		u64 no;
		u8 *data;
		size_t bytes;

		if (strncmp(e->d_name, "gen-", 4))
			continue;
		no = strtoull(e->d_name + 4, NULL, 10);
		if (read_whole(dir_fd, e->d_name, &data, &bytes)) {
			r->damaged++;
			continue;
		}
		grown = realloc(r->memory, (r->memory_cnt + 1) * sizeof(*grown));
		if (!grown) {
			free(data);
			err = -ENOMEM;
			break;
		}
		r->memory = grown;
		r->memory[r->memory_cnt++] = data;
		err = recover__generation(r, no, data, bytes);
	}
	closedir(list);
	return err;
}

/* A file that need not be there. */
static int read_beside(struct recovered *r, int dir_fd, const char *name, int (*take)(struct recovered *r, const void *data, size_t bytes))
{
	__free_ptr u8 *data = NULL;
	size_t bytes;
	int err = read_whole(dir_fd, name, &data, &bytes);

	if (err == -ENOENT)
		return 0;
	if (!err)
		return take(r, data, bytes);
	r->damaged++;
	return err == -ENOMEM ? err : 0;
}

/* Held by a recorder as long as it runs. */
static bool in_use(int dir_fd)
{
	__close_fd int fd = openat(dir_fd, "defs", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK;
}

/* The newest run in a folder of runs that is not running. */
static int open_newest(int dir_fd, bool *running)
{
	int fd = dup(dir_fd), best = -1, run;
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	char best_name[256] = "";
	struct dirent *e;

	while (list && (e = readdir(list))) {
		if (strncmp(e->d_name, "run-", 4) || strcmp(e->d_name, best_name) <= 0)
			continue;
		run = openat(dir_fd, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (run < 0)
			continue;
		if (in_use(run)) {
			*running = true;
			close(run);
			continue;
		}
		if (best >= 0)
			close(best);
		best = run;
		snprintf(best_name, sizeof(best_name), "%s", e->d_name);
	}
	if (list)
		closedir(list);
	return best;
}

static int open_run(const char *path, struct diag *d)
{
	__close_fd int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool running = false;
	int run;

	if (dir < 0)
		return diag__set(d, -errno, "cannot open %s: %s", path, strerror(errno));
	if (!faccessat(dir, "defs", F_OK, 0)) {
		running = in_use(dir);
		run = running ? -1 : dup(dir);
	} else {
		run = open_newest(dir, &running);
	}
	if (run >= 0)
		return run;
	if (running) {
		diag__set(d, -EBUSY, "the recorder of %s is running", path);
		diag__hint(d, "tapebpf snapshot");
		return -EBUSY;
	}
	diag__set(d, -ENOENT, "%s holds nothing of a flight recorder", path);
	diag__hint(d, "the folder that was given with tapebpf flight --dir");
	return -ENOENT;
}

int recover__dir(const char *path, struct recovered **out, struct diag *d)
{
	__close_fd int dir = open_run(path, d);
	struct recovered *r = dir < 0 ? NULL : recover__new();
	__free_ptr u8 *defs = NULL;
	size_t bytes = 0;
	int err;

	if (dir < 0)
		return dir;
	if (!r)
		return diag__set(d, -ENOMEM, "not enough memory");
	err = read_whole(dir, "defs", &defs, &bytes);
	if (!err)
		err = recover__defs(r, defs, bytes);
	if (!err)
		err = read_beside(r, dir, "carried", recover__carried);
	if (!err)
		err = read_generations(r, dir);
	if (!err)
		err = read_beside(r, dir, "pages", recover__pages);
	if (!err)
		err = recover__finish(r);
	if (err) {
		diag__set(d, err, "cannot read what is in %s: %s", path, strerror(-err));
		recover__free(r);
		return err;
	}
	*out = r;
	return 0;
}
