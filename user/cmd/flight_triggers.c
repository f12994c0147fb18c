/* SPDX-License-Identifier: MIT */
#include "cmd/flight_triggers.h"

#include "base/text.h"
#include "cmd/cmd.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define SHOWN_BYTES 500 /* of a trigger's text; there may be 64 */
#define REAP_NS NSEC_PER_SEC
#define COMMANDS_NS (10 * NSEC_PER_SEC) /* that a command may take longer than the recording */

struct flight_triggers {
	struct trigger_set *set;
	struct policy *policy;
	enum snapshot_format format;
	struct snapshots *snapshots;
	void (*own)(void *ctx, const struct snapshot_result *r);
	void *ctx;
	void (*warn)(void *ctx, const char *text);
	void *warn_ctx;
	bool asked; /* the due one */
	u64 next_reap_ns;
};

struct flight_triggers *flight_triggers__new(const struct policy_opts *o, enum snapshot_format format)
{
	struct flight_triggers *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->format = format;
	t->policy = policy__new(o);
	if (t->policy)
		return t;
	free(t);
	return NULL;
}

void flight_triggers__watch(struct flight_triggers *t, struct trigger_set *set)
{
	t->set = set;
}

void flight_triggers__free(struct flight_triggers *t)
{
	if (!t)
		return;
	trigger_set__free(t->set);
	policy__free(t->policy);
	free(t);
}

void flight_triggers__begin(struct flight_triggers *t, struct snapshots *sn,
			    void (*own)(void *ctx, const struct snapshot_result *r), void *ctx)
{
	t->snapshots = sn;
	t->own = own;
	t->ctx = ctx;
}

void flight_triggers__fired(void *ctx, const struct trigger_fired *f)
{
	struct flight_triggers *t = ctx;

	policy__fired(t->policy, f, clock__mono_ns());
}

static void on_hint(void *ctx, u32 i, const char *why)
{
	struct flight_triggers *t = ctx;
	char text[SHOWN_BYTES + 400];

	snprintf(text, sizeof(text), "--on '%.*s': %s", SHOWN_BYTES, trigger_set__text(t->set, i), why);
	t->warn(t->warn_ctx, text);
}

void flight_triggers__warn(struct flight_triggers *t, void (*warn)(void *ctx, const char *text), void *ctx)
{
	t->warn = warn;
	t->warn_ctx = ctx;
	trigger_set__tell_hints(t->set, on_hint);
}

static void complain(const struct diag *d)
{
	fputs("tapebpf: ", stderr);
	text__print(stderr, d->text, strlen(d->text));
	fputc('\n', stderr);
}

static void on_done(void *ctx, const struct snapshot_result *r)
{
	struct flight_triggers *t = ctx;
	struct policy_snapshot s = { .path = r->err ? NULL : r->path, .bytes = r->bytes, .spans = r->replay.spans,
				     .lost = r->replay.lost_sum };
	struct diag d = { 0 };

	t->own(t->ctx, r);
	t->asked = false;
	if (policy__taken(t->policy, &s, r->replay.to_ns ? r->replay.to_ns : clock__mono_ns(), &d) && d.text[0])
		complain(&d);
	if (r->err)
		flight_triggers__keep(t, r);
}

static bool ask_due(struct flight_triggers *t, u64 now_ns)
{
	const struct trigger_fired *f = t->asked ? NULL : policy__due(t->policy, now_ns);
	struct snapshot_request req = { .fd = -1, .format = t->format, .trigger = f, .done = on_done, .ctx = t };
	int err;

	if (!f)
		return false;
	t->asked = true;
	err = snapshots__ask(t->snapshots, &req);
	if (err) { /* too many wait: this one counts as failed */
		struct snapshot_result r = { .err = err };

		diag__set(&r.diag, err, "cannot take a snapshot for %s: %s", f->trigger, strerror(-err));
		on_done(t, &r);
	}
	return true;
}

void flight_triggers__poll(struct flight_triggers *t, u64 stream_ns, u64 now_ns)
{
	struct diag d = { 0 };

	if (!t)
		return;
	if (t->set && stream_ns)
		trigger_set__tick(t->set, stream_ns);
	ask_due(t, now_ns);
	if (now_ns < t->next_reap_ns)
		return;
	t->next_reap_ns = now_ns + REAP_NS;
	if (policy__reap(t->policy, &d))
		complain(&d);
}

bool flight_triggers__last(struct flight_triggers *t)
{
	return t && ask_due(t, UINT64_MAX);
}

void flight_triggers__finish(struct flight_triggers *t)
{
	struct diag d = { 0 };
	struct policy_stats ps;

	if (!t)
		return;
	if (policy__finish(t->policy, COMMANDS_NS, &d))
		complain(&d);
	policy__stats(t->policy, &ps);
	if (!ps.commands_running)
		return;
	diag__set(&d, -ETIMEDOUT, "%u of the commands of --exec have not ended: they are left running", ps.commands_running);
	complain(&d);
}

void flight_triggers__keep(struct flight_triggers *t, const struct snapshot_result *r)
{
	struct diag d = { 0 };

	/* a disk that is full leaves a part of a tape: that counts, or failures would fill what room the others get */
	if (t && r->path && r->path[0] && (!r->err || r->bytes) && policy__keep(t->policy, r->path, r->bytes, &d) && d.text[0])
		complain(&d);
}

/* A line each, of a text that may hold newlines and be as long as an answer may be. */
static void report_trigger(const struct trigger_set *set, u32 i, FILE *f)
{
	const char *text = trigger_set__text(set, i), *hint = trigger_set__hint(set, i);
	char shown[SHOWN_BYTES];

	text__clean(shown, sizeof(shown), text, strlen(text));
	fprintf(f, "trigger %" PRIu64 " %s%s\n", trigger_set__fired(set, i), shown, strlen(text) >= sizeof(shown) ? "..." : "");
	if (hint)
		fprintf(f, "hint %s\n", hint);
}

void flight_triggers__report(const struct flight_triggers *t, FILE *f)
{
	struct trigger_stats ts = { 0 };
	struct policy_stats ps;

	if (!t || !t->set)
		return;
	policy__stats(t->policy, &ps);
	trigger_set__stats(t->set, &ts);
	fprintf(f,
		"triggers_fired %" PRIu64 "\ntriggers_taken %" PRIu64 "\ntriggers_failed %" PRIu64 "\ntriggers_joined %" PRIu64
		"\ntriggers_cooldown %" PRIu64 "\ntriggers_enough %" PRIu64 "\ntriggers_watched %" PRIu64
		"\ntriggers_unwatched %" PRIu64 "\ntriggers_decode %d\nkept_files %" PRIu64 "\nkept_bytes %" PRIu64
		"\ndeleted_files %" PRIu64 "\ncommands %" PRIu64 "\ncommands_failed %" PRIu64 "\n",
		ps.fired, ps.taken, ps.failed, ps.joined, ps.cooldown, ps.enough, ts.watched, ts.unwatched,
		trigger_set__needs_decoding(t->set), ps.files, ps.bytes, ps.deleted, ps.commands, ps.commands_failed);
	for (u32 i = 0; i < trigger_set__cnt(t->set); i++)
		report_trigger(t->set, i, f);
}
