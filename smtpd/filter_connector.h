/*
 * smtpd's connector (common/daemon/connector.h): to the [filter] sections of the configuration, by their number. It runs as
 * _filter.
 */
#ifndef SMTPD_FILTER_CONNECTOR_H
#define SMTPD_FILTER_CONNECTOR_H

#include "common/daemon/connector.h"

extern const struct connector_places filter_places;

/* None without filters. */
unsigned filter_connector_count(const struct conf *conf);
void filter_connector_main(struct daemon_self *self);

#endif
