/* SPDX-License-Identifier: MIT */
/*
 * thread.h - threads beside the one that records. Signals are that one's.
 */
#ifndef TAPEBPF_THREAD_H
#define TAPEBPF_THREAD_H

#include <pthread.h>

/* As pthread_create, but the new thread takes no signals. 0 or negative errno. Any thread. */
int thread__start(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *arg), void *arg);

#endif
