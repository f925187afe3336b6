#include "core/control/mount_options.h"
#include "tests/support/support.h"

static struct err said;

static int parse(const char *list, struct mount_options *out)
{
	said = (struct err)ERR_INIT;
	return mount_options_parse(list, false, 1000, 100, out, &said);
}

static void an_empty_list_is_what_the_caller_says(void **state)
{
	const char *lists[] = { NULL, "", ",", ",,," };

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		AUTO(mount_options_release) struct mount_options o;

		assert_int_equal(parse(lists[i], &o), 0);
		assert_int_equal(o.uid, 1000);
		assert_int_equal(o.gid, 100);
		assert_int_equal(o.umask, 0);
		assert_int_equal(o.hyper, MOUNT_HYPER_KEEP);
		assert_false(o.allow_other);
		assert_null(o.settings);
	}
}

static void every_option_that_means_something_is_taken(void **state)
{
	AUTO(mount_options_release) struct mount_options o;

	assert_int_equal(
		parse("ro,allow_other,uid=7,gid=8,umask=027,threads=3,settings=/a/b,hyper=on", &o),
		0);
	assert_true(o.allow_other);
	assert_int_equal(o.uid, 7);
	assert_int_equal(o.gid, 8);
	assert_int_equal(o.umask, 027);
	assert_int_equal(o.threads, 3);
	assert_string_equal(o.settings, "/a/b");
	assert_int_equal(o.hyper, MOUNT_HYPER_ON);
}

static void what_is_followed_is_taken_and_not_said_again(void **state)
{
	AUTO(mount_options_release) struct mount_options o;
	AUTO(mount_options_release) struct mount_options again;
	AUTO(buf_release) struct buf out = BUF_INIT(4096);

	assert_int_equal(parse("network=n,config=/c,store=/s,source=grpc://a:1 grpc://b:2", &o), 0);
	assert_string_equal(o.network, "n");
	assert_string_equal(o.config, "/c");
	assert_string_equal(o.store, "/s");
	assert_string_equal(o.source, "grpc://a:1 grpc://b:2");
	assert_int_equal(parse("source=grpc://a:1,ro,source=grpc://b:2", &again), 0);
	assert_string_equal(again.source, "grpc://a:1 grpc://b:2");
	mount_options_write(&o, &out);
	buf_u8(&out, 0);
	assert_null(strstr((const char *)out.p, "grpc"));
	assert_null(strstr((const char *)out.p, "network"));
}

static void the_later_of_two_counts(void **state)
{
	AUTO(mount_options_release) struct mount_options o;

	assert_int_equal(parse("settings=/a,uid=7,hyper=on,settings=/b,uid=9,hyper=off", &o), 0);
	assert_int_equal(o.uid, 9);
	assert_string_equal(o.settings, "/b");
	assert_int_equal(o.hyper, MOUNT_HYPER_OFF);
}

static void a_line_of_fstab_may_have_what_is_not_ours(void **state)
{
	AUTO(mount_options_release) struct mount_options o;

	assert_int_equal(
		parse("rw,defaults,_netdev,nofail,user=ann,noauto,x-systemd.automount,"
		      "x-systemd.idle-timeout=60,X-mount.mkdir,comment=a b,nosuid,nodev,dev,suid,"
		      "noexec,relatime,noatime,sync,owner,group,users,uid=7",
		      &o),
		0);
	assert_int_equal(o.uid, 7);
}

static void a_comma_in_quotes_or_behind_a_backslash_is_part_of_the_value(void **state)
{
	AUTO(mount_options_release) struct mount_options quoted, escaped;

	assert_int_equal(parse("settings=\"/a,b\",uid=7", &quoted), 0);
	assert_string_equal(quoted.settings, "/a,b");
	assert_int_equal(quoted.uid, 7);
	assert_int_equal(parse("settings=/a\\,b\\\\c,uid=8", &escaped), 0);
	assert_string_equal(escaped.settings, "/a,b\\c");
	assert_int_equal(escaped.uid, 8);
}

