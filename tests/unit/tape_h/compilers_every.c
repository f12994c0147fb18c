/* SPDX-License-Identifier: MIT */
/*
 * compilers_every.c - every macro of tape.h, as strict C11 and as C++17 and later, for compilers.sh. The program raises its own
 * words, traces, and reads back what has come to stand on its page: one letter a record. Exit status 0 and "done" if that is
 * what it must be. Depends on nothing but the C library, so that any compiler of any machine can have it.
 */
#define TAPE_PROVIDER every
#include <tape.h>

/* The options of compilers.sh forbid casts in C's manner, and 0 for a pointer, in C++. */
#ifdef __cplusplus
#define AS(type, x) static_cast<type>(x)
#define AS_PTR(type, x) reinterpret_cast<type>(x)
#define NOTHING nullptr
#else
#define AS(type, x) ((type)(x))
#define AS_PTR(type, x) ((type)(x))
#define NOTHING NULL
#endif

#ifdef __cplusplus
#include <string>
#include <string_view>
struct bad_luck {
	const char *what() const { return "bad luck"; }
};
enum class colour { red = 3 };
template <class T> static T twice(T v)
{
	tape_span(INFO, "twice", (v, v));
	return static_cast<T>(v + v);
}
#endif

#ifdef __cplusplus
extern "C" {
#endif
extern const struct tape_site __start_tape_sites[] __attribute__((visibility("hidden")));
extern const struct tape_site __stop_tape_sites[] __attribute__((visibility("hidden")));
#ifdef __cplusplus
}
#endif

static uint16_t *words_of(const struct tape_site *s)
{
	return AS_PTR(uint16_t *, AS_PTR(uintptr_t, &s->words) + AS(uintptr_t, AS(intptr_t, s->words)));
}

static unsigned raise_words(uint16_t armed, uint16_t semaphore)
{
	const struct tape_site *s;
	unsigned n = 0;

	for (s = __start_tape_sites; s < __stop_tape_sites; s++, n++) {
		words_of(s)[0] = semaphore;
		words_of(s)[1] = armed;
	}
	return n;
}

static int evaluated;
static int touch(int x)
{
	evaluated++;
	return x;
}

static inline int inlined(int x)
{
	tape_span(DEBUG, "inlined", (x, touch(x)));
	return x + 1;
}

static void all_types(int x, const char *text, const void *ptr)
{
	const char *none = NOTHING;

	tape_event(INFO, "types", (yes, x > 1), (c, 'c'), (sc, AS(signed char, -1)), (uc, AS(unsigned char, 255)), (s, AS(short, -2)),
		   (us, AS(unsigned short, 2)), (i, -70000), (u, 4000000000u), (l, -5L), (ul, 5UL), (ll, -6LL), (ull, 6ULL),
		   (s128, AS(tape__s128, -7)), (u128, AS(tape__u128, 7)), (f, 1.5f), (d, 2.5), (ld, 3.5L), (p, ptr), (t, text),
		   (lit, "literal"), (none, none), (part, tape_str("abcdef", 3)), (raw, tape_bytes("\0\1\2", 3)),
		   (eno, tape_err(ENOENT)), (why, tape_err("it broke")), (dotted.name.here, 7), (later, tape_empty));
	tape_event(WARN, "many", (f0, 0), (f1, 1), (f2, 2), (f3, 3), (f4, 4), (f5, 5), (f6, 6), (f7, 7), (f8, 8), (f9, 9),
		   (f10, 10), (f11, 11), (f12, 12), (f13, 13), (f14, 14), (f15, 15), (f16, 16), (f17, 17), (f18, 18), (f19, 19),
		   (f20, 20), (f21, 21), (f22, 22), (f23, 23), (f24, 24), (f25, 25), (f26, 26), (f27, 27), (f28, 28), (f29, 29),
		   (f30, 30), (f31, 31));
}

