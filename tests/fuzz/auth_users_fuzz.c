/*
 * The users file: every entry that comes out keeps the promises of its header, is found by its name, and can be edited.
 */
#include <stdlib.h>
#include <string.h>

#include "auth/password.h"
#include "auth/users.h"
#include "auth/users_edit.h"
#include "common/login/account.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void
check(const struct users *users, const struct user *user, struct str text)
{
	struct err err;
	struct buf out;

	if (!account_name_is_good(user->name) || users_find(users, user->name) != user ||
	    !password_is_known(user->password) || (user->home.n > 0 && user->home.p[0] != '/'))
		abort();
	buf_init(&out, text.n + 1000);
	if (users_edit(text, USERS_ADD, user->name, STR("x:y"), &out, &err))
		abort(); /* it is there already */
	buf_reset(&out);
	if (!users_edit(text, USERS_DELETE, user->name, STR_NONE, &out, &err))
		abort();
	buf_clear(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	char *text = malloc(n + 1);
	struct users users;
	struct buf problems;

	if (text == NULL)
		return 0;
	memcpy(text, bytes, n);
	buf_init(&problems, 4096);
	users_parse(&users, text, n, "users", &problems);
	for (size_t i = 0; i < users.n && i < 10; i++)
		check(&users, &users.list[i], (struct str){text, n});
	users_clear(&users);
	buf_clear(&problems);
	free(text);
	return 0;
}
