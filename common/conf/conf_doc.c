#include "common/conf/conf_doc.h"

#include <string.h>

#include "common/conf/conf.h"
#include "common/conf/conf_table.h"

#define FILE_WIDTH 100

static const struct {
	const char *title;
	const char *about;
} headings[CONF_SECTIONS] = {
    [CONF_SECTION_GLOBAL] = {"Common parameters", "These are read by several or all programs."},
    [CONF_SECTION_SMTPD] = {"Receiving mail", "Parameters of smtpd."},
    [CONF_SECTION_QUEUE] = {"The queue and sending mail", "Parameters of queued, remote and bounce."},
    [CONF_SECTION_DELIVER] = {"Local delivery", "Parameters of deliver."},
    [CONF_SECTION_POPD] = {"POP3", "Parameters of popd."},
    [CONF_SECTION_IMAPD] = {"IMAP", "Parameters of imapd."},
    [CONF_SECTION_AUTH] = {"Accounts and passwords", "Parameters of authd."},
    [CONF_SECTION_LISTENER] = {"Listeners",
	"Each section [listener NAME] is one socket on which the server listens; NAME is yours to choose. If there is no such "
	"section the standard ports of all protocols are served on all addresses, as if there were [listener mx], [listener "
	"submission], [listener submissions], [listener pop3], [listener pop3s], [listener imap] and [listener imaps]."},
    [CONF_SECTION_DOMAIN] = {"Domains",
	"Each section [domain NAME] is a domain whose mail is delivered on this host. If there is no such section these are "
	"`hostname` and localhost, with the users of this system."},
    [CONF_SECTION_FILTER] = {"Filters",
	"Each section [filter NAME] is a program that looks at mail while it is received, and may refuse or change it. Mail passes "
	"through them in the order in which they stand here."},
    [CONF_SECTION_ROUTE] = {"Routes",
	"Each section [route NAME] says how mail for other hosts goes: NAME is a domain, \".example.org\" for all below that, or "
	"\"*\" for all that no other names. Without such a section mail goes to the exchangers of its domain, as if "
	"it said nothing."},
    [CONF_SECTION_SITE] = {"Sites",
	"Each section [site NAME] says what certain sites bear; NAME is yours to choose. A site is all domains with the same mail "
	"exchangers. Each of the sites that a section covers has these limits for itself; of several sections the first counts."},
    [CONF_SECTION_CERTIFICATE] = {"Certificates",
	"Each section [certificate NAME] is a further certificate, for clients that ask for a name that is in it; NAME is yours to "
	"choose. All others are shown the one of `tls_certificate`."},
};

static const char *
name_of_type(enum conf_type type)
{
	switch (type) {
	case CONF_TYPE_STRING:
		return "text";
	case CONF_TYPE_DOMAIN:
		return "domain name";
	case CONF_TYPE_PATH:
		return "path";
	case CONF_TYPE_NUMBER:
		return "number";
	case CONF_TYPE_SIZE:
		return "size";
	case CONF_TYPE_TIME_S:
	case CONF_TYPE_TIME_MS:
		return "time";
	case CONF_TYPE_TIMES_S:
		return "list of times";
	case CONF_TYPE_RATE:
		return "rate";
	case CONF_TYPE_BOOL:
		return "yes or no";
	case CONF_TYPE_ENUM:
		return "one of";
	case CONF_TYPE_SET:
		return "some of";
	case CONF_TYPE_NETWORKS:
		return "list of networks";
	case CONF_TYPE_ENDPOINTS:
		return "list of addresses";
	case CONF_TYPE_SOCKET:
		return "socket";
	case CONF_TYPE_DNS_LISTS:
		return "list of DNS lists";
	}
	return "";
}

/* "time from 1s to 30d", "one of system virtual" */
static void
add_type(struct buf *out, const struct conf_param *param)
{
	buf_adds(out, name_of_type(param->type));
	if (param->min != NULL)
		buf_addf(out, " from %s to %s", param->min, param->max);
	if (param->words != NULL)
		buf_addf(out, " %s", param->words);
}

/* --- the manual page --------------------------------------------------------------------------------------------------- */

