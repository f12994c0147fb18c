/* SPDX-License-Identifier: MIT */
/*
 * truth_check [-w] TRUTH [JSON] - compare a tape's NDJSON dump with what the traced program has done.
 *
 * Prints a line for each slot and the sums last:
 *	slot N pid P tid T intended I committed C found F first A last B twice D missing M
 * Exit status 1 if a committed record is not on the tape (but for torn ones), one is there twice, or one is there
 * that was never made. -w: the recorder saw only a window of the program's life; then the records found must be without
 * a gap from the first to the last. Without JSON: the sums of the truth alone.
 * Records that carry a slot of another process are counted apart (`foreign`): a fork in the middle of a record leaves two
 * processes that finish it.
 */
#define TRUTH_READER
#include "truth.h"

#include <stdbool.h>
#include <string.h>

struct seen {
	uint8_t *bits;
	uint64_t bytes, found, first, last, twice, beyond;
};

static struct truth_file *truth;
static struct seen *seen;
static uint64_t foreign_cnt;

static uint64_t number_after(const char *line, const char *key, bool *ok)
{
	const char *p = strstr(line, key);

	*ok = p && p[strlen(key)] >= '0' && p[strlen(key)] <= '9';
	return *ok ? strtoull(p + strlen(key), NULL, 10) : 0;
}

static void note(struct seen *s, const struct truth_slot *t, uint64_t seq)
{
	uint64_t need = seq / 8 + 1;

	if (!seq || seq > t->intended) {
		s->beyond++;
		return;
	}
	if (need > s->bytes) {
		uint64_t bytes = need * 2 > 4096 ? need * 2 : 4096;

		s->bits = realloc(s->bits, bytes);
		memset(s->bits + s->bytes, 0, bytes - s->bytes);
		s->bytes = bytes;
	}
	if (s->bits[seq / 8] >> seq % 8 & 1) {
		s->twice++;
		return;
	}
	s->bits[seq / 8] |= 1 << seq % 8;
	s->found++;
	if (!s->first || seq < s->first)
		s->first = seq;
	if (seq > s->last)
		s->last = seq;
}

static int read_dump(const char *path)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "r") : stdin;
	char *line = NULL;
	size_t room = 0;

	if (!f) {
		perror(path);
		return -1;
	}
	while (getline(&line, &room, f) > 0) {
		const char *fields = strstr(line, "\"fields\":{");
		bool ok[3];
		uint64_t slot, seq, pid;

		if (!fields || (strncmp(line, "{\"type\":\"event\"", 15) && strncmp(line, "{\"type\":\"span_open\"", 19)))
			continue;
		slot = number_after(fields, "\"slot\":", &ok[0]);
		seq = number_after(fields, "\"seq\":", &ok[1]);
		pid = number_after(line, "\"pid\":", &ok[2]);
		if (!ok[0] || !ok[1] || slot >= TRUTH_SLOTS)
			continue;
		if (ok[2] && pid != truth->slot[slot].pid)
			foreign_cnt++;
		else
			note(&seen[slot], &truth->slot[slot], seq);
	}
	free(line);
	return 0;
}

static bool judge(const struct truth_slot *t, const struct seen *s, bool window, bool quiet, uint64_t sum[9])
{
	uint64_t missing = 0, from = 1, to = t->committed, seq;

	if (window) {
		from = s->first ? s->first : 1;
		to = s->last;
	}
	for (seq = from; seq <= to; seq++)
		missing += seq / 8 >= s->bytes || !(s->bits[seq / 8] >> seq % 8 & 1);
	if (!quiet)
		printf("slot %u pid %u tid %u intended %lu committed %lu found %lu first %lu last %lu twice %lu missing %lu\n",
		       t->no, t->pid, t->tid, t->intended, t->committed, s->found, s->first, s->last, s->twice, missing);
	sum[0] += t->intended + t->other_intended;
	sum[1] += t->committed + t->other_committed;
	sum[2] += s->found;
	sum[3] += s->twice;
	sum[4] += missing;
	sum[5] += s->beyond;
	sum[6] += t->torn;
	sum[7] += t->intended;
	sum[8] += t->committed;
	return s->twice || s->beyond || missing > t->torn;
}

int main(int argc, char **argv)
{
	bool window = argc > 1 && !strcmp(argv[1], "-w");
	const char **arg = (const char **)argv + 1 + window;
	uint64_t i, sum[9] = { 0 };
	bool bad = false;
	int fd;

	fd = arg[0] ? open(arg[0], O_RDONLY) : -1;
	truth = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*truth), PROT_READ, MAP_SHARED, fd, 0);
	seen = calloc(TRUTH_SLOTS, sizeof(*seen));
	if (truth == MAP_FAILED || !seen || (arg[1] && read_dump(arg[1]))) {
		fprintf(stderr, "usage: truth_check [-w] TRUTH [JSON]\n");
		return 2;
	}
	for (i = 0; i < TRUTH_SLOTS; i++)
		if (truth->slot[i].tid)
			bad |= judge(&truth->slot[i], &seen[i], window, truth->slot_cnt > 400, sum);
	printf("slots %lu intended %lu committed %lu numbered_intended %lu numbered_committed %lu found %lu "
	       "twice %lu missing %lu beyond %lu torn %lu foreign %lu\n",
	       truth->slot_cnt, sum[0], sum[1], sum[7], sum[8], sum[2], sum[3], sum[4], sum[5], sum[6], foreign_cnt);
	return arg[1] && bad;
}
