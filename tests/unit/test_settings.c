#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/control/settings.h"
#include "tests/support/store_fixture.h"

/* ---- helpers ---- */

static int read_settings(const char *text, struct settings **out, struct err *err)
{
	return settings_read(slice_str(text), "f", out, err);
}

/* The file's text is refused at that line, with these words. */
static void refused_bytes(struct slice text, unsigned line, const char *words)
{
	AUTO(settings_freep) struct settings *s = NULL;
	struct err err = ERR_INIT;
	char start[32];
	snprintf(start, sizeof start, "f:%u: ", line);
	int rc = settings_read(text, "f", &s, &err);
	if (rc != -EINVAL || strncmp(err.text, start, strlen(start)) != 0 ||
	    !strstr(err.text, words))
		print_error("%d \"%s\", wanted %s…%s\n", rc, err.text, start, words);
	assert_int_equal(rc, -EINVAL);
	assert_null(s);
	assert_memory_equal(err.text, start, strlen(start));
	assert_non_null(strstr(err.text, words));
}

static void refused(const char *text, unsigned line, const char *words)
{
	refused_bytes(slice_str(text), line, words);
}

static void gives(const char *text, enum setting_id id, uint64_t number, const char *canonical,
		  const char *origin)
{
	AUTO(settings_freep) struct settings *s = NULL;
	struct err err = ERR_INIT;
	int rc = read_settings(text, &s, &err);
	if (rc < 0)
		print_error("%s\n", err.text);
	assert_int_equal(rc, 0);
	assert_int_equal(settings_number(s, id), number);
	assert_string_equal(settings_text(s, id), canonical);
	assert_string_equal(settings_origin(s, id), origin);
}

struct place { /* folders to find files in */
	char root[128], store[160], config[160], named[160];
};

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void place_make(struct place *p)
{
	char folder[192];
	fixture_folder(p->root);
	snprintf(p->store, sizeof p->store, "%s/store", p->root);
	snprintf(p->config, sizeof p->config, "%s/config", p->root);
	snprintf(p->named, sizeof p->named, "%s/named.yaml", p->root);
	snprintf(folder, sizeof folder, "%s/chainfs", p->config);
	assert_int_equal(mkdir(p->store, 0755) | mkdir(p->config, 0755) | mkdir(folder, 0755), 0);
}

