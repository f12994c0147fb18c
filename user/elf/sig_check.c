/* SPDX-License-Identifier: MIT */
#include "elf/sig_check.h"

#include <stdio.h>
#include <string.h>

#define MAX_TOLD 10 /* a file of signatures for another version of the program: a hundred lines help nobody */
#define MAX_NAME 96 /* longer ones are compared so far */

struct use {
	u32 site_cnt, arg_cnt; /* sites that it fits, the most arguments that one of them has */
	u32 distance;	       /* of near[] */
	char near[2 * MAX_NAME];
};

struct sig_check {
	const struct sig_set *set;
	u32 cnt;
	struct use use[];
};

struct sig_check *sig_check__new(const struct sig_set *s)
{
	u32 cnt = sig_set__cnt(s);
	struct sig_check *c = calloc(1, sizeof(*c) + cnt * sizeof(c->use[0]));

	if (!c)
		return NULL;
	c->set = s;
	c->cnt = cnt;
	for (u32 i = 0; i < cnt; i++)
		c->use[i].distance = ~0u;
	return c;
}

void sig_check__free(struct sig_check *c)
{
	free(c);
}

/* Letters to change, add or leave out on the way from a to b. */
static u32 edit_distance(const char *a, const char *b)
{
	u32 row[2 * MAX_NAME + 1], n = (u32)strlen(b);

	for (u32 j = 0; j <= n; j++)
		row[j] = j;
	for (u32 i = 1; *a; i++, a++) {
		u32 diagonal = row[0];

		row[0] = i;
		for (u32 j = 1; j <= n; j++) {
			u32 change = diagonal + (*a != b[j - 1]), other = MIN(row[j], row[j - 1]) + 1;

			diagonal = row[j];
			row[j] = MIN(change, other);
		}
	}
	return row[n];
}

static void full_name(char *dst, size_t bytes, const char *provider, const char *probe)
{
	snprintf(dst, bytes, "%.*s:%.*s", MAX_NAME - 1, provider, MAX_NAME - 1, probe);
}

static void compare(struct use *u, const struct sig *sig, const char *name)
{
	char own[2 * MAX_NAME];
	u32 d;

	full_name(own, sizeof(own), sig->provider, sig->probe);
	d = edit_distance(own, name);
	if (d >= u->distance || d > 2 + strlen(own) / 4)
		return;
	u->distance = d;
	memcpy(u->near, name, sizeof(u->near));
}

void sig_check__file(struct sig_check *c, const struct elf_file *f)
{
	char name[2 * MAX_NAME] = "";

	for (u32 i = 0; c && c->cnt && i < f->site_cnt; i++) {
		const struct elf_site *s = &f->site[i];
		u32 unused = 0;

		full_name(name, sizeof(name), s->provider, s->name);
		for (u32 j = 0; j < c->cnt; j++) {
			const struct sig *sig = sig_set__at(c->set, j);
			struct use *u = &c->use[j];

			if (sig__fits(sig, s->provider, s->name)) {
				u->site_cnt++;
				u->arg_cnt = MAX(u->arg_cnt, s->arg_cnt);
			} else if (!u->site_cnt && unused++ < MAX_TOLD) {
				compare(u, sig, name);
			}
		}
	}
}

static bool sentence(const struct sig *sig, const struct use *u, bool final, char *text, size_t bytes)
{
	if (u->site_cnt && u->arg_cnt >= sig->param_cnt)
		return false;
	if (u->site_cnt)
		snprintf(text, bytes, "--sig: %.96s:%.96s has %u argument%s, and its signature names %u", sig->provider,
			 sig->probe, u->arg_cnt, u->arg_cnt == 1 ? "" : "s", sig->param_cnt);
	else
		snprintf(text, bytes, "--sig: no plain probe is called %.96s:%.96s%s%s%s", sig->provider, sig->probe,
			 final ? "" : " so far", u->near[0] ? "; the nearest name is " : "", u->near);
	return true;
}

u32 sig_check__tell(const struct sig_check *c, bool final, void (*tell)(void *ctx, const char *text), void *ctx)
{
	char text[512];
	u32 told = 0;

	for (u32 i = 0; c && i < c->cnt; i++) {
		if (!sentence(sig_set__at(c->set, i), &c->use[i], final, text, sizeof(text)))
			continue;
		if (told++ < MAX_TOLD)
			tell(ctx, text);
	}
	if (told > MAX_TOLD) {
		snprintf(text, sizeof(text), "--sig: and %u more like these", told - MAX_TOLD);
		tell(ctx, text);
	}
	return told;
}
