/* SPDX-License-Identifier: MIT */
/*
 * attach.c - open, configure, load; targets; the round of draining; the end.
 *
 * Problem. A recording is made of pieces that come and go at different times: programs on sites of files, hooks on the
 * lives of tasks, rings, pages of threads. Nothing that a target records may fall between two of them, and nothing of
 * ours may stay in a target when we are killed.
 *
 * Design.
 *   - Everything that acts on a target is a link or an event that is owned by a descriptor of this process: the kernel
 *     takes it back when we die, however. All descriptors are close-on-exec. Nothing is written into a target.
 *   - Order up: rings, task hooks, then of each file first the probes that deliver (tape:*) and last the words that make
 *     the program record at all (armed). So there is no record that nobody delivers.
 *   - Order down: the words first, then the pages are read, then the rings drained, then the probes go, last the hooks.
 *   - Which process counts is decided in the kernel (map "targets"), as a uprobe sits on a file's inode: it fires in
 *     every process, of every container that shares the file.
 *
 * Rejected. A pid filter on the links: does not follow forks. libbpf's USDT attachment: one link per probe, 256 specs,
 * fails a probe for one argument that it cannot parse, moves to the second nop of a pair (red zone). One program per
 * site with its spec as constants: verification of each costs milliseconds.
 *
 * Optional programs are loaded where features__probe() found what they need; the rest are left out of the load.
 *
 * Invariant: a site whose armed word or semaphore we have raised has its delivering probes attached before and longer.
 */
#include "attach/attach_priv.h"
#include "attach/tracefs.h"
#include "base/clock.h"
#include "base/procfs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sysmacros.h>

#define DEFAULT_RING_BYTES (8 << 20)
#define DEFAULT_TEXT_BYTES 256
#define DEFAULT_PAGES 32768

static size_t ring_bytes(size_t want)
{
	size_t bytes = sysconf(_SC_PAGESIZE);

	if (!want)
		want = DEFAULT_RING_BYTES;
	while (bytes < want && bytes < (1UL << 30))
		bytes *= 2;
	return bytes;
}

static int watch(struct attach *a)
{
	struct epoll_event ev = {.events = EPOLLIN};

	a->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (a->epoll_fd < 0 || epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, rings__epoll(a->rings), &ev))
		return -errno;
	if (!a->o.follow || !a->f->perf_mmap2)
		return 0;
	if (mmaps__new(&a->mmaps)) { /* later libraries are not noticed then; doctor says so */
		a->mmaps = NULL;
		return 0;
	}
	return mmaps__watch(a->mmaps, a->epoll_fd);
}

static void set_defaults(struct attach *a, const struct attach_opts *o)
{
	memcpy(&a->o, o, MIN(o->sz, sizeof(a->o)));
	a->f = a->o.features;
	a->o.ring_bytes = ring_bytes(a->o.ring_bytes);
	/* What is gathered comes into the ring as one record, for which the smallest have no room. */
	a->stages = a->f->stages && a->o.ring_bytes >= 16 * STAGE_BYTES;
	if (!a->o.max_text)
		a->o.max_text = DEFAULT_TEXT_BYTES;
	a->o.max_text = MIN(a->o.max_text, (u32)CONFIG_TEXT_BYTES);
	if (!a->o.max_pages)
		a->o.max_pages = DEFAULT_PAGES;
}

/* With the rings, which have to be there. */
static int make_stages(struct attach *a, struct diag *d)
{
	struct stages *s;
	int err;

	if (!a->stages)
		return 0;
	err = stages__new(bpf_map__fd(a->skel->maps.stages), bpf_program__fd(a->skel->progs.stage_move), a->cpus, &s);
	if (err)
		return diag__set(d, err, "cannot map the memory in which hits are gathered: %s", strerror(-err));
	rings__stages(a->rings, s);
	return 0;
}

static int start(struct attach *a, struct diag *d)
{
	int cpus = libbpf_num_possible_cpus(), err;

	if (cpus < 0)
		return diag__set(d, cpus, "cannot tell the number of CPUs: %s", strerror(-cpus));
	a->cpus = cpus;
	a->idle = idle__new();
	if (!a->idle)
		return -ENOMEM;
	err = load__programs(a, d);
	if (err)
		return err;
	err = rings__new(bpf_map__fd(a->skel->maps.rings), a->cpus, a->o.ring_bytes, &a->rings);
	if (err) {
		diag__set(d, err, "cannot make %u ring buffers of %zu bytes: %s", a->cpus, a->o.ring_bytes,
			  strerror(-err));
		if (err == -ENOMEM || err == -EINVAL || err == -E2BIG)
			diag__hint(d, "a smaller --ring-size");
		return err;
	}
	err = make_stages(a, d);
	if (!err)
		err = load__hooks(a, d);
	return err ? err : watch(a);
}

