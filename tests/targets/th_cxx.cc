/* SPDX-License-Identifier: MIT */
/*
 * th_cxx - C++: spans that end by return, by exception and in templates and inline functions; values of C++ types. Prints the sum
 * of what it has computed.
 */
#define TAPE_PROVIDER th_cxx
#include <tape.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

enum class colour { red = 3 };

template <typename T> T twice(T v)
{
	tape_span(INFO, "twice", (v, v));
	return v + v;
}

static inline int inlined(int i)
{
	tape_span(DEBUG, "inlined", (i, i));
	return i + 1;
}

static int throws(int n)
{
	tape_span(INFO, "thrown_through", (n, n));
	if (!n)
		throw std::runtime_error("at the bottom");
	return throws(n - 1);
}

int main()
{
	long sum = 0;

	tape_thread_name("cxx-main");
	{
		tape_span(INFO, "outer");
		for (int i = 0; i < 3; i++)
			sum += inlined(i) + twice(i) + (long)twice(i * 0.5);
		sum += twice(4L);
		try {
			throws(3);
		} catch (const std::exception &e) {
			tape_event(ERROR, "caught", (why, tape_err(e)));
		}
		tape_event(INFO, "values", (s, std::string("std")), (v, std::string_view("view", 2)), (e, colour::red), (b, true));
		auto lambda = [&](int x) {
			tape_span(INFO, "lambda", (x, x));
			sum += x;
		};
		lambda(5);
		std::thread([&] { tape_span(INFO, "on_thread"); }).join();
	}
	tape_info((n, sum), "sum %ld", sum);
	printf("%ld\n", sum);
	return 0;
}
