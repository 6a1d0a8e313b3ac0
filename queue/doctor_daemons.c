#include "queue/doctor_daemons.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/net/stream.h"
#include "common/net/unix_socket.h"
#include "common/tls/tls.h"
#include "queue/control.h"
#include "queue/run_sockets.h"

#define LINE_MAX_BYTES 4096

/* What is spoken on a listener of each kind. */
static const struct dialogue {
	const char *says;    /* by us, at once; NULL: nothing */
	const char *expects; /* how its first line begins; "": any bytes will do; NULL: it is enough that it can be connected to */
	const char *goodbye;
} dialogues[LISTENER_KINDS] = {
    [LISTENER_MX] = {NULL, "220", "QUIT\r\n"},
    [LISTENER_SUBMISSION] = {NULL, "220", "QUIT\r\n"},
    [LISTENER_SUBMISSIONS] = {NULL, "220", "QUIT\r\n"},
    [LISTENER_LOCAL] = {NULL, "220", "QUIT\r\n"},
    [LISTENER_POP3] = {NULL, "+OK", "QUIT\r\n"},
    [LISTENER_POP3S] = {NULL, "+OK", "QUIT\r\n"},
    [LISTENER_IMAP] = {NULL, "* ", "a LOGOUT\r\n"},
    [LISTENER_IMAPS] = {NULL, "* ", "a LOGOUT\r\n"},
    [LISTENER_LMTP] = {NULL, "220", "QUIT\r\n"},
    [LISTENER_SASL] = {NULL, "VERSION\t", ""},
    [LISTENER_MAP] = {"5:uid 0,", "", ""}, /* socketmap: who is user 0? */
    [LISTENER_MASTER] = {NULL, "VERSION\t", ""},
    [LISTENER_QUEUE] = {NULL, "", ""}, /* packets: see below */
};

enum state {
	WAITING,
	ANSWERED,
	FAILED,
	FORBIDDEN, /* to this user */
	AWAY,	   /* nobody listens */
};

struct probe {
	struct doctor_net *net;
	const struct listener_kind_facts *kind;
	const struct dialogue *dialogue;
	struct tls_context *tls; /* NULL: no TLS from the first byte */
	char where[300];
	enum state state;
	char problem[256];
	struct stream stream;
	struct channel channel;
};

struct probes {
	struct doctor *d;
	struct doctor_net *net;
	struct tls_context *tls;
	struct probe *list;
	size_t n;
};

static void
probe_end(struct probe *p, enum state state, const char *problem)
{
	if (p->state != WAITING)
		return;
	p->state = state;
	(void)log_escape(p->problem, sizeof p->problem, str_from(problem));
	p->net->pending--;
}

static void
probe_fail(struct probe *p, int errnum, const char *problem)
{
	if (errnum == EACCES || errnum == EPERM)
		probe_end(p, FORBIDDEN, problem);
	else
		probe_end(p, errnum == ENOENT || errnum == ECONNREFUSED ? AWAY : FAILED, problem);
}

/* Which is how our own sockets treat users whom they do not hear. */
static void
probe_hung_up(struct probe *p)
{
	bool is_own = p->kind->socket != NULL && p->kind->port == 0;

	probe_end(p, is_own && geteuid() != 0 ? FORBIDDEN : FAILED, "it hangs up without a word");
}

/* ---- streams ------------------------------------------------------------------------------------------------------- */

static void
stream_input(struct stream *stream)
{
	struct probe *p = container_of(stream, struct probe, stream);
	struct str expects = str_from(p->dialogue->expects), in = buf_str(&stream->in);
	char problem[256];

	if (in.n < expects.n && str_find(in, '\n') == in.n)
		return;
	if (str_starts(in, expects)) {
		buf_adds(&stream->out, p->dialogue->goodbye);
		probe_end(p, ANSWERED, "");
	} else {
		(void)snprintf(problem, sizeof problem, "it says: %.*s", STR_FMT(str_trim(str_sub(in, 0, str_find(in, '\n')))));
		probe_end(p, FAILED, problem);
	}
	stream_finish(stream);
}

/* The connection is there: `says` went out, or TLS is to begin. */
static void
stream_drained(struct stream *stream)
{
	struct probe *p = container_of(stream, struct probe, stream);

	if (p->tls != NULL && !stream_is_tls(stream))
		(void)stream_start_tls(stream, p->tls, NULL);
}

static void
stream_secured(struct stream *stream)
{
	(void)stream;
}

