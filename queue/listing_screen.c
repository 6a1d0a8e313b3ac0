#include "queue/listing_screen.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LINES_STANDARD 24
#define COLUMNS_STANDARD 80
/* Another screen and no cursor; and back. */
#define TAKE "\033[?1049h\033[?25l"
#define GIVE_BACK "\033[?25h\033[?1049l"

/* ---- a picture --------------------------------------------------------------------------------------------------------- */

/* The bytes of the sequence that s begins with, if it does. */
static size_t
sequence_length(struct str s)
{
	size_t n = 2;

	if (s.n < 2 || s.p[0] != '\033' || s.p[1] != '[')
		return 0;
	while (n < s.n && !ascii_is_alpha(s.p[n]))
		n++;
	return n < s.n ? n + 1 : s.n;
}

/* A character of UTF-8 takes one column: strangers' text is shown escaped, so that there are no wide ones. */
static bool
is_continued(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

static void
draw_line(struct buf *b, struct str line, size_t columns)
{
	size_t used = 0;

	while (line.n > 0) {
		size_t n = sequence_length(line);
		bool is_text = n == 0;

		if (is_text && !is_continued(line.p[0]))
			used++;
		n = is_text ? 1 : n;
		if (!is_text || used <= columns)
			buf_add(b, str_sub(line, 0, n));
		line = str_skip(line, n);
	}
}

void
listing_screen_draw(struct buf *b, struct str text, size_t lines, size_t columns)
{
	struct str line;

	buf_adds(b, "\033[H");
	for (size_t i = 0; i < lines && str_token(&text, '\n', &line); i++) {
		if (i > 0)
			buf_addc(b, '\n');
		draw_line(b, line, columns);
		buf_adds(b, "\033[K");
	}
	buf_adds(b, "\033[J");
}

/* ---- the terminal ------------------------------------------------------------------------------------------------------ */

static volatile sig_atomic_t is_wanted_to_end;

static void
end(int number)
{
	(void)number;
	is_wanted_to_end = 1;
}

void
listing_screen_measure(struct listing_screen *screen)
{
	struct winsize size;
	bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;

	screen->lines = known && size.ws_row > 0 ? size.ws_row : LINES_STANDARD;
	screen->columns = known && size.ws_col > 0 ? size.ws_col : COLUMNS_STANDARD;
}

void
listing_screen_open(struct listing_screen *screen)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = end};
	struct termios raw;

	*screen = (struct listing_screen){.is_terminal = isatty(STDOUT_FILENO) != 0};
	if (!screen->is_terminal)
		return;
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
		(void)sigaction(signals[i], &action, NULL);
	screen->has_keys = tcgetattr(STDIN_FILENO, &screen->before) == 0;
	if (screen->has_keys) {
		raw = screen->before;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	}
	(void)fputs(TAKE, stdout);
}

void
listing_screen_close(struct listing_screen *screen)
{
	if (!screen->is_terminal)
		return;
	(void)fputs(GIVE_BACK, stdout);
	(void)fflush(stdout);
	if (screen->has_keys)
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &screen->before);
}

bool
listing_screen_wait(struct listing_screen *screen, uint64_t seconds)
{
	struct pollfd key = {.fd = screen->has_keys ? STDIN_FILENO : -1, .events = POLLIN};

	return poll(&key, 1, (int)(seconds * 1000)) > 0 || is_wanted_to_end != 0;
}