static void place_release(struct place *p)
{
	nftw(p->root, fixture_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void origin_is(const struct settings_sources *from, enum setting_id id, uint64_t number,
		      const char *origin)
{
	AUTO(settings_freep) struct settings *s = NULL;
	struct err err = ERR_INIT;
	int rc = settings_load(from, &s, &err);
	if (rc < 0)
		print_error("%s\n", err.text);
	assert_int_equal(rc, 0);
	assert_int_equal(settings_number(s, id), number);
	assert_string_equal(settings_origin(s, id), origin);
}

static void load_fails(const struct settings_sources *from, int code, const char *words)
{
	AUTO(settings_freep) struct settings *s = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(settings_load(from, &s, &err), code);
	assert_null(s);
	if (!strstr(err.text, words))
		print_error("\"%s\", wanted %s\n", err.text, words);
	assert_non_null(strstr(err.text, words));
}

/* ---- the table ---- */

static void every_default_fits_its_row_and_is_canonical(void **state)
{
	for (enum setting_id id = 0; id < SETTING_COUNT; id++) {
		const struct setting_row *row = &setting_rows[id];
		char set[128];
		const char *const sets[] = { set, NULL };
		AUTO(settings_freep) struct settings *s = NULL;
		assert_non_null(strchr(row->key, '.'));
		assert_null(strchr(strchr(row->key, '.') + 1, '.'));
		snprintf(set, sizeof set, "%s=%s", row->key, row->standard);
		assert_int_equal(
			settings_load(&(struct settings_sources){ .sets = sets }, &s, NULL), 0);
		assert_string_equal(settings_text(s, id), row->standard);
		assert_string_equal(settings_text(NULL, id), row->standard);
		assert_int_equal(settings_number(s, id), settings_number(NULL, id));
		assert_string_equal(settings_origin(NULL, id), "default");
		assert_true(strlen(row->about) > 10);
	}
}

static void hyper_is_off_without_a_cap_and_looked_at_every_ten_seconds_by_default(void **state)
{
	assert_int_equal(settings_number(NULL, SETTING_HYPER_ENABLED), 0);
	assert_int_equal(settings_number(NULL, SETTING_HYPER_RETENTION_SOFT_CAP), 0);
	assert_int_equal(settings_number(NULL, SETTING_HYPER_METRICS_INTERVAL), 10000);
}

/* ---- values ---- */

static void each_type_is_read_from_a_file_and_written_canonically(void **state)
{
	gives("hyper: { enabled: true }\n", SETTING_HYPER_ENABLED, 1, "true", "f:1");
	gives("hyper:\n  enabled: on\n", SETTING_HYPER_ENABLED, 1, "true", "f:2");
	gives("hyper:\n  enabled: off\n", SETTING_HYPER_ENABLED, 0, "false", "f:2");
	gives("hyper:\n\n  # words\n  retention_soft_cap: 2048M\n",
	      SETTING_HYPER_RETENTION_SOFT_CAP, 2ull << 30, "2G", "f:4");
	gives("limits: {disk: 1025}", SETTING_LIMITS_DISK, 1025, "1025", "f:1");
	gives("limits: {disk: 1k}", SETTING_LIMITS_DISK, 1024, "1k", "f:1");
	gives("limits: {disk: 3T}", SETTING_LIMITS_DISK, 3ull << 40, "3T", "f:1");
	gives("hyper:\n  metrics_interval: 90s\n", SETTING_HYPER_METRICS_INTERVAL, 90000, "90s",
	      "f:2");
	gives("hyper:\n  metrics_interval: 120s\n", SETTING_HYPER_METRICS_INTERVAL, 120000, "2min",
	      "f:2");
	gives("hyper:\n  metrics_interval: 250ms\n", SETTING_HYPER_METRICS_INTERVAL, 250, "250ms",
	      "f:2");
	gives("hyper:\n  metrics_interval: 24h\n", SETTING_HYPER_METRICS_INTERVAL, 86400000, "1d",
	      "f:2");
	gives("history: { keep: 1000 }", SETTING_HISTORY_KEEP, 1000, "1000", "f:1");
	gives("log: { level: debug }", SETTING_LOG_LEVEL, 3, "debug", "f:1");
	gives("log: { level: \"error\" }", SETTING_LOG_LEVEL, 0, "error", "f:1");
	gives("\xef\xbb\xbflog: { level: warn }\r\n", SETTING_LOG_LEVEL, 1, "warn", "f:1");
}

static void values_that_do_not_fit_are_named_with_their_line(void **state)
{
	refused("hyper:\n  enabled: maybe\n", 2, "hyper.enabled is true or false");
	refused("hyper:\n  enabled:\n", 2, "hyper.enabled is true or false");
	refused("hyper:\n  enabled: True\n", 2, "\"True\" is not");
	refused("history: { keep: -1 }", 1, "history.keep is a number");
	refused("history: { keep: 1.5 }", 1, "history.keep is a number");
	refused("history: { keep: 99999999999999999999 }", 1, "history.keep is a number");
	refused("limits: { disk: 1GB }", 1, "limits.disk is a size");
	refused("limits: { disk: 1 G }", 1, "limits.disk is a size");
	refused("limits: { disk: G }", 1, "limits.disk is a size");
	refused("limits: { disk: 99999999999T }", 1, "limits.disk is a size");
	refused("hyper: { metrics_interval: 10 }", 1, "hyper.metrics_interval is a time");
	refused("hyper: { metrics_interval: 0 }", 1, "at least 100ms");
	refused("hyper: { metrics_interval: 8d }", 1, "at most 7d");
	refused("mount: { threads: 65 }", 1, "at most 64");
	refused("checkpoints: { keep: 0 }", 1, "at least 1");
	refused("log:\n  level: loud\n", 2, "one of error|warn|info|debug");
	refused("log:\n  level: error|warn\n", 2, "one of error|warn|info|debug");
	refused("log:\n  level: \"a\\nb\"\n", 2, "a\\x0ab");
}

/* ---- bad files ---- */

static void what_is_no_setting_is_named_with_its_line(void **state)
{
	refused("hyper:\n  enabled: true\n  enable: true\n", 3,
		"there is no setting hyper.enable;");
	refused("# words\n\nhype: { enabled: true }\n", 3, "there is no group of settings hype;");
	refused("hyper.enabled: true\n", 1, "write hyper.enabled as hyper: { enabled: … }");
	refused("hyper:\n  enabled: [true]\n", 2, "one value");
	refused("hyper:\n  enabled:\n    deep: true\n", 3, "one value");
	refused("hyper:\n  - enabled\n", 2, "hyper is a group");
	refused("\nhyper: true\n", 2, "hyper is a group");
	refused("{[a]: b}", 1, "a key is a word");
	refused("hyper: {[a]: b}", 1, "a key is a word");
	refused("- hyper\n", 1, "is a mapping");
	refused("\n\nword\n", 3, "is a mapping");
}

static void a_key_that_is_there_twice_is_named_with_both_lines(void **state)
{
	refused("hyper:\n  enabled: true\n  enabled: false\n", 3,
		"hyper.enabled is on line 2 already");
	refused("hyper: { enabled: true }\n\nhyper: { metrics_interval: 1s }\n", 3,
		"hyper is on line 1 already");
}

static void what_is_not_yaml_is_named_with_its_line(void **state)
{
	refused("hyper:\n\tenabled: true\n", 2, "a tab indents here");
	refused("hyper:\n  enabled: true\n \t metrics_interval: 1s\n", 3, "a tab indents here");
	refused("log: { level: info ]\n", 1, "this is not YAML");
	refused("log: { level: info,\n", 2, "this is not YAML");
	refused("log:\n  level: \"info\n", 3, "this is not YAML");
	refused("log:\n    level: info\n  other: x\n", 3, "this is not YAML");
	refused("log:\n  level: @info\n", 2, "this is not YAML");
	refused("---\nlog: { level: info }\n---\nlog: { level: info }\n", 3, "second document");
	refused("%YAML 9.9\n---\n", 1, "this is not YAML");
	refused_bytes(SLICE("log:\n  level: \0\n", 16), 2, "this is not YAML");
	refused_bytes(SLICE("log:\n\n  level: \xff\n", 17), 3, "this is not YAML");
}

static void anchors_aliases_and_tags_are_refused_so_that_nothing_grows(void **state)
{
	refused("a: &a [x,x,x]\nb: &b [*a,*a,*a]\nc: [*b,*b,*b]\n", 1, "no group of settings a");
	refused("hyper: &a\n  enabled: true\n", 1, "anchors, aliases and tags");
	refused("hyper:\n  enabled: &a true\n", 2, "anchors, aliases and tags");
	refused("hyper:\n  enabled: *a\n", 2, "anchors, aliases and tags");
	refused("hyper:\n  <<: *a\n", 2, "no setting hyper.<<");
	refused("log:\n  level: !!str info\n", 2, "anchors, aliases and tags");
	refused("&a log:\n  level: info\n", 1, "anchors, aliases and tags");
}

static void deep_nesting_is_refused_at_its_first_level(void **state)
{
	static char text[SETTINGS_SIZE_MAX];
	memset(text, '[', sizeof text);
	refused_bytes(SLICE(text, sizeof text), 1, "");
	memset(text, '{', sizeof text);
	refused_bytes(SLICE(text, sizeof text), 1, "");
	memcpy(text, "hyper: ", 7);
	refused_bytes(SLICE(text, sizeof text), 1, "");
}

static void nothing_is_a_file_too(void **state)
{
	static const char *const texts[] = {
		"",
		"\n",
		"# nothing\n",
		"---\n",
		"{}\n",
		"--- {}\n...\n",
		"hyper:\n",
		"hyper:\n  # enabled: true\nlog: {}\n",
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		gives(texts[i], SETTING_HYPER_ENABLED, 0, "false", "default");
	AUTO(settings_freep) struct settings *s = NULL;
	assert_int_equal(settings_read(SLICE_EMPTY, "f", &s, NULL), 0);
}

/* ---- where values come from ---- */

static void a_flag_goes_before_the_environment_before_the_file_before_the_default(void **state)
{
	AUTO(place_release) struct place p;
	place_make(&p);
	char origin[300];
	char *const environment[] = { "PATH=/x", "CHAINFS_HISTORY_KEEP=3",
				      "CHAINFS_HYPER_ENABLED=", NULL };
	const char *const sets[] = { "log.level=warn,history.keep=4", "history.keep=5", NULL };
	struct settings_sources from = { .store = p.store };
	origin_is(&from, SETTING_HISTORY_KEEP, 0, "default");

	char path[256];
	snprintf(path, sizeof path, "%s/chainfs.yaml", p.store);
	write_file(path, "\nhistory: { keep: 2 }\nhyper: { enabled: on }\n");
	snprintf(origin, sizeof origin, "%s:2", path);
	origin_is(&from, SETTING_HISTORY_KEEP, 2, origin);
	from.environment = environment;
	origin_is(&from, SETTING_HISTORY_KEEP, 3, "environment CHAINFS_HISTORY_KEEP");
	/* Set to nothing is not set. */
	snprintf(origin, sizeof origin, "%s:3", path);
	origin_is(&from, SETTING_HYPER_ENABLED, 1, origin);
	from.sets = sets;
	origin_is(&from, SETTING_HISTORY_KEEP, 5, "flag");
	origin_is(&from, SETTING_LOG_LEVEL, TRACE_WARN, "flag");
}

static void a_named_file_goes_before_the_stores_before_the_users(void **state)
{
	AUTO(place_release) struct place p;
	place_make(&p);
	char path[256], origin[300], config[256], named[256];
	snprintf(config, sizeof config, "XDG_CONFIG_HOME=%s", p.config);
	snprintf(named, sizeof named, "CHAINFS_SETTINGS=%s", p.named);
	char *environment[] = { config, NULL, NULL };
	struct settings_sources from = { .store = p.store, .environment = environment };

	snprintf(path, sizeof path, "%s/chainfs/chainfs.yaml", p.config);
	write_file(path, "history: { keep: 1 }\n");
	snprintf(origin, sizeof origin, "%s:1", path);
	origin_is(&from, SETTING_HISTORY_KEEP, 1, origin);
	snprintf(path, sizeof path, "%s/chainfs.yaml", p.store);
	write_file(path, "history: { keep: 2 }\n");
	snprintf(origin, sizeof origin, "%s:1", path);
	origin_is(&from, SETTING_HISTORY_KEEP, 2, origin);

	environment[1] = named;
	load_fails(&from, -ENOENT, p.named);
	write_file(p.named, "history: { keep: 3 }\n");
	snprintf(origin, sizeof origin, "%s:1", p.named);
	origin_is(&from, SETTING_HISTORY_KEEP, 3, origin);
	from.file = "/nowhere/at/all.yaml";
	load_fails(&from, -ENOENT, "/nowhere/at/all.yaml");
	from.file = p.root;
	load_fails(&from, -EISDIR, p.root);
	AUTO(settings_freep) struct settings *s = NULL;
	from.file = NULL;
	assert_int_equal(settings_load(&from, &s, NULL), 0);
	assert_string_equal(settings_file(s), p.named);
}

static void a_store_that_is_not_there_yet_has_no_file(void **state)
{
	struct settings_sources from = { .store = "/nowhere/at/all" };
	origin_is(&from, SETTING_HYPER_ENABLED, 0, "default");
}

static void faults_of_environment_and_flags_name_where_they_are(void **state)
{
	char *const environment[] = { "CHAINFS_MOUNT_RENDER_CACHE=lots", NULL };
	load_fails(&(struct settings_sources){ .environment = environment }, -EINVAL,
		   "environment CHAINFS_MOUNT_RENDER_CACHE: mount.render_cache is a size");
	static const struct {
		const char *set, *words;
	} flags[] = {
		{ "hyper.enabled=2", "flag: hyper.enabled is true or false" },
		{ "hyper.enable=true", "there is no setting hyper.enable;" },
		{ "hyper.enabled", "it is KEY=VALUE" },
		{ "", "it is KEY=VALUE" },
		{ "log.level=warn,", "it is KEY=VALUE" },
		{ "=x", "there is no setting ;" },
	};
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		const char *const sets[] = { flags[i].set, NULL };
		load_fails(&(struct settings_sources){ .sets = sets }, -EINVAL, flags[i].words);
	}
}

static void a_huge_file_is_refused_and_the_largest_is_read(void **state)
{
	AUTO(place_release) struct place p;
	place_make(&p);
	static char text[SETTINGS_SIZE_MAX + 2];
	memset(text, '#', SETTINGS_SIZE_MAX);
	write_file(p.named, text);
	origin_is(&(struct settings_sources){ .file = p.named }, SETTING_HYPER_ENABLED, 0,
		  "default");
	text[SETTINGS_SIZE_MAX] = '#';
	write_file(p.named, text);
	load_fails(&(struct settings_sources){ .file = p.named }, -EINVAL,
		   "larger than 65536 bytes");
	load_fails(&(struct settings_sources){ .file = "/dev/zero" }, -EINVAL, "larger than 65536");
}

static void an_allocation_that_fails_leaves_nothing_behind(void **state)
{
	AUTO(place_release) struct place p;
	place_make(&p);
	write_file(p.named, "hyper: { enabled: on, metrics_interval: 1s }\n");
	const char *const sets[] = { "log.level=warn", NULL };
	struct settings_sources from = { .file = p.named, .sets = sets };
	FOR_EACH_ALLOC_FAULT {
		AUTO(settings_freep) struct settings *s = NULL;
		struct err err = ERR_INIT;
		int rc = settings_load(&from, &s, &err);
		assert_true(rc == 0 ? s && settings_number(s, SETTING_HYPER_ENABLED) == 1
				    : rc < 0 && !s && err.text[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_default_fits_its_row_and_is_canonical),
		cmocka_unit_test(
			hyper_is_off_without_a_cap_and_looked_at_every_ten_seconds_by_default),
		cmocka_unit_test(each_type_is_read_from_a_file_and_written_canonically),
		cmocka_unit_test(values_that_do_not_fit_are_named_with_their_line),
		cmocka_unit_test(what_is_no_setting_is_named_with_its_line),
		cmocka_unit_test(a_key_that_is_there_twice_is_named_with_both_lines),
		cmocka_unit_test(what_is_not_yaml_is_named_with_its_line),
		cmocka_unit_test(anchors_aliases_and_tags_are_refused_so_that_nothing_grows),
		cmocka_unit_test(deep_nesting_is_refused_at_its_first_level),
		cmocka_unit_test(nothing_is_a_file_too),
		cmocka_unit_test(
			a_flag_goes_before_the_environment_before_the_file_before_the_default),
		cmocka_unit_test(a_named_file_goes_before_the_stores_before_the_users),
		cmocka_unit_test(a_store_that_is_not_there_yet_has_no_file),
		cmocka_unit_test(faults_of_environment_and_flags_name_where_they_are),
		cmocka_unit_test(a_huge_file_is_refused_and_the_largest_is_read),
		cmocka_unit_test(an_allocation_that_fails_leaves_nothing_behind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
