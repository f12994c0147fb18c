/* SPDX-License-Identifier: MIT */
#include "tape/tape_join.h"

#include "tape/tape_format.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

bool tape_part__read(const char *path, struct tape_part *part, u64 *mono_ns)
{
	__close_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct {
		struct tape_intro_rec intro;
		struct tape_x_generation x;
	} TAPE_PACKED head;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || pread(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head))
		return false;
	if (memcmp(head.intro.magic, TAPE_MAGIC, sizeof(head.intro.magic)) || head.x.h.kind != TAPE_X_GENERATION ||
	    head.x.h.len < sizeof(head.x) || head.x.version > TAPE_X_VERSION || head.x.incompat || !head.x.part)
		return false;
	memcpy(part->recording, head.x.recording, sizeof(part->recording));
	part->no = head.x.part;
	*mono_ns = head.x.mono_ns;
	return true;
}

static struct tape_cut *find(const struct tape_join *j, u64 span, const struct thread *thread, bool joined)
{
	struct tape_cut *c = idmap__find(&j->spans, span);

	while (c && (c->thread != thread || c->joined != joined))
		c = c->same;
	return c;
}

int tape_join__keep(struct tape_join *j, u64 span, struct thread *thread, u64 time_ns, u64 dropped_ns)
{
	struct tape_cut *c = malloc(sizeof(*c));

	if (!c)
		return -ENOMEM;
	*c = (struct tape_cut){ .same = idmap__find(&j->spans, span), .span = span, .thread = thread,
				.time_ns = time_ns, .dropped_ns = dropped_ns };
	if (idmap__put(&j->spans, span, c)) {
		free(c);
		return -ENOMEM;
	}
	if (!j->end)
		j->end = &j->first;
	*j->end = c;
	j->end = &c->next;
	return 0;
}

bool tape_join__goes_on(struct tape_join *j, u64 span, const struct thread *thread)
{
	struct tape_cut *c = find(j, span, thread, false);

	if (c)
		c->joined = true;
	return c;
}

bool tape_join__joined(const struct tape_join *j, u64 span)
{
	return find(j, span, NULL, true);
}

bool tape_join__left(struct tape_join *j, struct tape_cut *cut)
{
	struct tape_cut *c;

	while ((c = j->first)) {
		j->first = c->next;
		*cut = *c;
		free(c);
		if (!cut->joined)
			return true;
	}
	tape_join__done(j);
	return false;
}

void tape_join__done(struct tape_join *j)
{
	struct tape_cut *c;

	while ((c = j->first)) {
		j->first = c->next;
		free(c);
	}
	idmap__done(&j->spans);
	*j = (struct tape_join){ 0 };
}
