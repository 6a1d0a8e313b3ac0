#include "common/store/store_news.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/store/beneath.h"
#include "common/base/log.h"
#include "common/store/store_inner.h"

#define DIRECTORY "merpati-news"
#define LISTENERS_MAX 64 /* more are not told: they find out by polling */

struct store_news {
	int directory;
	int fd;
	char name[16];
};

/* However long the Maildir's path is, this one fits into a socket's address. */
static socklen_t
news_address(struct sockaddr_un *address, int directory, const char *name)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	(void)snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%.40s", directory, name);
	return sizeof *address;
}

struct store_news *
store_news_listen(struct store *store, struct err *err)
{
	struct store_news *news = calloc(1, sizeof *news);
	struct sockaddr_un address;
	socklen_t n;

	if (news == NULL)
		fatal("out of memory for a listener");
	news->fd = -1;
	news->directory = beneath_make_directory(store->root, DIRECTORY, err);
	if (news->directory >= 0) {
		(void)snprintf(news->name, sizeof news->name, "%08x", arc4random());
		news->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		n = news_address(&address, news->directory, news->name);
		if (news->fd >= 0 && bind(news->fd, (struct sockaddr *)&address, n) == 0)
			return news;
		(void)err_sys(err, "cannot listen for news of the Maildir");
		news->name[0] = '\0';
	}
	store_news_close(news);
	return NULL;
}

int
store_news_fd(const struct store_news *news)
{
	return news->fd;
}

bool
store_news_take(struct store_news *news)
{
	char byte;
	bool any = false;

	while (recv(news->fd, &byte, sizeof byte, MSG_DONTWAIT) >= 0)
		any = true;
	return any;
}

void
store_news_close(struct store_news *news)
{
	if (news == NULL)
		return;
	if (news->directory >= 0 && news->name[0] != '\0')
		(void)unlinkat(news->directory, news->name, 0);
	if (news->fd >= 0)
		(void)close(news->fd);
	if (news->directory >= 0)
		(void)close(news->directory);
	free(news);
}

/* A full queue means that the listener has news enough; one whose process died is cleared away. */
static void
tell(int fd, int directory, const char *name)
{
	struct sockaddr_un address;
	socklen_t n = news_address(&address, directory, name);

	if (sendto(fd, "n", 1, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&address, n) < 0 && errno == ECONNREFUSED)
		(void)unlinkat(directory, name, 0);
}

void
store_news_send(struct store *store)
{
	int directory = store->news < 0 ? -1 : beneath_open(store->root, DIRECTORY, O_RDONLY | O_DIRECTORY), count = 0;
	struct dirents d = {0};
	struct dirent_name entry;
	size_t offset = 0;

	if (directory < 0)
		return;
	if (dirents_read(&d, directory, NULL))
		while (count < LISTENERS_MAX && dirents_next(&d, &offset, &entry)) {
			if (entry.type != DT_SOCK && entry.type != DT_UNKNOWN)
				continue;
			tell(store->news, directory, entry.name.p);
			count++;
		}
	dirents_clear(&d);
	(void)close(directory);
}
