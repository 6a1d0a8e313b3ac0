/*
 * A stranger before login: any bytes, with authd's verdicts taken from them too.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "imapd/preauth.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static bool
step(struct login_core *core, struct str *in, uint8_t choice)
{
	struct login_step s = {0};
	enum login_action action = core->protocol->step(core, *in, &s);

	if (s.taken > in->n || (action == LOGIN_MORE && s.taken > 0))
		abort();
	if (action == LOGIN_AUTHENTICATE || action == LOGIN_RESPOND) {
		static const enum login_verdict verdicts[] = {
		    LOGIN_CHALLENGE, LOGIN_REFUSED, LOGIN_UNAVAILABLE, LOGIN_MALFORMED};

		buf_add(&core->out, s.response);
		core->protocol->verdict(core, verdicts[choice % 4], STR("eA=="));
	}
	buf_reset(&core->out);
	*in = str_skip(*in, s.taken);
	return action != LOGIN_MORE && action != LOGIN_CLOSE && action != LOGIN_START_TLS;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct login_core *core = calloc(1, preauth_protocol.core_size);
	uint8_t choice = n > 0 ? bytes[0] : 0;
	struct str in = {(const char *)bytes, n};

	if (core == NULL)
		abort();
	core->protocol = &preauth_protocol;
	core->facts = (struct login_facts){.hostname = STR("h"), .mechanisms = STR("PLAIN LOGIN"), .can_start_tls = true,
	    .plain_text = choice % 2 == 0};
	buf_init(&core->out, 16384);
	preauth_protocol.open(core);
	while (step(core, &in, choice++))
		;
	(void)preauth_protocol.label(core);
	preauth_protocol.goodbye(core, LOGIN_BYE_ERRORS);
	preauth_protocol.clear(core);
	buf_clear(&core->out);
	free(core);
	return 0;
}
