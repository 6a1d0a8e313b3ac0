/*
 * Headers: a message split in pieces gives the same fields as in one, and fields, empty line and body put together are
 * the message; address lists end, groups are balanced, and nothing is longer than what it came from.
 */
#include <stdlib.h>

#include "common/base/crc32c.h"
#include "common/mime/rfc5322.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void
split(struct str message, size_t step, struct buf *together, uint32_t *sum)
{
	struct rfc5322_splitter s;
	struct rfc5322_field field;
	enum rfc5322_event event;
	size_t have = 0, at = 0, taken;

	rfc5322_splitter_init(&s, 1 << 20);
	do {
		event = rfc5322_split(&s, str_sub(message, at, have - at), &taken, &field);
		if (taken > have - at)
			abort();
		at += taken;
		if (event == RFC5322_MORE && at == message.n)
			event = rfc5322_split_end(&s, &field);
		if (event == RFC5322_MORE)
			have = message.n - have > step ? have + step : message.n;
		if (event == RFC5322_FIELD) {
			buf_add(together, field.raw);
			*sum = crc32c(crc32c(*sum, field.name), field.value);
		}
	} while (event == RFC5322_MORE || event == RFC5322_FIELD);
	if (event != RFC5322_BODY)
		abort();
	buf_add(together, field.raw);
	buf_add(together, field.value);
	buf_add(together, str_skip(message, at));
	rfc5322_splitter_clear(&s);
}

static void
check_split(struct str message)
{
	struct buf whole, pieces;
	uint32_t sum_whole = 0, sum_pieces = 0;

	buf_init(&whole, SIZE_MAX);
	buf_init(&pieces, SIZE_MAX);
	split(message, message.n, &whole, &sum_whole);
	split(message, 1 + message.n % 5, &pieces, &sum_pieces);
	if (sum_whole != sum_pieces || !str_equal(buf_str(&whole), message) || !str_equal(buf_str(&pieces), message))
		abort();
	buf_clear(&whole);
	buf_clear(&pieces);
}

static void
check_addresses(struct str value)
{
	const struct rfc5322_address *address;
	bool in_group = false;
	struct arena a;
	size_t n = 0;

	arena_init(&a, 1 << 20);
	for (address = rfc5322_addresses_parse(&a, value, NULL); address != NULL; address = address->next) {
		n += address->name.n + address->local.n + address->domain.n + address->route.n;
		if (address->kind == RFC5322_GROUP) {
			if (in_group)
				abort();
			in_group = true;
		} else if (address->kind == RFC5322_GROUP_END) {
			if (!in_group)
				abort();
			in_group = false;
		} else if (address->local.n == 0 && !a.failed) {
			abort();
		}
	}
	if ((in_group && !a.failed) || n > value.n)
		abort();
	arena_clear(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str in = {(const char *)bytes, n}, rest = in, id;
	struct rfc5322_field field;
	struct arena a;
	struct buf out;

	check_split(in);
	check_addresses(in);
	while (rfc5322_message_id_next(&rest, &id))
		if (id.n < 2)
			abort();
	rest = in;
	while (rfc5322_next(&rest, &field))
		check_addresses(field.value);
	arena_init(&a, 1 << 20);
	(void)rfc5322_unfold(&a, in);
	arena_clear(&a);
	buf_init(&out, 1 << 20);
	rfc5322_phrase_add(&out, in);
	if (str_find(buf_str(&out), '\n') != out.n || str_find(buf_str(&out), '\r') != out.n)
		abort();
	buf_clear(&out);
	return 0;
}
