/* SPDX-License-Identifier: MIT */
/*
 * Programs built here with tape.h: what the compiler and linker leave of it is read back as callsites, none of its notes
 * is taken for a foreign probe, and every place that a recorder would touch is a nop or a writable word.
 */
#include "elf/elf_file.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

static char dir[] = "/tmp/elf-tape-XXXXXX";
static char include_dir[PATH_MAX];

/* Line numbers are asserted. */
static const char source[] =
	"#define TAPE_PROVIDER shop\n"
	"#include <tape.h>\n"
	"#include <sys/sdt.h>\n"
	"void work(unsigned long long id, const char *path, int n, double d)\n"
	"{\n"
	"	tape_span(INFO, \"request\", (id, id), (http.path, path), (n, n), (ok, n > 3), (d, d));\n"
	"	tape_event(ERROR, \"db.error\", (code, n));\n"
	"	tape_warn((left, n), \"slow %d\", n);\n"
	"	DTRACE_PROBE1(plain, foreign, n);\n"
	"	tape_handle h = tape_open(DEBUG, \"job\", (rows, tape_empty));\n"
	"	tape_enter(h); tape_exit(h); tape_drop(h);\n"
	"}\n"
	"#ifndef SHARED\n"
	"int main(void) { work(1, \"p\", 2, 0.5); return 0; }\n"
	"#endif\n";

