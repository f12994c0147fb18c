/* SPDX-License-Identifier: MIT */
/*
 * th_dso HOW TRUTH ROUNDS LIB... - a program and shared objects that each include the header.
 * HOW: calls (all loaded, called in turn, below a span of the program), loop (dlopen, call, dlclose, ROUNDS times), threads (likewise, called on a
 * thread that ends before the dlclose, and on one that outlives it), outlived (likewise, one thread outlives them all), closers (each round
 * is a thread's, which then ends), later (one round, then loop once the file `go` is there), all_kill (all loaded, called once each, then SIGKILL). Prints the rounds that went well.
 */
#define TAPE_PROVIDER th_dso
#include <tape.h>

#include "truth.h"

#include <dlfcn.h>
#include <unistd.h>

typedef void part_fn(struct truth_slot *s, int cnt);

struct call {
	part_fn *work;
	pthread_barrier_t called, closed;
	struct truth_slot *s;
};

static void *short_caller(void *arg)
{
	struct call *c = arg;

	c->work(truth__take(), 7);
	return NULL;
}

static void *long_caller(void *arg)
{
	struct call *c = arg;
	struct truth_slot *s = truth__take();

	c->work(s, 9);
	pthread_barrier_wait(&c->called);
	pthread_barrier_wait(&c->closed);
	TRUTH_EVENT(s, "after_close");
	return NULL;
}

static void on_threads(part_fn *work, void *lib)
{
	struct call c = { .work = work };
	pthread_t a, b;

	pthread_barrier_init(&c.called, NULL, 2);
	pthread_barrier_init(&c.closed, NULL, 2);
	pthread_create(&a, NULL, short_caller, &c);
	pthread_create(&b, NULL, long_caller, &c);
	pthread_join(a, NULL);
	pthread_barrier_wait(&c.called);
	dlclose(lib);
	pthread_barrier_wait(&c.closed);
	pthread_join(b, NULL);
}

/* One thread for all rounds. */
static void *steady_caller(void *arg)
{
	struct call *c = arg;
	struct truth_slot *s = truth__take();

	for (;;) {
		pthread_barrier_wait(&c->called);
		if (!c->work)
			break;
		c->work(s, 4);
		pthread_barrier_wait(&c->closed);
	}
	TRUTH_EVENT(s, "after_all");
	return NULL;
}

static int outlived(const char *path, int rounds)
{
	struct call c = { 0 };
	int good = 0;
	pthread_t t;

	pthread_barrier_init(&c.called, NULL, 2);
	pthread_barrier_init(&c.closed, NULL, 2);
	pthread_create(&t, NULL, steady_caller, &c);
	for (; good < rounds; good++) {
		void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);

		c.work = (part_fn *)(uintptr_t)dlsym(lib, "part_work");
		pthread_barrier_wait(&c.called);
		pthread_barrier_wait(&c.closed);
		dlclose(lib);
	}
	c.work = NULL;
	pthread_barrier_wait(&c.called);
	pthread_join(t, NULL);
	return good;
}

static void *closer(void *path)
{
	void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	part_fn *work = (part_fn *)(uintptr_t)dlsym(lib, "part_work");

	work(truth__take(), 6);
	dlclose(lib);
	return dlopen(path, RTLD_NOW | RTLD_NOLOAD) ? NULL : path;
}

static int closers(char *path, int rounds)
{
	int good = 0;
	void *went;
	pthread_t t;

	for (int i = 0; i < rounds; i++) {
		pthread_create(&t, NULL, closer, path);
		pthread_join(t, &went);
		good += went != NULL;
	}
	return good;
}

static int loop(struct truth_slot *s, const char *path, int rounds, int threads)
{
	int good = 0;

	for (int i = 0; i < rounds; i++) {
		void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
		part_fn *work = lib ? (part_fn *)(uintptr_t)dlsym(lib, "part_work") : NULL;

		if (!work)
			break;
		TRUTH_EVENT(s, "round");
		if (threads) {
			on_threads(work, lib);
		} else {
			work(s, 5 + i % 300);
			dlclose(lib);
		}
		if (dlopen(path, RTLD_NOW | RTLD_NOLOAD))
			break; /* it did not go */
		good++;
	}
	return good;
}

int main(int argc, char **argv)
{
	int rounds, good = 0, i, k;
	struct truth_slot *s;
	part_fn *work[64];

	if (argc < 5 || argc > 68)
		return 2;
	truth__open(argv[2]);
	rounds = atoi(argv[3]);
	s = truth__take();
	if (!strcmp(argv[1], "outlived")) {
		good = outlived(argv[4], rounds);
	} else if (!strcmp(argv[1], "closers")) {
		good = closers(argv[4], rounds);
	} else if (!strcmp(argv[1], "later")) {
		good = loop(s, argv[4], 1, 0);
		printf("once\n");
		fflush(stdout);
		while (access("go", F_OK))
			usleep(1000);
		good += loop(s, argv[4], rounds, 0);
	} else if (strcmp(argv[1], "calls") && strcmp(argv[1], "all_kill")) {
		good = loop(s, argv[4], rounds, !strcmp(argv[1], "threads"));
	} else {
		for (k = 4; k < argc; k++) {
			void *lib = dlopen(argv[k], RTLD_NOW | RTLD_LOCAL);

			if (!lib || !(work[k - 4] = (part_fn *)(uintptr_t)dlsym(lib, "part_work")))
				return 99;
		}
		for (i = 0; i < rounds; i++, good++)
			TRUTH_SPAN(s, "main", {
				for (k = 4; k < argc; k++)
					work[k - 4](s, 3);
			});
		if (!strcmp(argv[1], "all_kill"))
			raise(SIGKILL);
	}
	printf("%d\n", good);
	return 0;
}
