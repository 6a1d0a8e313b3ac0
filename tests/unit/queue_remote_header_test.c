#include "tests/unit/rows.h"

#include <sys/mman.h>
#include <unistd.h>

#include "queue/remote_header.h"

static int
file_of(struct str text)
{
	int fd = memfd_create("message", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text.p, text.n), text.n);
	return fd;
}

static void
a_field_may_waive_tls(void **state)
{
	static const struct {
		struct str text;
		bool waives;
	} rows[] = {
	    {STR("TLS-Required: No\r\n\r\nx"), true},
	    {STR("Subject: x\r\ntls-required:no \r\n\r\n"), true},
	    {STR("Subject: x\r\n folded\r\nTLS-REQUIRED:\tNO\r\nTo: y\r\n\r\n"), true},
	    {STR("TLS-Required: No"), true},
	    {STR("Subject: x\r\n\r\nTLS-Required: No\r\n"), false},
	    {STR("TLS-Required: Yes\r\n\r\n"), false},
	    {STR("TLS-Required: Nope\r\n\r\n"), false},
	    {STR("X-TLS-Required: No\r\n\r\n"), false},
	    {STR("Subject: x\r\n TLS-Required: No\r\n\r\n"), false},
	    {STR(""), false},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		int fd = file_of(rows[i].text);

		for (uint64_t cut = 0; cut <= rows[i].text.n; cut++) {
			const struct queue_piece pieces[2] = {{0, cut}, {cut, rows[i].text.n - cut}};

			if (remote_header_waives_tls(&(const struct remote_content){.fd = fd, .pieces = pieces, .npieces = 2}) != rows[i].waives)
				fail_msg("row %zu, cut at %u", i, (unsigned)cut);
		}
		(void)close(fd);
	}
}

static void
what_cannot_be_read_waives_nothing(void **state)
{
	static const struct queue_piece pieces[1] = {{1000, 100}};
	int fd = file_of(STR("TLS-Required: No\r\n\r\n"));

	(void)state;
	assert_false(remote_header_waives_tls(&(const struct remote_content){.fd = fd, .pieces = pieces, .npieces = 1}));
	(void)close(fd);
	assert_false(remote_header_waives_tls(&(const struct remote_content){.fd = -1, .pieces = pieces, .npieces = 1}));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_field_may_waive_tls),
	    cmocka_unit_test(what_cannot_be_read_waives_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
