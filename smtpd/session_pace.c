#include "smtpd/session_pace.h"

void
session_pace_init(struct session_pace *pace, bool exempt, uint64_t now_ms)
{
	*pace = (struct session_pace){.exempt = exempt, .begun_ms = now_ms};
}

void
session_pace_earlier(struct session_pace *pace, uint64_t errors)
{
	errors /= PACE_EARLIER_SHARE;
	pace->earlier = errors < PACE_EARLIER_MAX ? errors : PACE_EARLIER_MAX;
}

uint64_t
session_pace_delay(struct session_pace *pace, const struct smtp_counters *counters, uint64_t step_ms)
{
	size_t counted = pace->errors_counted <= counters->errors ? pace->errors_counted : 0;
	uint64_t steps;

	pace->errors_counted = counters->errors;
	if (counters->errors == counted)
		return 0;
	pace->errors += counters->errors - counted;
	if (pace->exempt || pace->errors + pace->earlier <= PACE_FREE_ERRORS)
		return 0;
	steps = pace->errors + pace->earlier - PACE_FREE_ERRORS;
	return step_ms * (steps < PACE_STEPS_MAX ? steps : PACE_STEPS_MAX);
}

enum session_pace_end
session_pace_input(struct session_pace *pace, size_t came, size_t buffered, bool receiving, uint64_t rate, uint64_t now_ms)
{
	if (pace->exempt || rate == 0 || (buffered == 0 && !receiving)) {
		session_pace_rest(pace);
		return PACE_FINE;
	}
	if (pace->window_ms == 0) {
		pace->window_ms = now_ms > 0 ? now_ms : 1;
		pace->window_bytes = 0;
	}
	pace->window_bytes += came;
	if (now_ms - pace->window_ms < PACE_WINDOW_MS)
		return PACE_FINE;
	pace->slow_windows = pace->window_bytes < rate * ((now_ms - pace->window_ms) / 1000) ? pace->slow_windows + 1 : 0;
	if (pace->slow_windows >= PACE_WINDOWS)
		return PACE_TOO_SLOW;
	pace->window_ms = now_ms;
	pace->window_bytes = 0;
	return PACE_FINE;
}

void
session_pace_rest(struct session_pace *pace)
{
	pace->window_ms = 0;
	pace->slow_windows = 0;
}

bool
session_pace_is_over(const struct session_pace *pace, const struct conf_smtpd *conf, uint64_t now_ms)
{
	return !pace->exempt && now_ms - pace->begun_ms > conf->session_time_limit_ms;
}

uint64_t
session_pace_wait(const struct session_pace *pace, const struct conf_smtpd *conf, uint64_t now_ms)
{
	uint64_t end_ms = pace->begun_ms + conf->session_time_limit_ms + 1;

	if (pace->exempt || now_ms >= end_ms || end_ms - now_ms > conf->timeout_ms)
		return conf->timeout_ms;
	return end_ms - now_ms;
}

static size_t
rcpt_index(void)
{
	static size_t index = SIZE_MAX;
	const struct smtp_command *commands;
	size_t n;

	if (index != SIZE_MAX)
		return index;
	commands = smtp_server_commands(&n);
	for (index = 0; index + 1 < n; index++)
		if (str_equal(commands[index].verb, STR("RCPT")))
			break;
	return index;
}

unsigned
session_pace_recipients(const struct smtp_counters *counters)
{
	return counters->commands[rcpt_index()].accepted;
}

enum session_pace_end
session_pace_check(const struct session_pace *pace, const struct smtp_counters *counters, const struct conf_smtpd *conf,
    uint64_t now_ms)
{
	size_t rcpt = rcpt_index();

	if (pace->exempt)
		return PACE_FINE;
	if (counters->commands[rcpt].total - counters->commands[rcpt].accepted > conf->refused_recipients_per_session)
		return PACE_GUESSES;
	return session_pace_is_over(pace, conf, now_ms) ? PACE_TOO_LONG : PACE_FINE;
}