static void
stream_closed(struct stream *stream, enum stream_end why, const struct err *err)
{
	struct probe *p = container_of(stream, struct probe, stream);

	if (why == STREAM_BROKEN && err != NULL && err->errnum != ECONNRESET && err->errnum != EPIPE)
		probe_fail(p, err->errnum, err->text);
	else
		probe_hung_up(p);
}

static void
stream_begin(struct probe *p, int fd, bool is_connecting)
{
	static const struct stream_events events = {.input = stream_input, .drained = stream_drained,
	    .secured = stream_secured, .closed = stream_closed};
	static const struct stream_limits limits = {.in_max = LINE_MAX_BYTES, .out_max = LINE_MAX_BYTES};

	stream_open(&p->stream, p->net->loop, fd, &events, &limits);
	if (is_connecting)
		stream_connecting(&p->stream);
	if (p->dialogue->says != NULL)
		buf_adds(&p->stream.out, p->dialogue->says);
	stream_flush(&p->stream);
}

static void
connect_tcp(struct probe *p, const struct endpoint *endpoint)
{
	int fd = socket(endpoint->address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool is_connecting = false;

	if (fd >= 0 && connect(fd, &endpoint->address.any, endpoint->length) != 0)
		is_connecting = errno == EINPROGRESS;
	else if (fd >= 0)
		is_connecting = true;
	if (is_connecting) {
		stream_begin(p, fd, true);
		return;
	}
	probe_fail(p, errno, strerror(errno));
	if (fd >= 0)
		(void)close(fd);
}

/* ---- packets: queued ----------------------------------------------------------------------------------------------- */

static void
packet_received(struct channel *channel, struct msg *m)
{
	struct probe *p = container_of(channel, struct probe, channel);
	struct control_reply reply;

	if (m->type == CONTROL_REPLY && control_reply_decode(m, &reply))
		probe_end(p, ANSWERED, "");
	else
		probe_end(p, FAILED, "it gives a senseless answer");
}

static void
channel_closed(struct channel *channel)
{
	probe_hung_up(container_of(channel, struct probe, channel));
}

static void
channel_begin(struct probe *p, int fd)
{
	static const struct control_request request = {.verb = CONTROL_STATE};
	struct buf packet;

	buf_init(&packet, MSG_MAX_BYTES);
	control_request_encode(&packet, 1, &request);
	channel_open(&p->channel, p->net->loop, fd, packet_received, channel_closed);
	if (!channel_send(&p->channel, &packet, -1))
		probe_hung_up(p);
	buf_clear(&packet);
}

static void
connect_unix(struct probe *p, const char *path, int type)
{
	struct err err;
	int fd = unix_connect(path, type | SOCK_NONBLOCK, &err);

	if (fd < 0) {
		probe_fail(p, err.errnum, strerror(err.errnum));
	} else if (p->dialogue->expects == NULL) {
		(void)close(fd);
		probe_end(p, ANSWERED, "");
	} else if (type == SOCK_SEQPACKET) {
		channel_begin(p, fd);
	} else {
		stream_begin(p, fd, false);
	}
}

/* ---- all of them --------------------------------------------------------------------------------------------------- */

static struct probe *
probe_new(struct probes *all, enum listener_kind kind)
{
	struct probe *p = &all->list[all->n++];

	*p = (struct probe){.net = all->net, .kind = listener_kind_facts(kind), .dialogue = &dialogues[kind]};
	all->net->pending++;
	return p;
}

/* Before a PROXY header or a certificate of the client nothing is said: then it is enough to be let in. */
static bool
is_silent(const struct conf_listener *l)
{
	return l->proxy_networks.n > 0 ||
	    (l->client_certificates == TLS_CLIENT_REQUIRE && listener_kind_facts(l->kind)->tls_at_once);
}

static void
probe_listener(struct probes *all, const struct conf_listener *l)
{
	static const struct dialogue silent = {NULL, NULL, NULL};
	bool is_tls = listener_kind_facts(l->kind)->tls_at_once;
	const char *address = l->address[0] != '\0' ? l->address : "127.0.0.1";
	uint16_t port = run_socket_port(l, daemon_is_privileged());
	struct endpoint endpoint;
	struct probe *p;

	if (is_tls && !conf_has_tls(all->d->conf))
		return; /* it answers nobody, as the configuration's check says */
	p = probe_new(all, l->kind);
	p->tls = is_tls && !is_silent(l) ? all->tls : NULL;
	if (is_silent(l))
		p->dialogue = &silent;
	if (l->path[0] != '\0') {
		(void)snprintf(p->where, sizeof p->where, "%s", l->path);
		connect_unix(p, l->path, SOCK_STREAM);
		return;
	}
	(void)snprintf(p->where, sizeof p->where, "%s port %u (%s)", address, port, l->name);
	if (endpoint_parse_address(str_from(address), port, &endpoint))
		connect_tcp(p, &endpoint);
	else
		probe_end(p, FAILED, "it is no address");
}

static void
probe_own(struct probes *all, enum listener_kind kind)
{
	const struct listener_kind_facts *facts = listener_kind_facts(kind);
	const char *path = daemon_socket_path(all->d->conf, facts->socket);
	struct probe *p = probe_new(all, kind);

	(void)snprintf(p->where, sizeof p->where, "%s", path);
	connect_unix(p, path, facts->socket_type);
}

static void
probe_all(struct probes *all)
{
	for (size_t i = 0; i < all->d->conf->nlisteners; i++)
		probe_listener(all, &all->d->conf->listeners[i]);
	for (unsigned kind = 0; kind < LISTENER_KINDS; kind++)
		if (listener_kind_facts((enum listener_kind)kind)->socket != NULL)
			probe_own(all, (enum listener_kind)kind);
}

/* ---- what came of it ----------------------------------------------------------------------------------------------- */

static bool
is_all_away(const struct probes *all)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->list[i].state != AWAY)
			return false;
	return all->n > 0;
}

