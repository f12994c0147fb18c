/* SPDX-License-Identifier: MIT */
#include "flight/recover.h"

#include "base/crc32c.h"
#include "flight/ring_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
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

/* How many bytes of a chunk are records that chain. A length of 0 ends them in order. */
static u32 whole_records(struct recovered *r, struct generation *g, const u8 *data, u32 bytes, u64 *latest_ns)
{
	const struct wire_head *h;
	u32 off = 0, room;

	while (bytes - off >= sizeof(*h)) {
		h = (const void *)(data + off);
		if (!h->bytes)
			return off;
		/* room for the zero behind it too */
		if (h->bytes < sizeof(*h) || h->bytes >= bytes - off || data[off + h->bytes] || h->time_ns >> 62)
			break;
		room = ALIGN_UP(h->bytes + 1, 8);
		if (room > bytes - off)
			break;
		g->bytes += h->bytes;
		g->rec_cnt++;
		*latest_ns = MAX(*latest_ns, h->time_ns);
		off += room;
	}
	if (bytes - off >= sizeof(*h))
		r->damaged++;
	return off;
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

int recover__generation(struct recovered *r, u8 *data, size_t bytes)
{
	struct gen_file_head h;
	struct generation *g;
	size_t at;
	int err;

	if (bytes < sizeof(h)) {
		r->damaged++;
		return 0;
	}
	memcpy(&h, data, sizeof(h));
	if (!head_is_good(&h)) {
		r->damaged++;
		return 0;
	}
	g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->no = h.no;
	g->start_ns = h.start_ns;
	err = keep_generation(r, g);
	if (err) {
		free(g);
		return err;
	}
	if (h.mono_ns > r->snap.at.mono_ns)
		r->snap.at = (struct clock_pair){ .mono_ns = h.mono_ns, .real_ns = h.real_ns, .boot_ns = h.boot_ns };
	for (at = GEN_FILE_HEAD; at < bytes && !err; at += CHUNK_BYTES) {
		u32 used = whole_records(r, g, data + at, (u32)MIN(bytes - at, (size_t)CHUNK_BYTES), &g->end_ns);

		err = used ? add_chunk(g, data + at, used) : 0;
	}
	r->snap.bytes += g->bytes;
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

	if (s->gen_cnt)
		qsort(s->gen, s->gen_cnt, sizeof(*s->gen), by_no);
	for (u32 i = 0; i < s->gen_cnt; i++)
		latest = MAX(latest, s->gen[i]->end_ns);
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
		u8 *data;
		size_t bytes;

		if (strncmp(e->d_name, "gen-", 4))
			continue;
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
		err = recover__generation(r, data, bytes);
	}
	closedir(list);
	return err;
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
		err = read_generations(r, dir);
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