static int refuse(const struct features *f, struct diag *d)
{
	if (f && !f->bpf && (f->bpf_errno == EPERM || f->bpf_errno == EACCES)) {
		diag__set(d, -EPERM, "not allowed to load BPF programs: %s", strerror(f->bpf_errno));
		diag__hint(d, "run as root, or with CAP_BPF and CAP_PERFMON (and CAP_SYS_PTRACE for other users' "
			      "processes); see tapebpf doctor");
		return -EPERM;
	}
	diag__set(d, -EOPNOTSUPP, "this kernel cannot run what a recording needs: %s",
		  !f || !f->bpf ? "it loads no BPF programs" :
		  !f->btf	? "it has no BTF (/sys/kernel/btf/vmlinux)" :
				  "it has no BPF ring buffers (Linux 5.8)");
	diag__hint(d, "tapebpf doctor says what is missing, and where it can be had");
	return -EOPNOTSUPP;
}

int attach__new(const struct attach_opts *opts, struct attach **out, struct diag *d)
{
	struct attach *a = calloc(1, sizeof(*a));
	int err;

	if (!a)
		return diag__set(d, -ENOMEM, "out of memory");
	a->epoll_fd = -1;
	set_defaults(a, opts);
	if (!a->f || !a->f->bpf || !a->f->btf || !a->f->ringbuf) {
		err = refuse(a->f, d);
		free(a);
		return err;
	}
	err = start(a, d);
	if (err) {
		attach__free(a);
		return err;
	}
	*out = a;
	return 0;
}

static void drop_probes(struct attach *a)
{
	held__drop(&a->arm, &a->arm_cnt, &a->arm_cap);
	tracefs__drop(&a->events);
	held__drop(&a->probe, &a->probe_cnt, &a->probe_cap);
}

void attach__free(struct attach *a)
{
	if (!a)
		return;
	drop_probes(a);
	held__drop(&a->hook, &a->hook_cnt, &a->hook_cap);
	rings__free(a->rings);
	mmaps__free(a->mmaps);
	idle__free(a->idle);
	if (a->epoll_fd >= 0)
		close(a->epoll_fd);
	tapebpf_bpf__destroy(a->texts);
	tapebpf_bpf__destroy(a->skel);
	free(a->pages.entry);
	free(a->spec);
	free(a->file);
	free(a);
}

void attach__set_ops(struct attach *a, const struct attach_ops *ops)
{
	a->ops = *ops;
}

/* --- targets ---------------------------------------------------------------------------------------------------- */

/* The generation after the removal: a CPU that looks in between remembers under the old number. */
static void remove_target(struct attach *a, u32 pid)
{
	bpf_map_delete_elem(bpf_map__fd(a->skel->maps.targets), &pid);
	__atomic_add_fetch(&a->skel->bss->targets_generation, 1, __ATOMIC_SEQ_CST);
	if (a->texts) /* has variables of its own */
		__atomic_add_fetch(&a->texts->bss->targets_generation, 1, __ATOMIC_SEQ_CST);
}

int attach__add_target(struct attach *a, u32 pid, struct diag *d)
{
	int fd = bpf_map__fd(a->skel->maps.targets);
	u32 live = TARGET_LIVE;

	if (bpf_map_update_elem(fd, &pid, &live, BPF_ANY))
		return diag__set(d, -errno, "cannot make process %u a target: %s", pid, strerror(errno));
	if (procfs__alive(pid))
		return 0;
	remove_target(a, pid); /* it went before its end could be noticed */
	return diag__set(d, -ESRCH, "no such process: %u", pid);
}

int attach__add_binary(struct attach *a, u64 dev, u64 ino)
{
	/* As the kernel counts: MKDEV is major << 20 | minor. */
	struct binary_key key = {.dev = (u64)major(dev) << 20 | minor(dev), .ino = ino};
	u32 one = 1;

	return bpf_map_update_elem(bpf_map__fd(a->skel->maps.binaries), &key, &one, BPF_ANY) ? -errno : 0;
}

bool attach__is_target(struct attach *a, u32 pid)
{
	u32 state;

	return !bpf_map_lookup_elem(bpf_map__fd(a->skel->maps.targets), &pid, &state) && state == TARGET_LIVE;
}

/*
 * An entry that says dead stays while threads of the process may still be on their way to their own drain: until nobody has the
 * number any more, or for a second at least. Longer must not be: a zombie may never be waited for, and the number, once it is
 * somebody else's, would make a target of a stranger.
 */
