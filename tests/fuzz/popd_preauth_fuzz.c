/*
 * POP3 before the login: the first byte says what the connection is, the rest is what the peer says. Every login is
 * refused, challenged or malformed in turn. Whole and byte by byte must come to the same replies.
 */
#include <stdlib.h>

#include "popd/preauth.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

struct run {
	struct login_core *core;
	struct buf in, all;
	unsigned asked;
	bool closed;
};

static void
take_output(struct run *r)
{
	if (!buf_ok(&r->core->out))
		abort();
	buf_add(&r->all, buf_str(&r->core->out));
	buf_reset(&r->core->out);
}

static void
start(struct run *r, uint8_t kind)
{
	*r = (struct run){.core = calloc(1, preauth_protocol.core_size)};
	if (r->core == NULL)
		abort();
	r->core->facts = (struct login_facts){.hostname = STR("satu.test"), .mechanisms = STR("PLAIN LOGIN"), .tls = kind & 1,
	    .can_start_tls = kind & 2, .plain_text = kind & 4, .resumed = kind & 8};
	r->core->protocol = &preauth_protocol;
	buf_init(&r->core->out, 16384);
	buf_init(&r->in, SIZE_MAX);
	buf_init(&r->all, SIZE_MAX);
	preauth_protocol.open(r->core);
}

static void
end(struct run *r)
{
	preauth_protocol.clear(r->core);
	buf_clear(&r->core->out);
	buf_clear(&r->in);
	buf_clear(&r->all);
	free(r->core);
}

static void
drive(struct run *r)
{
	static const enum login_verdict verdicts[] = {LOGIN_CHALLENGE, LOGIN_REFUSED, LOGIN_MALFORMED, LOGIN_UNAVAILABLE};

	while (!r->closed) {
		struct login_step step = {.taken = 0};
		enum login_action action = preauth_protocol.step(r->core, buf_str(&r->in), &step);

		take_output(r);
		if (action == LOGIN_MORE)
			break;
		if (step.taken == 0 && action != LOGIN_CLOSE)
			abort();
		if (action == LOGIN_AUTHENTICATE || action == LOGIN_RESPOND) {
			buf_add(&r->all, step.mechanism);
			buf_add(&r->all, step.response);
			preauth_protocol.verdict(r->core, verdicts[r->asked++ % 4], STR("dGFudGFuZ2Fu"));
		}
		take_output(r);
		r->closed = action == LOGIN_CLOSE || action == LOGIN_START_TLS;
		buf_consume(&r->in, step.taken);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct run whole, trickle;
	struct str in = {(const char *)bytes, n};

	if (n == 0 || n > LOGIN_INPUT_MAX)
		return 0;
	start(&whole, bytes[0]);
	start(&trickle, bytes[0]);
	in = str_skip(in, 1);
	buf_add(&whole.in, in);
	drive(&whole);
	drive(&trickle);
	for (size_t i = 0; i < in.n && !trickle.closed; i++) {
		buf_addc(&trickle.in, in.p[i]);
		drive(&trickle);
	}
	if (whole.closed != trickle.closed || !str_equal(buf_str(&whole.all), buf_str(&trickle.all)))
		abort();
	end(&whole);
	end(&trickle);
	return 0;
}
