/* SPDX-License-Identifier: MIT */
/*
 * Real files: programs built here by gcc and clang with <sys/sdt.h>, and libraries of the system. The reference for
 * the notes is `readelf -n`, for source lines the source itself.
 */
#include "elf/elf_file.h"

#include <elf.h>
#include <errno.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

static char dir[] = "/tmp/elf-real-XXXXXX";

/* The line of each probe is in its name. */
static const char source[] =
	"#include <sys/sdt.h>\n"
	"#ifdef SEMA\n"
	"__extension__ unsigned short demo_guarded_semaphore __attribute__((section(\".probes\")));\n"
	"#endif\n"
	"static volatile int counter = 7; static long table[8]; char bytes[64]; short half; double real;\n"
	"int work(int n, const char *s, unsigned char c, long i)\n"
	"{\n"
	"	DTRACE_PROBE(demo, line8);\n"
	"	DTRACE_PROBE3(demo, line9, n, s, c);\n"
	"	DTRACE_PROBE4(demo, line10, counter, table[i], bytes[n + i], half);\n"
	"	DTRACE_PROBE5(demo, line11, 1, -1, 0x7fffffffL, 'x', (short)-3);\n"
	"	DTRACE_PROBE12(demo, line12, n, n + 1, n + 2, n + 3, n + 4, n + 5, n + 6, n + 7, n + 8, n + 9, n + 10, i);\n"
	"	DTRACE_PROBE1(demo, line13, real);\n"
	"	for (n = 0; n < 3; n++)\n"
	"		counter += n;\n"
	"	DTRACE_PROBE2(demo, line16, counter, n);\n"
	"	return n;\n"
	"}\n"
	"#ifndef SHARED\n"
	"int main(int argc, char **argv) { return work(argc, argv[0], argc, argc) == 12345; }\n"
	"#endif\n";

static const char guarded[] =
	"#define _SDT_HAS_SEMAPHORES 1\n"
	"#include <sys/sdt.h>\n"
	"__extension__ unsigned short demo_guarded_semaphore __attribute__((unused, section(\".probes\")));\n"
	"int main(int argc, char **argv)\n"
	"{\n"
	"	if (__builtin_expect(demo_guarded_semaphore, 0))\n"
	"		DTRACE_PROBE1(demo, guarded, argc);\n"
	"	return 0;\n"
	"}\n";

