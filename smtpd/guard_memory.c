#include "smtpd/guard_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "smtpd/guard_grey.h"
#include "smtpd/guard_rates.h"

#define RATE_SETS 2048
#define GREY_SETS 8192
#define PASSED_SETS 8192
#define MAGIC "merpati guard 1\n"

struct head {
	char magic[sizeof MAGIC - 1];
	uint64_t sizes[6]; /* of records and tables: a program with others makes the file anew */
	struct siphash_key key;
};

static struct head
head_of(const struct guard_memory *memory)
{
	struct head head = {.sizes = {memory->rates.record_size, memory->rates.sets, memory->grey.record_size,
	                        memory->grey.sets, memory->passed.record_size, memory->passed.sets}};

	memcpy(head.magic, MAGIC, sizeof head.magic);
	return head;
}

static void
shape(struct guard_memory *memory)
{
	*memory = (struct guard_memory){
	    .rates = {.record_size = sizeof(struct guard_rate_record), .sets = RATE_SETS},
	    .grey = {.record_size = sizeof(struct guard_grey_record), .sets = GREY_SETS},
	    .passed = {.record_size = sizeof(struct guard_slot), .sets = PASSED_SETS},
	};
	memory->size = sizeof(struct head) + guard_table_size(&memory->rates) + guard_table_size(&memory->grey) +
	    guard_table_size(&memory->passed);
}

/* Takes what is there if it is ours, and else begins with nothing. */
static void
adopt(struct guard_memory *memory, void *map)
{
	struct head head = head_of(memory), *found = map;
	unsigned char *at = (unsigned char *)map + sizeof head;

	if (memcmp(found->magic, head.magic, sizeof head.magic) != 0 ||
	    memcmp(found->sizes, head.sizes, sizeof head.sizes) != 0) {
		memset(map, 0, memory->size);
		head.key = siphash_key_new();
		*found = head;
	}
	memory->map = map;
	memory->key = found->key;
	memory->rates.records = at;
	memory->grey.records = memory->rates.records + guard_table_size(&memory->rates);
	memory->passed.records = memory->grey.records + guard_table_size(&memory->grey);
}

void
guard_memory_open_private(struct guard_memory *memory)
{
	void *map;

	shape(memory);
	map = mmap(NULL, memory->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		fatal("out of memory for the guard");
	adopt(memory, map);
}

/* A file of just this size, with all its blocks: a write to a map of a file with holes on a full disk is fatal. */
static int
file_open(const char *path, size_t size, struct err *err)
{
	struct stat st;
	int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600), errnum;

	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size != 0 && (uint64_t)st.st_size != size) {
		(void)close(fd);
		(void)unlink(path);
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	}
	if (fd < 0) {
		(void)err_sys(err, "cannot open %s", path);
		return -1;
	}
	errnum = posix_fallocate(fd, 0, (off_t)size);
	if (errnum == 0)
		return fd;
	errno = errnum;
	(void)err_sys(err, "cannot make room for %s", path);
	(void)close(fd);
	return -1;
}

bool
guard_memory_open(struct guard_memory *memory, const char *path, struct err *err)
{
	void *map;
	int fd;

	shape(memory);
	fd = file_open(path, memory->size, err);
	if (fd < 0) {
		guard_memory_open_private(memory);
		return false;
	}
	map = mmap(NULL, memory->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)close(fd);
	if (map == MAP_FAILED) {
		(void)err_sys(err, "cannot map %s", path);
		guard_memory_open_private(memory);
		return false;
	}
	adopt(memory, map);
	return true;
}

void
guard_memory_close(struct guard_memory *memory)
{
	(void)munmap(memory->map, memory->size);
	memory->map = NULL;
}