static void
report_probe(struct doctor *d, const struct probe *p)
{
	struct str program = str_from(p->kind->program);

	switch (p->state) {
	case ANSWERED:
		return;
	case FORBIDDEN:
		doctor_find(d, DOCTOR_NOTE, "daemon-forbidden", program, "cannot be asked by this user on %s", p->where);
		doctor_advise(d, "Run the doctor as root");
		return;
	case WAITING:
		doctor_find(d, DOCTOR_ERROR, "daemon-silent", program, "does not answer on %s", p->where);
		break;
	case AWAY:
	case FAILED:
		doctor_find(d, DOCTOR_ERROR, p->state == AWAY ? "daemon-away" : "daemon-bad", program, "does not answer on %s: %s", p->where,
		    p->problem);
		break;
	}
	doctor_advise(d, "See the log, then start it again: systemctl restart merpati-%s, or merpati run", p->kind->program);
}

static size_t
count_answers(const struct probes *all, const char *program)
{
	size_t n = 0;

	for (size_t i = 0; i < all->n; i++)
		n += strcmp(all->list[i].kind->program, program) == 0 && all->list[i].state == ANSWERED;
	return n;
}

static void
report(const struct probes *all)
{
	static const char *const programs[] = {"authd", "smtpd", "queued", "deliver", "popd", "imapd"};

	if (is_all_away(all)) {
		doctor_find(all->d, DOCTOR_ERROR, "not-running", STR("Merpati"), "does not run: nobody listens on any of its sockets");
		doctor_advise(all->d, "Start it: systemctl start merpati.target, or merpati run");
		return;
	}
	for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
		size_t n = count_answers(all, programs[i]);

		if (n > 0)
			doctor_find(all->d, DOCTOR_OK, "daemon", str_from(programs[i]), "answers on %zu socket%s", n, n == 1 ? "" : "s");
		for (size_t j = 0; j < all->n; j++)
			if (strcmp(all->list[j].kind->program, programs[i]) == 0)
				report_probe(all->d, &all->list[j]);
	}
}

static bool
has_queued(const struct probes *all)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->list[i].kind == listener_kind_facts(LISTENER_QUEUE))
			return all->list[i].state == ANSWERED;
	return false;
}

bool
doctor_daemons(struct doctor *d, struct doctor_net *net)
{
	struct probes all = {.d = d, .net = net, .list = calloc(d->conf->nlisteners + LISTENER_KINDS, sizeof *all.list)};
	struct err err;
	bool queued;

	if (all.list == NULL)
		fatal("out of memory");
	d->area = DOCTOR_DAEMONS;
	all.tls = tls_client_new(&err);
	probe_all(&all);
	doctor_net_wait(net);
	report(&all);
	queued = has_queued(&all);
	for (size_t i = 0; i < all.n; i++) {
		if (all.list[i].state == WAITING)
			net->pending--;
		stream_close(&all.list[i].stream);
		channel_close(&all.list[i].channel);
	}
	if (all.tls != NULL)
		tls_free(all.tls);
	free(all.list);
	return queued;
}
