// SPDX-License-Identifier: MIT
//
// shop_cpp.cc - tape.h in C++: spans are objects, field types are inferred from the values, std::string included.
//
//	c++ -std=c++17 -I../include shop_cpp.cc -o shop_cpp -pthread
//	sudo tapebpf -- ./shop_cpp
#define TAPE_PROVIDER shop
#include "tape.h"

#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static double parse_price(const std::string &text)
{
	tape_span(DEBUG, "parse", (text, text));

	if (text.empty())
		throw std::invalid_argument("no price"); // the span ends all the same
	return std::stod(text);
}

// A span that begins on one thread and is worked on by another is opened and closed by hand.
static void ship(tape_handle job, const std::string &name)
{
	tape_enter(job);
	tape_info((name, name), "packed");
	tape_exit(job);
	tape_drop(job);
}

int main()
{
	std::vector<std::thread> threads;

	for (const std::string text : {"3.50", "", "12"}) {
		tape_span(INFO, "item", (price, text));
		try {
			double price = parse_price(text);
			tape_handle job = tape_open(INFO, "ship", (price, price));

			threads.emplace_back(ship, job, "item at " + text);
		} catch (const std::exception &e) {
			tape_error((error, tape_err(e)), "not sold");
		}
	}
	for (auto &t : threads)
		t.join();
}
