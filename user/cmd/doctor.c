/* SPDX-License-Identifier: MIT */
/*
 * doctor.c - `tapebpf doctor`: what works here, which guarantees hold, and what to do about the rest.
 *
 * Nothing is concluded from a version. The last finding is the one that counts: a built-in probe of each kind is
 * fired in this very process, and its hits have to arrive at the far end of the pipeline.
 */
#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/doctor_probe.h"
#include "session/session.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#define SHOTS 100

enum verdict { OK, NOTE, BAD };

struct doctor {
	bool json;
	u32 count[3];
};

/* One finding: what, how it is, and for anything but OK what to do. */
static void finding(struct doctor *doc, enum verdict v, const char *what, const char *text, const char *remedy)
{
	static const char *const label[] = { "ok", "note", "bad" };

	doc->count[v]++;
	if (!doc->json) {
		printf("%-5s %-22s %s\n", label[v], what, text);
		if (v != OK && remedy)
			printf("      %-22s -> %s\n", "", remedy);
		return;
	}
	printf("{\"verdict\":\"%s\",\"what\":\"%s\",\"text\":", label[v], what);
	text__json(stdout, text, strlen(text));
	if (v != OK && remedy) {
		printf(",\"remedy\":");
		text__json(stdout, remedy, strlen(remedy));
	}
	puts("}");
}

static void kernel(struct doctor *doc, const struct features *f)
{
	struct utsname u;
	char text[300];

	uname(&u);
	snprintf(text, sizeof(text), "%s %s %s", u.sysname, u.release, u.machine);
	finding(doc, OK, "kernel", text, NULL);
	if (f->bpf) {
		finding(doc, OK, "BPF", "programs load", NULL);
	} else {
		snprintf(text, sizeof(text), "no program loads: %s", strerror(f->bpf_errno));
		finding(doc, BAD, "BPF", text,
			f->bpf_errno == EPERM || f->bpf_errno == EACCES ?
				"run as root, or grant CAP_BPF and CAP_PERFMON" :
				"use a kernel built with CONFIG_BPF_SYSCALL and CONFIG_BPF_EVENTS");
	}
	finding(doc, f->btf ? OK : BAD, "BTF",
		f->btf ? "/sys/kernel/btf/vmlinux is there" : "no /sys/kernel/btf/vmlinux",
		"use a kernel built with CONFIG_DEBUG_INFO_BTF");
	if (!f->bpf) /* the rest cannot be tried: say one thing, not five that follow from it */
		return;
	finding(doc, f->ringbuf ? OK : BAD, "ring buffers", f->ringbuf ? "one a CPU" : "not supported",
		"Linux 5.8 or later has them");
	finding(doc, f->uprobes ? OK : BAD, "uprobes", f->uprobes ? "attach" : "cannot be attached",
		"use a kernel built with CONFIG_UPROBE_EVENTS");
	finding(doc, f->ref_ctr ? OK : BAD, "semaphores",
		f->ref_ctr ? "raised by the kernel (reference counters)" : "the kernel cannot raise them",
		"Linux 4.20 or later; without it probes that wait for their semaphore stay silent");
	if (f->lockdown_confidentiality)
		finding(doc, BAD, "lockdown", "confidentiality: reading memory from BPF is forbidden",
			"boot with lockdown=integrity or none");
}

static void privileges(struct doctor *doc, const struct features *f)
{
	char text[128];

	snprintf(text, sizeof(text), "%s%s%s%s%s", f->cap_bpf ? "CAP_BPF " : "", f->cap_perfmon ? "CAP_PERFMON " : "",
		 f->cap_sys_ptrace ? "CAP_SYS_PTRACE " : "", f->cap_sys_admin ? "CAP_SYS_ADMIN" : "",
		 f->cap_bpf || f->cap_perfmon || f->cap_sys_admin || f->cap_sys_ptrace ? "" : "none");
	if (f->cap_sys_admin && f->cap_sys_ptrace)
		finding(doc, OK, "capabilities", text, NULL);
	else if (f->cap_bpf && f->cap_perfmon)
		finding(doc, NOTE, "capabilities", text,
			"CAP_SYS_PTRACE as well lets other users' processes be recorded and idle buffers be read");
	else
		finding(doc, BAD, "capabilities", text,
			"run as root, or: setcap cap_bpf,cap_perfmon,cap_sys_ptrace,cap_sys_resource+ep tapebpf");
}

static void attaching(struct doctor *doc, const struct features *f)
{
	char text[256];

	snprintf(text, sizeof(text), "by %s", arm_way__name(f->arm));
	if (f->arm == ARM_UPROBE_MULTI)
		finding(doc, OK, "attaching", text, NULL);
	else
		finding(doc, f->arm == ARM_NONE ? BAD : NOTE, "attaching", text,
			"Linux 6.6 or later attaches thousands of sites at once; here large programs take longer");
	finding(doc, f->sleepable_uprobe ? OK : NOTE, "paged-out memory",
		f->sleepable_uprobe ? "is read by waiting for it (sleepable programs)" :
				      "cannot be waited for: such strings are marked unreadable",
		"Linux 6.0 or later");
	finding(doc, f->stages ? OK : NOTE, "plain probes",
		f->stages ? "are gathered on their CPU before they go into its ring" : "go into the ring one by one, which takes longer",
		"Linux 5.15 or later");
	finding(doc, f->perf_mmap2 ? OK : NOTE, "later libraries",
		f->perf_mmap2 ? "are noticed by mapping events" : "are not noticed",
		"allow perf events: run as root, or CAP_PERFMON, or lower kernel.perf_event_paranoid");
}

