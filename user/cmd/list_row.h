/* SPDX-License-Identifier: MIT */
/* list_row.h - one line of `tapebpf list`, made of a foreign site or a callsite of tape.h, and its two shapes. */
#ifndef TAPEBPF_LIST_ROW_H
#define TAPEBPF_LIST_ROW_H

#include "elf/elf_file.h"
#include "elf/sig.h"

#include <stdio.h>

/* What can be seen of a site. The kernel keeps apart what people call "active": a breakpoint can be there while the
 * semaphore that guards it is 0, and the other way round. */
enum list_state {
	LIST_FOUND,    /* in the file; of the process nothing is known */
	LIST_BAD,      /* cannot be attached or armed: why */
	LIST_IDLE,     /* process: nobody has attached */
	LIST_ATTACHED, /* process: a breakpoint is on the nop */
	LIST_ARMED,    /* process: tape.h's own word is up */
};

struct list_field {
	const char *name;
	char own_name[16]; /* "arg0", where the program gives none */
	const char *type;
	const char *operand; /* NULL: tape.h */
	bool unreadable;
};

struct list_row {
	const char *kind; /* "probe", "span", "event" */
	bool foreign;
	const char *level;
	const char *target; /* provider */
	const char *name;
	const char *file; /* of the source, NULL or "": unknown */
	u32 line;
	u64 offset; /* of the site's nop in the binary */
	enum list_state state;
	const char *why;
	bool has_sema;
	int sema; /* its value, -1: not known */
	u32 field_cnt;
	struct list_field field[WIRE_MAX_FIELDS];
};

/* Memory of a process at its link addresses. NULL: only the file. */
struct list_process {
	int mem; /* /proc/PID/mem, -1: not readable */
	u64 bias;
};

void list_row__foreign(struct list_row *r, const struct elf_file *f, const struct elf_site *s,
		       const struct sig_set *sigs, const struct list_process *p);
void list_row__tape(struct list_row *r, const struct elf_file *f, const struct elf_tape_site *t,
		    const struct list_process *p);

void list_row__print_head(FILE *out);
void list_row__print(const struct list_row *r, FILE *out);
void list_row__print_json(const struct list_row *r, const char *path, FILE *out);

#endif
