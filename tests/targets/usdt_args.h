/* SPDX-License-Identifier: MIT */
/* usdt_args.h - the two halves of usdt_args: probes with semaphores, and without. */
#ifndef USDT_ARGS_H
#define USDT_ARGS_H

extern int usdt_args_global;

/* Pass the probes without semaphores once. */
void usdt_args_plain(unsigned long i);

#endif
