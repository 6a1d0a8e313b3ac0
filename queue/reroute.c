#include "queue/reroute.h"

#include <unistd.h>

#include "queue/next_hop.h"
#include "queue/relay.h"

/* Only for knowing that there is one: none is used. */
#define ANY_PORT 25

bool
reroute_is_host(struct str way)
{
	struct next_hop next_hop;

	if (way.n == 0 || way.p[0] != '[' || way.n > JOB_NEXT_HOP_MAX)
		return false;
	for (size_t i = 0; i < way.n; i++)
		if (!ascii_is_print(way.p[i]) || way.p[i] == ' ')
			return false;
	return next_hop_parse(way, JOB_SMTP, ANY_PORT, &next_hop);
}

bool
reroute_is_way(const struct conf *conf, struct str way)
{
	return reroute_is_host(way) || relay_named(conf, way) != NULL;
}

/* Where its history ends must be known; the content is checked when it is tried. */
static bool
load(struct message *m, struct err *err)
{
	if (!message_open(m, err))
		return false;
	(void)err_set(err, ERR_TEMP, "the file is not finished"); /* of which nothing else is said */
	m->source.skips_content = true;
	return message_load(m, SIZE_MAX - 1, err) == ENVELOPE_LOADED;
}

static bool
append(struct message *m, const struct buf *record, struct err *err)
{
	bool good;
	int fd;

	if (!message_record(m, record, &fd, err))
		return false;
	good = fdatasync(fd) == 0 || err_sys(err, "cannot make %s durable", m->id.text);
	(void)close(fd);
	return good;
}

bool
reroute_record(struct queue *q, const struct queue_id *id, struct str way, struct err *err)
{
	struct message *m = message_new(q, id);
	struct buf value, record;
	bool good;

	buf_init(&value, QUEUE_VALUE_MAX);
	buf_init(&record, QUEUE_RECORD_MAX);
	buf_addf(&value, "%llu %.*s", (unsigned long long)queue_now_ms(), STR_FMT(way));
	queue_append_record(&record, QUEUE_REROUTED, buf_str(&value));
	good = (buf_ok(&record) || err_set(err, ERR_LIMIT, "the way is too long")) && load(m, err) && append(m, &record, err);
	buf_clear(&value);
	buf_clear(&record);
	message_free(m);
	return good;
}
