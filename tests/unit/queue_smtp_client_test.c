/*
 * Whole conversations with the client core. A row holds what the server says, in segments that end where the client
 * must act (hand over a message, send its body, begin TLS); each is run whole, byte by byte, and with every segment cut
 * at every offset, and must give the same output and results.
 */
#include "tests/unit/rows.h"

#include "queue/smtp_client.h"

#define SEGMENTS_MAX 12

enum {
	LMTP = 1,
	TLS = 2,	/* STARTTLS is wanted */
	EIGHTBIT = 4,	/* the message is */
	UTF8 = 8,
	NOTIFIES = 128, /* it has RET, ENVID, NOTIFY and ORCPT */
	TWICE = 16,	/* the same message a second time */
	LOST = 32,	/* at the end the connection is lost */
	QUIT = 64,	/* at the end it is closed in order */
	BINARY = 256,	/* it is BINARYMIME */
	NEEDS_TLS = 512, /* it has REQUIRETLS */
	VERIFIED = 1024, /* the certificate is good */
	URGENT = 2048,	 /* it has MT-PRIORITY */
	BY_R = 4096,	 /* it has BY=60;R */
	BY_N = 8192,	 /* it has BY=-5;NT */
	TRUSTED = 16384, /* all may leave in one flight */
	LOGIN = 32768,	 /* there is a password */
	MUST_TLS = 65536,
	MUST_VERIFY = 131072,
};

#define GREET "220 mx1.dua.test ESMTP\r\n"
#define EHLO "250-mx1.dua.test\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n"
#define CHUNKS "250-x\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-CHUNKING\r\n250 BINARYMIME\r\n"
#define SLOW "250-mx1.dua.test\r\n250 SIZE\r\n"