static void let_go(struct attach *a, u32 pid, u32 state, bool later)
{
	u32 going = TARGET_GOING;

	if ((state == TARGET_GOING && later) || !procfs__alive(pid))
		remove_target(a, pid);
	else if (state == TARGET_DEAD && later)
		bpf_map_update_elem(bpf_map__fd(a->skel->maps.targets), &pid, &going, BPF_EXIST);
}

u32 attach__targets(struct attach *a, u64 now_ns)
{
	int fd = bpf_map__fd(a->skel->maps.targets);
	bool later = now_ns - a->let_go_ns >= NSEC_PER_SEC, more;
	u32 key, next, state, n = 0;

	if (later)
		a->let_go_ns = now_ns;
	more = !bpf_map_get_next_key(fd, NULL, &key);
	while (more) {
		more = !bpf_map_get_next_key(fd, &key, &next);
		if (!bpf_map_lookup_elem(fd, &key, &state)) {
			if (state == TARGET_LIVE)
				n++;
			else
				let_go(a, key, state, later);
		}
		key = next;
	}
	return n;
}

/* --- draining ------------------------------------------------------------------------------------------------------ */

static int on_record(void *ctx, const void *rec, size_t bytes)
{
	struct attach *a = ctx;

	return a->ops.ring ? a->ops.ring(a->ops.ctx, rec, bytes) : 0;
}

static bool on_mapped(void *ctx, u32 pid, u64 addr, u64 offset, u64 dev, u64 ino, const char *path)
{
	struct attach *a = ctx;
	u32 state;

	if (!a->ops.mapped || attach__knows_file(a, dev, ino))
		return true;
	if (bpf_map_lookup_elem(bpf_map__fd(a->skel->maps.targets), &pid, &state) || state == TARGET_GOING)
		return false;
	a->mapped = true;
	a->ops.mapped(a->ops.ctx, pid, addr, offset, dev, ino, path);
	return true;
}

/* So much was mapped on the machine at once that some of it went unsaid. */
static void mappings_lost(struct attach *a)
{
	int fd = bpf_map__fd(a->skel->maps.targets);
	u32 key, next;
	bool more = a->ops.mapped && !bpf_map_get_next_key(fd, NULL, &key);

	while (more) {
		more = !bpf_map_get_next_key(fd, &key, &next);
		a->ops.mapped(a->ops.ctx, key, 0, 0, 0, 0, NULL);
		key = next;
	}
}

/* true: some of it was a target's. */
static bool drain_mappings(struct attach *a)
{
	a->mapped = false;
	if (mmaps__drain(a->mmaps, on_mapped, a)) {
		a->mapped = true;
		mappings_lost(a);
	}
	return a->mapped;
}

/*
 * Every mapping of every process on the machine wakes us. What is no target's is no reason for a round, which would cost several times as
 * much; and where one program maps something, more is about to be mapped, so that is left alone for a moment.
 */
#define MAPPED_PAUSE_MS 1

static int wait_for_news(struct attach *a, int timeout_ms)
{
	u64 until_ns = clock__mono_ns() + (u64)timeout_ms * NSEC_PER_MSEC, now_ns;
	int n, left_ms = timeout_ms;
	struct epoll_event ev[1];
	bool mapped;

	if (!a->mmaps || a->stopped)
		return epoll_wait(a->epoll_fd, ev, 1, timeout_ms);
	do {
		n = mmaps__wait(a->mmaps, left_ms, &mapped);
		if (n || !mapped || drain_mappings(a))
			return n;
		n = epoll_wait(a->epoll_fd, ev, 1, MIN(MAPPED_PAUSE_MS, left_ms));
		now_ns = clock__mono_ns();
		left_ms = now_ns < until_ns ? (int)((until_ns - now_ns) / NSEC_PER_MSEC) : 0;
	} while (!n && left_ms);
	return n;
}

int attach__poll(struct attach *a, int timeout_ms, u64 *drained_ns)
{
	if (timeout_ms && wait_for_news(a, timeout_ms) < 0 && errno != EINTR)
		return -errno;
	/* Mappings first: a probe of a library that is attached now cannot have fired yet. */
	if (a->mmaps && !a->stopped)
		drain_mappings(a);
	return rings__drain(a->rings, on_record, a, drained_ns, NULL);
}

int attach__watch(struct attach *a, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };

	return epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

