/*
 * The reader of queue files: whatever the bytes, whole and in pieces say the same, and content that is skipped changes
 * nothing but its own check.
 */
#include <stdlib.h>

#include "common/base/crc32c.h"
#include "common/queue/queue_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

struct reading {
	uint64_t sum; /* over all that was reported */
	bool good;
	uint64_t good_end;
};

static struct reading
read_all(struct str file, size_t step, bool skip)
{
	struct queue_reader r;
	struct queue_record record;
	struct reading reading = {.sum = 0};
	struct str input = STR_NONE;
	size_t at = 0, have = 0;

	queue_reader_init(&r);
	for (;;) {
		enum queue_read result;

		if (skip && queue_reader_at_content(&r)) {
			queue_reader_skip_content(&r);
			at = r.offset < file.n ? (size_t)r.offset : file.n;
			have = at;
		}
		input = str_sub(file, at, have - at);
		result = queue_reader_next(&r, &input, &record);
		at = have - input.n;
		if (result == QUEUE_READ_RECORD) {
			reading.sum = crc32c((uint32_t)reading.sum, record.value) + record.key + record.offset;
			continue;
		}
		if (result != QUEUE_READ_MORE)
			return reading;
		if (input.n >= QUEUE_RECORD_MAX)
			abort();
		if (have == file.n)
			break;
		have = file.n - have > step ? have + step : file.n;
	}
	reading.good = queue_reader_finish(&r, input, &reading.good_end) == PARSE_OK;
	if (reading.good_end > file.n)
		abort();
	return reading;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str file = {(const char *)bytes, n};
	struct reading whole = read_all(file, n, false), pieces = read_all(file, 1 + n % 97, false),
		       skipped = read_all(file, n, true);

	if (whole.sum != pieces.sum || whole.good != pieces.good || whole.good_end != pieces.good_end)
		abort();
	if (whole.good && (!skipped.good || whole.sum != skipped.sum))
		abort();
	return 0;
}
