/* SPDX-License-Identifier: MIT */
/*
 * tape.h under all ways of building that it promises: levels of optimisation, position independence, LTO, section garbage
 * collection, identical code folding, three linkers, static, C with C++, and arm64 where there is a cross compiler. What is looked at: no
 * warning, every site in the table and among the notes as readelf lists them, one descriptor, nothing exported, the program runs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "elf/elf_file.h"

static const char main_c[] =
	"#define TAPE_PROVIDER built\n#include <tape.h>\nint part(int);\nstatic inline int in(int x) { tape_span(INFO, \"in\", (x, x)); return x; }\n"
	"int unused(int x);\nint unused(int x) { tape_span(INFO, \"unused\"); return x; }\n"
	"int main(int argc, char **argv)\n{\n\ttape_span(INFO, \"main\", (argc, argc), (http.method, argv[0]), (u, 3ul));\n"
	"\ttape_handle h = tape_open(DEBUG, \"by_hand\");\n\ttape_drop(h);\n\ttape_event(WARN, \"event\", (c, (char)argc), \"%d\", argc);\n"
	"\treturn part(in(1)) + in(0) - 1;\n}\n";
static const char part_c[] =
	"#define TAPE_PROVIDER built\n#include <tape.h>\n"
	"#ifdef __cplusplus\nextern \"C\" int part(int x);\ntemplate <class T> T in(T x) { tape_span(INFO, \"template\", (x, x)); return x; }\n"
	"#else\nint part(int x);\n#define in(x) (x)\n#endif\n"
	"int part(int x)\n{\n\ttape_span(INFO, \"part\", (x, x));\n\treturn in(x);\n}\n";

static char dir[] = "/tmp/tape_builds.XXXXXX";

static int run(char *out, size_t room, const char *fmt, ...)
{
	char cmd[2048];
	va_list ap;
	size_t n;
	FILE *f;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	strcat(cmd, " 2>&1");
	f = popen(cmd, "r");
	assert_non_null(f);
	n = fread(out, 1, room - 1, f);
	out[n] = 0;
	return pclose(f);
}

static void put(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int setup(void **state)
{
	if (!mkdtemp(dir))
		return -1;
	put("main.c", main_c);
	put("part.c", part_c);
	return 0;
}

static int cleanup(void **state)
{
	char out[256];

	return run(out, sizeof(out), "rm -r %s", dir);
}

static uint32_t sites_named(const struct elf_file *f, const char *name)
{
	uint32_t i, n = 0;

	for (i = 0; i < f->tape_site_cnt; i++)
		n += !strcmp(f->tape_site[i].name, name) && !f->tape_site[i].bad;
	return n;
}

static uint32_t count(const char *s, const char *what)
{
	uint32_t n = 0;

	for (; (s = strstr(s, what)); s++)
		n++;
	return n;
}

/* What is the same for every build. */
static void look(const char *how, const char *prog)
{
	static char out[262144];
	struct diag d = { 0 };
	struct elf_file *f;
	uint32_t i, notes = 0;

	if (elf_file__open(prog, NULL, &f, &d))
		fail_msg("%s: %s", how, d.text);
	if (f->bad_note_cnt || f->site_cnt || f->tape_probe_cnt != 4 || !f->module_addr || !f->ticks_cold_offset)
		fail_msg("%s: %u bad, %u foreign, %u tape:*, module %lx: %s", how, f->bad_note_cnt, f->site_cnt, f->tape_probe_cnt,
			 (long)f->module_addr, f->bad_note ? f->bad_note : "");
	if (!sites_named(f, "main") || !sites_named(f, "part") || !sites_named(f, "event") || !sites_named(f, "by_hand") ||
	    !sites_named(f, "in"))
		fail_msg("%s: a site is not in the table", how);
	for (i = 0; i < f->tape_site_cnt; i++)
		notes += f->tape_site[i].nop_end_offset ? 2 : 1;
	if (run(out, sizeof(out), "readelf -n %s", prog))
		fail_msg("%s: readelf: %s", how, out);
	if (count(out, "Provider: built") != notes)
		fail_msg("%s: readelf lists %u notes, the table has %u", how, count(out, "Provider: built"), notes);
	if (strstr(out, "%%") || count(out, "Arguments: 8@") + count(out, "Arguments: -8@") < notes + 4)
		fail_msg("%s: a probe's arguments are none: %s", how, out);
	if (!strstr(out, "Name: main__begin") || !strstr(out, "Name: main__end") || !strstr(out, "Name: by_hand__open") ||
	    !strstr(out, "Name: event\n"))
		fail_msg("%s: a probe's name is missing: %s", how, out);
	if (run(out, sizeof(out), "nm -D --defined-only %s", prog))
		fail_msg("%s: nm: %s", how, out);
	if (strstr(out, "tape_1_"))
		fail_msg("%s: exported: %s", how, out);
	elf_file__free(f);
}

