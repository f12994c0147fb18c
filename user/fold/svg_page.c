/* SPDX-License-Identifier: MIT */
#include "fold/svg_page.h"

#include "base/text.h"
#include "fold/palette.h"

#include <ctype.h>
#include <string.h>

#define MARGIN_PX 10
#define HEAD_PX 62
#define FOOT_PX 40

/* svg_page.css and svg_page.js, as they are in the tree. */
#define EMBED(name, file) \
	__asm__(".section .rodata\n" \
		".global page_" #name "\npage_" #name ":\n.incbin \"" file "\"\n.byte 0\n" \
		".previous\n"); \
	extern const char page_##name[]

EMBED(css, "user/fold/svg_page.css");
EMBED(js, "user/fold/svg_page.js");

void page_opts__defaults(struct page_opts *o)
{
	*o = (struct page_opts){ .title = "Flame graph", .colors = "hot", .search_color = "#c026d3",
				 .font = "ui-monospace, DejaVu Sans Mono, Menlo, Consolas, monospace", .font_px = 12,
				 .min_width = 0.01, .width_px = 1200, .fluid = true, .frame_px = 18,
				 .count_word = "samples", .name_word = "Span" };
}

static bool only(const char *s, const char *besides)
{
	size_t i;

	for (i = 0; s[i]; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr(besides, s[i]))
			return false;
	return i > 0 && i < 120;
}

bool page__is_font(const char *s)
{
	return only(s, " ,-");
}

bool page__is_color(const char *s)
{
	return only(*s == '#' ? s + 1 : s, "");
}

/* --- text -------------------------------------------------------------------------------------------------- */

#define REPLACEMENT "\xef\xbf\xbd"

/* What XML 1.0 has no way to write, and what turns text round. s is valid UTF-8. */
static size_t forbidden(const u8 *s)
{
	if (s[0] < 0x20 || s[0] == 0x7f)
		return 1;
	if (s[0] == 0xc2 && s[1] < 0xa0)
		return 2; /* C1 */
	if (s[0] == 0xef && s[1] == 0xbf && s[2] >= 0xbe)
		return 3; /* U+FFFE, U+FFFF */
	if (s[0] == 0xe2 && s[1] == 0x80 && ((s[2] >= 0xaa && s[2] <= 0xae) || s[2] == 0xa8 || s[2] == 0xa9))
		return 3; /* overrides, line and paragraph separators */
	if (s[0] == 0xe2 && s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9)
		return 3; /* isolates */
	return 0;
}

static void put_clean(FILE *f, const char *s, size_t bytes)
{
	size_t i, skip;

	for (i = 0; i < bytes; i++) {
		skip = forbidden((const u8 *)s + i);
		if (skip) {
			fputs(REPLACEMENT, f);
			i += skip - 1;
			continue;
		}
		switch (s[i]) {
		case '&': fputs("&amp;", f); break;
		case '<': fputs("&lt;", f); break;
		case '>': fputs("&gt;", f); break;
		case '"': fputs("&quot;", f); break;
		case '\'': fputs("&#39;", f); break;
		default: fputc(s[i], f);
		}
	}
}

void page__text(FILE *f, const char *s, size_t bytes)
{
	char clean[1024 + 4]; /* forbidden() may look at two bytes more */
	size_t part, n;

	while (bytes) {
		/* a piece of at most 300 bytes that does not end within a character */
		part = MIN(bytes, (size_t)300);
		while (part < bytes && part > 290 && ((u8)s[part] & 0xc0) == 0x80)
			part--;
		n = text__utf8(clean, 1024, s, part);
		memset(clean + n, 0, 4);
		put_clean(f, clean, n);
		s += part;
		bytes -= part;
	}
}

static void put_string(FILE *f, const char *s)
{
	page__text(f, s, strlen(s));
}

/* How much of a name fits into so many cells; wide characters take two. */
static size_t fitting(const char *s, size_t bytes, size_t cells)
{
	size_t i = 0, next, wide;

	while (i < bytes) {
		next = i + 1;
		while (next < bytes && ((u8)s[next] & 0xc0) == 0x80)
			next++;
		wide = next - i >= 3 ? 2 : 1;
		if (wide > cells)
			break;
		cells -= wide;
		i = next;
	}
	return i;
}

/* --- the page ---------------------------------------------------------------------------------------------- */

static double cell_px(const struct page_opts *o)
{
	return o->font_px * 0.602;
}

static void put_style(FILE *f, const struct page_opts *o, bool diff)
{
	bool dark;

	fputs("<style>\n", f);
	fputs(page_css, f);
	fprintf(f, ".tb,.tb input,.tb button,.tb output{font-family:%s}.tb .frames text{font-size:%gpx}\n", o->font,
		o->font_px);
	fprintf(f, ".tb .hit{fill:%s!important}\n", o->search_color);
	for (dark = false;; dark = true) {
		if (dark)
			fputs("@media (prefers-color-scheme:dark){\n", f);
		if (diff)
			palette__css_diff(f, o->negate, dark);
		else
			palette__css(f, o->colors, dark);
		if (dark)
			break;
	}
	fputs("}\n</style>\n", f);
}

