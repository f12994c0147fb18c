/* SPDX-License-Identifier: MIT */
/*
 * guest_exit.c - end the virtual machine with a status: `guest_exit STATUS` writes it to QEMU's isa-debug-exit port.
 * QEMU itself then exits with (STATUS << 1) | 1, so that an even status means that the guest never got here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/io.h>

#define DEBUG_EXIT_PORT 0xf4

int main(int argc, char **argv)
{
	int status = argc > 1 ? atoi(argv[1]) : 0;

	if (ioperm(DEBUG_EXIT_PORT, 4, 1)) {
		perror("guest_exit: ioperm");
		return 1;
	}
	outb(status & 0x7f, DEBUG_EXIT_PORT);
	return 1;
}