static void hooks(struct doctor *doc, const struct features *f)
{
	char text[256];

	snprintf(text, sizeof(text), "by %s", exit_hook__name(f->exit_hook));
	if (f->exit_hook == EXIT_HOOK_NONE)
		finding(doc, BAD, "killed threads",
			"no hook: a thread that is killed loses what it recorded since the last idle read (200 ms)",
			"Linux 6.16, or kprobes (CONFIG_KPROBES), or Linux 5.11 gives one");
	else
		finding(doc, OK, "killed threads", text, NULL);
	snprintf(text, sizeof(text), "by %s", exec_hook__name(f->exec_hook));
	if (f->exec_hook == EXEC_HOOK_NONE)
		finding(doc, BAD, "exec", "no hook: exec loses what the process recorded since the last idle read",
			"Linux 6.9, or kprobes (CONFIG_KPROBES) gives one");
	else
		finding(doc, OK, "exec", text, NULL);
	if (f->bpf)
		attaching(doc, f);
	finding(doc, f->tsc ? OK : NOTE, "clock",
		f->tsc ? "the CPU's tick counter" : "clock_gettime: a span costs about 40 ns more",
		"use the clocksource `tsc` where the machine has a reliable one");
}

/* --- the built-in probes ------------------------------------------------------------------------------------ */

struct seen {
	u32 tape, foreign;
};

static int on_event(void *ctx, const struct event *e)
{
	struct seen *seen = ctx;

	if (!strcmp(e->callsite->name, DOCTOR_EVENT))
		*(e->callsite->foreign ? &seen->foreign : &seen->tape) += 1;
	return 0;
}

static void shots(struct doctor *doc, const char *what, u32 arrived, const struct session_totals *t)
{
	char text[200];

	snprintf(text, sizeof(text), "%u of %u hits arrived", arrived, SHOTS);
	finding(doc, arrived == SHOTS && !t->unaccounted ? OK : BAD, what, text,
		"see the findings above; if all are ok, this is a bug: please report it with this output");
}

static void fire(struct doctor *doc)
{
	static const struct sink_ops ops = { .event = on_event };
	struct seen seen = { 0 };
	struct sink sink = { &ops, &seen };
	struct session_opts o = { .sz = sizeof(o), .ring_bytes = 1 << 20, .sinks = &sink, .sink_cnt = 1 };
	struct session_totals t;
	struct diag d = { 0 };
	struct session *s = NULL;
	int err = session__new(&o, &s, &d);

	if (!err)
		err = session__add_pid(s, (u32)getpid(), &d);
	if (err) {
		finding(doc, BAD, "built-in probes", d.text, d.hint[0] ? d.hint : NULL);
		session__free(s);
		return;
	}
	doctor_probe__fire(SHOTS);
	err = session__run(s, 0);
	if (!err)
		err = session__stop(s);
	session__totals(s, &t);
	if (err)
		finding(doc, BAD, "built-in probes", strerror(-err), NULL);
	shots(doc, "tape.h probe", seen.tape, &t);
	shots(doc, "plain USDT probe", seen.foreign, &t);
	session__free(s);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct doctor *doc = state->input;

	switch (key) {
	case 'j':
		doc->json = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "no argument expected: %s", arg);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int cmd_doctor(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "json", 'j', NULL, 0, "one JSON object a finding", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		options, parse, "", "Find out what tapebpf can do on this machine, by trying."
		"\vExit status: 0 everything needed works, 1 something does not, 2 wrong usage.",
		NULL, NULL, NULL,
	};
	static char name[] = "tapebpf doctor";
	struct doctor doc = { 0 };
	struct features f = { 0 };
	struct diag d = { 0 };

	argv[0] = name;
	argp_err_exit_status = EXIT_USAGE;
	if (argp_parse(&argp, argc, argv, 0, NULL, &doc))
		return EXIT_USAGE;
	if (features__probe(&f, &d))
		finding(&doc, BAD, "probing", d.text, d.hint[0] ? d.hint : NULL);
	kernel(&doc, &f);
	privileges(&doc, &f);
	hooks(&doc, &f);
	fire(&doc);
	if (!doc.json)
		printf("\n%u ok, %u notes, %u bad\n", doc.count[OK], doc.count[NOTE], doc.count[BAD]);
	if (cmd__output_done("the findings"))
		return EXIT_FAILED;
	return doc.count[BAD] ? EXIT_FAILED : EXIT_DONE;
}
