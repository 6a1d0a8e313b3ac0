#include "tests/unit/rows.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "queue/spool.h"

static char directory[64];
static struct spool spool;
static struct queue_id id;

static int
make(void **state)
{
	struct err err;
	char path[128];

	(void)state;
	(void)snprintf(directory, sizeof directory, "/tmp/spoolXXXXXX");
	assert_non_null(mkdtemp(directory));
	for (int i = 0; i < SPOOL_PLACES; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", directory, spool_place_name((enum spool_place)i));
		assert_int_equal(mkdir(path, 0700), 0);
	}
	assert_true(spool_open(&spool, directory, &err));
	queue_id_make(&id, 1700000000000000, 1);
	return 0;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int
unmake(void **state)
{
	(void)state;
	spool_close(&spool);
	return nftw(directory, remove_one, 10, FTW_DEPTH | FTW_PHYS);
}

static void
put(const char *place, const char *text)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof path, "%s/%s/%s", directory, place, id.text);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
}

static bool
is_in(const char *place)
{
	char path[128];

	(void)snprintf(path, sizeof path, "%s/%s/%s", directory, place, id.text);
	return access(path, F_OK) == 0;
}

static void
times_are_rounded_up_to_what_suits_the_distance(void **state)
{
	static const struct {
		uint64_t due_ms, now_ms;
		const char *name;
	} rows[] = {
	    {1700000000000, 1700000000000, "20231114T221320Z"},
	    {1700000000001, 1700000000000, "20231114T221321Z"},
	    {1700000059999, 1700000000000, "20231114T221420Z"},
	    {1700000060001, 1700000000000, "20231114T221430Z"},
	    {1700000900000, 1700000000000, "20231114T222900Z"},
	    {1699999999000, 1700000000000, "20231114T221319Z"},
	    {0, 1700000000000, "19700101T000000Z"},
	};
	struct spool_time time, parsed;
	uint64_t time_s;

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		spool_time_round(&time, rows[i].due_ms, rows[i].now_ms);
		assert_string_equal(time.text, rows[i].name);
		assert_true(spool_time_parse(str_from(time.text), &parsed, &time_s));
		assert_true(time_s * 1000 >= rows[i].due_ms);
	}
}

static void
other_names_are_no_times(void **state)
{
	static const char *const wrong[] = {"", "20231114T221320", "20231114T221320z", "20231314T221320Z",
	    "20230230T000000Z", "20231114T246060Z", "2023 114T221320Z", "../../etc/passwd", "19691231T235959Z"};
	struct spool_time time;
	uint64_t time_s;

	(void)state;
	for (size_t i = 0; i < ROWS(wrong); i++)
		assert_false(spool_time_parse(str_from(wrong[i]), &time, &time_s));
}

static void
a_file_goes_its_way_by_renames(void **state)
{
	struct spool_time time, found;
	struct err err;

	(void)state;
	put("incoming", "x");
	assert_true(spool_move(&spool, &id, SPOOL_INCOMING, SPOOL_ACTIVE, &err));
	assert_true(is_in("active") && !is_in("incoming"));
	spool_time_round(&time, 1700000000000, 1700000000000);
	assert_false(spool_find_deferred(&spool, &id, &found));
	assert_true(spool_defer(&spool, &id, &time, &err));
	assert_true(is_in("deferred/20231114T221320Z") && !is_in("active"));
	assert_true(spool_find_deferred(&spool, &id, &found));
	assert_string_equal(found.text, time.text);
	assert_false(spool_time_remove(&spool, &time));
	assert_true(is_in("deferred/20231114T221320Z"));
	assert_true(spool_undefer(&spool, &id, &found, &err));
	assert_true(spool_time_remove(&spool, &time));
	assert_false(spool_undefer(&spool, &id, &found, &err));
	assert_int_equal(err.errnum, ENOENT);
	assert_true(spool_move(&spool, &id, SPOOL_ACTIVE, SPOOL_HOLD, &err));
	assert_true(spool_move(&spool, &id, SPOOL_HOLD, SPOOL_CORRUPT, &err));
	assert_true(spool_remove(&spool, &id, SPOOL_CORRUPT, &err));
	assert_false(spool_remove(&spool, &id, SPOOL_CORRUPT, &err));
	assert_int_equal(err.errnum, ENOENT);
}

static void
no_move_replaces_another_file(void **state)
{
	struct spool_time time;
	struct err err;
	char text[2] = "";
	int fd;

	(void)state;
	put("incoming", "n");
	put("active", "o");
	assert_false(spool_move(&spool, &id, SPOOL_INCOMING, SPOOL_ACTIVE, &err));
	assert_int_equal(err.errnum, EEXIST);
	spool_time_round(&time, 1700000000000, 1700000000000);
	assert_true(spool_defer(&spool, &id, &time, &err));
	put("active", "p");
	assert_false(spool_defer(&spool, &id, &time, &err));
	assert_int_equal(err.errnum, EEXIST);
	assert_false(spool_undefer(&spool, &id, &time, &err));
	fd = spool_open_file(&spool, SPOOL_ACTIVE, &id, O_RDONLY, &err);
	assert_int_equal(read(fd, text, 1), 1);
	assert_string_equal(text, "p");
	(void)close(fd);
	assert_int_equal(spool_create_file(&spool, &id, &err), -1);
	assert_int_equal(err.errnum, EEXIST);
}

static void
links_and_fifos_are_not_followed(void **state)
{
	struct err err;
	char path[128];
	int fd;

	(void)state;
	(void)snprintf(path, sizeof path, "%s/incoming/%s", directory, id.text);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(spool_open_file(&spool, SPOOL_INCOMING, &id, O_RDONLY, &err), -1);
	assert_int_equal(err.errnum, ELOOP);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	fd = spool_open_file(&spool, SPOOL_INCOMING, &id, O_RDONLY, &err);
	assert_true(fd >= 0);
	(void)close(fd);
}

static void
a_scan_tells_all_names_but_the_directorys_own(void **state)
{
	struct spool_scan scan;
	struct err err;
	const char *name;

	(void)state;
	put("active", "x");
	assert_true(spool_scan_open(&spool, &scan, SPOOL_ACTIVE, NULL, &err));
	name = spool_scan_next(&scan);
	assert_string_equal(name, id.text);
	assert_null(spool_scan_next(&scan));
	assert_null(spool_scan_next(&scan));
	spool_scan_close(&scan);
	assert_null(spool_scan_next(&scan));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(times_are_rounded_up_to_what_suits_the_distance),
	    cmocka_unit_test(other_names_are_no_times),
	    cmocka_unit_test_setup_teardown(a_file_goes_its_way_by_renames, make, unmake),
	    cmocka_unit_test_setup_teardown(no_move_replaces_another_file, make, unmake),
	    cmocka_unit_test_setup_teardown(links_and_fifos_are_not_followed, make, unmake),
	    cmocka_unit_test_setup_teardown(a_scan_tells_all_names_but_the_directorys_own, make, unmake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
