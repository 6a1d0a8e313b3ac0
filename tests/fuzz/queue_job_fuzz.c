/*
 * Any packet as a message between queued and remote. What decodes is encoded again and must decode to the same bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "queue/job.h"
#include "queue/next_hop.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n);

static struct buf again = {.max = MSG_MAX_BYTES};

static void
same(const uint8_t *input, size_t n)
{
	if (!buf_ok(&again) || again.n != n || memcmp(again.p, input, n) != 0)
		abort();
}

static void
start(struct msg *m, const uint8_t *input, size_t n)
{
	struct next_hop next_hop;
	struct arena arena;
	struct job job;

	arena_init(&arena, 384 * 1024);
	if (job_decode(m, &arena, &job)) {
		if (job_encode(&again, m->id, &job) != job.nrecipients)
			abort();
		same(input, n);
		(void)next_hop_parse(job.next_hop, job.transport, 25, &next_hop);
	}
	arena_clear(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	union {
		struct job_hello hello;
		struct job_resolve resolve;
		struct job_site site;
		struct job_result result;
		struct job_done done;
	} u;
	struct msg m;

	if (n > MSG_MAX_BYTES || !msg_open(&m, (struct str){(const char *)input, n}, -1))
		return 0;
	if (m.type == JOB_START) {
		start(&m, input, n);
	} else if (m.type == JOB_HELLO && m.id == 0 && job_hello_decode(&m, &u.hello)) {
		job_hello_encode(&again, &u.hello);
		same(input, n);
	} else if (m.type == JOB_RESOLVE && job_resolve_decode(&m, &u.resolve)) {
		job_resolve_encode(&again, m.id, &u.resolve);
		same(input, n);
	} else if (m.type == JOB_SITE && job_site_decode(&m, &u.site)) {
		job_site_encode(&again, m.id, &u.site);
		same(input, n);
	} else if (m.type == JOB_RESULT && job_result_decode(&m, &u.result)) {
		job_result_encode(&again, m.id, &u.result);
		same(input, n);
	} else if (m.type == JOB_DONE && job_done_decode(&m, &u.done)) {
		job_done_encode(&again, m.id, &u.done);
		same(input, n);
	}
	return 0;
}
