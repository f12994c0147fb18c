/* SPDX-License-Identifier: MIT */
#include "base/close_aside.h"

#include "base/thread.h"

#include <stdint.h>
#include <unistd.h>

static void *close_it(void *fd)
{
	close((int)(intptr_t)fd);
	return NULL;
}

void close_aside(int fd)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	if (fd < 0)
		return;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 64 << 10);
	err = thread__start(&thread, &attr, close_it, (void *)(intptr_t)fd);
	pthread_attr_destroy(&attr);
	if (err)
		close(fd);
}
