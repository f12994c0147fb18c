/* SPDX-License-Identifier: MIT */
/*
 * usdt_halves.c - pairs whose two probes lie in two files: built as the program and, with -DLIBRARY, as the shared object
 * that it loads. Prints the number of passes.
 *
 * usdt_halves LIBRARY PASSES
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sdt.h>

#ifdef LIBRARY
void leave(long i);
void leave(long i)
{
	DTRACE_PROBE1(halves, order__end, 2 * i); /* begun in the program */
	DTRACE_PROBE1(halves, answer__start, i); /* done in the program */
}
#else
int main(int argc, char **argv)
{
	void *lib = dlopen(argc > 1 ? argv[1] : "", RTLD_NOW);
	void (*leave)(long) = lib ? (void (*)(long))dlsym(lib, "leave") : NULL;
	long i, n = argc > 2 ? atol(argv[2]) : 1;

	if (!leave) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	getchar();
	for (i = 0; i < n; i++) {
		DTRACE_PROBE1(halves, order__begin, i);
		leave(i);
		DTRACE_PROBE(halves, answer__done);
	}
	printf("%ld\n", i);
	return 0;
}
#endif