static const struct row {
	const char *name;
	unsigned flags;
	const char *recipients; /* with blanks between */
	const char *server[SEGMENTS_MAX];
	const char *out;     /* what the client sends */
	const char *results; /* "ADDRESS LETTER CODE WORDS|" each */
	enum smtp_client_need need;
	const char *failure; /* "LETTER CODE WORDS" once the need is CLOSE */
} rows[] = {
    {"a message goes in two groups", 0, "a@x",
	{GREET, EHLO, "250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go\r\n", "250 2.0.0 queued as 1\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> SIZE=9\r\nRCPT TO:<a@x>\r\nDATA\r\nhalo\r\n..\r\n.\r\n",
	"a@x d 2.0.0 250 2.0.0 queued as 1|", SMTP_NEED_NOTHING, NULL},
    {"without PIPELINING one command at a time", 0, "a@x b@x",
	{GREET, SLOW, "250 ok\r\n", "250 ok\r\n", "251 ok\r\n", "354 go\r\n", "250 done\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> SIZE=9\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n"
	"halo\r\n..\r\n.\r\n",
	"a@x d 2.0.0 250 done|b@x d 2.0.0 250 done|", SMTP_NEED_NOTHING, NULL},
    {"EHLO unknown: HELO, and no parameters", 0, "a@x",
	{GREET, "500 what?\r\n", "250 hello\r\n", "250 ok\r\n250 ok\r\n354 go\r\n", "250 done\r\n"},
	"EHLO satu.test\r\nHELO satu.test\r\nMAIL FROM:<s@satu.test>\r\nRCPT TO:<a@x>\r\nDATA\r\n"
	"halo\r\n..\r\n.\r\n",
	"a@x d 2.0.0 250 done|", SMTP_NEED_NOTHING, NULL},
    {"one recipient of three is refused, one put off", 0, "a@x b@x c@x",
	{GREET, EHLO, "250 ok\r\n550 5.1.1 no b\r\n450 4.2.0 later\r\n250 ok\r\n354 go\r\n", "250 ok\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> SIZE=9\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\nRCPT TO:<c@x>\r\n"
	"DATA\r\nhalo\r\n..\r\n.\r\n",
	"a@x f 5.1.1 550 5.1.1 no b|b@x t 4.2.0 450 4.2.0 later|c@x d 2.0.0 250 ok|", SMTP_NEED_NOTHING, NULL},
    {"all refused: DATA refused as well, then RSET before the next", TWICE, "a@x",
	{GREET, EHLO, "250 ok\r\n550 no\r\n554 no recipients\r\n",
	    "250 reset\r\n250 ok\r\n250 ok\r\n354 go\r\n", "250 ok\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> SIZE=9\r\nRCPT TO:<a@x>\r\nDATA\r\n"
	"RSET\r\nMAIL FROM:<s@satu.test> SIZE=9\r\nRCPT TO:<a@x>\r\nDATA\r\nhalo\r\n..\r\n.\r\n",
	"a@x f 5.0.0 550 no|a@x d 2.0.0 250 ok|", SMTP_NEED_NOTHING, NULL},
    {"all refused and yet 354: an empty message", TWICE, "a@x",
	{GREET, EHLO, "250 ok\r\n550 no\r\n354 go\r\n554 nobody\r\n",
	    "250 ok\r\n250 ok\r\n354 go\r\n", "250 ok\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> SIZE=9\r\nRCPT TO:<a@x>\r\nDATA\r\n.\r\n"
	"MAIL FROM:<s@satu.test> SIZE=9\r\nRCPT TO:<a@x>\r\nDATA\r\nhalo\r\n..\r\n.\r\n",
	"a@x f 5.0.0 550 no|a@x d 2.0.0 250 ok|", SMTP_NEED_NOTHING, NULL},
    {"all refused without PIPELINING: no DATA", TWICE, "a@x",
	{GREET, SLOW, "250 ok\r\n", "550 no\r\n", "250 reset\r\n", "250 ok\r\n", "452 later\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> SIZE=9\r\nRCPT TO:<a@x>\r\n"
	"RSET\r\nMAIL FROM:<s@satu.test> SIZE=9\r\nRCPT TO:<a@x>\r\n",
	"a@x f 5.0.0 550 no|a@x t 4.0.0 452 later|", SMTP_NEED_NOTHING, NULL},
    {"MAIL refused: all share the reply", 0, "a@x b@x",
	{GREET, EHLO, "451 4.7.1 greylisted\r\n503 no MAIL\r\n503 no MAIL\r\n503 no MAIL\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> SIZE=9\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n",
	"a@x t 4.7.1 451 4.7.1 greylisted|b@x t 4.7.1 451 4.7.1 greylisted|", SMTP_NEED_NOTHING, NULL},
    {"MAIL refused without PIPELINING: nothing more", 0, "a@x b@x",
	{GREET, SLOW, "550 5.7.1 go away\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> SIZE=9\r\n",
	"a@x f 5.7.1 550 5.7.1 go away|b@x f 5.7.1 550 5.7.1 go away|", SMTP_NEED_NOTHING, NULL},
    {"DATA refused", 0, "a@x", {GREET, EHLO, "250 ok\r\n250 ok\r\n451 4.3.0 no disk\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> SIZE=9\r\nRCPT TO:<a@x>\r\nDATA\r\n",
	"a@x t 4.3.0 451 4.3.0 no disk|", SMTP_NEED_NOTHING, NULL},
    {"DATA answered with 250 promises nothing", 0, "a@x", {GREET, EHLO, "250 ok\r\n250 ok\r\n250 ok\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> SIZE=9\r\nRCPT TO:<a@x>\r\nDATA\r\n",
	"a@x t 4.5.0 the server's answer makes no sense|", SMTP_NEED_NOTHING, NULL},
    {"the message refused", 0, "a@x b@x",
	{GREET, EHLO, "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", "550-5.7.1 spam\r\n550 5.7.1 go away\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> SIZE=9\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n"
	"halo\r\n..\r\n.\r\n",
	"a@x f 5.7.1 550-5.7.1 spam 550 5.7.1 go away|b@x f 5.7.1 550-5.7.1 spam 550 5.7.1 go away|",
	SMTP_NEED_NOTHING, NULL},
    {"too many recipients: the others in another transaction", 0, "a@x b@x c@x",
	{GREET, EHLO, "250 ok\r\n250 ok\r\n452 4.5.3 too many\r\n452 too many\r\n354 go\r\n", "250 ok\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> SIZE=9\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\nRCPT TO:<c@x>\r\n"
	"DATA\r\nhalo\r\n..\r\n.\r\n",
	"b@x l 4.5.3 452 4.5.3 too many|c@x l 4.0.0 452 too many|a@x d 2.0.0 250 ok|", SMTP_NEED_NOTHING, NULL},
    {"452 for the first is just 452", 0, "a@x b@x",
	{GREET, EHLO, "250 ok\r\n452 4.5.3 too many\r\n452 4.2.2 full\r\n503 no\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> SIZE=9\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n",
	"a@x t 4.5.3 452 4.5.3 too many|b@x t 4.2.2 452 4.2.2 full|", SMTP_NEED_NOTHING, NULL},
    {"STARTTLS: all anew afterwards", TLS | QUIT, "a@x",
	{GREET, "250-x\r\n250-PIPELINING\r\n250 STARTTLS\r\n", "220 go\r\n", SLOW, "250 ok\r\n", "250 ok\r\n", "354 go\r\n",
	    "250 ok\r\n"},
	"EHLO satu.test\r\nSTARTTLS\r\n[TLS]EHLO satu.test\r\nMAIL FROM:<s@satu.test> SIZE=9\r\nRCPT TO:<a@x>\r\nDATA\r\n"
	"halo\r\n..\r\n.\r\nQUIT\r\n",
	"a@x d 2.0.0 250 ok|", SMTP_NEED_CLOSE, ""},
    {"STARTTLS refused: in plain", TLS, "a@x",
	{GREET, "250-x\r\n250-PIPELINING\r\n250 STARTTLS\r\n", "454 not now\r\n", "250 ok\r\n250 ok\r\n354 go\r\n",
	    "250 ok\r\n"},
	"EHLO satu.test\r\nSTARTTLS\r\nMAIL FROM:<s@satu.test>\r\nRCPT TO:<a@x>\r\nDATA\r\nhalo\r\n..\r\n.\r\n",
	"a@x d 2.0.0 250 ok|", SMTP_NEED_NOTHING, NULL},
    {"STARTTLS not offered: in plain", TLS, "a@x", {GREET, EHLO, "550 no\r\n503 a\r\n503 b\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> SIZE=9\r\nRCPT TO:<a@x>\r\nDATA\r\n", "a@x f 5.0.0 550 no|",
	SMTP_NEED_NOTHING, NULL},
    {"the greeting puts off", QUIT, "a@x", {"450 4.3.2 busy\r\n"}, "QUIT\r\n", "", SMTP_NEED_CLOSE,
	"t 4.3.2 450 4.3.2 busy"},
    {"the greeting refuses", QUIT, "a@x", {"554-no\r\n554 SMTP here\r\n"}, "QUIT\r\n", "", SMTP_NEED_CLOSE,
	"f 5.0.0 554-no 554 SMTP here"},
    {"the greeting closes", QUIT, "a@x", {"421 4.3.2 shutting down\r\n"}, "", "", SMTP_NEED_CLOSE,
	"t 4.3.2 421 4.3.2 shutting down"},
    {"the greeting is none", 0, "a@x", {"250 hello\r\n"}, "", "", SMTP_NEED_CLOSE, "t 4.5.0 250 hello"},
    {"no SMTP at all", 0, "a@x", {"SSH-2.0-OpenSSH_9.2\r\n"}, "", "", SMTP_NEED_CLOSE,
	"t 4.5.0 the server's answer makes no sense"},
    {"EHLO put off", 0, "a@x", {GREET, "421 4.7.0 try again\r\n"}, "EHLO satu.test\r\n", "", SMTP_NEED_CLOSE,
	"t 4.7.0 421 4.7.0 try again"},
    {"EHLO and HELO refused", 0, "a@x", {GREET, "550 5.7.1 who?\r\n", "550 5.7.1 no\r\n"},
	"EHLO satu.test\r\nHELO satu.test\r\n", "", SMTP_NEED_CLOSE, "f 5.7.1 550 5.7.1 no"},
    {"421 at a recipient ends it for all that are left", QUIT, "a@x b@x",
	{GREET, EHLO, "250 ok\r\n550 5.1.1 no\r\n421 4.3.2 good-bye\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> SIZE=9\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n",
	"a@x f 5.1.1 550 5.1.1 no|b@x t 4.3.2 421 4.3.2 good-bye|", SMTP_NEED_CLOSE, "t 4.3.2 421 4.3.2 good-bye"},
    {"421 between two messages", 0, "", {GREET, EHLO, "421 4.4.2 idle too long\r\n"}, "EHLO satu.test\r\n", "",
	SMTP_NEED_CLOSE, "t 4.4.2 421 4.4.2 idle too long"},
    {"nonsense in the middle", 0, "a@x", {GREET, EHLO, "250 ok\r\nwhat?\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> SIZE=9\r\nRCPT TO:<a@x>\r\nDATA\r\n",
	"a@x t 4.5.0 the server's answer makes no sense|", SMTP_NEED_CLOSE,
	"t 4.5.0 the server's answer makes no sense"},
    {"lost before an answer", LOST, "a@x b@x", {GREET, EHLO, "250 ok\r\n250 o"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> SIZE=9\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n",
	"a@x t 4.4.2 lost|b@x t 4.4.2 lost|", SMTP_NEED_CLOSE, "t 4.4.2 lost"},
    {"8 bits go to a server that takes them", EIGHTBIT, "a@x",
	{GREET, EHLO, "250 ok\r\n250 ok\r\n354 go\r\n", "250 ok\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> SIZE=9 BODY=8BITMIME\r\nRCPT TO:<a@x>\r\nDATA\r\n"
	"halo\r\n..\r\n.\r\n",
	"a@x d 2.0.0 250 ok|", SMTP_NEED_NOTHING, NULL},
    {"8 bits do not go elsewhere", EIGHTBIT, "a@x", {GREET, SLOW}, "EHLO satu.test\r\n",
	"a@x f 5.6.3 the message has 8-bit characters, and the server does not take them (8BITMIME)|",
	SMTP_NEED_NOTHING, NULL},
    {"SMTPUTF8 only where it is offered", UTF8, "a@x", {GREET, EHLO}, "EHLO satu.test\r\n",
	"a@x f 5.6.7 the message needs SMTPUTF8, which the server does not offer|", SMTP_NEED_NOTHING, NULL},
    {"SMTPUTF8 is asked for", UTF8, "\xc3\xa9@x",
	{GREET, "250-x\r\n250-PIPELINING\r\n250 SMTPUTF8\r\n", "250 ok\r\n250 ok\r\n354 go\r\n", "250 ok\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> SMTPUTF8\r\nRCPT TO:<\xc3\xa9@x>\r\nDATA\r\nhalo\r\n..\r\n.\r\n",
	"\xc3\xa9@x d 2.0.0 250 ok|", SMTP_NEED_NOTHING, NULL},
    {"an address with more than ASCII fails alone", 0, "a@x \xc3\xa9@x b@x",
	{GREET, EHLO, "250 ok\r\n250 ok\r\n550 no\r\n354 go\r\n", "250 ok\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> SIZE=9\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n"
	"halo\r\n..\r\n.\r\n",
	"\xc3\xa9@x f 5.6.7 the address needs SMTPUTF8, which the server does not offer|b@x f 5.0.0 550 no|"
	"a@x d 2.0.0 250 ok|",
	SMTP_NEED_NOTHING, NULL},
    {"DSN's parameters go where it is offered", NOTIFIES, "a@x",
	{GREET, "250-x\r\n250-PIPELINING\r\n250 DSN\r\n", "250 ok\r\n250 ok\r\n354 go\r\n", "250 ok\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> RET=HDRS ENVID=a+2B+3D+0D+C3+A9b\r\n"
	"RCPT TO:<a@x> NOTIFY=FAILURE,DELAY ORCPT=rfc822;a@x\r\nDATA\r\nhalo\r\n..\r\n.\r\n",
	"a@x d 2.0.0 250 ok|", SMTP_NEED_NOTHING, NULL},
    {"and nowhere else", NOTIFIES, "a@x", {GREET, EHLO, "250 ok\r\n250 ok\r\n354 go\r\n", "250 ok\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> SIZE=9\r\nRCPT TO:<a@x>\r\nDATA\r\nhalo\r\n..\r\n.\r\n",
	"a@x d 2.0.0 250 ok|", SMTP_NEED_NOTHING, NULL},
    {"addresses that could end the command are not sent", 0, "a@x>\rRCPT a>@x \"q>\"@x \"q@x", {GREET, EHLO,
	"250 ok\r\n250 ok\r\n354 go\r\n", "250 ok\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> SIZE=9\r\nRCPT TO:<\"q>\"@x>\r\nDATA\r\nhalo\r\n..\r\n.\r\n",
	"a@x>\rRCPT f 5.1.3 the address is malformed|a>@x f 5.1.3 the address is malformed|"
	"\"q@x f 5.1.3 the address is malformed|\"q>\"@x d 2.0.0 250 ok|",
	SMTP_NEED_NOTHING, NULL},
    {"SMTPUTF8 for the sake of one address", 0, "a@x \xc3\xa9@x",
	{GREET, "250-x\r\n250-PIPELINING\r\n250 SMTPUTF8\r\n", "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", "250 ok\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> SMTPUTF8\r\nRCPT TO:<a@x>\r\nRCPT TO:<\xc3\xa9@x>\r\nDATA\r\n"
	"halo\r\n..\r\n.\r\n",
	"a@x d 2.0.0 250 ok|\xc3\xa9@x d 2.0.0 250 ok|", SMTP_NEED_NOTHING, NULL},
    {"BINARYMIME goes by BDAT, as it is, once somebody was accepted", BINARY | EIGHTBIT | TWICE, "a@x b@x",
	{GREET, CHUNKS, "250 ok\r\n550 no\r\n250 ok\r\n", "250 2.0.0 taken\r\n", "250 ok\r\n550 no\r\n551 no\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> BODY=BINARYMIME\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\n"
	"BDAT 9 LAST\r\nhalo\r\n.\r\n"
	"MAIL FROM:<s@satu.test> BODY=BINARYMIME\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\n",
	"a@x f 5.0.0 550 no|b@x d 2.0.0 250 2.0.0 taken|a@x f 5.0.0 550 no|b@x f 5.0.0 551 no|",
	SMTP_NEED_NOTHING, NULL},
    {"BINARYMIME refused in the middle", BINARY | QUIT, "a@x", {GREET, CHUNKS, "250 ok\r\n250 ok\r\n552 5.3.4 full\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> BODY=BINARYMIME\r\nRCPT TO:<a@x>\r\n",
	"a@x f 5.3.4 552 5.3.4 full|", SMTP_NEED_CLOSE, "f 5.3.4 552 5.3.4 full"},
    {"BINARYMIME does not go without CHUNKING", BINARY, "a@x",
	{GREET, "250-x\r\n250-8BITMIME\r\n250 BINARYMIME\r\n"}, "EHLO satu.test\r\n",
	"a@x f 5.6.1 the message is BINARYMIME, which the server does not offer|",
	SMTP_NEED_NOTHING, NULL},
    {"nor without BINARYMIME", BINARY, "a@x", {GREET, "250-x\r\n250-8BITMIME\r\n250 CHUNKING\r\n"}, "EHLO satu.test\r\n",
	"a@x f 5.6.1 the message is BINARYMIME, which the server does not offer|",
	SMTP_NEED_NOTHING, NULL},
    {"without PIPELINING a chunk saves the wait for 354", 0, "a@x",
	{GREET, "250-x\r\n250 CHUNKING\r\n", "250 ok\r\n", "250 ok\r\n", "250 done\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test>\r\nRCPT TO:<a@x>\r\n"
	"BDAT 9 LAST\r\nhalo\r\n.\r\n",
	"a@x d 2.0.0 250 done|", SMTP_NEED_NOTHING, NULL},
    {"with PIPELINING it saves nothing", 0, "a@x", {GREET, CHUNKS, "250 ok\r\n250 ok\r\n354 go\r\n", "250 done\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test>\r\nRCPT TO:<a@x>\r\nDATA\r\nhalo\r\n..\r\n.\r\n",
	"a@x d 2.0.0 250 done|", SMTP_NEED_NOTHING, NULL},
    {"to our own server all in one flight", LMTP | TRUSTED | TWICE, "a@x b@x",
	{GREET, CHUNKS, "250 ok\r\n550 5.1.1 no\r\n250 ok\r\n250 2.0.0 b\r\n",
	    "250 ok\r\n550 5.1.1 no\r\n450 4.2.1 no\r\n503 nobody\r\n"},
	"LHLO satu.test\r\nMAIL FROM:<s@satu.test>\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\nBDAT 9 LAST\r\nhalo\r\n.\r\n"
	"MAIL FROM:<s@satu.test>\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\nBDAT 9 LAST\r\nhalo\r\n.\r\n",
	"a@x f 5.1.1 550 5.1.1 no|b@x d 2.0.0 250 2.0.0 b|a@x f 5.1.1 550 5.1.1 no|b@x t 4.2.1 450 4.2.1 no|",
	SMTP_NEED_NOTHING, NULL},
    {"which may refuse MAIL: then RSET before the next", LMTP | TRUSTED | TWICE, "a@x",
	{GREET, CHUNKS, "451 4.3.0 full\r\n503 no\r\n503 no\r\n", "250 ok\r\n250 ok\r\n250 ok\r\n250 a\r\n"},
	"LHLO satu.test\r\nMAIL FROM:<s@satu.test>\r\nRCPT TO:<a@x>\r\nBDAT 9 LAST\r\nhalo\r\n.\r\n"
	"RSET\r\nMAIL FROM:<s@satu.test>\r\nRCPT TO:<a@x>\r\nBDAT 9 LAST\r\nhalo\r\n.\r\n",
	"a@x t 4.3.0 451 4.3.0 full|a@x d 2.0.0 250 a|", SMTP_NEED_NOTHING, NULL},
    {"RCPTMAX: the others in another transaction", 0, "a@x b@y c@x",
	{GREET, "250-x\r\n250-PIPELINING\r\n250 LIMITS RCPTMAX=2 WHATMAX=x\r\n", "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", "250 ok\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test>\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n"
	"halo\r\n..\r\n.\r\n",
	"c@x l 4.5.3 the server takes fewer recipients at a time|a@x d 2.0.0 250 ok|b@y d 2.0.0 250 ok|",
	SMTP_NEED_NOTHING, NULL},
    {"RCPTDOMAINMAX: those of one domain together", 0, "a@x b@y c@X",
	{GREET, "250-x\r\n250-PIPELINING\r\n250 LIMITS RCPTDOMAINMAX=1\r\n", "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", "250 ok\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test>\r\nRCPT TO:<a@x>\r\nRCPT TO:<c@X>\r\nDATA\r\n"
	"halo\r\n..\r\n.\r\n",
	"b@y l 4.5.3 the server takes fewer recipients at a time|a@x d 2.0.0 250 ok|c@X d 2.0.0 250 ok|",
	SMTP_NEED_NOTHING, NULL},
    {"REQUIRETLS under verified TLS to who offers it", TLS | NEEDS_TLS | VERIFIED, "a@x",
	{GREET, "250-x\r\n250 STARTTLS\r\n", "220 go\r\n", "250-x\r\n250-PIPELINING\r\n250 REQUIRETLS\r\n",
	    "550 no\r\n503 a\r\n503 b\r\n"},
	"EHLO satu.test\r\nSTARTTLS\r\n[TLS]EHLO satu.test\r\nMAIL FROM:<s@satu.test> REQUIRETLS\r\nRCPT TO:<a@x>\r\nDATA\r\n",
	"a@x f 5.0.0 550 no|", SMTP_NEED_NOTHING, NULL},
    {"not when the certificate is another's", TLS | NEEDS_TLS, "a@x",
	{GREET, "250-x\r\n250 STARTTLS\r\n", "220 go\r\n", "250-x\r\n250 REQUIRETLS\r\n"},
	"EHLO satu.test\r\nSTARTTLS\r\n[TLS]EHLO satu.test\r\n",
	"a@x f 5.7.30 the message needs REQUIRETLS, which the server cannot promise|", SMTP_NEED_NOTHING, NULL},
    {"not in plain, whatever is offered", NEEDS_TLS | VERIFIED, "a@x", {GREET, "250-x\r\n250 REQUIRETLS\r\n"},
	"EHLO satu.test\r\n", "a@x f 5.7.30 the message needs REQUIRETLS, which the server cannot promise|",
	SMTP_NEED_NOTHING, NULL},
    {"not when it is not offered", TLS | NEEDS_TLS | VERIFIED, "a@x",
	{GREET, "250-x\r\n250 STARTTLS\r\n", "220 go\r\n", "250-x\r\n250 PIPELINING\r\n"},
	"EHLO satu.test\r\nSTARTTLS\r\n[TLS]EHLO satu.test\r\n",
	"a@x f 5.7.30 the message needs REQUIRETLS, which the server cannot promise|", SMTP_NEED_NOTHING, NULL},
    {"MT-PRIORITY and DELIVERBY are passed on", URGENT | BY_R, "a@x",
	{GREET, "250-x\r\n250-PIPELINING\r\n250-MT-PRIORITY MIXER\r\n250 DELIVERBY 30\r\n", "550 no\r\n503 a\r\n503 b\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> MT-PRIORITY=-3 BY=60;R\r\nRCPT TO:<a@x>\r\nDATA\r\n",
	"a@x f 5.0.0 550 no|", SMTP_NEED_NOTHING, NULL},
    {"to others only what need not be kept", URGENT | BY_N, "a@x", {GREET, EHLO, "550 no\r\n503 a\r\n503 b\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> SIZE=9\r\nRCPT TO:<a@x>\r\nDATA\r\n",
	"a@x f 5.0.0 550 no|", SMTP_NEED_NOTHING, NULL},
    {"DELIVERBY, late and told of", BY_N, "a@x",
	{GREET, "250-x\r\n250-PIPELINING\r\n250 DELIVERBY\r\n", "550 no\r\n503 a\r\n503 b\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> BY=-5;NT\r\nRCPT TO:<a@x>\r\nDATA\r\n",
	"a@x f 5.0.0 550 no|", SMTP_NEED_NOTHING, NULL},
    {"who is to be returned when late does not go where nobody looks at the clock", BY_R, "a@x", {GREET, EHLO}, "EHLO satu.test\r\n",
	"a@x f 5.3.3 the message is to be returned if it is late (DELIVERBY), which the server does not offer|",
	SMTP_NEED_NOTHING, NULL},
    {"nor where it takes longer", BY_R, "a@x", {GREET, "250-x\r\n250 DELIVERBY 61\r\n"}, "EHLO satu.test\r\n",
	"a@x f 5.4.7 the message cannot be delivered by the time that was asked for|", SMTP_NEED_NOTHING, NULL},
    {"a login by PLAIN", TLS | LOGIN, "a@x",
	{GREET, "250-x\r\n250 STARTTLS\r\n", "220 go\r\n", "250-x\r\n250-PIPELINING\r\n250 AUTH LOGIN PLAIN\r\n",
	    "235 2.7.0 welcome\r\n", "550 no\r\n503 a\r\n503 b\r\n"},
	"EHLO satu.test\r\nSTARTTLS\r\n[TLS]EHLO satu.test\r\nAUTH PLAIN AGJhcnUAcmFoYXNpYQ==\r\n"
	"MAIL FROM:<s@satu.test>\r\nRCPT TO:<a@x>\r\nDATA\r\n",
	"a@x f 5.0.0 550 no|", SMTP_NEED_NOTHING, NULL},
    {"a login by LOGIN", TLS | LOGIN, "",
	{GREET, "250-x\r\n250 STARTTLS\r\n", "220 go\r\n", "250-x\r\n250 AUTH X LOGIN\r\n", "334 VXNlcm5hbWU6\r\n",
	    "334 UGFzc3dvcmQ6\r\n", "235 ok\r\n"},
	"EHLO satu.test\r\nSTARTTLS\r\n[TLS]EHLO satu.test\r\nAUTH LOGIN\r\nYmFydQ==\r\ncmFoYXNpYQ==\r\n", "", SMTP_NEED_NOTHING, NULL},
    {"a wrong password is no reason to return mail", TLS | LOGIN | QUIT, "a@x",
	{GREET, "250-x\r\n250 STARTTLS\r\n", "220 go\r\n", "250-x\r\n250 AUTH PLAIN\r\n", "535 5.7.8 who?\r\n"},
	"EHLO satu.test\r\nSTARTTLS\r\n[TLS]EHLO satu.test\r\nAUTH PLAIN AGJhcnUAcmFoYXNpYQ==\r\nQUIT\r\n", "",
	SMTP_NEED_CLOSE, "t 4.7.8 535 5.7.8 who? (to PLAIN of baru)"},
    {"a server that asks for ever", TLS | LOGIN | QUIT, "a@x",
	{GREET, "250-x\r\n250 STARTTLS\r\n", "220 go\r\n", "250-x\r\n250 AUTH LOGIN\r\n", "334 a\r\n", "334 b\r\n", "334 c\r\n"},
	"EHLO satu.test\r\nSTARTTLS\r\n[TLS]EHLO satu.test\r\nAUTH LOGIN\r\nYmFydQ==\r\ncmFoYXNpYQ==\r\n*\r\nQUIT\r\n",
	"", SMTP_NEED_CLOSE, "t 4.7.8 the server asks for more than name and password"},
    {"a login by SCRAM, and the server proves itself", TLS | LOGIN, "",
	{GREET, "250-x\r\n250 STARTTLS\r\n", "220 go\r\n", "250-x\r\n250 AUTH PLAIN SCRAM-SHA-256\r\n",
	    "334 cj1meWtvMTIzNDU2Nzgscz1RU1hDUitRNnNlazhiZjkyLGk9NDA5Ng==\r\n", "334 dj1GNTI2TUluNE5jYm1SZ05oUFluOFRDQjQyWmE5NTBMUTRKcmNEZ0JpRDI0PQ==\r\n", "235 ok\r\n"},
	"EHLO satu.test\r\nSTARTTLS\r\n[TLS]EHLO satu.test\r\nAUTH SCRAM-SHA-256 biwsbj1iYXJ1LHI9Znlrbw==\r\n"
	"Yz1iaXdzLHI9ZnlrbzEyMzQ1Njc4LHA9RFJJUWV5enpvOFBIZ3lBNFRXdU9XNlRKV0FtREhEZ3o4dloxZVNoZlhYWT0=\r\n\r\n",
	"", SMTP_NEED_NOTHING, NULL},
    {"a server that cannot is left", TLS | LOGIN | QUIT, "",
	{GREET, "250-x\r\n250 STARTTLS\r\n", "220 go\r\n", "250-x\r\n250 AUTH PLAIN SCRAM-SHA-256\r\n",
	    "334 cj1meWtvMTIzNDU2Nzgscz1RU1hDUitRNnNlazhiZjkyLGk9NDA5Ng==\r\n", "334 dj1BQUFB\r\n"},
	"EHLO satu.test\r\nSTARTTLS\r\n[TLS]EHLO satu.test\r\nAUTH SCRAM-SHA-256 biwsbj1iYXJ1LHI9Znlrbw==\r\n"
	"Yz1iaXdzLHI9ZnlrbzEyMzQ1Njc4LHA9RFJJUWV5enpvOFBIZ3lBNFRXdU9XNlRKV0FtREhEZ3o4dloxZVNoZlhYWT0=\r\n*\r\nQUIT\r\n",
	"", SMTP_NEED_CLOSE, "t 4.7.8 the server does not prove that it knows the password"},
    {"also one that says welcome before", TLS | LOGIN | QUIT, "",
	{GREET, "250-x\r\n250 STARTTLS\r\n", "220 go\r\n", "250-x\r\n250 AUTH SCRAM-SHA-256\r\n", "235 ok\r\n"},
	"EHLO satu.test\r\nSTARTTLS\r\n[TLS]EHLO satu.test\r\nAUTH SCRAM-SHA-256 biwsbj1iYXJ1LHI9Znlrbw==\r\nQUIT\r\n",
	"", SMTP_NEED_CLOSE, "t 4.7.8 the server takes the login without proof that it knows the password"},
    {"no password in plain", LOGIN | QUIT, "a@x", {GREET, "250-x\r\n250 AUTH PLAIN\r\n"}, "EHLO satu.test\r\nQUIT\r\n", "",
	SMTP_NEED_CLOSE, "t 4.7.4 a password is not sent without TLS"},
    {"nor by a way that we do not know", TLS | LOGIN | QUIT, "a@x",
	{GREET, "250-x\r\n250 STARTTLS\r\n", "220 go\r\n", "250-x\r\n250 AUTH GSSAPI\r\n"},
	"EHLO satu.test\r\nSTARTTLS\r\n[TLS]EHLO satu.test\r\nQUIT\r\n", "", SMTP_NEED_CLOSE,
	"t 4.7.0 no mechanism to log in that both sides have; the server offers GSSAPI"},
    {"TLS that must be and is not offered", TLS | MUST_TLS | QUIT, "a@x", {GREET, EHLO}, "EHLO satu.test\r\nQUIT\r\n", "",
	SMTP_NEED_CLOSE, "t 4.7.4 TLS is required, and the server does not offer it"},
    {"or is refused", TLS | MUST_TLS | QUIT, "a@x", {GREET, "250-x\r\n250 STARTTLS\r\n", "454 no\r\n"},
	"EHLO satu.test\r\nSTARTTLS\r\nQUIT\r\n", "", SMTP_NEED_CLOSE, "t 4.7.4 TLS is required, and the server does not offer it"},
    {"or falls back to HELO", TLS | MUST_TLS | QUIT, "a@x", {GREET, "500 what?\r\n", "250 hello\r\n"},
	"EHLO satu.test\r\nHELO satu.test\r\nQUIT\r\n", "", SMTP_NEED_CLOSE,
	"t 4.7.4 TLS is required, and the server does not offer it"},
    {"a certificate that must be good is looked at before a password is sent", TLS | MUST_TLS | MUST_VERIFY | LOGIN | QUIT, "a@x",
	{GREET, "250-x\r\n250 STARTTLS\r\n", "220 go\r\n", "250-x\r\n250 AUTH PLAIN\r\n"},
	"EHLO satu.test\r\nSTARTTLS\r\n[TLS]EHLO satu.test\r\nQUIT\r\n", "", SMTP_NEED_CLOSE,
	"t 4.7.5 the server's certificate is not one of that host that can be trusted"},
    {"and is good", TLS | MUST_TLS | MUST_VERIFY | VERIFIED, "a@x",
	{GREET, "250-x\r\n250 STARTTLS\r\n", "220 go\r\n", EHLO, "550 no\r\n503 a\r\n503 b\r\n"},
	"EHLO satu.test\r\nSTARTTLS\r\n[TLS]EHLO satu.test\r\nMAIL FROM:<s@satu.test> SIZE=9\r\nRCPT TO:<a@x>\r\nDATA\r\n",
	"a@x f 5.0.0 550 no|", SMTP_NEED_NOTHING, NULL},
    {"too large for the server", 0, "a@x", {GREET, "250-x\r\n250 SIZE 8\r\n"}, "EHLO satu.test\r\n",
	"a@x f 5.3.4 the message is larger than the server takes|", SMTP_NEED_NOTHING, NULL},
    {"the server cannot wait for the end", QUIT, "a@x",
	{GREET, EHLO, "250 ok\r\n250 ok\r\n354 go\r\n552 5.3.4 too large\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> SIZE=9\r\nRCPT TO:<a@x>\r\nDATA\r\n",
	"a@x f 5.3.4 552 5.3.4 too large|", SMTP_NEED_CLOSE, "f 5.3.4 552 5.3.4 too large"},
    {"a success before the end is none", QUIT, "a@x", {GREET, EHLO, "250 ok\r\n250 ok\r\n354 go\r\n250 done\r\n"},
	"EHLO satu.test\r\nMAIL FROM:<s@satu.test> SIZE=9\r\nRCPT TO:<a@x>\r\nDATA\r\n",
	"a@x t 4.5.0 250 done|", SMTP_NEED_CLOSE, "t 4.5.0 250 done"},
    {"LMTP: a reply for each accepted recipient", LMTP, "a@x b@x c@x",
	{GREET, EHLO, "250 ok\r\n250 ok\r\n550 5.1.1 no\r\n250 ok\r\n354 go\r\n", "250 a\r\n", "452 4.2.2 full\r\n"},
	"LHLO satu.test\r\nMAIL FROM:<s@satu.test> SIZE=9\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\nRCPT TO:<c@x>\r\nDATA\r\n"
	"halo\r\n..\r\n.\r\n",
	"b@x f 5.1.1 550 5.1.1 no|a@x d 2.0.0 250 a|c@x t 4.2.2 452 4.2.2 full|", SMTP_NEED_NOTHING, NULL},
    {"LMTP lost between two recipients", LMTP | LOST, "a@x b@x",
	{GREET, EHLO, "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", "250 a\r\n"},
	"LHLO satu.test\r\nMAIL FROM:<s@satu.test> SIZE=9\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\nhalo\r\n..\r\n.\r\n",
	"a@x d 2.0.0 250 a|b@x t 4.4.2 lost|", SMTP_NEED_CLOSE, "t 4.4.2 lost"},
    {"LMTP has no HELO", LMTP, "a@x", {GREET, "500 what?\r\n"}, "LHLO satu.test\r\n", "", SMTP_NEED_CLOSE,
	"f 5.0.0 500 what?"},
    {"LMTP: nobody accepted and yet 354", LMTP, "a@x", {GREET, EHLO, "250 ok\r\n550 no\r\n354 go\r\n"},
	"LHLO satu.test\r\nMAIL FROM:<s@satu.test> SIZE=9\r\nRCPT TO:<a@x>\r\nDATA\r\n.\r\n", "a@x f 5.0.0 550 no|",
	SMTP_NEED_CLOSE, ""},
};

#define RECIPIENTS_MAX 8

struct run {
	const struct row *row;
	struct smtp_client client;
	struct buf out;
	char results[1024];
	struct arena arena;
	struct smtp_mail mail;
	struct smtp_recipient recipients[RECIPIENTS_MAX];
	unsigned begun;
	struct sasl_credentials credentials;
};

static char
letter(enum smtp_outcome outcome)
{
	switch (outcome) {
	case SMTP_PENDING:
		return 'p';
	case SMTP_ACCEPTED:
		return 'a';
	case SMTP_LEFT:
		return 'l';
	case SMTP_DELIVERED:
		return 'd';
	case SMTP_DEFERRED:
		return 't';
	case SMTP_FAILED:
		return 'f';
	}
	return '?';
}

static void
collect(struct run *run)
{
	struct smtp_recipient *r;

	while ((r = smtp_client_result(&run->client)) != NULL) {
		size_t n = strlen(run->results);

		(void)snprintf(run->results + n, sizeof run->results - n, "%.*s %c %.*s %.*s|", STR_FMT(r->address),
		    letter(r->verdict.outcome), STR_FMT(r->verdict.code), STR_FMT(r->verdict.words));
	}
}

static void
begin(struct run *run)
{
	struct str rest = str_from(run->row->recipients), word;
	size_t n = 0;

	memset(run->recipients, 0, sizeof run->recipients);
	while (rest.n > 0 && str_token(&rest, ' ', &word))
		run->recipients[n++].address = word;
	run->mail = (struct smtp_mail){.sender = STR("s@satu.test"), .size = 9, .recipients = run->recipients,
	    .nrecipients = n, .arena = &run->arena};
	run->mail.flags = (run->row->flags & EIGHTBIT ? SMTP_MAIL_8BIT : 0) | (run->row->flags & UTF8 ? SMTP_MAIL_UTF8 : 0);
	run->mail.flags |= (run->row->flags & BINARY ? SMTP_MAIL_BINARY : 0) |
	    (run->row->flags & NEEDS_TLS ? SMTP_MAIL_REQUIRETLS : 0) | (run->row->flags & URGENT ? SMTP_MAIL_PRIORITY : 0);
	run->mail.priority = -3;
	run->mail.by_mode = run->row->flags & BY_R ? 'R' : run->row->flags & BY_N ? 'N' : 0;
	run->mail.by_s = run->row->flags & BY_R ? 60 : -5;
	run->mail.by_trace = run->row->flags & BY_N;
	if (run->row->flags & NOTIFIES) {
		run->mail.ret = STR("HDRS");
		run->mail.envid = STR("a+=\r\xc3\xa9" "b");
		run->recipients[0].notify = STR("FAILURE,DELAY");
		run->recipients[0].orcpt = STR("rfc822;a@x");
	}
	run->begun++;
	smtp_client_begin(&run->client, &run->mail);
}

/* What the driver does when the client needs something of it. */
static void
act(struct run *run)
{
	unsigned messages = run->row->recipients[0] == '\0' ? 0 : run->row->flags & TWICE ? 2 : 1;

	collect(run);
	switch (smtp_client_need(&run->client)) {
	case SMTP_NEED_TLS:
		buf_adds(&run->out, "[TLS]");
		smtp_client_secured(&run->client, run->row->flags & VERIFIED);
		break;
	case SMTP_NEED_NOTHING:
		if (run->begun < messages)
			begin(run);
		break;
	case SMTP_NEED_BODY:
	case SMTP_NEED_REPLY:
	case SMTP_NEED_FINAL_REPLY:
	case SMTP_NEED_CLOSE:
		break;
	}
	collect(run);
}

static void
body(struct run *run)
{
	struct str content = STR("halo\r\n.\r\n");
	size_t room = run->client.by_chunks && !(run->row->flags & BINARY) ? 64 : DOT_WRITE_ROOM_MIN;

	if (smtp_client_need(&run->client) != SMTP_NEED_BODY)
		return;
	while (content.n > 0)
		content = str_skip(content, smtp_client_body(&run->client, content, room));
	smtp_client_body_end(&run->client);
}

/* cut 0: byte by byte. */
static void
segment(struct run *run, struct str text, size_t cut)
{
	size_t at = 0;

	while (at < text.n) {
		size_t n = cut == 0 ? 1 : at < cut && cut < text.n ? cut - at : text.n - at;
		struct str piece = str_sub(text, at, n);

		smtp_client_feed(&run->client, &piece);
		act(run);
		if (smtp_client_need(&run->client) != SMTP_NEED_CLOSE)
			assert_int_equal(piece.n, 0);
		at += n;
	}
	body(run);
}

static void
check(struct run *run)
{
	const struct smtp_verdict *failure = &run->client.failure;
	char text[300] = "";

	assert_str(buf_str(&run->out), str_from(run->row->out));
	assert_string_equal(run->results, run->row->results);
	assert_int_equal(smtp_client_need(&run->client), run->row->need);
	if (run->row->failure == NULL)
		return;
	if (failure->outcome != SMTP_PENDING)
		(void)snprintf(text, sizeof text, "%c %.*s %.*s", letter(failure->outcome), STR_FMT(failure->code),
		    STR_FMT(failure->words));
	assert_string_equal(text, run->row->failure);
}

static void
run_row(const struct row *row, size_t cut)
{
	static struct run run;

	memset(&run, 0, sizeof run);
	run.row = row;
	buf_init(&run.out, 4096);
	arena_init(&run.arena, 65536);
	smtp_client_init(&run.client, &run.out, STR("satu.test"), row->flags & LMTP, row->flags & TLS);
	run.client.one_flight = row->flags & TRUSTED;
	run.client.must_tls = row->flags & MUST_TLS;
	run.client.must_verify = row->flags & MUST_VERIFY;
	if (row->flags & LOGIN) {
		run.credentials = (struct sasl_credentials){STR("baru"), STR("rahasia"), STR_NONE, SASL_ALL, {0}};
		run.client.credentials = &run.credentials;
		memcpy(run.client.nonce, "fyko", 5);
	}
	for (size_t i = 0; i < SEGMENTS_MAX && row->server[i] != NULL; i++)
		segment(&run, str_from(row->server[i]), cut);
	if (row->flags & LOST)
		smtp_client_abandon(&run.client, STR("4.4.2"), STR("lost"));
	if (row->flags & QUIT)
		smtp_client_quit(&run.client);
	collect(&run);
	check(&run);
	smtp_client_clear(&run.client);
	buf_clear(&run.out);
	arena_clear(&run.arena);
}

static void
conversations_go_as_written_however_they_are_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		print_message("    %s\n", rows[i].name);
		for (size_t cut = 0; cut < 120; cut++)
			run_row(&rows[i], cut);
	}
}

static void
bytes_between_starttls_and_the_handshake_end_it(void **state)
{
	struct str in = STR(GREET "250-x\r\n250 STARTTLS\r\n220 go\r\n250 evil\r\n");
	struct smtp_client client;
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	smtp_client_init(&client, &out, STR("satu.test"), false, true);
	smtp_client_feed(&client, &in);
	assert_int_equal(smtp_client_need(&client), SMTP_NEED_CLOSE);
	assert_int_equal(client.failure.outcome, SMTP_DEFERRED);
	smtp_client_clear(&client);
	buf_clear(&out);
}

/* What the content becomes in chunks: each as long as its head says, line ends whole, replies in the middle taken. */
static void
chunks_are_as_long_as_they_say(void **state)
{
	static const struct {
		const char *content;
		size_t piece; /* bytes handed over at a time */
		const char *out;
	} contents[] = {
	    {"a\r\n.b\r\n", 4, "BDAT 4\r\na\r\n.BDAT 3 LAST\r\nb\r\n"},
	    {"a\rb\nc", 6, "BDAT 9 LAST\r\na\r\nb\r\nc\r\n"},
	    {"a\r\nb", 2, "BDAT 1\r\naBDAT 5 LAST\r\n\r\nb\r\n"},
	    {"\r\r", 1, "BDAT 4 LAST\r\n\r\n\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(contents); i++) {
		struct smtp_recipient recipient = {.address = STR("a@x")};
		struct smtp_mail mail = {.sender = STR(""), .recipients = &recipient, .nrecipients = 1,
		    .size = strlen(contents[i].content)};
		struct str in = STR(GREET "250-x\r\n250 CHUNKING\r\n"), ok = STR("250 ok\r\n"), content;
		struct smtp_client client;
		struct arena arena;
		struct buf out;

		buf_init(&out, 4096);
		arena_init(&arena, 4096);
		mail.arena = &arena;
		smtp_client_init(&client, &out, STR("satu.test"), false, false);
		smtp_client_feed(&client, &in);
		smtp_client_begin(&client, &mail);
		for (int n = 0; n < 2; n++, ok = STR("250 ok\r\n"))
			smtp_client_feed(&client, &ok);
		buf_reset(&out);
		for (content = str_from(contents[i].content); content.n > 0;) {
			struct str piece = str_sub(content, 0, contents[i].piece);

			assert_int_equal(smtp_client_body(&client, piece, 100), piece.n);
			content = str_skip(content, piece.n);
		}
		smtp_client_body_end(&client);
		assert_str(buf_str(&out), str_from(contents[i].out));
		for (size_t n = client.chunks; n > 0; n--, ok = STR("250 ok\r\n")) {
			smtp_client_feed(&client, &ok);
			assert_int_equal(smtp_client_need(&client), SMTP_NEED_FINAL_REPLY);
		}
		smtp_client_feed(&client, &ok);
		assert_int_equal(recipient.verdict.outcome, SMTP_DELIVERED);
		smtp_client_clear(&client);
		arena_clear(&arena);
		buf_clear(&out);
	}
}

static void
a_session_that_may_have_one_message_is_spent_after_it(void **state)
{
	struct smtp_recipient recipient = {.address = STR("a@x")};
	struct smtp_mail mail = {.sender = STR(""), .recipients = &recipient, .nrecipients = 1};
	struct str in = STR(GREET "250-x\r\n250 LIMITS MAILMAX=1\r\n");
	struct smtp_client client;
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	smtp_client_init(&client, &out, STR("satu.test"), false, false);
	smtp_client_feed(&client, &in);
	assert_false(smtp_client_is_spent(&client));
	smtp_client_begin(&client, &mail);
	assert_true(smtp_client_is_spent(&client));
	smtp_client_clear(&client);
	buf_clear(&out);
}

static struct smtp_recipient many[1000];

static void
a_thousand_recipients_stay_within_the_window(void **state)
{
	struct smtp_client client;
	struct smtp_mail mail = {.sender = STR(""), .recipients = many, .nrecipients = ROWS(many)};
	struct arena arena;
	struct buf out;
	struct str in = STR(GREET EHLO);
	size_t replies = 0;

	(void)state;
	buf_init(&out, SMTP_CLIENT_OUTPUT_MAX);
	arena_init(&arena, 65536);
	mail.arena = &arena;
	for (size_t i = 0; i < ROWS(many); i++)
		many[i].address = STR("abcdefghijklmnopqrstuvwxyz@abcdefghijklmnopqrstuvwxyz");
	smtp_client_init(&client, &out, STR("satu.test"), false, false);
	smtp_client_feed(&client, &in);
	buf_reset(&out);
	smtp_client_begin(&client, &mail);
	while (smtp_client_need(&client) == SMTP_NEED_REPLY) {
		assert_true(client.ahead <= SMTP_CLIENT_AHEAD_MAX);
		assert_true(buf_ok(&out));
		buf_reset(&out);
		in = replies == 0 || replies % 2 == 1 ? STR("250 ok\r\n") : STR("550 5.1.1 nobody of that name here\r\n");
		if (replies == ROWS(many) + 1)
			in = STR("354 go\r\n");
		replies++;
		smtp_client_feed(&client, &in);
	}
	assert_int_equal(smtp_client_need(&client), SMTP_NEED_BODY);
	assert_int_equal(client.accepted, ROWS(many) / 2);
	for (replies = 0; smtp_client_result(&client) != NULL;)
		replies++;
	assert_int_equal(replies, ROWS(many) / 2);
	smtp_client_clear(&client);
	arena_clear(&arena);
	buf_clear(&out);
}

static void
a_full_arena_costs_the_words_only(void **state)
{
	(void)state;
	for (size_t max = 0; max < 200; max += 16) {
		struct smtp_recipient recipient = {.address = STR("a@x")};
		struct arena arena;
		struct smtp_mail mail = {.sender = STR(""), .recipients = &recipient, .nrecipients = 1, .arena = &arena};
		struct str in = STR(GREET EHLO), no = STR("250 ok\r\n550 5.1.1 no such user\r\n503 no\r\n");
		struct smtp_client client;
		struct buf out;

		buf_init(&out, 4096);
		arena_init(&arena, max);
		smtp_client_init(&client, &out, STR("satu.test"), false, false);
		smtp_client_feed(&client, &in);
		smtp_client_begin(&client, &mail);
		smtp_client_feed(&client, &no);
		assert_int_equal(recipient.verdict.outcome, SMTP_FAILED);
		assert_true(recipient.verdict.code.n == 5 && recipient.verdict.words.n > 0);
		smtp_client_clear(&client);
		arena_clear(&arena);
		buf_clear(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(conversations_go_as_written_however_they_are_cut),
	    cmocka_unit_test(bytes_between_starttls_and_the_handshake_end_it),
	    cmocka_unit_test(chunks_are_as_long_as_they_say),
	    cmocka_unit_test(a_session_that_may_have_one_message_is_spent_after_it),
	    cmocka_unit_test(a_thousand_recipients_stay_within_the_window),
	    cmocka_unit_test(a_full_arena_costs_the_words_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
