/*
 * A POP3 session: the first line of the input is the message that all numbers stand for (with \x01 for LF), the rest is
 * what the peer says. Whole and byte by byte must come to the same replies, and output stays within its bounds.
 */
#include <stdlib.h>
#include <string.h>

#include "popd/pop3.h"

#define MESSAGES 3

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

struct run {
	struct pop3 p;
	struct pop3_message messages[MESSAGES];
	struct buf in, out, all;
	struct str text;
	bool closed;
};

static void
take_output(struct run *r)
{
	if (!buf_ok(&r->out))
		abort();
	buf_add(&r->all, buf_str(&r->out));
	buf_reset(&r->out);
}

static void
give_message(struct run *r, size_t piece)
{
	struct str text = r->text;

	while (text.n > 0 && !r->p.finished) {
		text = str_skip(text, pop3_body(&r->p, str_sub(text, 0, piece)));
		take_output(r);
	}
	pop3_body_end(&r->p);
}

static void
drive(struct run *r, size_t piece)
{
	while (!r->closed) {
		size_t taken;
		enum pop3_want want = pop3_step(&r->p, buf_str(&r->in), &taken);

		buf_consume(&r->in, taken);
		take_output(r);
		if (want == POP3_INPUT)
			return;
		if (want == POP3_OPEN)
			pop3_opened(&r->p);
		if (want == POP3_BODY)
			give_message(r, piece);
		if (want == POP3_UPDATE)
			pop3_updated(&r->p, true);
		r->closed = want == POP3_CLOSE;
	}
	take_output(r);
}

static void
start(struct run *r, struct str text)
{
	struct pop3_maildrop maildrop = {.messages = r->messages, .n = MESSAGES, .uidvalidity = 7};

	*r = (struct run){.text = text};
	for (uint32_t i = 0; i < MESSAGES; i++)
		r->messages[i] = (struct pop3_message){.uid = i + 1, .size = text.n};
	buf_init(&r->in, SIZE_MAX);
	buf_init(&r->out, POP3_OUT_MAX_BYTES);
	buf_init(&r->all, SIZE_MAX);
	pop3_init(&r->p, &r->out, &maildrop);
}

static void
end(struct run *r)
{
	buf_clear(&r->in);
	buf_clear(&r->out);
	buf_clear(&r->all);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct run whole, trickle;
	char *text = malloc(n + 1);
	struct str in = {(const char *)bytes, n};
	size_t length = str_find(in, '\n');

	if (text == NULL)
		return 0;
	for (size_t i = 0; i < length; i++)
		text[i] = in.p[i] == 1 ? '\n' : in.p[i];
	in = str_skip(in, length + 1);
	start(&whole, (struct str){text, length});
	start(&trickle, (struct str){text, length});
	buf_add(&whole.in, in);
	drive(&whole, SIZE_MAX);
	drive(&trickle, 1);
	for (size_t i = 0; i < in.n && !trickle.closed; i++) {
		buf_addc(&trickle.in, in.p[i]);
		drive(&trickle, 1);
	}
	if (whole.closed != trickle.closed || !str_equal(buf_str(&whole.all), buf_str(&trickle.all)))
		abort();
	end(&whole);
	end(&trickle);
	free(text);
	return 0;
}
