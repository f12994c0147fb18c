/* SPDX-License-Identifier: MIT */
/*
 * json_phrase.h - what lines of JSON say again and again, spelled once: the members of a callsite and of a thread.
 * What is returned is owned by the phrases. Not thread-safe.
 */
#ifndef TAPEBPF_CMD_JSON_PHRASE_H
#define TAPEBPF_CMD_JSON_PHRASE_H

#include <stdio.h>

#include "base/idmap.h"
#include "base/outbuf.h"
#include "model/sink.h"

struct phrase {
	char *text;
	size_t bytes;
};

struct site_phrases {
	struct site_phrases *next;
	const struct callsite *callsite;
	struct phrase names;  /* level, target, name */
	struct phrase number; /* its id */
	u32 field_cnt;
	struct phrase field[]; /* "name": */
};

struct thread_phrase {
	struct thread_phrase *next;
	const struct thread *thread;
	u64 uid;
	u32 pid; /* may become known without a word about the thread */
	struct phrase phrase; /* text NULL: to be spelled */
};

#define PHRASES_NEAR 64

/* All zero to begin with. */
struct phrases {
	struct site_phrases *sites, *near_site[PHRASES_NEAR];
	struct thread_phrase *threads, *near_thread[PHRASES_NEAR];
	struct idmap site_of, thread_of; /* by address */
};

/* NULL: no memory. */
const struct site_phrases *phrases__site(struct phrases *p, const struct callsite *c);
/* Into o, whatever happens. t NULL: nothing. */
void phrases__put_thread(struct phrases *p, struct outbuf *o, const struct thread *t);
/* What is said of it has changed. */
void phrases__forget_thread(struct phrases *p, const struct thread *t);
void phrases__done(struct phrases *p);

static inline void phrase__put(struct outbuf *o, const struct phrase *p)
{
	outbuf__put(o, p->text, p->bytes);
}

/* ,"name":"text" and ,"name":1 and so on, for what is said rarely or once. */
void json__member_text(FILE *f, const char *name, const char *text);
void json__member_u64(FILE *f, const char *name, u64 v);
void json__members_callsite(FILE *f, const struct callsite *c);
void json__members_thread(FILE *f, const struct thread *t);

#endif