static void build(const char *c, const char *cxx, const char *compile, const char *link, int runs)
{
	static char out[65536];
	char how[512], prog[128];
	int s;

	snprintf(how, sizeof(how), "%s %s %s / %s", c, cxx, compile, link);
	snprintf(prog, sizeof(prog), "%s/prog", dir);
	s = run(out, sizeof(out), "%s -std=gnu11 -Wall -Wextra -Werror %s -I%s/include -c %s/main.c -o %s/main.o", c, compile, TAPE_H_TOP, dir, dir);
	if (s)
		fail_msg("%s: %s", how, out);
	s = run(out, sizeof(out), "%s %s -Wall -Wextra -Werror %s -I%s/include -c -x %s %s/part.c -o %s/part.o", cxx,
		strstr(cxx, "++") ? "-std=c++17" : "-std=gnu11", compile, TAPE_H_TOP, strstr(cxx, "++") ? "c++" : "c", dir, dir);
	if (s)
		fail_msg("%s: %s", how, out);
	s = run(out, sizeof(out), "%s %s %s %s/main.o %s/part.o -o %s", cxx, compile, link, dir, dir, prog);
	if (s)
		fail_msg("%s: %s", how, out);
	look(how, prog);
	if (runs && run(out, sizeof(out), "%s", prog))
		fail_msg("%s: does not run: %s", how, out);
}

static int there(const char *c)
{
	char out[4096];

	if (!run(out, sizeof(out), "command -v %s", c))
		return 1;
	print_message("%s is not there: left out\n", c);
	return 0;
}

static void gcc(void **state)
{
	if (!there(TAPE_H_CC) || !there(TAPE_H_CXX))
		skip();
	build(TAPE_H_CC, TAPE_H_CXX, "-O0", "", 1);
	build(TAPE_H_CC, TAPE_H_CC, "-O1 -fPIE -pie", "", 1);
	build(TAPE_H_CC, TAPE_H_CXX, "-O2 -fPIC -fvisibility=hidden", "", 1);
	build(TAPE_H_CC, TAPE_H_CXX, "-O3 -fno-pie -no-pie", "", 1);
	build(TAPE_H_CC, TAPE_H_CXX, "-O2 -flto", "", 1);
	build(TAPE_H_CC, TAPE_H_CC, "-O2", "-static", 1);
	build(TAPE_H_CC, TAPE_H_CXX, "-Os -ffunction-sections -fdata-sections", "-Wl,--gc-sections", 1);
	build(TAPE_H_CC, TAPE_H_CXX, "-O2 -g -fsanitize=address,undefined", "", 1);
}

static void shared(void **state)
{
	static char out[65536];
	char so[128];

	if (!there(TAPE_H_CC))
		skip();
	snprintf(so, sizeof(so), "%s/part.so", dir);
	if (run(out, sizeof(out), "%s -O2 -fPIC -shared -I%s/include %s/main.c %s/part.c -o %s", TAPE_H_CC, TAPE_H_TOP, dir, dir, so))
		fail_msg("%s", out);
	look("shared object", so);
}

static void clang(void **state)
{
	char cxx[128];

	snprintf(cxx, sizeof(cxx), "%s++", TAPE_H_CLANG);
	if (!there(TAPE_H_CLANG) || !there(cxx))
		skip();
	build(TAPE_H_CLANG, cxx, "-O0", "", 1);
	build(TAPE_H_CLANG, cxx, "-O2 -fPIC", "", 1);
	build(TAPE_H_CLANG, TAPE_H_CLANG, "-O3 -fno-pie", "-no-pie", 1);
	if (there("ld.lld")) {
		build(TAPE_H_CLANG, cxx, "-O2 -flto", "-fuse-ld=lld", 1);
		build(TAPE_H_CLANG, cxx, "-O2 -ffunction-sections", "-fuse-ld=lld -Wl,--gc-sections -Wl,--icf=all", 1);
	}
}

static void gold(void **state)
{
	if (!there(TAPE_H_CC) || !there("ld.gold"))
		skip();
	build(TAPE_H_CC, TAPE_H_CXX, "-O2 -ffunction-sections", "-fuse-ld=gold -Wl,--gc-sections -Wl,--icf=all", 1);
}

static void arm64(void **state)
{
	if (!there("aarch64-linux-gnu-gcc"))
		skip();
	build("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-gcc", "-O2", "", 0);
	build("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-gcc", "-O0 -fPIC", "", 0);
	if (there("aarch64-linux-gnu-g++"))
		build("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-g++", "-O2 -mbranch-protection=standard", "-static", 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gcc), cmocka_unit_test(shared), cmocka_unit_test(clang), cmocka_unit_test(gold), cmocka_unit_test(arm64),
	};

	return cmocka_run_group_tests(tests, setup, cleanup);
}
