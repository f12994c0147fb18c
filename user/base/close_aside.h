/* SPDX-License-Identifier: MIT */
/*
 * close_aside.h - let go of a descriptor that somebody else has given us.
 *
 * Where a file lies on a network or in another process (NFS, FUSE), close(2) asks there and waits for the answer, which may never come.
 */
#ifndef TAPEBPF_CLOSE_ASIDE_H
#define TAPEBPF_CLOSE_ASIDE_H

/* Never waits, unless no thread can be made. fd < 0: nothing. */
void close_aside(int fd);

#endif
