// SPDX-License-Identifier: MIT
// The C++ half of test_mixed: the same module as the C half, with what only C++ has.
#define TAPE_PROVIDER th_cxx
#define TAPE_TARGET "th::cxx"
#include <tape.h>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <vector>

enum class colour : unsigned char { red = 3 };
enum signed_enum { minus = -1 };
static_assert(std::is_trivially_copyable<tape_handle>::value, "handles are plain values");

template <class T> static T twice(T x)
{
	tape_span(INFO, "template", (x, x));

	return x + x;
}

inline int inlined(int x)
{
	tape_info((x, x), "inlined %d", x);
	return x;
}

struct thing {
	int v;
	thing(int v) : v(v) { tape_event(INFO, "constructed", (v, v)); }
	~thing() { tape_event(INFO, "destroyed", (v, v)); }
	void method() const { tape_span(DEBUG, "method", (v, v)); }
};

static int with_return(bool early)
{
	tape_span(INFO, "returns", (early, early));

	if (early)
		return 1;
	tape_event(INFO, "late");
	return 2;
}

extern "C" void cxx_values(void);
extern "C" void cxx_flow(void);
extern "C" const void *cxx_module(void);
extern "C" const void *cxx_page(void);

void cxx_values(void)
{
	std::string s = "string";
	std::string_view v = std::string_view("viewed too much").substr(0, 6);
	char array[8] = "array";
	const char *null = nullptr;
	const std::string long_one(300, 'q');
	void (*lone)(void) = nullptr;

	tape_event(INFO, "strings", (s, s), (v, v), (temp, std::string("tem") + "p"), (a, array), (n, null), (l, long_one));
	tape_event(INFO, "others", (e, colour::red), (m, minus), (nil, nullptr), (b, true), (ld, 2.5L));
	tape_event(INFO, "empty", (v, std::string_view()), (c, std::vector<char>()), (s, std::string()));
	tape_event(INFO, "functions", (none, lone), (f, cxx_flow), (variadic, printf));
	tape_event(ERROR, "errors", (what, tape_err(std::runtime_error("bad luck"))), (text, tape_err(s)), (no, tape_err(2)));
}

void cxx_flow(void)
{
	auto lambda = [](int q) {
		tape_span(INFO, "lambda", (q, q));
		return q;
	};

	twice(1);
	twice(2.5);
	lambda(inlined(7));
	{
		thing t(4);

		t.method();
	}
	try {
		tape_span(INFO, "thrown");
		throw 1;
	} catch (int) {
		tape_event(INFO, "caught");
	}
	with_return(true);
	with_return(false);
	{
		tape_span_as(named, INFO, "named", (later, tape_empty));
		tape_record(named, (later, std::string("value")));
	}
	std::vector<std::thread> threads;
	threads.emplace_back([] { tape_event(INFO, "in_thread"); });
	threads[0].join();
}

const void *cxx_module(void)
{
	return &tape_1_module;
}

const void *cxx_page(void)
{
	return tape_1_tls.page;
}