/* A blank behind a sentence; not behind "e.g." or a number. */
static bool
ends_sentence(struct str text, size_t blank)
{
	return blank >= 2 && strchr(".:;", text.p[blank - 1]) != NULL && ascii_is_alpha(text.p[blank - 2]);
}

/* Text for mdoc: a backslash, or a dot or quote at the beginning of a line, would be read as a command; `key` becomes bold;
 * a sentence begins on a new line, as mandoc likes it. */
static void
add_mdoc(struct buf *out, struct str text)
{
	bool start = true, bold = false;

	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (start && (c == '.' || c == '\''))
			buf_adds(out, "\\&");
		start = c == ' ' && ends_sentence(text, i);
		if (c == '`') {
			bold = !bold;
			buf_adds(out, bold ? "\\fB" : "\\fR");
		} else if (c == '\\') {
			buf_adds(out, "\\e");
		} else {
			buf_addc(out, start ? '\n' : c);
		}
	}
	buf_addc(out, '\n');
}

static void
add_manual_param(struct buf *out, const struct conf_param *param)
{
	buf_addf(out, ".It Cm %s No ( ", param->key);
	add_type(out, param);
	if (param->default_text[0] != '\0')
		buf_addf(out, "; default %s", param->default_text);
	buf_adds(out, " )\n");
	add_mdoc(out, str_from(param->doc));
}

static void
add_manual_table(struct buf *out, unsigned section)
{
	const struct conf_table *table = conf_table((enum conf_section)section);

	buf_addf(out, ".Ss %s\n", headings[section].title);
	add_mdoc(out, str_from(headings[section].about));
	buf_adds(out, ".Bl -tag -width Ds\n");
	for (size_t i = 0; i < table->n; i++)
		add_manual_param(out, &table->params[i]);
	buf_adds(out, ".El\n");
}

static const char manual_head[] =
    ".\\\" Made from the .def files by the test common_conf_doc_test; change those, then say: MERPATI_UPDATE=1 make unit\n"
    ".Dd November 24, 2026\n"
    ".Dt MERPATI.CONF 5\n"
    ".Os\n"
    ".Sh NAME\n"
    ".Nm merpati.conf\n"
    ".Nd configuration of the Merpati mail suite\n"
    ".Sh DESCRIPTION\n"
    "All programs of the suite read one file, which is\n"
    ".Pa /etc/merpati/merpati.conf\n"
    "unless the option\n"
    ".Fl c\n"
    "or the environment variable\n"
    ".Ev MERPATI_CONF\n"
    "says otherwise.\n"
    "After a change say\n"
    ".Dq merpati check ,\n"
    "then\n"
    ".Dq merpati reload\n"
    "(or with systemd:\n"
    ".Dq systemctl reload 'merpati-*.service' ) .\n"
    "Sessions that are open stay open, with the settings that they began with.\n"
    ".Pp\n"
    "A line is\n"
    ".Dq Ar key No = Ar value ,\n"
    "or the head of a section, such as\n"
    ".Dq [domain example.org] ,\n"
    "or empty.\n"
    "What follows a # at the beginning of a line or after a blank is a comment.\n"
    "A value in double quotes may contain # and begin or end with blanks.\n"
    "Sections come after all parameters that belong to none; a parameter may be set only once.\n"
    "The lines of a section\n"
    ".Li [policy]\n"
    "are rules, which\n"
    ".Xr merpati-policy 5\n"
    "describes.\n"
    ".Pp\n"
    "The types of values are:\n"
    ".Bl -tag -width Ds\n"
    ".It number\n"
    "Digits.\n"
    ".It size\n"
    "A number of bytes, or one of units of 1024 with K, M or G behind it: 50M.\n"
    ".It time\n"
    "A number and ms, s, m, h or d: 15m.\n"
    ".It path\n"
    "A file or directory.\n"
    "One that does not begin with / is looked for in the directory of the configuration file.\n"
    ".It network\n"
    "192.0.2.1, 192.0.2.0/24, 2001:db8::/32.\n"
    ".It list\n"
    "Values separated by blanks or commas.\n"
    ".It socket\n"
    "unix:/run/opendkim/opendkim.sock, inet:127.0.0.1:8891, inet:[::1]:8891.\n"
    ".It yes or no\n"
    "Also true and false, on and off.\n"
    ".El\n";

