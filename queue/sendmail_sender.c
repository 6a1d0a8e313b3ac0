#include "queue/sendmail_sender.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "queue/sendmail_text.h"

#define FULL_NAME_MAX 256

/* The first part of the user's entry; by old custom `&` stands for the login name, capitalised. */
static struct str
name_of_entry(struct arena *arena, const struct passwd *pw)
{
	struct str gecos = str_from(pw->pw_gecos), login = str_from(pw->pw_name);
	struct buf name;
	struct str result;

	gecos = str_sub(gecos, 0, str_find(gecos, ','));
	buf_init(&name, FULL_NAME_MAX);
	for (size_t i = 0; i < gecos.n; i++) {
		if (gecos.p[i] != '&' || login.n == 0) {
			buf_addc(&name, gecos.p[i]);
			continue;
		}
		buf_addc(&name, ascii_upper(login.p[0]));
		buf_add(&name, str_skip(login, 1));
	}
	result = buf_ok(&name) ? arena_copy(arena, buf_str(&name)) : STR_NONE;
	buf_clear(&name);
	return result;
}

static struct str
login_name(struct arena *arena, struct str *full_name)
{
	const struct passwd *pw = getpwuid(getuid());

	*full_name = STR_NONE;
	if (pw == NULL)
		return arena_printf(arena, "uid-%u", (unsigned)getuid());
	*full_name = name_of_entry(arena, pw);
	return arena_copy(arena, str_from(pw->pw_name));
}

static bool
is_null(const char *address)
{
	return address[0] == '\0' || strcmp(address, "<>") == 0;
}

bool
sendmail_sender_find(struct sendmail_sender *sender, const struct sendmail_options *options, struct str hostname,
    struct arena *arena)
{
	struct str login = login_name(arena, &sender->full_name);
	struct sendmail_recipients given = {.list = NULL};
	const char *name = options->full_name != NULL ? options->full_name : getenv("NAME");
	struct address own;
	bool good = address_make(arena, login, hostname, ADDRESS_MAY_BE_UTF8, &own);

	if (name != NULL)
		sender->full_name = str_from(name);
	sender->envelope = sender->from = own.text;
	if (!good || options->sender == NULL)
		return good;
	if (is_null(options->sender)) {
		sender->envelope = STR("");
		return true;
	}
	good = sendmail_recipients_add(&given, arena, str_from(options->sender), hostname) && given.n == 1 && given.bad == 0;
	if (good)
		sender->envelope = sender->from = given.list[0];
	sendmail_recipients_clear(&given);
	return good;
}
