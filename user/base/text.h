/* SPDX-License-Identifier: MIT */
/*
 * text.h - bytes from traced programs on their way to people and parsers.
 *
 * Names and values may hold anything: control characters, escape sequences, invalid UTF-8. What goes to a
 * terminal passes text__print or text__quote; what goes into JSON passes text__json.
 */
#ifndef TAPEBPF_TEXT_H
#define TAPEBPF_TEXT_H

#include "base/util.h"
#include <stdio.h>

/* Write bytes so that a terminal shows them harmlessly: control characters (C0, DEL, C1) as \n, \t, \xNN or
 * \u{NN}, invalid UTF-8 as U+FFFD, bidirectional overrides and line/paragraph separators as \u{NNNN}. */
void text__print(FILE *f, const char *s, size_t bytes);

/* As text__print with double quotes around, and \" and \\ inside. */
void text__quote(FILE *f, const char *s, size_t bytes);

/* Write a JSON string, quotes included: always valid UTF-8 (invalid bytes become U+FFFD). */
void text__json(FILE *f, const char *s, size_t bytes);

/* As text__print into a buffer; always NUL-terminated, cut at a character's border. Returns dst. */
char *text__clean(char *dst, size_t dst_bytes, const char *s, size_t bytes);

/* For the name of a file that is to be read by people: what text__print would spell, each as '_'. Cut at a character's border. Returns dst. */
char *text__file_name(char *dst, size_t dst_bytes, const char *s, size_t bytes);

/* Two lines: the text, cleaned, two columns in, and a caret under the byte `column` (counted from 0; may be the end). */
void text__point(FILE *f, const char *s, size_t column);

/* Is this valid UTF-8? */
bool text__is_utf8(const char *s, size_t bytes);

/* Write valid UTF-8 to dst (invalid sequences become U+FFFD), at most dst_bytes; returns the bytes written. */
size_t text__utf8(char *dst, size_t dst_bytes, const char *s, size_t bytes);

#endif