static const char manual_tail[] = ".Sh FILES\n"
				  ".Bl -tag -width Ds\n"
				  ".It Pa /etc/merpati/merpati.conf\n"
				  ".It Pa /etc/merpati/users\n"
				  "Accounts of virtual domains.\n"
				  ".El\n"
				  ".Sh EXAMPLES\n"
				  "A server for one domain whose accounts are the users of the system, and one with virtual users:\n"
				  ".Bd -literal -offset indent\n"
				  "hostname        = mail.example.org\n"
				  "tls_certificate = /etc/letsencrypt/live/mail.example.org/fullchain.pem\n"
				  "tls_key         = /etc/letsencrypt/live/mail.example.org/privkey.pem\n"
				  "\n"
				  "[domain example.org]\n"
				  "accounts = system\n"
				  "\n"
				  "[domain example.net]\n"
				  "accounts = virtual\n"
				  ".Ed\n"
				  ".Sh SEE ALSO\n"
				  ".Xr merpati-policy 5 ,\n"
				  ".Xr merpati 8\n";

void
conf_doc_manual(struct buf *out)
{
	buf_adds(out, manual_head);
	buf_adds(out, ".Sh PARAMETERS\n");
	for (unsigned i = 0; i < CONF_SECTIONS; i++)
		add_manual_table(out, i);
	buf_adds(out, manual_tail);
}

/* --- the default file ---------------------------------------------------------------------------------------------------- */

/* Comment lines of at most FILE_WIDTH, without the marks around keys. */
static void
add_comment(struct buf *out, struct str text)
{
	size_t column = 0;
	struct str word;

	while (str_word(&text, &word)) {
		if (column > 0 && column + 1 + word.n > FILE_WIDTH) {
			buf_addc(out, '\n');
			column = 0;
		}
		if (column == 0)
			buf_addc(out, '#');
		buf_addc(out, ' ');
		column += word.n + (column == 0 ? 2 : 1);
		for (size_t i = 0; i < word.n; i++)
			if (word.p[i] != '`')
				buf_addc(out, word.p[i]);
	}
	buf_addc(out, '\n');
}

static void
add_file_param(struct buf *out, const struct conf_param *param)
{
	const char *quote = strchr(param->default_text, '#') != NULL ? "\"" : "";

	buf_addc(out, '\n');
	add_comment(out, str_from(param->doc));
	buf_adds(out, "# (");
	add_type(out, param);
	buf_addf(out, ")\n#%s =", param->key);
	if (param->default_text[0] != '\0')
		buf_addf(out, " %s%s%s", quote, param->default_text, quote);
	buf_addc(out, '\n');
}

static void
add_file_table(struct buf *out, unsigned section)
{
	const struct conf_table *table = conf_table((enum conf_section)section);

	buf_addf(out, "\n# --- %s\n", headings[section].title);
	if (section >= CONF_SECTION_LISTENER) {
		add_comment(out, str_from(headings[section].about));
		buf_addf(out, "\n#[%s NAME]\n", table->name);
	}
	for (size_t i = 0; i < table->n; i++)
		add_file_param(out, &table->params[i]);
}

/* The standard list, as what is in force without the section. */
static void
add_file_policy(struct buf *out)
{
	buf_adds(out, "\n# --- Policy\n");
	add_comment(out, STR("The section [policy] is a list of rules of who may send what to whom, read from top to bottom for each "
			     "recipient: see merpati-policy(5). Without it:"));
	buf_adds(out, "\n#[policy]\n");
	for (size_t i = 0; rule_standard(i) != NULL; i++)
		buf_addf(out, "#%s\n", rule_standard(i));
}

void
conf_doc_file(struct buf *out)
{
	buf_adds(out, "# The configuration of Merpati: see merpati.conf(5). Everything here is commented out and shows the\n"
		      "# default. \"merpati check\" tells whether what you wrote is right; \"merpati reload\" puts it in force.\n"
		      "# To receive mail for a domain, set hostname, tls_certificate and tls_key, and a section [domain ...].\n");
	for (unsigned i = 0; i < CONF_SECTIONS; i++)
		add_file_table(out, i);
	add_file_policy(out);
}
