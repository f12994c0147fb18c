/* SPDX-License-Identifier: MIT */
#include "flight/policy.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>

#include "flight/policy_exec.h"

struct kept_file {
	struct kept_file *next; /* oldest first */
	u64 bytes;
	char path[];
};

struct policy {
	struct policy_opts opts;
	char *exec;
	bool due; /* a snapshot, at due_ns */
	struct trigger_fired trigger;
	char *texts[2]; /* of trigger */
	u64 due_ns, cool_ns; /* the cooldown ends */
	u64 since;	     /* triggers swallowed or joined since the last snapshot */
	struct kept_file *files, **files_end;
	struct policy_commands commands;
	struct policy_stats st;
};

struct policy *policy__new(const struct policy_opts *o)
{
	struct policy *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	memcpy(&p->opts, o, MIN(o->sz ?: sizeof(*o), sizeof(*o)));
	p->files_end = &p->files;
	if (o->exec && *o->exec) {
		p->exec = strdup(o->exec);
		if (!p->exec) {
			free(p);
			return NULL;
		}
	}
	return p;
}

static void forget_trigger(struct policy *p)
{
	free(p->texts[0]);
	free(p->texts[1]);
	p->texts[0] = p->texts[1] = NULL;
	p->due = false;
}

void policy__free(struct policy *p)
{
	struct kept_file *f;

	if (!p)
		return;
	while ((f = p->files)) {
		p->files = f->next;
		free(f);
	}
	forget_trigger(p);
	free(p->exec);
	free(p);
}

/* --- triggers ---------------------------------------------------------------------------------------------- */

static void set_due(struct policy *p, const struct trigger_fired *f, u64 now_ns)
{
	p->due = true;
	p->due_ns = now_ns > UINT64_MAX - p->opts.post_ns ? UINT64_MAX : now_ns + p->opts.post_ns;
	p->trigger = *f;
	p->texts[0] = strdup(f->trigger);
	p->texts[1] = strdup(f->what);
	/* without memory the snapshot is taken all the same */
	p->trigger.trigger = p->texts[0] ?: "";
	p->trigger.what = p->texts[1] ?: "";
}

enum policy_verdict policy__fired(struct policy *p, const struct trigger_fired *f, u64 now_ns)
{
	p->st.fired++;
	if (p->due) {
		p->st.joined++;
		p->since++;
		return POLICY_JOINED;
	}
	if (p->opts.max_snapshots && p->st.taken >= p->opts.max_snapshots) {
		p->st.enough++;
		p->since++;
		return POLICY_ENOUGH;
	}
	if (now_ns < p->cool_ns) {
		p->st.cooldown++;
		p->since++;
		return POLICY_COOLDOWN;
	}
	set_due(p, f, now_ns);
	return POLICY_TAKE;
}

u64 policy__due_ns(const struct policy *p)
{
	return p->due ? p->due_ns : UINT64_MAX;
}

const struct trigger_fired *policy__due(const struct policy *p, u64 now_ns)
{
	return p->due && now_ns >= p->due_ns ? &p->trigger : NULL;
}

/* --- files ------------------------------------------------------------------------------------------------- */

static int delete_oldest(struct policy *p, struct diag *d)
{
	struct kept_file *f = p->files;
	int err = 0;

	/* gone already is as good */
	if (unlink(f->path) && errno != ENOENT)
		err = diag__set(d, -errno, "cannot delete %s, the oldest snapshot: %s", f->path, strerror(errno));
	p->files = f->next;
	if (!p->files)
		p->files_end = &p->files;
	p->st.files--;
	p->st.bytes -= f->bytes;
	if (!err) {
		p->st.deleted++;
		p->st.deleted_bytes += f->bytes;
	}
	free(f);
	return err;
}

int policy__keep(struct policy *p, const char *path, u64 bytes, struct diag *d)
{
	size_t n = strlen(path) + 1;
	struct kept_file *f = malloc(sizeof(*f) + n);
	int err = 0, e;

	if (!f)
		return diag__set(d, -ENOMEM, "not enough memory");
	f->next = NULL;
	f->bytes = bytes;
	memcpy(f->path, path, n);
	*p->files_end = f;
	p->files_end = &f->next;
	p->st.files++;
	p->st.bytes += bytes;
	/* never the newest: a snapshot larger than all that may be kept is still a snapshot */
	while (p->opts.keep_total_bytes && p->st.bytes > p->opts.keep_total_bytes && p->files != f) {
		e = delete_oldest(p, d);
		err = err ? err : e;
	}
	return err;
}

/* --- after a snapshot -------------------------------------------------------------------------------------- */

static int start_command(struct policy *p, const struct policy_snapshot *s, struct diag *d)
{
	int err;

	if (!p->exec)
		return 0;
	err = policy_commands__start(&p->commands, p->exec, &p->trigger, s, d);
	if (err)
		p->st.commands_failed++;
	else
		p->st.commands++;
	return err;
}

int policy__taken(struct policy *p, struct policy_snapshot *s, u64 cut_ns, struct diag *d)
{
	int err = 0, e;

	s->swallowed = p->since;
	p->since = 0;
	p->cool_ns = cut_ns > UINT64_MAX - p->opts.cooldown_ns ? UINT64_MAX : cut_ns + p->opts.cooldown_ns;
	if (s->path) {
		p->st.taken++;
		err = policy__keep(p, s->path, s->bytes, d);
		e = start_command(p, s, err ? NULL : d);
		err = err ? err : e;
	} else {
		p->st.failed++;
	}
	forget_trigger(p);
	return err;
}

/* --- commands ---------------------------------------------------------------------------------------------- */

u32 policy__reap(struct policy *p, struct diag *d)
{
	u32 bad = policy_commands__reap(&p->commands, d);

	p->st.commands_failed += bad;
	return bad;
}

u32 policy__finish(struct policy *p, u64 timeout_ns, struct diag *d)
{
	u64 end_ns = clock__mono_ns() + timeout_ns;
	u32 bad = policy__reap(p, d);

	while (p->commands.cnt && clock__mono_ns() < end_ns) {
		usleep(10000);
		bad += policy__reap(p, d);
	}
	return bad;
}

void policy__stats(const struct policy *p, struct policy_stats *st)
{
	*st = p->st;
	st->commands_running = p->commands.cnt;
}
