#include "imapd/keywords.h"

static bool
resolve(struct mailbox *mailbox, struct str name, bool make, struct keyword_set *set, struct err *err)
{
	int i;

	if (str_equal_nocase(name, STR("$Forwarded"))) { /* Maildir has a letter for it */
		set->flags |= MAILDIR_PASSED;
		return true;
	}
	i = make ? mailbox_keyword_make(mailbox, name, err) : mailbox_keyword_find(mailbox, name);
	if (i >= 0)
		set->keywords |= UINT32_C(1) << i;
	return i >= 0 || !make;
}

bool
keywords_resolve(struct mailbox *mailbox, const struct parse_flags *flags, bool make, struct keyword_set *set,
    struct err *err)
{
	*set = (struct keyword_set){.flags = flags->flags};
	for (size_t i = 0; i < flags->n; i++)
		if (!resolve(mailbox, flags->keywords[i], make, set, err))
			return false;
	return true;
}
