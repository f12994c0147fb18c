/* SPDX-License-Identifier: MIT */
/* One module made of two C and one C++ translation units: one descriptor, one page a thread; and C++ values and flow. */
#define TAPE_PROVIDER th
#include "tape_story.h"

const void *part_module(void);
const void *part_page(void);
void part_record(void);
const void *cxx_module(void);
const void *cxx_page(void);
void cxx_values(void);
void cxx_flow(void);

static int all_on(void **state)
{
	story_words(NULL, 1, 0);
	story_begin();
	return 0;
}

static void one_module(void **state)
{
	tape_event(INFO, "mine");
	part_record();
	assert_ptr_equal(part_module(), &tape_1_module);
	assert_ptr_equal(cxx_module(), &tape_1_module);
	assert_ptr_equal(part_page(), tape_1_tls.page);
	assert_ptr_equal(cxx_page(), tape_1_tls.page);
	assert_string_equal(story(), "EVENT 0 mine\nEVENT 0 part s='01234567'/10\n");
	assert_int_equal(story_elf->tape_probe_cnt, 4); /* one of each for the whole module */
}

static void settings_of_each(void **state)
{
	const struct tape_site *s;
	int found = 0;

	for (s = __start_tape_sites; s < __stop_tape_sites; s++) {
		const char *t = story_name(s);

		if (strcmp(t, "part"))
			continue;
		found++;
		t += strlen(t) + 1;
		assert_string_equal(t, "part::target");
		assert_string_equal(t + strlen(t) + 1, "part::module");
		assert_int_equal(s->level, TAPE_LEVEL_WARN);
	}
	assert_int_equal(found, 1);
}

static void values(void **state)
{
	char want[1024];

	cxx_values();
	snprintf(want, sizeof(want), "EVENT 0 empty v='' c='' s=''\nEVENT 0 functions none=0x0 f=%p variadic=%p\n", (void *)cxx_flow,
		 (void *)printf);
	assert_non_null(strstr(story(), want));
	assert_non_null(strstr(story(), "EVENT 0 errors what='bad luck' text='string' no='No such file or directory'\n"));
	snprintf(want, sizeof(want), "EVENT 0 strings s='string' v='viewed' temp='temp' a='array' n=null l='qqqq..qqqq'#256/300\n"
				     "EVENT 0 others e=3 m=-1 nil=0x0 b=true ld=2.5\n");
	assert_memory_equal(story(), want, strlen(want));
}

static void flow(void **state)
{
	const char *s;

	cxx_flow();
	s = story();
	s = strchr(s, '\n') + 1; /* the thread's batch came first */
	assert_string_equal(s, "BEGIN 0 template x=1\nEND 0\n"
			       "BEGIN 0 template x=2.5\nEND 0\n"
			       "EVENT 0 event tests/unit/tape_h/mixed_cxx.cc:27 message='inlined 7' x=7\n"
			       "BEGIN 0 lambda q=7\nEND 0\n"
			       "EVENT 0 constructed v=4\nBEGIN 0 method v=4\nEND 0\nEVENT 0 destroyed v=4\n"
			       "BEGIN 0 thrown\nEND 0\nEVENT 0 caught\n"
			       "BEGIN 0 returns early=true\nEND 0\n"
			       "BEGIN 0 returns early=false\nEVENT 1 late\nEND 0\n"
			       "BEGIN 0 named later=-\nVALUE 0 -:named 0='value'\nEND 0\n");
	assert_non_null(strstr(story(), "EVENT 0 in_thread\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(one_module, all_on),
		cmocka_unit_test(settings_of_each),
		cmocka_unit_test_setup(values, all_on),
		cmocka_unit_test_setup(flow, all_on),
	};

	return cmocka_run_group_tests(tests, story_setup, NULL);
}