/*
 * The marks are read first, then the rings are drained, then the marks are handed on: the kernel raises a mark after the
 * delivery that it speaks of has been submitted, so all that was delivered has been passed on by then. A record in the
 * making can stop a ring for a moment; wait for it.
 */
int attach__marks(struct attach *a,
		  void (*mark)(void *ctx, const struct wire_page_val *v, u32 tid, bool dead), void *ctx)
{
	int orphans_fd = bpf_map__fd(a->skel->maps.orphans), i, ret, tries;
	__free_ptr struct page_entry *dead = NULL;
	u32 generation;
	int dead_cnt = pages__orphans(a, &dead, &generation);
	int live_cnt = dead_cnt < 0 ? dead_cnt : pages__marks(a);
	const struct page_entry *live = a->pages.entry;
	bool blocked = true;

	if (live_cnt < 0)
		return live_cnt;
	for (tries = 0; tries < 50 && blocked; tries++) {
		if (tries)
			usleep(1000);
		ret = rings__drain(a->rings, on_record, a, NULL, &blocked);
		if (ret < 0)
			return ret;
	}
	for (i = 0; i < live_cnt; i++)
		mark(ctx, &live[i].val, live[i].tid, false);
	for (i = 0; i < dead_cnt; i++) {
		mark(ctx, &dead[i].val, dead[i].tid, true);
		bpf_map_delete_elem(orphans_fd, &dead[i].orphan);
	}
	a->orphans_generation = generation;
	return live_cnt + dead_cnt;
}

void attach__counters(struct attach *a, u64 counter[WIRE_C_MAX])
{
	__free_ptr struct cpu_state *st = calloc(a->cpus, ALIGN_UP(sizeof(*st), 8));
	u32 zero = 0, cpu, i;

	memset(counter, 0, WIRE_C_MAX * sizeof(counter[0]));
	if (!st || bpf_map_lookup_elem(bpf_map__fd(a->skel->maps.cpus), &zero, st))
		return;
	for (cpu = 0; cpu < a->cpus; cpu++)
		for (i = 0; i < WIRE_C_MAX; i++)
			counter[i] += st[cpu].counter[i];
	counter[WIRE_C_SUBMITTED] = counter[WIRE_C_EMITTED] - counter[WIRE_C_LOST_RING] -
				    counter[WIRE_C_LOST_READ] - counter[WIRE_C_LOST_SIZE];
}

/*
 * From the closing on no delivery is made or counted: what is recorded then is of after the end. Pages are read before it, and not again:
 * what is flushed past us now would look like a gap. Rule 2 of the batch path holds: read, drain, apply.
 */
static int read_the_last(struct attach *a)
{
	int err = attach__idle_collect(a), ret;

	__atomic_or_fetch(&a->skel->bss->targets_generation, TARGETS_NONE, __ATOMIC_SEQ_CST);
	if (a->texts)
		__atomic_or_fetch(&a->texts->bss->targets_generation, TARGETS_NONE, __ATOMIC_SEQ_CST);
	ret = rings__drain(a->rings, on_record, a, NULL, NULL);
	err = err < 0 ? err : MIN(ret, 0);
	ret = attach__idle_apply(a);
	return err ? err : MIN(ret, 0);
}

int attach__stop(struct attach *a)
{
	int err, ret;

	if (a->stopped)
		return 0;
	a->stopped = true;
	err = read_the_last(a);
	held__drop(&a->arm, &a->arm_cnt, &a->arm_cap);
	tracefs__drop(&a->events);
	held__drop(&a->probe, &a->probe_cnt, &a->probe_cap);
	held__drop(&a->hook, &a->hook_cnt, &a->hook_cap);
	/* what was on its way when they were closed */
	ret = rings__drain(a->rings, on_record, a, NULL, NULL);
	return err ? err : MIN(ret, 0);
}

/* --- figures -------------------------------------------------------------------------------------------------------- */

void attach__stats(struct attach *a, struct attach_stats *st)
{
	struct bpf_program *p;

	memset(st, 0, sizeof(*st));
	st->sites_foreign = a->sites_foreign;
	st->sites_tape = a->sites_tape;
	st->files = a->file_cnt;
	rings__fill(a->rings, &st->ring_bytes_used, &st->ring_bytes);
	bpf_object__for_each_program(p, a->skel->obj) {
		struct bpf_prog_info info = {};
		u32 bytes = sizeof(info);

		if (bpf_program__fd(p) < 0 || bpf_prog_get_info_by_fd(bpf_program__fd(p), &info, &bytes))
			continue;
		st->missed += info.recursion_misses;
		st->bpf_run_ns += info.run_time_ns;
		st->bpf_run_cnt += info.run_cnt;
	}
}
