#include "tests/unit/rows.h"

#include "common/base/buf.h"
#include "queue/sendmail_options.h"

#define WORDS_MAX 24

/* What the parser made of it, or "! " and why not. */
static void
describe(const struct sendmail_options *o, bool good, struct buf *b)
{
	static const char *const modes[] = {"send", "smtp", "verify", "list", "aliases", "retry"};
	static const char *const whats[] = {"all", "id", "site", "sender"};

	if (!good) {
		buf_addf(b, "! %s", o->problem);
		return;
	}
	buf_adds(b, modes[o->mode]);
	buf_adds(b, o->body == SENDMAIL_BODY_7BIT ? " 7bit" : o->body == SENDMAIL_BODY_8BITMIME ? " 8bit" : "");
	buf_adds(b, o->takes_recipients ? " header" : "");
	buf_adds(b, o->ignore_dots ? " dots" : "");
	buf_adds(b, o->is_verbose ? " verbose" : "");
	if (o->conf_path != NULL)
		buf_addf(b, " conf=%s", o->conf_path);
	if (o->sender != NULL)
		buf_addf(b, " from=%s", o->sender);
	if (o->full_name != NULL)
		buf_addf(b, " name=%s", o->full_name);
	if (o->notify[0] != '\0')
		buf_addf(b, " notify=%s", o->notify);
	if (o->ret != NULL)
		buf_addf(b, " ret=%s", o->ret);
	if (o->envid != NULL)
		buf_addf(b, " envid=%s", o->envid);
	if (o->mode == SENDMAIL_RETRY)
		buf_addf(b, " %s%s%s", whats[o->retry_what], o->retry != NULL ? "=" : "", o->retry != NULL ? o->retry : "");
	for (size_t i = 0; i < o->nrecipients; i++)
		buf_addf(b, " to:%s", o->recipients[i]);
}

