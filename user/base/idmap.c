/* SPDX-License-Identifier: MIT */
#include "base/idmap.h"

#include <errno.h>
#include <sys/random.h>

#define FIRST_BITS 4

static u64 random_multiplier(void)
{
	u64 m = 0;

	if (getrandom(&m, sizeof(m), GRND_NONBLOCK) != sizeof(m))
		m = (u64)(uintptr_t)&m; /* early boot: the address space's layout has to do */
	/* odd, so that it permutes; high bits set, so that small ids spread */
	return (m ^ 0x9e3779b97f4a7c15ULL) | 1 | 1ULL << 62;
}

static void place(struct idmap *m, u64 id, void *value)
{
	u64 i, mask = (1ULL << m->size_bits) - 1;

	for (i = idmap__home(m, id); m->slot[i].value; i = (i + 1) & mask)
		;
	m->slot[i].id = id;
	m->slot[i].value = value;
}

static int grow(struct idmap *m)
{
	struct idmap old = *m;
	u64 i;

	m->size_bits = old.slot ? old.size_bits + 1 : FIRST_BITS;
	m->slot = calloc(1ULL << m->size_bits, sizeof(*m->slot));
	if (!m->slot) {
		*m = old;
		return -ENOMEM;
	}
	if (!old.slot) {
		m->multiplier = random_multiplier();
		return 0;
	}
	for (i = 0; i < 1ULL << old.size_bits; i++)
		if (old.slot[i].value)
			place(m, old.slot[i].id, old.slot[i].value);
	free(old.slot);
	return 0;
}

int idmap__put(struct idmap *m, u64 id, void *value)
{
	u64 i, mask;

	/* at most half full: runs stay short */
	if (!m->slot || (u64)m->cnt * 2 >= 1ULL << m->size_bits) {
		int err = grow(m);

		if (err)
			return err;
	}
	mask = (1ULL << m->size_bits) - 1;
	for (i = idmap__home(m, id); m->slot[i].value; i = (i + 1) & mask) {
		if (m->slot[i].id == id) {
			m->slot[i].value = value;
			return 0;
		}
	}
	m->slot[i].id = id;
	m->slot[i].value = value;
	m->cnt++;
	return 0;
}

void *idmap__remove(struct idmap *m, u64 id)
{
	u64 i, hole, mask = (1ULL << m->size_bits) - 1;
	void *value;

	if (!m->cnt)
		return NULL;
	for (i = idmap__home(m, id); m->slot[i].value && m->slot[i].id != id; i = (i + 1) & mask)
		;
	value = m->slot[i].value;
	if (!value)
		return NULL;
	/* close the gap: what lies behind and would be looked for at or before the hole moves into it */
	for (hole = i, i = (i + 1) & mask; m->slot[i].value; i = (i + 1) & mask) {
		if (((i - idmap__home(m, m->slot[i].id)) & mask) >= ((i - hole) & mask)) {
			m->slot[hole] = m->slot[i];
			hole = i;
		}
	}
	m->slot[hole].value = NULL;
	m->cnt--;
	return value;
}

void idmap__done(struct idmap *m)
{
	free(m->slot);
	*m = (struct idmap){};
}
