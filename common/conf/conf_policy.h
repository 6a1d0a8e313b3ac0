/*
 * The sections [policy]: whose lines are rules. For conf.c and conf_finish.c only.
 */
#ifndef COMMON_CONF_POLICY_H
#define COMMON_CONF_POLICY_H

#include "common/conf/conf.h"

/* "[policy]" or "[policy KIND]": the list that its lines belong to; NULL after complaining. */
struct rule_list *conf_policy_begin(struct conf *conf, struct str name, unsigned line, struct buf *problems);
void conf_policy_line(struct conf *conf, struct rule_list *list, struct str directory, struct str text, unsigned line,
    struct buf *problems);
/* When all sections are known: the standard lists, and which filters are meant. */
void conf_policy_finish(struct conf *conf, struct buf *problems);

#endif
