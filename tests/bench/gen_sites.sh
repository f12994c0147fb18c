#!/bin/sh
# SPDX-License-Identifier: MIT
# gen_sites.sh COUNT: the C source of a program with so many probe sites, each with a semaphore of its own, which sleeps.
cat <<'END'
#define _SDT_HAS_SEMAPHORES 1
#include <stdio.h>
#include <sys/sdt.h>
#include <unistd.h>
END
i=0
while [ $i -lt "$1" ]; do
	echo "unsigned short many_p${i}_semaphore __attribute__((section(\".probes\")));"
	echo "static void __attribute__((noinline)) f$i(int x) { if (__builtin_expect(many_p${i}_semaphore, 0)) DTRACE_PROBE1(many, p$i, x); }"
	i=$((i + 1))
done
echo 'int main(int argc, char **argv) {'
echo '	(void)argv;'
i=0
while [ $i -lt "$1" ]; do
	echo "	f$i(argc);"
	i=$((i + 1))
done
cat <<'END'
	puts("ready");
	fflush(stdout);
	pause();
	return 0;
}
END
