/* SPDX-License-Identifier: MIT */
/*
 * th_dso TRUTH HOW [ROUNDS] - main and two shared objects (th_dso_a.so, th_dso_b.so beside the program), all with tape.h. HOW: all (three
 * modules nested), loop (dlopen, record, dlclose again and again), threads (other threads have recorded in the object when
 * it is closed).
 */
#define TAPE_PROVIDER th
#include "truth.h"
#include <dlfcn.h>
#include <libgen.h>
#include <pthread.h>

typedef uint64_t call_t(uint64_t);
static char dir[4096];

static void *load(const char *name, call_t **call)
{
	char path[4200], symbol[32];
	void *h;

	snprintf(path, sizeof(path), "%s/th_dso_%s.so", dir, name);
	h = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!h) {
		fprintf(stderr, "%s\n", dlerror());
		exit(1);
	}
	snprintf(symbol, sizeof(symbol), "dso_%s", name);
	*call = (call_t *)dlsym(h, symbol);
	return h;
}

static uint64_t called(call_t *call, uint64_t i)
{
	uint64_t r;

	truth()->intended += 3;
	r = call(i);
	truth()->committed += 3;
	return r;
}

static pthread_barrier_t recorded, closed;
static call_t *shared_call;

static void *other(void *arg)
{
	called(shared_call, 1);
	pthread_barrier_wait(&recorded);
	pthread_barrier_wait(&closed);
	TRUTH(tape_event(INFO, "after_close", (n, 1)));
	return NULL;
}

static uint64_t close_under_threads(void)
{
	pthread_t t[4];
	void *h;
	int i;

	h = load("a", &shared_call);
	pthread_barrier_init(&recorded, NULL, 5);
	pthread_barrier_init(&closed, NULL, 5);
	for (i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, other, NULL);
	pthread_barrier_wait(&recorded);
	dlclose(h);
	pthread_barrier_wait(&closed);
	for (i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	return 4;
}

int main(int argc, char **argv)
{
	long i, rounds = truth_arg(argc, argv, 3, 100);
	const char *how = argc > 2 ? argv[2] : "";
	uint64_t sum = 0;
	call_t *a, *b;
	ssize_t n;
	void *h, *g;

	if (argc < 3)
		return 2;
	n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
	dir[n < 0 ? 0 : n] = 0;
	dirname(dir);
	truth_open(argv[1]);
	if (!strcmp(how, "all")) {
		h = load("a", &a);
		g = load("b", &b);
		if (getenv("TH_SETTLE")) /* let a recorder notice the new files */
			usleep(500000);
		for (i = 0; i < rounds; i++)
			TRUTH_SPAN(sum += called(a, called(b, (uint64_t)i)), INFO, "main", (i, (uint64_t)i));
		dlclose(g);
		dlclose(h);
	} else if (!strcmp(how, "loop")) {
		for (i = 0; i < rounds; i++) {
			h = load(i & 1 ? "a" : "b", &a);
			sum += called(a, (uint64_t)i);
			dlclose(h);
		}
	} else if (!strcmp(how, "threads")) {
		for (i = 0; i < rounds; i++)
			sum += close_under_threads();
	} else {
		return 2;
	}
	printf("result %llu\n", (unsigned long long)sum);
	return 0;
}
