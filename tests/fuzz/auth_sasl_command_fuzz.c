/*
 * The server's side of the SASL protocol: any line, and any response to each mechanism.
 */
#include <stdlib.h>
#include <string.h>

#include "auth/mech.h"
#include "auth/sasl_command.h"
#include "common/base/base64.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void
printable(const char *text)
{
	for (; *text != '\0'; text++)
		if (!ascii_is_print(*text))
			abort();
}

static void
run_mechanism(struct str name, struct str response)
{
	static const struct mech_facts facts = {.nbindings = 0};
	struct mech mech;
	struct buf clear, challenge;

	buf_init(&clear, SASL_LINE_MAX);
	buf_init(&challenge, SASL_LINE_MAX);
	if (base64_decode(&clear, response) && mech_begin(&mech, name)) {
		struct str decoded = buf_str(&clear);
		enum mech_result result = mech_feed(&mech, &facts, &decoded, &challenge);

		if (result == MECH_CHALLENGE)
			result = mech_feed(&mech, &facts, &decoded, &challenge);
		if (result == MECH_CREDENTIALS && (mech.login[0] == '\0' || mech.password[0] == '\0'))
			abort();
		mech_clear(&mech);
	}
	buf_clear(&clear);
	buf_clear(&challenge);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str rest = {(const char *)bytes, n}, line;
	struct sasl_command command;

	while (str_token(&rest, '\n', &line)) {
		if (!sasl_command_parse(&command, line))
			continue;
		printable(command.service);
		printable(command.local);
		printable(command.remote);
		if (command.facts.nbindings > SASL_BINDINGS_MAX)
			abort();
		if (command.response.n > SASL_LINE_MAX || command.number > SASL_ID_MAX)
			abort();
		run_mechanism(STR("PLAIN"), command.response);
		run_mechanism(STR("LOGIN"), command.response);
		run_mechanism(STR("SCRAM-SHA-256"), command.response);
	}
	return 0;
}
