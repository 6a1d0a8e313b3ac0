/*
 * TLSRPT: what was counted is the same after it was written and read again, and makes a report within bounds; each line is also
 * tried as a record.
 */
#include <stdlib.h>

#include "queue/tlsrpt_record.h"
#include "queue/tlsrpt_report.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void
records(struct str text)
{
	struct tlsrpt_place places[TLSRPT_PLACES_MAX];
	struct arena arena;
	struct str line;

	arena_init(&arena, 65536);
	while (str_token(&text, '\n', &line)) {
		size_t found = tlsrpt_record_find(&line, 1, &arena, places);

		for (size_t i = 0; i < found; i++)
			for (size_t k = 0; k < places[i].text.n; k++)
				if (!ascii_is_print(places[i].text.p[k]))
					abort();
	}
	arena_clear(&arena);
}

static void
report(struct tlsrpt_domain *domain)
{
	const struct tlsrpt_report made = {.domain = domain, .submitter = STR("satu.test"), .from = STR("a@satu.test"), .end_s = 1};
	struct buf out;

	buf_init(&out, TLSRPT_JSON_MAX);
	tlsrpt_report_json(&out, &made);
	for (size_t i = 0; i < out.n; i++)
		if ((unsigned char)out.p[i] < ' ' && out.p[i] != '\n')
			abort();
	buf_clear(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str text = {(const char *)bytes, n};
	struct tlsrpt_counts counts, again;
	struct buf first, second;

	records(text);
	tlsrpt_counts_init(&counts);
	tlsrpt_counts_init(&again);
	buf_init(&first, 1 << 24);
	buf_init(&second, 1 << 24);
	tlsrpt_counts_parse(&counts, text);
	tlsrpt_counts_format(&first, &counts);
	tlsrpt_counts_parse(&again, buf_str(&first));
	tlsrpt_counts_format(&second, &again);
	if (!str_equal(buf_str(&first), buf_str(&second)))
		abort();
	if (counts.n > 0)
		report(tlsrpt_counts_first(&counts));
	tlsrpt_counts_clear(&counts);
	tlsrpt_counts_clear(&again);
	if (counts.bytes != 0 || counts.n != 0)
		abort();
	buf_clear(&first);
	buf_clear(&second);
	return 0;
}
