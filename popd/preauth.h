/*
 * POP3 before the login: what the login front speaks (common/login/login.h). Pure.
 */
#ifndef POPD_PREAUTH_H
#define POPD_PREAUTH_H

#include "common/login/login.h"

extern const struct login_protocol preauth_protocol;

#endif
