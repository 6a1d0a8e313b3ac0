#include "common/base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE 2048
#define ALIGNMENT sizeof(max_align_t)

struct arena_block {
	struct arena_block *next;
	size_t size; /* of bytes[] */
	size_t used;
	max_align_t bytes[];
};

void
arena_init(struct arena *a, size_t max_bytes)
{
	*a = (struct arena){.max = max_bytes};
}

void
arena_reset(struct arena *a)
{
	struct arena_block *b = a->blocks;

	while (b != NULL && b->next != NULL) {
		struct arena_block *next = b->next;

		free(b);
		b = next;
	}
	if (b != NULL && b->size > BLOCK_SIZE) {
		free(b);
		b = NULL;
	}
	if (b != NULL)
		b->used = 0;
	a->blocks = b;
	a->used = 0;
	a->failed = false;
}

void
arena_clear(struct arena *a)
{
	arena_reset(a);
	free(a->blocks);
	a->blocks = NULL;
}

static struct arena_block *
block_add(struct arena *a, size_t n)
{
	size_t size = n > BLOCK_SIZE ? n : BLOCK_SIZE;
	struct arena_block *b = malloc(sizeof *b + size);

	if (b == NULL)
		return NULL;
	*b = (struct arena_block){.next = a->blocks, .size = size};
	a->blocks = b;
	return b;
}

void *
arena_alloc(struct arena *a, size_t n)
{
	struct arena_block *b = a->blocks;
	void *p;

	if (n > SIZE_MAX - ALIGNMENT)
		goto limit;
	n = (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	if (n > a->max - a->used)
		goto limit;
	if (b == NULL || n > b->size - b->used)
		b = block_add(a, n);
	if (b == NULL)
		goto limit;
	p = (char *)b->bytes + b->used;
	b->used += n;
	a->used += n;
	memset(p, 0, n);
	return p;
limit:
	a->failed = true;
	return NULL;
}

struct str
arena_copy(struct arena *a, struct str s)
{
	char *p = s.n == SIZE_MAX ? NULL : arena_alloc(a, s.n + 1);

	if (p == NULL)
		return STR_NONE;
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return (struct str){p, s.n};
}

struct str
arena_printf(struct arena *a, const char *format, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, format);
	n = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	if (n < 0)
		return STR_NONE;
	p = arena_alloc(a, (size_t)n + 1);
	if (p == NULL)
		return STR_NONE;
	va_start(ap, format);
	(void)vsnprintf(p, (size_t)n + 1, format, ap);
	va_end(ap);
	return (struct str){p, (size_t)n};
}
