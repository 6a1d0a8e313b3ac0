/* Messages from another of our processes, which may be taken over: any bytes, read by any sequence of calls. */
#include <stddef.h>
#include <stdint.h>

#include "common/base/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct msg m;
	volatile char last = 0; /* so that every byte of a string is really read */

	if (n < 1 || !msg_open(&m, (struct str){(const char *)bytes + 1, n - 1}, -1))
		return 0;
	for (unsigned i = 0; i < 16 && !m.bad; i++) {
		if (bytes[0] >> (i % 8) & 1) {
			(void)msg_get_u64(&m);
		} else {
			struct str s = msg_get_str(&m);

			for (size_t j = 0; j < s.n; j++)
				last = s.p[j];
		}
	}
	(void)last;
	(void)msg_done(&m);
	return 0;
}
