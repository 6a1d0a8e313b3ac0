#include "queue/listing_top.h"

#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "queue/listing_screen.h"
#include "queue/listing_sites.h"
#include "queue/listing_time.h"
#include "queue/listing_view.h"
#include "queue/queue.h"

#define OUTPUT_MAX_BYTES (64UL * 1024 * 1024)
#define INTERVAL_S 2
/* Above the sites: the state, an empty line, their head. */
#define LINES_ABOVE 3

struct top {
	const struct listing_options *options;
	struct listing_screen screen;
	struct control_client client;
	struct listing_sites sites;
	struct buf text, picture;
};

static bool
add_state(struct top *top, struct err *err)
{
	struct control_request request = {.verb = CONTROL_STATE};
	struct control_reply reply;
	struct control_state state;
	struct str text;

	if (!control_client_ask(&top->client, &request, &reply, err))
		return false;
	text = reply.text;
	if (!control_state_take(&text, &state))
		return err_set(err, ERR_TEMP, "queued gave a senseless answer");
	listing_time_add(&top->text, queue_now_ms() / 1000);
	buf_addf(&top->text, "  at work on %llu messages (%llu of them again), %llu recipients; %llu deliveries under way\n\n",
	    (unsigned long long)state.messages, (unsigned long long)state.retries, (unsigned long long)state.recipients,
	    (unsigned long long)state.deliveries);
	return true;
}

static bool
draw(struct top *top, struct err *err)
{
	struct listing_screen *screen = &top->screen;
	size_t most = SIZE_MAX;

	listing_screen_measure(screen);
	if (screen->is_terminal)
		most = screen->lines > LINES_ABOVE ? screen->lines - LINES_ABOVE : 0;
	buf_reset(&top->text);
	if (!add_state(top, err) || !listing_sites_fetch(&top->sites, &top->client, err))
		return false;
	listing_sites_add(&top->text, &top->options->style, &top->sites, most);
	if (screen->is_terminal)
		listing_screen_draw(&top->picture, buf_str(&top->text), screen->lines, screen->columns);
	else
		buf_add(&top->picture, buf_str(&top->text));
	listing_view_put(&top->picture);
	return fflush(stdout) == 0 || err_sys(err, "cannot write");
}

static bool
run(struct top *top, struct err *err)
{
	const struct listing_options *options = top->options;
	uint64_t interval_s = options->interval_s > 0 ? options->interval_s : INTERVAL_S;
	bool good = true;

	listing_screen_open(&top->screen);
	for (uint64_t i = 0; good && (options->count == 0 || i < options->count); i++) {
		if (i > 0 && listing_screen_wait(&top->screen, interval_s))
			break;
		good = draw(top, err);
	}
	listing_screen_close(&top->screen);
	return good;
}

int
listing_top(const struct listing_options *options, char **ids)
{
	struct top top = {.options = options};
	struct err err;
	bool good;

	(void)ids;
	listing_sites_init(&top.sites);
	buf_init(&top.text, OUTPUT_MAX_BYTES);
	buf_init(&top.picture, 2 * OUTPUT_MAX_BYTES);
	good = control_client_open(&top.client, options->conf, &err) && run(&top, &err);
	control_client_close(&top.client);
	listing_sites_clear(&top.sites);
	buf_clear(&top.text);
	buf_clear(&top.picture);
	return good ? EX_OK : listing_view_fail(&err);
}
