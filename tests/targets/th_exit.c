/* SPDX-License-Identifier: MIT */
/*
 * th_exit WAY TRUTH [RECORDS [THREADS]] - every road by which a process or thread ends, with partly filled pages and open
 * spans on each of its threads. Prints "RECORDS done" before it goes.
 */
#define TAPE_PROVIDER th_exit
#include <tape.h>

#include "truth.h"

#include <elf.h>
#include <sys/wait.h>

static int record_cnt = 1000, thread_cnt = 2;
static pthread_barrier_t ready, said;
static const char *way, *truth_path, *self;
static int *volatile nowhere;

static void make_records(struct truth_slot *s, int cnt)
{
	for (int i = 0; i < cnt; i++) {
		if (i % 5)
			TRUTH_EVENT(s, "tick");
		else
			TRUTH_SPAN(s, "step", (void)0);
	}
}

static void exec_self(const char *next)
{
	char records[16];

	snprintf(records, sizeof(records), "%d", record_cnt);
	execl(self, self, next, truth_path, records, "1", (char *)NULL);
}

/* A file that the kernel takes for a program and then cannot map: the old memory is gone when it finds out. */
static void exec_doomed(void)
{
	Elf64_Ehdr h = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT }, .e_type = ET_EXEC };
	Elf64_Phdr ph = { .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = 0xffffffff81000000, .p_memsz = 4096,
			  .p_filesz = sizeof(h), .p_align = 4096 };
	int fd = open("doomed", O_WRONLY | O_CREAT | O_TRUNC, 0755);

#ifdef __x86_64__
	h.e_machine = EM_X86_64;
#else
	h.e_machine = EM_AARCH64;
#endif
	h.e_version = EV_CURRENT;
	h.e_phoff = h.e_ehsize = sizeof(h);
	h.e_phentsize = sizeof(ph);
	h.e_phnum = 1;
	if (write(fd, &h, sizeof(h)) != sizeof(h) || write(fd, &ph, sizeof(ph)) != sizeof(ph))
		exit(99);
	close(fd);
	execl("./doomed", "doomed", (char *)NULL);
}

static void leave(struct truth_slot *s)
{
	if (strstr(way, "busy"))
		usleep(500);
	if (!strcmp(way, "exit") || !strcmp(way, "exit_thread") || !strcmp(way, "exit_busy"))
		exit(5);
	if (!strcmp(way, "_exit"))
		_exit(6);
	if (!strcmp(way, "abort"))
		abort();
	if (!strcmp(way, "segv"))
		*nowhere = 1;
	if (!strcmp(way, "kill"))
		kill(getpid(), SIGKILL);
	if (!strcmp(way, "term"))
		kill(getpid(), SIGTERM);
	if (!strcmp(way, "exec") || !strcmp(way, "exec_thread"))
		exec_self("return");
	if (!strcmp(way, "exec_doomed"))
		exec_doomed();
	if (!strcmp(way, "exec_fail")) {
		if (execl("/nonexistent", "x", (char *)NULL) != -1 || errno != ENOENT)
			exit(99);
		make_records(s, record_cnt);
	}
	if (!strcmp(way, "pthread_exit"))
		pthread_exit(NULL);
	if (!strcmp(way, "wait"))
		for (;;)
			pause();
}

static void *helper(void *arg)
{
	struct truth_slot *s = truth__take();
	uint64_t seq = truth__begin(s);
	int last = arg != NULL;

	tape_span(INFO, "open", (slot, s->no), (seq, seq));
	truth__done(s, seq);
	make_records(s, record_cnt);
	pthread_barrier_wait(&ready);
	pthread_barrier_wait(&said);
	if (last && strstr(way, "_thread"))
		leave(s);
	if (!strcmp(way, "pthread_exit")) {
		usleep(20000); /* the main thread is gone by now, most times */
		make_records(s, record_cnt);
		TRUTH_OTHER(s, 1, (void)0); /* the end of the span above, by this return */
		return NULL;
	}
	while (strstr(way, "busy"))
		make_records(s, record_cnt);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	struct truth_slot *s;
	pthread_t t;
	int i;

	if (argc < 3)
		return 2;
	self = argv[0];
	way = argv[1];
	truth_path = argv[2];
	if (argc > 3)
		record_cnt = atoi(argv[3]);
	if (argc > 4)
		thread_cnt = atoi(argv[4]);
	truth__open(truth_path);
	pthread_barrier_init(&ready, NULL, (unsigned)thread_cnt + 1);
	pthread_barrier_init(&said, NULL, (unsigned)thread_cnt + 1);
	s = truth__take();
	for (i = 0; i < thread_cnt; i++)
		if (pthread_create(&t, NULL, helper, i == thread_cnt - 1 ? &t : NULL))
			return 99;
	make_records(s, record_cnt);
	pthread_barrier_wait(&ready);
	printf("%d done\n", record_cnt);
	fflush(stdout);
	pthread_barrier_wait(&said);
	if (strstr(way, "_thread"))
		for (;;)
			pause();
	leave(s);
	return 4;
}
