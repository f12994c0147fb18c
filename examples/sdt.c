/* SPDX-License-Identifier: MIT */
/*
 * sdt.c - plain sys/sdt.h probes, as many programs carry them. tapebpf needs no more: NAME__begin and NAME__end become
 * a span, the others events. Debian's package of sys/sdt.h is systemtap-sdt-dev.
 *
 *	cc sdt.c -o sdt
 *	sudo tapebpf --sig 'mail:send__begin(str to, i32 bytes)' -- ./sdt
 */
#include <stdio.h>
#include <string.h>
#include <sys/sdt.h>
#include <unistd.h>

static int send_mail(const char *to, const char *text)
{
	int err = strchr(to, '@') ? 0 : -1;

	DTRACE_PROBE2(mail, send__begin, to, (int)strlen(text));
	usleep(1000);
	if (err)
		DTRACE_PROBE1(mail, refused, to);
	DTRACE_PROBE1(mail, send__end, err);
	return err;
}

int main(void)
{
	int failed = 0;

	failed += send_mail("ada@example.org", "hello") != 0;
	failed += send_mail("nobody", "are you there?") != 0;
	printf("%d failed\n", failed);
	return 0;
}