static void put_head(FILE *f, const struct page_opts *o)
{
	fprintf(f, "<text class=\"title\" x=\"%d\" y=\"25\">", MARGIN_PX);
	put_string(f, o->title);
	fprintf(f, "</text>\n<text class=\"sub\" x=\"%d\" y=\"44\">", MARGIN_PX);
	if (o->subtitle)
		put_string(f, o->subtitle);
	fputs("</text>\n<foreignObject class=\"ui\" x=\"0\" y=\"4\" width=\"100%\" height=\"34\">"
	      "<div xmlns=\"http://www.w3.org/1999/xhtml\" class=\"bar\"><output aria-live=\"polite\"></output>"
	      "<input type=\"search\" placeholder=\"Search ( / )\" aria-label=\"Search frames by a regular expression\"/>"
	      "<button type=\"button\" disabled=\"disabled\" title=\"Show everything (Esc)\">Reset</button></div>"
	      "</foreignObject>\n", f);
}

void page__begin(FILE *f, const struct page_opts *o, const char *kind, u32 body_px, bool diff)
{
	u32 height = HEAD_PX + body_px + FOOT_PX;

	fprintf(f, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		   "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"tb\" width=\"%u\" height=\"%u\" viewBox=\"0 0 %u %u\" "
		   "data-kind=\"%s\" data-head=\"%d\" data-foot=\"%d\" data-body=\"%u\" data-row=\"%u\" data-cell=\"%.4g\" "
		   "data-fluid=\"%d\" data-nametype=\"",
		o->width_px, height, o->width_px, height, kind, HEAD_PX, FOOT_PX, body_px, o->frame_px, cell_px(o), o->fluid);
	put_string(f, o->name_word);
	fputs("\">\n", f);
	if (o->notes) {
		fputs("<desc>", f);
		put_string(f, o->notes);
		fputs("</desc>\n", f);
	}
	put_style(f, o, diff);
	fputs("<rect class=\"bg\" width=\"100%\" height=\"100%\"/>\n", f);
	put_head(f, o);
	fprintf(f, "<svg class=\"frames\" x=\"%d\" y=\"%d\" width=\"%u\" height=\"%u\">\n", MARGIN_PX, HEAD_PX,
		o->width_px - 2 * MARGIN_PX, body_px);
}

void page__frame(FILE *f, const struct page_opts *o, double x, double width, u32 y, const char *css, const char *name,
		 size_t name_bytes, const char *details)
{
	double px = width / 100 * (o->width_px - 2 * MARGIN_PX);
	size_t cells = px > 6 ? (size_t)((px - 6) / cell_px(o)) : 0, fit;

	fputs("<g><title>", f);
	page__text(f, name, name_bytes);
	fputc('\n', f);
	put_string(f, details);
	fprintf(f, "</title><rect x=\"%.8g%%\" y=\"%u\" width=\"%.8g%%\" height=\"%u\" class=\"%s\"/>", x, y, width,
		o->frame_px - 1, css);
	if (cells >= 3) {
		fit = fitting(name, name_bytes, cells);
		if (fit < name_bytes)
			fit = fitting(name, name_bytes, cells - 2);
		fprintf(f, "<text x=\"%.8g%%\" dx=\"3\" y=\"%.4g\">", x, y + (o->frame_px - 1) / 2.0 + o->font_px * 0.35);
		page__text(f, name, fit);
		fputs(fit < name_bytes ? "..</text>" : "</text>", f);
	}
	fputs("</g>\n", f);
}

#define TICKS 5

void page__axis(FILE *f, const struct page_opts *o, u64 total)
{
	char words[48];
	int i;

	fprintf(f, "<g class=\"axis\" data-total=\"%.17g\" data-unit=\"%s\">", (double)total,
		o->unit == AMOUNT_COUNT ? "" : o->unit == AMOUNT_US ? "us" : "ns");
	for (i = 0; i < TICKS; i++)
		fprintf(f, "<text class=\"lane\" x=\"%d%%\" y=\"12\">%s</text>", i * 100 / TICKS,
			amount__show(words, sizeof(words), (u64)((double)total * i / TICKS), o->unit, ""));
	fputs("</g>\n", f);
}

void page__label(FILE *f, const struct page_opts *o, u32 y, const char *text, size_t bytes)
{
	fprintf(f, "<text class=\"lane\" x=\"0\" y=\"%u\">", y);
	page__text(f, text, bytes);
	fputs("</text>\n", f);
}

void page__end(FILE *f, const struct page_opts *o, u32 body_px, const char *note)
{
	fprintf(f, "</svg>\n<text class=\"info\" x=\"%d\" y=\"%u\"></text>\n<text class=\"sub note\" x=\"%d\" y=\"%u\">", MARGIN_PX,
		HEAD_PX + body_px + 16, MARGIN_PX, HEAD_PX + body_px + 32);
	put_string(f, note);
	fputs("</text>\n<g class=\"tip\" aria-hidden=\"true\"><rect rx=\"5\"/><text/></g>\n<script><![CDATA[\n", f);
	fputs(page_js, f);
	fputs("]]></script>\n</svg>\n", f);
}
