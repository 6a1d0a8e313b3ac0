#include "queue/doctor_print.h"

#include "common/base/json.h"

#define LEVEL_WIDTH 9
#define INDENT (2 + LEVEL_WIDTH)

static enum listing_colour
colour_of(enum doctor_level level)
{
	switch (level) {
	case DOCTOR_OK:
		return LISTING_GREEN;
	case DOCTOR_NOTE:
		return LISTING_BLUE;
	case DOCTOR_WARNING:
		return LISTING_YELLOW;
	case DOCTOR_ERROR:
	case DOCTOR_LEVELS:
		break;
	}
	return LISTING_RED;
}

static void
print_json(struct buf *b, const struct doctor_finding *f)
{
	buf_addc(b, '{');
	json_add_member(b, "area", str_from(doctor_area_name(f->area)));
	json_add_member(b, "level", str_from(doctor_level_name(f->level)));
	json_add_member(b, "name", str_from(f->name));
	json_add_member(b, "subject", f->subject);
	json_add_member(b, "text", f->text);
	if (f->remedy.n > 0)
		json_add_member(b, "remedy", f->remedy);
	buf_adds(b, "}\n");
}

/* Words behind what stands on the line already, which is *used columns long; further lines are indented as the first. */
static void
print_words(struct buf *b, const struct doctor_style *style, enum listing_colour colour, struct str text, size_t *used)
{
	struct str word;

	while (str_word(&text, &word)) {
		bool is_first = *used <= INDENT;

		if (!is_first && style->columns > 0 && *used + 1 + word.n > style->columns) {
			buf_addf(b, "\n%*s", INDENT, "");
			*used = INDENT;
		} else if (!is_first) {
			buf_addc(b, ' ');
			++*used;
		}
		listing_print_cell(b, &style->style, colour, 0, word);
		*used += word.n;
	}
}

/* A remedy of several lines keeps them; records to publish are copied from there. */
static void
print_remedy(struct buf *b, const struct doctor_style *style, struct str remedy)
{
	struct str line;

	while (str_token(&remedy, '\n', &line)) {
		size_t used = INDENT;

		buf_addf(b, "%*s", INDENT, "");
		if (str_starts(line, STR("Publish: ")))
			listing_print_cell(b, &style->style, LISTING_DIM, 0, line);
		else
			print_words(b, style, LISTING_DIM, line, &used);
		buf_addc(b, '\n');
	}
}

static void
print_text(struct buf *b, const struct doctor_style *style, const struct doctor_finding *f)
{
	size_t used = INDENT;

	buf_adds(b, "  ");
	listing_print_cell(b, &style->style, colour_of(f->level), LEVEL_WIDTH, str_from(doctor_level_name(f->level)));
	print_words(b, style, LISTING_BOLD, f->subject, &used);
	print_words(b, style, LISTING_PLAIN, f->text, &used);
	buf_addc(b, '\n');
	if (f->remedy.n > 0)
		print_remedy(b, style, f->remedy);
}

static void
print_count(struct buf *b, uint64_t n, const char *what)
{
	buf_addf(b, "%llu %s%s", (unsigned long long)n, what, n == 1 ? "" : "s");
}

static void
print_sum(struct buf *b, const struct listing_style *style, const struct doctor *d)
{
	struct buf sum;

	buf_init(&sum, 256);
	print_count(&sum, d->counts[DOCTOR_ERROR], "error");
	buf_adds(&sum, ", ");
	print_count(&sum, d->counts[DOCTOR_WARNING], "warning");
	buf_adds(&sum, ", ");
	print_count(&sum, d->counts[DOCTOR_NOTE], "note");
	listing_print_cell(b, style, LISTING_BOLD, 0, buf_str(&sum));
	buf_addc(b, '\n');
	buf_clear(&sum);
}

void
doctor_print(struct buf *b, const struct doctor_style *style, const struct doctor *d)
{
	const struct doctor_finding *f;
	enum doctor_area area = DOCTOR_AREAS;
	bool is_json = style->style.format == LISTING_JSON, any = false;

	STAILQ_FOREACH(f, &d->findings, link) {
		if (f->level < style->least)
			continue;
		any = true;
		if (is_json) {
			print_json(b, f);
			continue;
		}
		if (f->area != area) {
			listing_print_cell(b, &style->style, LISTING_BOLD, 0, str_from(doctor_area_name(f->area)));
			buf_addc(b, '\n');
		}
		area = f->area;
		print_text(b, style, f);
	}
	if (!is_json && (any || style->least == DOCTOR_OK))
		print_sum(b, &style->style, d);
}
