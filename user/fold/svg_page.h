/* SPDX-License-Identifier: MIT */
/*
 * svg_page.h - an SVG page of frames: what flame graphs and charts share. One file, its own script and style in it, nothing
 * fetched. Without its script (in an <img>) it is a plain picture.
 *
 * Whatever comes from traced programs goes through page__text: it can become neither markup nor script.
 */
#ifndef TAPEBPF_SVG_PAGE_H
#define TAPEBPF_SVG_PAGE_H

#include <stdio.h>

#include "base/util.h"
#include "fold/amount.h"

struct page_opts {
	const char *title, *subtitle, *notes; /* NULL: none */
	const char *colors;	/* a palette */
	const char *search_color;
	const char *font;
	double font_px;
	double min_width;	/* percent: narrower frames are left out */
	u32 width_px;
	bool fluid;		/* as wide as its window; width_px is for those without a script */
	u32 frame_px;		/* height */
	bool inverted;		/* root on top */
	bool negate;		/* difference: blue for what has grown */
	enum amount_unit unit;
	const char *count_word; /* "samples" */
	const char *name_word;	/* "Function": of what is hovered */
};

void page_opts__defaults(struct page_opts *o);
/* Is this harmless as a font, as a colour? */
bool page__is_font(const char *s);
bool page__is_color(const char *s);

/* body_px: height of the frames; diff: colours of a difference. kind: "graph" or "chart". Errors stay in f. */
void page__begin(FILE *f, const struct page_opts *o, const char *kind, u32 body_px, bool diff);
/* Left edge and width in percent, top in px. css: class of the rect. details: one line, from us. */
void page__frame(FILE *f, const struct page_opts *o, double x, double width, u32 y, const char *css, const char *name,
		 size_t name_bytes, const char *details);
/* A chart's time line, in the first row. */
void page__axis(FILE *f, const struct page_opts *o, u64 total);
/* A heading above some rows of a chart. */
void page__label(FILE *f, const struct page_opts *o, u32 y, const char *text, size_t bytes);
/* note: what had to be left out, may be "". */
void page__end(FILE *f, const struct page_opts *o, u32 body_px, const char *note);

/* Text for XML, in an attribute or between tags: always well-formed, whatever the bytes. */
void page__text(FILE *f, const char *s, size_t bytes);

#endif