/* Words are separated by `|`. */
static const struct {
	const char *words, *result;
} rows[] = {
    /* as programs call it: cron, php, git send-email, mutt, mailx, logwatch, Debian's bsd-mailx, sudo, at */
    {"/usr/sbin/sendmail|-FCronDaemon|-i|-B8BITMIME|-oem|root", "send 8bit dots name=CronDaemon to:root"},
    {"sendmail|-t|-i|-f|www@satu.test", "send header dots from=www@satu.test"},
    {"sendmail|-t|-i", "send header dots"},
    {"sendmail|-f|a@b.test|-i|c@d.test|e@f.test", "send dots from=a@b.test to:c@d.test to:e@f.test"},
    {"sendmail|-oem|-oi|-f|a@b|-N|failure,delay|-R|hdrs|-B8BITMIME|--|x@y", "send 8bit dots from=a@b notify=FAILURE,DELAY ret=HDRS to:x@y"},
    {"sendmail|-i|-f|a@b|-t|-oem|-odi", "send header dots from=a@b"},
    {"sendmail|-ti", "send header dots"},
    {"sendmail|-oi|-t|-odb|-oep", "send header dots"},
    {"sendmail|-bm|-v|a@b", "send verbose to:a@b"},
    {"sendmail|-i|root", "send dots to:root"},
    {"sendmail|a@b|-f|c@d", "send from=c@d to:a@b"},
    {"sendmail|a@b|--|-f", "send to:a@b to:-f"},
    {"sendmail|-", "send to:-"},
    /* each option alone */
    {"sendmail|-f||a", "send from= to:a"},
    {"sendmail|-f<>|a", "send from=<> to:a"},
    {"sendmail|-rx@y|a", "send from=x@y to:a"},
    {"sendmail|-F|B. A.|a", "send name=B. A. to:a"},
    {"sendmail|-B|7bit|a", "send 7bit to:a"},
    {"sendmail|-B|binary|a", "! -B takes 7BIT or 8BITMIME, not binary"},
    {"sendmail|-o7|a", "send 7bit to:a"},
    {"sendmail|-o8|a", "send 8bit to:a"},
    {"sendmail|-o|i|a", "send dots to:a"},
    {"sendmail|-oA/etc/aliases|-bi", "aliases"},
    {"sendmail|-OIgnoreDots=True|a", "send dots to:a"},
    {"sendmail|-O|DeliveryMode=b|a", "send to:a"},
    {"sendmail|-N|never|a", "send notify=NEVER to:a"},
    {"sendmail|-N|Delay, success|a", "send notify=SUCCESS,DELAY to:a"},
    {"sendmail|-Nsuccess,failure,delay|a", "send notify=SUCCESS,FAILURE,DELAY to:a"},
    {"sendmail|-N|never,delay|a", "! -N takes never, or some of failure,delay,success: not never,delay"},
    {"sendmail|-N||a", "! -N takes never, or some of failure,delay,success: not "},
    {"sendmail|-R|full|-V|id+=1|a", "send ret=FULL envid=id+=1 to:a"},
    {"sendmail|-R|4096|a", "send to:a"},
    {"sendmail|-R|all|a", "! -R takes full or hdrs, not all"},
    {"sendmail|-V||a", "! -V takes 1 to 100 characters"},
    {"sendmail|-V|a\nb|a", "! -V takes printable characters only"},
    {"sendmail|-C/etc/mail/sendmail.cf|a", "send to:a"},
    {"sendmail|-C|my.conf|a", "send conf=my.conf to:a"},
    {"sendmail|-Ac|-c|-D|-d0.1|-E|-em|-G|-h|5|-L|tag|-m|-n|-p|smtp|-U|-X|/tmp/log|-x|a", "send to:a"},
    {"sendmail|-XV|a", "! VERP (-XV) is not there: send to each recipient with a sender (-f) of its own"},
    {"sendmail|-XV+=|a", "! VERP (-XV) is not there: send to each recipient with a sender (-f) of its own"},
    {"sendmail|-XVerbose.log|a", "send to:a"},
    /* modes */
    {"sendmail|-bs", "smtp"},
    {"sendmail|-bs|-v", "smtp verbose"},
    {"sendmail|-bv|a|b", "verify to:a to:b"},
    {"sendmail|-bv|-t", "verify header"},
    {"sendmail|-bp", "list"},
    {"/usr/bin/mailq", "list"},
    {"mailq|-v|-Ac", "list verbose"},
    {"mailq|-q", "retry all"},
    {"newaliases", "aliases"},
    {"newaliases|-v", "aliases verbose"},
    {"sendmail|-I", "aliases"},
    {"sendmail|-q", "retry all"},
    {"sendmail|-qIABC123", "retry id=ABC123"},
    {"sendmail|-qRdua.test", "retry site=dua.test"},
    {"sendmail|-qSa@b", "retry sender=a@b"},
    {"sendmail|-q30m", "! the mail system tries again on its own (`retry` in merpati.conf); -q alone tries all now"},
    {"sendmail|-bd|-q30m", "! this is not the server: start it with `systemctl start merpati.target` or `merpati run`"},
    {"sendmail|-bD", "! this is not the server: start it with `merpati run`"},
    {"sendmail|-bl", "! this is not the server: start it with `systemctl start merpati.target` or `merpati run`"},
    {"sendmail|-bh", "! there is no host status: see `merpati queue list`"},
    {"sendmail|-bH", "! there is no host status that could be purged"},
    {"sendmail|-bt", "! there are no rewriting rules to test: see -bv"},
    {"sendmail|-ba", "! -ba (the ARPANET's protocol) is not there"},
    {"sendmail|-bz", "! not one of -bm, -bs, -bv, -bp and -bi: -bz"},
    {"sendmail|-bmx", "! not one of -bm, -bs, -bv, -bp and -bi: -bmx"},
    {"sendmail|-qf", "! not one of -q, -qIID, -qRSITE and -qSSENDER: -qf"},
    {"sendmail|-qI", "! not one of -q, -qIID, -qRSITE and -qSSENDER: -qI"},
    /* what does not fit together */
    {"sendmail", "! no recipients (they stand behind the options; or -t)"},
    {"sendmail|-bv", "! no recipients (they stand behind the options; or -t)"},
    {"sendmail|-bp|a", "! this takes no recipients, but there is a"},
    {"mailq|-t", "! -t is for sending only"},
    {"sendmail|-Q", "! this option is not known: -Q"},
    {"sendmail|--help", "! this option is not known: --"},
    {"sendmail|-f", "! a value is missing behind -f"},
    {"sendmail|-iB", "! a value is missing behind -B"},
    {"sendmail|-b", "! a value is missing behind -b"},
};

static void
each_option_means_what_programs_expect(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		char text[512], *argv[WORDS_MAX + 1];
		struct sendmail_options options;
		struct buf b;
		int argc = 0;
		char *p = text;

		(void)snprintf(text, sizeof text, "%s", rows[i].words);
		for (; argc < WORDS_MAX + 1 && p != NULL; argc++) {
			argv[argc] = p;
			p = strchr(p, '|');
			if (p != NULL)
				*p++ = '\0';
		}
		assert_true(argc <= WORDS_MAX);
		argv[argc] = NULL;
		buf_init(&b, 4096);
		describe(&options, sendmail_options_parse(&options, argc, argv), &b);
		assert_str(buf_str(&b), str_from(rows[i].result));
		buf_clear(&b);
	}
}

static void
an_envid_is_bounded(void **state)
{
	char name[] = "sendmail", option[2 + SENDMAIL_ENVID_MAX + 2] = "-V", recipient[] = "a";
	char *argv[] = {name, option, recipient, NULL};
	struct sendmail_options options;

	(void)state;
	memset(option + 2, 'x', SENDMAIL_ENVID_MAX);
	assert_true(sendmail_options_parse(&options, 3, argv));
	option[2 + SENDMAIL_ENVID_MAX] = 'x';
	argv[0] = name;
	argv[1] = option;
	argv[2] = recipient;
	assert_false(sendmail_options_parse(&options, 3, argv));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_option_means_what_programs_expect),
	    cmocka_unit_test(an_envid_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