static int shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int shell(const char *fmt, ...)
{
	char command[2048];
	va_list ap;
	int at = snprintf(command, sizeof(command), "cd %s && exec 2>/dev/null; ", dir), status;

	va_start(ap, fmt);
	vsnprintf(command + at, sizeof(command) - (size_t)at, fmt, ap);
	va_end(ap);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool have(const char *compiler)
{
	if (!shell("command -v %s >/dev/null && echo '#include <sys/sdt.h>' | %s -E -x c - >/dev/null", compiler, compiler))
		return true;
	print_message("skipped: no %s with <sys/sdt.h>\n", compiler);
	return false;
}

static bool have_readelf(void)
{
	if (!shell("command -v readelf >/dev/null"))
		return true;
	print_message("skipped: no readelf\n");
	return false;
}

static void write_source(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static struct elf_file *open_file(const char *path)
{
	struct elf_file *f = NULL;
	struct diag d;
	char full[256];

	snprintf(full, sizeof(full), "%s%s%s", path[0] == '/' ? "" : dir, path[0] == '/' ? "" : "/", path);
	if (elf_file__open(full, NULL, &f, &d))
		fail_msg("%s", d.text);
	return f;
}

/* Every note that readelf shows, in the same order, with the same words. Returns how many. */
static u32 compare_with_readelf(const struct elf_file *f)
{
	char command[512], line[8192];
	u32 cnt = 0;
	FILE *p;

	snprintf(command, sizeof(command), "LC_ALL=C readelf -nW '%s' 2>/dev/null", f->path);
	p = popen(command, "r");
	assert_non_null(p);
	while (fgets(line, sizeof(line), p)) {
		const struct elf_site *s = cnt < f->site_cnt ? &f->site[cnt] : NULL;
		unsigned long long location, base, sema;
		char *text = strstr(line, ": ");

		line[strcspn(line, "\n")] = '\0';
		text = text ? text + 2 : strchr(line, '\0');
		if (strstr(line, "    Provider: ")) {
			assert_non_null(s);
			assert_string_equal(s->provider, text);
		} else if (strstr(line, "    Name: ")) {
			assert_string_equal(s->name, text);
		} else if (sscanf(line, " Location: %llx, Base: %llx, Semaphore: %llx", &location, &base, &sema) == 3) {
			assert_int_equal(s->addr, location);
			assert_int_equal(s->sema_addr, sema);
			assert_int_equal(s->sema_offset != 0, sema != 0);
		} else if (strstr(line, "    Arguments:")) {
			assert_string_equal(s->args, text);
			cnt++;
		}
	}
	pclose(p);
	assert_int_equal(cnt, f->site_cnt);
	return cnt;
}

/* The byte at each offset is a nop: offsets are right. */
static void check_offsets(const struct elf_file *f)
{
	FILE *file = fopen(f->path, "r");

	assert_non_null(file);
	for (u32 i = 0; i < f->site_cnt; i++) {
		assert_null(f->site[i].bad);
		assert_int_equal(fseek(file, (long)f->site[i].offset, SEEK_SET), 0);
		assert_int_equal(fgetc(file), f->machine == EM_AARCH64 ? 0x1f : 0x90);
	}
	fclose(file);
}

static void check_built(const char *what, const char *options, bool lines)
{
	struct elf_file *f;
	u32 unreadable = 0;

	if (shell("%s %s -o built demo.c", what, options))
		fail_msg("%s %s failed", what, options);
	f = open_file("built");
	assert_int_equal(compare_with_readelf(f), 7);
	assert_int_equal(f->bad_note_cnt, 0);
	assert_true(f->build_id_bytes == 20 || f->build_id_bytes == 0);
	check_offsets(f);
	elf_file__resolve_lines(f);
	for (u32 i = 0; i < f->site_cnt; i++) {
		const struct elf_site *s = &f->site[i];

		for (u32 j = 0; j < s->arg_cnt; j++)
			unreadable += s->arg[j].kind == WIRE_ARG_NONE;
		if (!lines) {
			assert_null(s->file);
			continue;
		}
		if (!s->file || !strstr(s->file, "demo.c") || s->line != (u32)atoi(s->name + 4))
			fail_msg("%s %s: %s at %s:%u", what, options, s->name, s->file, s->line);
	}
	/* only the double is beyond BPF */
	if (unreadable > 1)
		fail_msg("%s %s: %u arguments unreadable", what, options, unreadable);
	elf_file__free(f);
}

static void built(const char *compiler)
{
	static const char *const options[] = { "-g -O0", "-g -O2", "-g -O2 -no-pie", "-g -O1 -static", "-g -O3 -flto",
					       "-g -O2 -shared -fPIC -DSHARED", "-gdwarf-4 -O2 -gz" };

	if (!have(compiler) || !have_readelf())
		skip();
	write_source("demo.c", source);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (strstr(options[i], "-flto") && shell("%s %s -o probe demo.c", compiler, options[i])) {
			print_message("without -flto: %s cannot\n", compiler);
			continue;
		}
		check_built(compiler, options[i], true);
	}
	check_built(compiler, "-O2", false);
}

static void built_by_gcc(void **state)
{
	built("gcc");
}

static void built_by_clang(void **state)
{
	built("clang");
}

static const struct elf_site *find_site(const struct elf_file *f, const char *name)
{
	for (u32 i = 0; i < f->site_cnt; i++) {
		if (!strcmp(f->site[i].name, name))
			return &f->site[i];
	}
	fail_msg("no site %s", name);
	return NULL;
}

/* The rip-relative operand of a static variable leads to that variable; after strip nobody knows where it is. */
static void symbol_operand(void **state)
{
	const struct elf_site *s;
	unsigned long long want;
	struct elf_file *f;
	char line[256];
	FILE *p;

#if !defined(__x86_64__)
	print_message("skipped: rip-relative operands are of x86-64\n");
	skip();
#endif
	if (!have("gcc") || !have_readelf())
		skip();
	write_source("demo.c", source);
	assert_int_equal(shell("gcc -O2 -o built demo.c && nm built | grep ' counter$' >addr && strip -o stripped built"), 0);
	snprintf(line, sizeof(line), "%s/addr", dir);
	p = fopen(line, "r");
	assert_non_null(p);
	assert_int_equal(fscanf(p, "%llx", &want), 1);
	fclose(p);
	f = open_file("built");
	s = find_site(f, "line10");
	assert_non_null(strstr(s->arg_text[0], "counter(%rip)"));
	assert_int_equal(s->arg[0].kind, WIRE_ARG_IP);
	assert_int_equal(s->arg[0].size, -4);
	assert_int_equal(s->addr + (u64)s->arg[0].off, want);
	elf_file__free(f);
	f = open_file("stripped");
	assert_int_equal(compare_with_readelf(f), 7);
	assert_int_equal(find_site(f, "line10")->arg[0].kind, WIRE_ARG_NONE);
	elf_file__free(f);
}

static void semaphores(void **state)
{
	const struct elf_site *s;
	struct elf_file *f;
	u64 offset;

	if (!have("gcc") || !have_readelf())
		skip();
	write_source("guarded.c", guarded);
	assert_int_equal(shell("gcc -O2 -o guarded guarded.c"), 0);
	f = open_file("guarded");
	assert_int_equal(compare_with_readelf(f), 1);
	s = &f->site[0];
	assert_null(s->bad);
	assert_int_not_equal(s->sema_offset, 0);
	assert_int_equal(elf_file__offset(f, s->sema_addr, false, true, &offset), 0);
	assert_int_equal(offset, s->sema_offset);
	elf_file__free(f);
}

/* DWARF in a file of its own, found through .gnu_debuglink beside the program; one of another build is not used. */
static void separate_debug(void **state)
{
	struct elf_file *f;

	if (!have("gcc") || shell("command -v objcopy >/dev/null")) {
		print_message("skipped: no gcc or objcopy\n");
		skip();
	}
	write_source("demo.c", source);
	assert_int_equal(shell("gcc -g -O2 -Wl,--build-id -o built demo.c && objcopy --only-keep-debug built built.debug && "
			       "strip -o bare built && objcopy --add-gnu-debuglink=built.debug bare"), 0);
	f = open_file("bare");
	elf_file__resolve_lines(f);
	assert_int_equal(find_site(f, "line16")->line, 16);
	assert_int_equal(find_site(f, "line8")->line, 8);
	elf_file__free(f);
	assert_int_equal(shell("gcc -g -O1 -DSEMA -Wl,--build-id -o other demo.c && objcopy --only-keep-debug other built.debug"), 0);
	f = open_file("bare");
	elf_file__resolve_lines(f);
	assert_null(find_site(f, "line16")->file);
	elf_file__free(f);
}

/* A name without a folder, and a file without a build id: then the CRC in the link says whether it is the right one. */
static void separate_debug_by_crc(void **state)
{
	struct elf_file *f;
	char cwd[4096];

	if (!have("gcc") || shell("command -v objcopy >/dev/null")) {
		print_message("skipped: no gcc or objcopy\n");
		skip();
	}
	write_source("demo.c", source);
	assert_int_equal(shell("gcc -g -O2 -Wl,--build-id=none -o nb demo.c && objcopy --only-keep-debug nb nb.debug && "
			       "strip nb && objcopy --add-gnu-debuglink=nb.debug nb"), 0);
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(elf_file__open("nb", NULL, &f, NULL), 0);
	elf_file__resolve_lines(f);
	assert_int_equal(find_site(f, "line16")->line, 16);
	elf_file__free(f);
	assert_int_equal(chdir(cwd), 0);
	assert_int_equal(shell("echo >>nb.debug"), 0);
	f = open_file("nb");
	elf_file__resolve_lines(f);
	assert_null(find_site(f, "line16")->file);
	elf_file__free(f);
}

static void cross_arm64(void **state)
{
	static const char plain[] = "#include <sys/sdt.h>\n"
				    "static int counter; long table[9];\n"
				    "int work(int n, const char *s, long i)\n"
				    "{ DTRACE_PROBE4(demo, a, n, s, table[i], counter); counter++;\n"
				    "  DTRACE_PROBE2(demo, b, 5, -5); return n; }\n";
	struct elf_file *f;

	if (shell("command -v aarch64-linux-gnu-gcc >/dev/null")) {
		print_message("skipped: no aarch64-linux-gnu-gcc\n");
		skip();
	}
	if (!have_readelf())
		skip();
	write_source("arm.c", plain);
	/* the header is the same on every architecture; the cross compiler may not look where it lies */
	assert_int_equal(shell("mkdir -p inc/sys && cp $(echo '#include <sys/sdt.h>' | gcc -E -x c - | sed -n "
			       "'s/^# 1 \"\\(.*sys\\/sdt.*\\.h\\)\".*/\\1/p' | sort -u) inc/sys/ && "
			       "aarch64-linux-gnu-gcc -O2 -fno-section-anchors -nostdlib -ffreestanding -fPIC -shared -Iinc "
			       "-o arm.so arm.c"), 0);
	f = open_file("arm.so");
	assert_int_equal(f->machine, EM_AARCH64);
	assert_int_equal(compare_with_readelf(f), 2);
	check_offsets(f);
	for (u32 i = 0; i < f->site_cnt; i++) {
		for (u32 j = 0; j < f->site[i].arg_cnt; j++) {
			if (f->site[i].arg[j].kind == WIRE_ARG_NONE)
				fail_msg("%s: %s", f->site[i].name, f->site[i].arg_text[j]);
		}
	}
	assert_int_equal(find_site(f, "b")->arg[1].off, -5);
	assert_non_null(strstr(find_site(f, "a")->args, "#:lo12:counter"));
	elf_file__free(f);
	/* gcc's section anchors are labels that no symbol table holds: that argument is lost, the others are not */
	assert_int_equal(shell("aarch64-linux-gnu-gcc -O2 -fsection-anchors -nostdlib -ffreestanding -fPIC -shared -Iinc "
			       "-o arm.so arm.c"), 0);
	f = open_file("arm.so");
	assert_non_null(strstr(find_site(f, "a")->arg_text[3], "LANCHOR"));
	assert_int_equal(find_site(f, "a")->arg[3].kind, WIRE_ARG_NONE);
	assert_int_not_equal(find_site(f, "a")->arg[0].kind, WIRE_ARG_NONE);
	elf_file__free(f);
}

/* Files of the system, as far as they are there. */
static void system_files(void **state)
{
	static const struct {
		const char *pattern;
		u32 at_least;
	} rows[] = {
		{ "/usr/lib/*-linux-gnu/libstdc++.so.6", 3 },
		{ "/usr/bin/python3.1[0-9]", 5 },
		{ "/usr/lib/*-linux-gnu/libpython3.1[0-9].so.1.0", 5 },
		{ "/usr/lib/postgresql/*/bin/postgres", 71 },
		{ "/usr/lib/jvm/*/lib/server/libjvm.so", 500 },
		{ "/usr/lib/*-linux-gnu/libc.so.6", 0 },
		{ "/usr/bin/ls", 0 },
	};
	u32 seen = 0;

	if (!have_readelf())
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		glob_t g;

		if (glob(rows[i].pattern, 0, NULL, &g))
			continue;
		for (size_t j = 0; j < g.gl_pathc; j++) {
			struct elf_file *f = open_file(g.gl_pathv[j]);

			assert_in_range(compare_with_readelf(f), rows[i].at_least, 100000);
			check_offsets(f);
			assert_int_equal(f->bad_note_cnt, 0);
			for (u32 k = 0; k < f->site_cnt; k++) {
				for (u32 a = 0; a < f->site[k].arg_cnt; a++)
					assert_int_not_equal(f->site[k].arg[a].kind, WIRE_ARG_NONE);
			}
			elf_file__free(f);
			seen++;
		}
		globfree(&g);
	}
	print_message("%u files\n", seen);
	assert_true(seen > 0);
}

static int make_dir(void **state)
{
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	return shell("cd / && rm -rf %s", dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(built_by_gcc), cmocka_unit_test(built_by_clang), cmocka_unit_test(symbol_operand),
		cmocka_unit_test(semaphores),	cmocka_unit_test(separate_debug), cmocka_unit_test(separate_debug_by_crc), cmocka_unit_test(cross_arm64),
		cmocka_unit_test(system_files),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