static int shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int shell(const char *fmt, ...)
{
	char command[PATH_MAX + 1024];
	va_list ap;
	int at = snprintf(command, sizeof(command), "cd %s && exec 2>errors; ", dir), status;

	va_start(ap, fmt);
	vsnprintf(command + at, sizeof(command) - (size_t)at, fmt, ap);
	va_end(ap);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static const struct elf_tape_site *find(const struct elf_file *f, const char *name)
{
	for (u32 i = 0; i < f->tape_site_cnt; i++) {
		if (!strcmp(f->tape_site[i].name, name))
			return &f->tape_site[i];
	}
	fail_msg("no callsite %s", name);
	return NULL;
}

static u8 byte_at(const char *path, u64 offset)
{
	FILE *file = fopen(path, "r");
	int c;

	assert_non_null(file);
	assert_int_equal(fseek(file, (long)offset, SEEK_SET), 0);
	c = fgetc(file);
	fclose(file);
	return (u8)c;
}

static void check_request(const struct elf_tape_site *t)
{
	static const char *const names[] = { "id", "http.path", "n", "ok", "d" };

	assert_int_equal(t->kind, WIRE_SITE_SPAN);
	assert_int_equal(t->level, WIRE_INFO);
	assert_int_equal(t->line, 6);
	assert_string_equal(t->target, "shop");
	assert_non_null(strstr(t->file, "demo.c"));
	assert_int_equal(t->field_cnt, 5);
	for (u32 i = 0; i < 5; i++)
		assert_string_equal(t->field[i], names[i]);
	assert_int_equal(t->type[0], WIRE_T_U64);
	assert_int_equal(t->type[1], WIRE_T_STR);
	assert_int_equal(t->type[2], WIRE_T_I32);
	assert_int_equal(t->type[4], WIRE_T_F64);
	assert_int_not_equal(t->nop_offset, 0);
	assert_int_not_equal(t->nop_end_offset, 0);
}

static void check_file(const char *path)
{
	const u8 nop = sizeof(void *) == 8 && byte_at("/proc/self/exe", 18) == 183 ? 0x1f : 0x90; /* EM_AARCH64 */
	u32 plain = 0, others = 0;
	bool seen[4] = { false };
	struct elf_file *f;
	struct diag d;

	if (elf_file__open(path, NULL, &f, &d))
		fail_msg("%s", d.text);
	assert_int_equal(f->bad_note_cnt, 0);
	assert_int_not_equal(f->module_addr, 0);
	assert_int_not_equal(f->ticks_offset, 0);
	assert_int_equal(byte_at(path, f->ticks_cold_offset), nop);
	assert_int_equal(f->tape_site_cnt, 4);
	check_request(find(f, "request"));
	assert_int_equal(find(f, "db.error")->kind, WIRE_SITE_EVENT);
	assert_int_equal(find(f, "db.error")->level, WIRE_ERROR);
	assert_int_equal(find(f, "job")->level, WIRE_DEBUG);
	assert_int_equal(find(f, "job")->type[0], WIRE_T_EMPTY);
	for (u32 i = 0; i < f->tape_site_cnt; i++) {
		const struct elf_tape_site *t = &f->tape_site[i];

		if (t->bad)
			fail_msg("%s: %s", t->name, t->bad);
		assert_ptr_equal(elf_file__find_tape_site(f, t->addr), t);
		assert_int_equal(t->armed_offset, t->sema_offset + 2);
		assert_int_equal(byte_at(path, t->cold_offset), nop);
		assert_int_equal(byte_at(path, t->nop_offset), nop);
	}
	for (u32 i = 0; i < f->tape_probe_cnt; i++) {
		seen[f->tape_probe[i].what] = true;
		assert_int_equal(byte_at(path, f->tape_probe[i].offset), nop);
	}
	for (u32 i = 0; i < 4; i++)
		assert_true(seen[i]);
	/* of all those notes one is foreign; a static libstdc++ brings its own three */
	for (u32 i = 0; i < f->site_cnt; i++) {
		assert_null(f->site[i].bad);
		plain += !strcmp(f->site[i].provider, "plain");
		others += !strcmp(f->site[i].provider, "libstdcxx");
	}
	assert_int_equal(plain, 1);
	assert_int_equal(plain + others, f->site_cnt);
	elf_file__free(f);
}

static void built(const char *compiler, const char *language)
{
	/* a compile takes seconds: the last ones, where only the linker differs, with one compiler */
	static const char *const options[] = { "-O0", "-O2 -shared -fPIC -DSHARED -fvisibility=hidden", "-O2 -flto",
					       "-O2 -no-pie", "-O2 -static",
					       "-O2 -ffunction-sections -fdata-sections -Wl,--gc-sections" };
	size_t cnt = strcmp(compiler, "gcc") ? 3 : ARRAY_SIZE(options);
	char path[PATH_MAX];

	if (shell("echo '#include <sys/sdt.h>' | %s -x c -E - >/dev/null", compiler)) {
		print_message("skipped: no %s with <sys/sdt.h>\n", compiler);
		skip();
	}
	snprintf(path, sizeof(path), "%s/built", dir);
	for (size_t i = 0; i < cnt; i++) {
		if (strstr(options[i], "-flto") && shell("echo 'int x;' | %s %s -flto -x c - -shared -o lto", compiler, strstr(language, "++") ? "" : language)) {
			print_message("without -flto: %s cannot\n", compiler);
			continue;
		}
		if (shell("%s -I'%s' %s %s -o built demo.c -pthread", compiler, include_dir, options[i], language))
			fail_msg("%s %s does not build", compiler, options[i]);
		check_file(path);
		assert_int_equal(shell("strip built"), 0);
		check_file(path);
	}
}

static void gcc_c(void **state)
{
	built("gcc", "-std=gnu11");
}

static void clang_c(void **state)
{
	built("clang", "-std=gnu11");
}

static void gcc_cxx(void **state)
{
	built("g++", "-std=gnu++17 -x c++");
}

static void clang_cxx(void **state)
{
	built("clang++", "-std=gnu++17 -x c++");
}

static int prepare(void **state)
{
	char path[64];
	FILE *f;

	/* tests run at the top of the tree */
	if (!realpath("include", include_dir) || !mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/demo.c", dir);
	f = fopen(path, "w");
	if (!f)
		return -1;
	fputs(source, f);
	return fclose(f);
}

static int remove_dir(void **state)
{
	return shell("cd / && rm -rf %s", dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gcc_c), cmocka_unit_test(clang_c), cmocka_unit_test(gcc_cxx), cmocka_unit_test(clang_cxx),
	};

	return cmocka_run_group_tests(tests, prepare, remove_dir);
}
