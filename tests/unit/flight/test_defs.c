/* SPDX-License-Identifier: MIT */
/* Definitions of a recording as a file: they come back as they went in, and damage costs no more than the record that it hits. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <sys/mman.h>

#include "base/crc32c.h"
#include "flight/defs.h"

static u8 bytes[65536];
static size_t cnt;

static struct elf_tape_site tape_site = { .addr = 0x4800, .kind = WIRE_SITE_SPAN, .level = WIRE_WARN, .field_cnt = 2, .line = 7,
					  .name = "order", .target = "shop", .module = "", .file = "shop.c",
					  .field = { "id", "path" }, .type = { WIRE_T_U64, WIRE_T_STR } };
static struct elf_site plain = { .provider = "shop", .name = "paid__begin", .file = "pay.c", .line = 9, .arg_cnt = 1,
				 .arg = { { .kind = WIRE_ARG_REG, .size = -4, .reg = 16 } } };
static struct elf_file file = { .path = "/usr/bin/shop", .module_addr = 0x4000, .tape_site = &tape_site, .tape_site_cnt = 1,
				.site = &plain, .site_cnt = 1 };

static int setup(void **state)
{
	struct clock_pair at = { .mono_ns = 5, .real_ns = -6, .boot_ns = 7 };
	struct roster_process p = { .pub = { .pid = 10, .ns_pid = 1, .comm = "shop", .exe = "/usr/bin/shop" }, .since_ns = 100 };
	struct roster_thread t = { .pid = 10, .tid = 11, .since_ns = 110, .comm = "worker" };
	int fd = memfd_create("defs", 0);

	assert_int_equal(defs__put_run(fd, &at, "shop"), 0);
	assert_int_equal(defs__put_file(fd, &file, 3, 20), 0);
	assert_int_equal(defs__put_process(fd, &p), 0);
	assert_int_equal(defs__put_thread(fd, &t), 0);
	t.name = "till-1";
	assert_int_equal(defs__put_name(fd, &t), 0);
	cnt = (size_t)pread(fd, bytes, sizeof(bytes), 0);
	close(fd);
	return 0;
}

static void round_trip(void **state)
{
	const struct roster_thread *t;
	const struct roster_process *p;
	const struct elf_tape_site *s;
	const struct elf_file *f;
	struct defs d;

	assert_int_equal(defs__read(&d, bytes, cnt, NULL, 0), 0);
	assert_int_equal(d.damaged, 0);
	assert_int_equal(d.at.mono_ns, 5);
	assert_int_equal(d.at.real_ns, -6);
	assert_string_equal(d.exe, "shop");
	assert_int_equal(d.file_cnt, 1);
	assert_int_equal(d.file[0].module, 3);
	assert_int_equal(d.file[0].first_site, 20);
	f = d.file[0].elf;
	assert_string_equal(f->path, "/usr/bin/shop");
	s = elf_file__find_tape_site(f, 0x4800);
	assert_non_null(s);
	assert_string_equal(s->name, "order");
	assert_string_equal(s->module, "");
	assert_string_equal(s->field[1], "path");
	assert_int_equal(s->type[1], WIRE_T_STR);
	assert_int_equal(s->level, WIRE_WARN);
	assert_string_equal(f->site[0].name, "paid__begin");
	assert_int_equal(f->site[0].arg[0].size, -4);
	p = roster__process_at(&d.roster, 10, 105);
	assert_string_equal(p->pub.exe, "/usr/bin/shop");
	assert_null(p->pub.cmdline);
	t = roster__thread_at(&d.roster, 10, 11, 120);
	assert_string_equal(t->comm, "worker");
	assert_string_equal(t->name, "till-1");
	defs__done(&d);
}

static void cut_anywhere(void **state)
{
	struct defs d;
	size_t i;

	for (i = 0; i < cnt; i++) {
		u8 *copy = malloc(i + 1); /* the sanitizers see what is beyond */

		memcpy(copy, bytes, i);
		assert_int_equal(defs__read(&d, copy, i, NULL, 0), 0);
		assert_true(d.file_cnt <= 1);
		defs__done(&d);
		free(copy);
	}
}

/* One record is gone at most, the others are there. */
static void flipped_anywhere(void **state)
{
	struct defs d;
	size_t i;

	for (i = 0; i < cnt * 8; i++) {
		bytes[i / 8] ^= 1 << i % 8;
		assert_int_equal(defs__read(&d, bytes, cnt, NULL, 0), 0);
		assert_true(d.damaged > 0);
		assert_true((d.at.mono_ns == 5) + (d.file_cnt == 1) + (d.roster.process_cnt == 1) + (d.roster.thread_cnt == 1) >= 3);
		defs__done(&d);
		bytes[i / 8] ^= 1 << i % 8;
	}
}

/*
 * Each 16 bytes of a large file claim to be a record that reaches to its end, and the copy has small ones that are whole, or not, in between. If
 * each claim were looked into, that would be 2^38 bytes: the test would not end. What is whole at the beginning is taken.
 */
static void hostile(void **state)
{
	const size_t size = 8u << 20;
	u8 *a = malloc(size), *b = malloc(size);
	struct defs d;

	assert_true(cnt < size);
	for (u32 way = 0; way < 3; way++) {
		memcpy(a, bytes, cnt);
		for (size_t at = cnt; at + 16 <= size; at += 16) {
			u32 head[4] = { 0x46454454, DEFS_NO_PAIRS, (u32)(size - at - 16), 1 };

			memcpy(a + at, head, sizeof(head));
		}
		memcpy(b, a, size);
		for (size_t at = cnt; way && at + 16 <= size; at += way * 16) {
			u32 head[4] = { 0x46454454, DEFS_NO_PAIRS, 0, 0 };

			head[3] = crc32c(crc32c(0, &head[1], 4), &head[2], 4);
			memcpy(b + at, head, sizeof(head));
		}
		assert_int_equal(defs__read(&d, a, size, b, size), 0);
		assert_int_equal(d.file_cnt, 1);
		assert_true(d.damaged + d.healed > 0);
		defs__done(&d);
	}
	free(a);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(flipped_anywhere),
		cmocka_unit_test(hostile),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