static void events(int n, const char *text)
{
	tape_trace("alone");
	tape_debug((n, n));
	tape_info((n, n), "message %d", n);
	tape_warn((n, n), (text, text), "%s and %d", text, n);
	if (n)
		tape_error("an else may follow %s", text);
	else
		tape_event(ERROR, "never");
	tape_event(ERROR, "named", "with a message of %zu", sizeof(n));
	tape_event_in(tape_root(), INFO, "at_root", (n, n));
}

static int leaves_early(int n)
{
	tape_span(TRACE, "leaves_early", (n, n));
	if (n)
		return n;
	tape_info("stays");
	return 0;
}

static void spans_by_hand(void)
{
	tape_handle h = tape_open(INFO, "job", (n, 1), (rows, tape_empty)), other, copy;

	other = tape_open_in(h, DEBUG, "part_of_job");
	copy = tape_clone(h);
	tape_enter(h);
	tape_record(h, (rows, 17));
	tape_follows(other, h);
	tape_exit(h);
	tape_drop(copy);
	tape_drop(other);
	tape_drop(h);
}

static int work(int n)
{
	int sum = 0, i;

	tape_span_as(whole, INFO, "whole", (n, n), (sum, tape_empty));
	for (i = 0; i < 2; i++)
		sum += inlined(i);
	{
		tape_span_in(tape_handle_of(whole), INFO, "inner");
		tape_span_in(tape_here(), INFO, "second_in_one_block");
		sum += leaves_early(n) + leaves_early(0);
	}
	events(n, "text");
	spans_by_hand();
	tape_record(whole, (sum, sum));
	(void)tape_current();
	return sum;
}

#ifdef __cplusplus
static void cxx(int n)
{
	std::string s("std");
	auto lambda = [&](int x) {
		tape_span(INFO, "lambda", (x, x));
		n += x;
	};

	lambda(5);
	(void)twice(n);
	(void)twice(0.5 * n);
	tape_event(INFO, "values", (s, s), (v, std::string_view("view", 2)), (e, colour::red), (nil, nullptr), (b, true));
	tape_event(ERROR, "caught", (why, tape_err(bad_luck())), (s, tape_err(s)));
}
#endif

static void letters(char *to, size_t room)
{
	static const char names[] = "?BEvOnxCDVfNtPp?";
	const struct tape_page *p = tape_1_tls.page;
	const unsigned char *at, *end;
	uint32_t head;
	size_t n = 0;

	if (p && p->magic == TAPE_PAGE_MAGIC) {
		at = AS_PTR(const unsigned char *, p) + TAPE_DATA;
		end = at + (p->commit & 0xffff);
		for (; at < end && n < room - 1; at += head >> 18 << 2) {
			memcpy(&head, at, 4);
			to[n++] = names[head & 15];
			if (head >> 18 < 2)
				break;
		}
	}
	to[n] = '\0';
}

/* thread name; whole, inlined twice; two in a block, leaving early and not; events; by hand; a late value, the end */
#define PLAIN "tBBEBENBBBEBvEEE" "vvvvvvv" "OOCnVfxDDD" "VE"
#define CXX "BEBEBEvv"

static int expect(const char *what, const char *want)
{
	char got[256];

	letters(got, sizeof(got));
	if (!strcmp(got, want))
		return 0;
	printf("%s: %s, not %s\n", what, got, want);
	return 1;
}

int main(void)
{
	unsigned sites;
	int bad = 0;

	work(3);
	bad += expect("nobody records", "");
	bad += evaluated != 0;
	tape_1_module.ticks = 1;
	sites = raise_words(0, 1);
	work(3);
	bad += expect("through the nops", "");
	raise_words(1, 0);
	bad += !tape_prepare();
	tape_thread_name("every");
	work(3);
#ifdef __cplusplus
	cxx(1);
	bad += expect("armed", PLAIN CXX);
#else
	bad += expect("armed", PLAIN);
#endif
	all_types(2, "abc", &sites);
	bad += tape_1_tls.page->clock != 1 || !tape_1_tls.page->slot[0].ticks;
	bad += evaluated != 4 || sites < 17;
	if (bad)
		printf("%d bad, %d evaluated, %u sites\n", bad, evaluated, sites);
	else
		puts("done");
	return bad != 0;
}