static void what_does_not_fit_gets_a_sentence_that_names_it(void **state)
{
	const struct {
		const char *list, *words;
	} cases[] = {
		{ "ro,coffee", "-o coffee: there is no such mount option" },
		{ "uid", "-o uid: it is written uid=N" },
		{ "uid=", "-o uid: it is written uid=N" },
		{ "uid=ann", "-o uid=ann: it is a number" },
		{ "uid=4294967295", "-o uid=4294967295: it is a number up to 4294967294" },
		{ "gid=-1", "-o gid=-1: it is a number" },
		{ "umask=8", "-o umask=8: it is an octal number" },
		{ "umask=1000", "-o umask=1000: it is an octal number" },
		{ "threads=65", "-o threads=65: it is a number up to 64" },
		{ "hyper=yes", "-o hyper=yes: it is on or off" },
		{ "hyper", "-o hyper: it is written hyper=on|off" },
		{ "allow_other=1", "-o allow_other=1: it takes no value" },
		{ "settings=", "-o settings: it is written settings=FILE" },
		{ "remount,ro", "-o remount: a mounted store takes no new options" },
		{ "settings=/a,nonempty", "-o nonempty: only an empty folder" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(mount_options_release) struct mount_options o;

		assert_int_equal(parse(cases[i].list, &o), -EINVAL);
		assert_null(o.settings);
		if (!strstr(said.text, cases[i].words))
			fail_msg("%s: %s", cases[i].list, said.text);
	}
}

static void sloppy_ignores_what_nobody_knows_and_nothing_else(void **state)
{
	AUTO(mount_options_release) struct mount_options o, bad;

	assert_int_equal(mount_options_parse("coffee,milk=2,uid=7", true, 0, 0, &o, NULL), 0);
	assert_int_equal(o.uid, 7);
	assert_int_equal(mount_options_parse("coffee,uid=x", true, 0, 0, &bad, NULL), -EINVAL);
}

static void every_row_of_the_table_is_in_the_help(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 16);

	mount_options_help(&out);
	buf_u8(&out, 0);
	assert_int_equal(buf_done(&out), 0);
	for (size_t i = 0; i < mount_option_row_count; i++)
		if (mount_option_rows[i].kind != MOUNT_OPTION_REFUSED)
			assert_non_null(strstr((const char *)out.p, mount_option_rows[i].name));
}

static void every_taken_row_says_what_it_does(void **state)
{
	for (size_t i = 0; i < mount_option_row_count; i++)
		if (mount_option_rows[i].kind != MOUNT_OPTION_IGNORED)
			assert_non_null(mount_option_rows[i].about);
}

static void no_memory_is_an_error_and_leaks_nothing(void **state)
{
	FOR_EACH_ALLOC_FAULT {
		AUTO(mount_options_release) struct mount_options o;
		int rc =
			mount_options_parse("settings=/a,uid=7,settings=/b", false, 0, 0, &o, NULL);

		assert_true(rc == 0 || (rc == -ENOMEM && !o.settings));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_list_is_what_the_caller_says),
		cmocka_unit_test(every_option_that_means_something_is_taken),
		cmocka_unit_test(what_is_followed_is_taken_and_not_said_again),
		cmocka_unit_test(the_later_of_two_counts),
		cmocka_unit_test(a_line_of_fstab_may_have_what_is_not_ours),
		cmocka_unit_test(a_comma_in_quotes_or_behind_a_backslash_is_part_of_the_value),
		cmocka_unit_test(what_does_not_fit_gets_a_sentence_that_names_it),
		cmocka_unit_test(sloppy_ignores_what_nobody_knows_and_nothing_else),
		cmocka_unit_test(every_row_of_the_table_is_in_the_help),
		cmocka_unit_test(every_taken_row_says_what_it_does),
		cmocka_unit_test(no_memory_is_an_error_and_leaks_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
