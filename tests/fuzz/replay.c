/* SPDX-License-Identifier: MIT */
/*
 * replay.c - runs files through a fuzz target without a fuzzer: the corpus as a test, and a crash found elsewhere under
 * a debugger.
 *
 *	replay_NAME [-m MUTATIONS] [-s SEED] FILE|DIRECTORY...
 *
 * -m also runs each file with so many random changes (flipped bits, overwritten, cut and repeated bytes). The seed is
 * printed: the same seed changes the same files in the same way. A signal or an input that takes longer than ten
 * seconds names the input, whose mutation is written to replay.crash in $TMPDIR.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECONDS_PER_INPUT 10

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
/* Optional, as with libFuzzer. */
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

static const char *current_name = "";
static const uint8_t *current_data;
static size_t current_bytes;
static unsigned long inputs, mutations_each;
static uint64_t seed = 1;

/* Only what a signal handler may call. */
static void say(const char *s)
{
	if (write(2, s, strlen(s)) < 0)
		_exit(1);
}

static void keep_input(void)
{
	const char *dir = getenv("TMPDIR");
	char path[4096];
	int fd;

	/* not async-signal-safe in letter; the process is about to end anyway */
	snprintf(path, sizeof(path), "%s/replay.crash", dir ? dir : "/tmp");
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, current_data, current_bytes) < 0)
		return;
	say("input kept in ");
	say(path);
	say("\n");
}

static void on_signal(int sig)
{
	say(sig == SIGALRM ? "replay: too slow on " : "replay: crash on ");
	say(current_name);
	say("\n");
	keep_input();
	signal(sig, SIG_DFL);
	if (sig == SIGALRM)
		_exit(1);
	raise(sig);
}

/* A block of exactly this size, so that a sanitizer sees the first byte read beyond. */
static void run_once(const uint8_t *data, size_t bytes)
{
	uint8_t *copy = malloc(bytes ? bytes : 1);

	if (!copy)
		abort();
	memcpy(copy, data, bytes);
	current_data = copy;
	current_bytes = bytes;
	alarm(SECONDS_PER_INPUT);
	LLVMFuzzerTestOneInput(copy, bytes);
	alarm(0);
	free(copy);
	inputs++;
}

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL; /* splitmix64 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static size_t mutate(uint8_t *p, size_t bytes, uint64_t *state)
{
	static const uint64_t odd[] = { 0, 1, 0x7f, 0x80, 0xff, 0x7fffffff, 0x80000000, 0xffffffff, ~0ULL, ~0ULL >> 1 };
	unsigned int times = 1 + (unsigned int)(next_random(state) % 8);

	while (times-- && bytes) {
		uint64_t r = next_random(state);
		size_t at = next_random(state) % bytes, width = (size_t)1 << r % 4;
		uint64_t value = r & 16 ? odd[r / 32 % (sizeof(odd) / sizeof(odd[0]))] : next_random(state);

		switch (r / 4096 % 6) {
		case 0:
			p[at] ^= (uint8_t)(1 << r / 65536 % 8);
			break;
		case 1:
		case 2:
		case 3:
			memcpy(p + at, &value, width < bytes - at ? width : bytes - at);
			break;
		case 4: {
			size_t from = value % bytes, n = bytes - (from > at ? from : at);

			memmove(p + at, p + from, n < 64 ? n : 64);
			break;
		}
		case 5:
			if (r / 65536 % 4 == 0)
				bytes = at;
			break;
		}
	}
	return bytes;
}

static void run_bytes(const uint8_t *data, size_t bytes)
{
	uint64_t state = seed ^ bytes * 0x9e3779b97f4a7c15ULL;
	uint8_t *copy;

	run_once(data, bytes);
	copy = malloc(bytes ? bytes : 1);
	if (!copy)
		abort();
	for (unsigned long i = 0; i < mutations_each; i++) {
		memcpy(copy, data, bytes);
		run_once(copy, mutate(copy, bytes, &state));
	}
	free(copy);
}

static int run_path(const char *path);

static int run_directory(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	int status = 0;

	if (!dir) {
		perror(path);
		return 1;
	}
	while ((e = readdir(dir))) {
		char child[4096];

		if (e->d_name[0] == '.')
			continue;
		snprintf(child, sizeof(child), "%s/%s", path, e->d_name);
		status |= run_path(child);
	}
	closedir(dir);
	return status;
}

static int run_path(const char *path)
{
	struct stat st;
	uint8_t *data;
	FILE *f;
	int status = 1;

	if (!stat(path, &st) && S_ISDIR(st.st_mode))
		return run_directory(path);
	f = fopen(path, "re");
	data = f ? malloc((size_t)st.st_size + 1) : NULL;
	if (data && fread(data, 1, (size_t)st.st_size, f) == (size_t)st.st_size) {
		current_name = path;
		run_bytes(data, (size_t)st.st_size);
		status = 0;
	} else {
		perror(path);
	}
	free(data);
	if (f)
		fclose(f);
	return status;
}

int main(int argc, char **argv)
{
	static const int fatal[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGALRM };
	int status = 0, opt;

	while ((opt = getopt(argc, argv, "m:s:")) != -1) {
		if (opt == 'm')
			mutations_each = strtoul(optarg, NULL, 10);
		else if (opt == 's')
			seed = strtoull(optarg, NULL, 10);
		else
			return 2;
	}
	if (optind == argc) {
		fprintf(stderr, "usage: %s [-m MUTATIONS] [-s SEED] FILE|DIRECTORY...\n", argv[0]);
		return 2;
	}
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		signal(fatal[i], on_signal);
	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	for (int i = optind; i < argc; i++)
		status |= run_path(argv[i]);
	printf("%lu inputs", inputs);
	if (mutations_each)
		printf(", seed %llu", (unsigned long long)seed);
	putchar('\n');
	return inputs ? status : 1;
}
