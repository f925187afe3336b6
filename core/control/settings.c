/* settings.c: the table of settings, and where their values come from.
 *
 * The file is read as libyaml's events, with the table as the schema. libcyaml, which stands on
 * libyaml, was tried on paper and left out: it tells a fault through a log function with a trace of
 * marks, keeps no line of a value that fits (which an origin is made of), takes the last of a key
 * that is there twice, and would want the table a second time, as its own schema. */
#include "core/control/settings.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include <yaml.h>

#include "core/base/files.h"
#include "core/base/trace.h"

#define PATH_SIZE  4096
#define TEXT_SIZE  32 /* of a number */
#define VALUE_SIZE 1024
#define SHOWN_SIZE 64 /* of what is quoted in a sentence */
#define FILE_NAME  "chainfs.yaml"

const struct setting_row setting_rows[SETTING_COUNT] = {
	[SETTING_HYPER_ENABLED] = { "hyper.enabled", SETTING_BOOL, "false",
				    "keep what legacy prunes, in networks that are made from now "
				    "on; --hyper on|off goes before it",
				    NULL, 0, 0 },
	[SETTING_HYPER_RETENTION_SOFT_CAP] = { "hyper.retention_soft_cap", SETTING_SIZE, "0",
					       "past this size of what hyper retains, of all "
					       "networks, there is an alert; nothing is deleted. "
					       "0: no alert",
					       NULL, 0, 0 },
	[SETTING_HYPER_METRICS_INTERVAL] = { "hyper.metrics_interval", SETTING_TIME, "10s",
					     "time between two lines of hyper metrics --tail, and "
					     "between two looks at the alerts",
					     NULL, 100, 7ull * 24 * 3600 * 1000 },
	[SETTING_HISTORY_KEEP] = { "history.keep", SETTING_NUMBER, "0",
				   "newest heights of each shard as of which the state stays "
				   "readable; 0: all",
				   NULL, 0, 0 },
	[SETTING_IMPORT_COMMIT] = { "import.commit", SETTING_TIME, "1s",
				    "how long an import gathers blocks before they are synced, "
				    "acknowledged and seen; shorter costs a sync each time",
				    NULL, 1, 60 * 1000 },
	[SETTING_CHECKPOINTS_EVERY] = { "checkpoints.every", SETTING_NUMBER, "0",
					"main heights between two checkpoints that are made by "
					"themselves; 0: none are",
					NULL, 0, 0 },
	[SETTING_CHECKPOINTS_KEEP] = { "checkpoints.keep", SETTING_NUMBER, "4",
				       "how many of those stay: the newest", NULL, 1, 0 },
	[SETTING_MOUNT_THREADS] = { "mount.threads", SETTING_NUMBER, "0",
				    "threads that answer the kernel, of uring for each "
				    "processor; 0: as many as pay; "
				    "-o threads=N goes before it",
				    NULL, 0, 64 },
	[SETTING_MOUNT_TRANSPORT] = { "mount.transport", SETTING_TEXT, "classic",
				      "how requests come from the kernel: classic survives a kill "
				      "-9, uring is fast where the kernel has it, auto is uring or "
				      "else classic; -o transport=NAME goes before it",
				      "classic|uring|auto", 0, 0 },
	[SETTING_MOUNT_RENDER_CACHE] = { "mount.render_cache", SETTING_SIZE, "64M",
					 "memory for files that were made to be read, and listings",
					 NULL, 64u << 10, 1ull << 40 },
	[SETTING_LIMITS_CACHE] = { "limits.cache", SETTING_SIZE, "256M",
				   "memory for what was read from the store, of all networks; each "
				   "of them keeps up to half as much of what was written last, 16 "
				   "to 128 M, and each shard that is written to five eighths of "
				   "it, 160 M at most, of rows and accounts that come again",
				   NULL, 1u << 20, 1ull << 40 },
	[SETTING_LIMITS_MEMORY] = { "limits.memory", SETTING_SIZE, "0",
				    "address space of a daemon (RLIMIT_AS); its caches take at "
				    "most "
				    "half of it, and a daemon that comes to the end of it "
				    "ends, which loses nothing acknowledged. 0: no limit",
				    NULL, 512u << 20, 0 },
	[SETTING_LIMITS_DISK] = { "limits.disk", SETTING_SIZE, "0",
				  "size of a store at which an import stops, with exit code 6; 0: "
				  "no "
				  "limit but the disk's",
				  NULL, 0, 0 },
	[SETTING_LIMITS_CHECKERS] = { "limits.checkers", SETTING_NUMBER, "0",
				      "threads that check blocks; 0: one a core; --checkers N goes "
				      "before it",
				      NULL, 0, 64 },
	[SETTING_SYNC_FROM] = { "sync.from", SETTING_TEXT, "head",
				"where following begins in a network that is far behind, or empty: "
				"head has the newest blocks first and history behind them, and the "
				"state when history is whole; start goes upwards from height 1 and "
				"has a state from the first block on",
				"head|start", 0, 0 },
	[SETTING_SYNC_BACKWARD] = { "sync.backward", SETTING_BOOL, "true",
				    "fetch history, too, and not only what follows the head", NULL,
				    0, 0 },
	[SETTING_SYNC_BANDWIDTH] = { "sync.bandwidth", SETTING_SIZE, "0",
				     "bytes a second that are fetched from sources, of a network; "
				     "0: no limit",
				     NULL, 1u << 10, 0 },
	[SETTING_SYNC_WEIGHT_FORWARD] = { "sync.weight_forward", SETTING_NUMBER, "70",
					  "percent of line and processors that are the head's "
					  "while history is fetched beside it; neither waits for "
					  "the other when that has nothing to do",
					  NULL, 1, 99 },
	[SETTING_SYNC_MEMORY] = { "sync.memory", SETTING_SIZE, "64M",
				  "memory for what is asked for or not committed yet, of a "
				  "network",
				  NULL, 1u << 20, 4ull << 30 },
	[SETTING_SYNC_OPERATORS] = { "sync.operators", SETTING_NUMBER, "2",
				     "operators of sources that must have the same block before a "
				     "tip is called confirmed",
				     NULL, 1, 8 },
	[SETTING_SYNC_CA_FILE] = { "sync.ca_file", SETTING_PATH, "",
				   "file of the certificates (PEM) of authorities that nodes at "
				   "grpcs:// addresses are trusted by; empty: $SSL_CERT_FILE, else "
				   "the system's",
				   NULL, 0, 0 },
	[SETTING_LOG_LEVEL] = { "log.level", SETTING_TEXT, "info",
				"the least important lines that are still written; with debug a "
				"daemon keeps the standard error of who started it",
				"error|warn|info|debug", 0, 0 },
};

struct value {
	uint64_t number;
	char text[VALUE_SIZE]; /* canonical */
	char *origin;         /* NULL: the default */
};

struct settings {
	char *file; /* NULL: none */
	struct value values[SETTING_COUNT];
};

void settings_freep(struct settings **s)
{
	if (!*s)
		return;
	for (size_t i = 0; i < SETTING_COUNT; i++)
		free((*s)->values[i].origin);
	free((*s)->file);
	free(*s);
	*s = NULL;
}

/* ---- values ---- */

struct unit {
	const char *name;
	uint64_t factor;
};
static const struct unit size_units[] = { { "T", 1ull << 40 },
					  { "G", 1ull << 30 },
					  { "M", 1ull << 20 },
					  { "k", 1ull << 10 },
					  { "", 1 } };
static const struct unit time_units[] = {
	{ "d", 24ull * 3600 * 1000 },
	{ "h", 3600 * 1000 },
	{ "min", 60 * 1000 },
	{ "s", 1000 },
	{ "ms", 1 },
};

static bool word_is(struct slice text, const char *word)
{
	return slice_eq(text, slice_str(word));
}

static bool parse_bool(struct slice text, uint64_t *out)
{
	*out = word_is(text, "true") || word_is(text, "on");
	return *out || word_is(text, "false") || word_is(text, "off");
}

static bool parse_units(struct slice text, const struct unit *units, size_t count, uint64_t *out)
{
	size_t digits = 0;
	while (digits < text.n && isdigit(text.p[digits]))
		digits++;
	struct slice unit = slice_sub(text, digits, text.n);
	if (dec_get((const char *)text.p, digits, UINT64_MAX, out) < 0)
		return false;
	if (*out == 0 && !unit.n)
		return true;
	for (size_t i = 0; i < count; i++)
		if (word_is(unit, units[i].name))
			return !ckd_mul(out, *out, units[i].factor);
	return false;
}

/* One of "error|warn|info|debug"; *out: which. */
static bool parse_word(struct slice text, const char *words, uint64_t *out)
{
	*out = 0;
	for (const char *at = words;; (*out)++) {
		size_t size = strcspn(at, "|");
		if (slice_eq(text, SLICE(at, size)))
			return true;
		if (!at[size])
			return false;
		at += size + 1;
	}
}

static void text_of(const struct unit *units, size_t count, uint64_t number, char out[TEXT_SIZE])
{
	for (size_t i = 0; number && i < count; i++) {
		if (number % units[i].factor == 0) {
			snprintf(out, TEXT_SIZE, "%" PRIu64 "%s", number / units[i].factor,
				 units[i].name);
			return;
		}
	}
	snprintf(out, TEXT_SIZE, "0");
}

static bool parse_path(struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < ' ' || text.p[i] == 0x7f)
			return false;
	return !text.n || (text.p[0] == '/' && text.n < VALUE_SIZE);
}

static bool value_parse(const struct setting_row *row, struct slice text, struct value *out)
{
	bool fits = false;
	switch ((enum setting_type)row->type) {
	case SETTING_BOOL:
		fits = parse_bool(text, &out->number);
		snprintf(out->text, TEXT_SIZE, "%s", out->number ? "true" : "false");
		break;
	case SETTING_NUMBER:
		fits = dec_get((const char *)text.p, text.n, UINT64_MAX, &out->number) == 0;
		snprintf(out->text, TEXT_SIZE, "%" PRIu64, out->number);
		break;
	case SETTING_SIZE:
		fits = parse_units(text, size_units, ARRAY_LEN(size_units), &out->number);
		text_of(size_units, ARRAY_LEN(size_units), out->number, out->text);
		break;
	case SETTING_TIME:
		fits = parse_units(text, time_units, ARRAY_LEN(time_units), &out->number);
		text_of(time_units, ARRAY_LEN(time_units), out->number, out->text);
		break;
	case SETTING_TEXT:
		fits = parse_word(text, row->words, &out->number);
		snprintf(out->text, TEXT_SIZE, "%.*s", (int)MIN(text.n, TEXT_SIZE - 1),
			 (const char *)text.p);
		break;
	case SETTING_PATH:
		fits = parse_path(text);
		snprintf(out->text, VALUE_SIZE, "%.*s", (int)MIN(text.n, VALUE_SIZE - 1),
			 (const char *)text.p);
		break;
	}
	if (fits && out->number == 0 && strcmp(row->standard, "0") == 0)
		return true; /* it stands for something else */
	return fits && out->number >= row->least && (!row->most || out->number <= row->most);
}

/* "a number from 1 to 64" */
static void say_what_fits(const struct setting_row *row, char *out, size_t size)
{
	static const char *const types[] = {
		[SETTING_BOOL] = "true or false (or on, off)",
		[SETTING_NUMBER] = "a number",
		[SETTING_SIZE] = "a size: bytes, or a number with k, M, G or T",
		[SETTING_TIME] = "a time: a number with ms, s, min, h or d",
		[SETTING_TEXT] = "one of ",
		[SETTING_PATH] = "a path from / on, or empty",
	};
	char bound[2][TEXT_SIZE];
	uint64_t numbers[2] = { row->least, row->most };
	for (size_t i = 0; i < 2; i++) {
		if (row->type == SETTING_TIME)
			text_of(time_units, ARRAY_LEN(time_units), numbers[i], bound[i]);
		else if (row->type == SETTING_SIZE)
			text_of(size_units, ARRAY_LEN(size_units), numbers[i], bound[i]);
		else
			snprintf(bound[i], TEXT_SIZE, "%" PRIu64, numbers[i]);
	}
	snprintf(out, size, "%s%s%s%s%s%s", types[row->type], row->words ? row->words : "",
		 !row->least                       ? ""
		 : strcmp(row->standard, "0") == 0 ? ", 0 or at least "
						   : ", at least ",
		 row->least ? bound[0] : "", row->most ? ", at most " : "",
		 row->most ? bound[1] : "");
}

static int set_value(struct settings *s, enum setting_id id, struct slice text, const char *origin,
		     struct err *err)
{
	struct value v = { 0 };
	if (!value_parse(&setting_rows[id], text, &v)) {
		char fits[160], shown[SHOWN_SIZE];
		say_what_fits(&setting_rows[id], fits, sizeof fits);
		trace_escape(shown, sizeof shown, (const char *)text.p, text.n);
		return err_set(err, -EINVAL, "%.300s: %s is %s; \"%s\" is not", origin,
			       setting_rows[id].key, fits, shown);
	}
	v.origin = strdup(origin);
	if (!v.origin)
		return err_set(err, -ENOMEM, "no memory for settings");
	free(s->values[id].origin);
	s->values[id] = v;
	return 0;
}

/* SETTING_COUNT: there is none of that key. */
static enum setting_id setting_find(struct slice group, struct slice name)
{
	for (enum setting_id id = 0; id < SETTING_COUNT; id++) {
		const char *dot = strchr(setting_rows[id].key, '.');
		if (slice_eq(group,
			     SLICE(setting_rows[id].key, (size_t)(dot - setting_rows[id].key))) &&
		    word_is(name, dot + 1))
			return id;
	}
	return SETTING_COUNT;
}

static enum setting_id setting_find_key(struct slice key)
{
	for (enum setting_id id = 0; id < SETTING_COUNT; id++)
		if (word_is(key, setting_rows[id].key))
			return id;
	return SETTING_COUNT;
}

/* ---- the file ---- */

struct reader { /* one file */
	yaml_parser_t parser;
	yaml_event_t event; /* the newest one */
	struct slice text;
	const char *name;
	struct settings *settings;
	size_t lines[SETTING_COUNT];       /* where each value is, from 1 */
	size_t group_lines[SETTING_COUNT]; /* where its group is, by its first setting */
	struct err *err;
};

static void reader_release(struct reader *r)
{
	yaml_event_delete(&r->event);
	yaml_parser_delete(&r->parser);
}

static int fault(struct reader *r, size_t line, const char *format, ...) PRINTF_LIKE(3, 4);
static int fault(struct reader *r, size_t line, const char *format, ...)
{
	char sentence[256];
	va_list ap;
	va_start(ap, format);
	vsnprintf(sentence, sizeof sentence, format, ap);
	va_end(ap);
	return err_set(r->err, -EINVAL, "%.230s:%zu: %s", r->name, line, sentence);
}

static size_t event_line(const struct reader *r)
{
	return r->event.start_mark.line + 1;
}

static size_t line_of_offset(struct slice text, size_t offset)
{
	size_t line = 1;
	for (size_t i = 0; i < MIN(offset, text.n); i++)
		line += text.p[i] == '\n';
	return line;
}

/* The usual slip, which the library says in its own way in every place. */
static bool tab_indents(struct slice text, size_t line)
{
	size_t i = 0;
	for (; i < text.n && line > 1; i++)
		line -= text.p[i] == '\n';
	while (i < text.n && text.p[i] == ' ')
		i++;
	return i < text.n && text.p[i] == '\t';
}

static int fault_of_yaml(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	if (p->error == YAML_MEMORY_ERROR)
		return err_set(r->err, -ENOMEM, "no memory for settings");
	size_t line = p->error == YAML_READER_ERROR ? line_of_offset(r->text, p->problem_offset)
						    : p->problem_mark.line + 1;
	if (tab_indents(r->text, line))
		return fault(r, line, "a tab indents here; YAML takes blanks alone");
	return fault(r, line, "this is not YAML: %s",
		     p->problem ? p->problem : "it does not parse");
}

static bool has_tag_or_anchor(const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_SCALAR_EVENT:
		return e->data.scalar.anchor || e->data.scalar.tag;
	case YAML_SEQUENCE_START_EVENT:
		return e->data.sequence_start.anchor || e->data.sequence_start.tag;
	case YAML_MAPPING_START_EVENT:
		return e->data.mapping_start.anchor || e->data.mapping_start.tag;
	default:
		return e->type == YAML_ALIAS_EVENT;
	}
}

static int next(struct reader *r)
{
	yaml_event_delete(&r->event);
	if (!yaml_parser_parse(&r->parser, &r->event)) {
		memset(&r->event, 0, sizeof r->event);
		return fault_of_yaml(r);
	}
	/* What has no aliases cannot grow: reading is bounded by the file. */
	if (has_tag_or_anchor(&r->event))
		return fault(r, event_line(r), "anchors, aliases and tags are not for settings");
	return 0;
}

static struct slice scalar(const struct reader *r)
{
	return SLICE(r->event.data.scalar.value, r->event.data.scalar.length);
}

static const char *shown(struct slice text, char out[SHOWN_SIZE])
{
	trace_escape(out, SHOWN_SIZE, (const char *)text.p, text.n);
	return out;
}

/* `line` of what is read now goes to *at; a fault when it was there before. */
static int once(struct reader *r, size_t *at, const char *what)
{
	size_t line = event_line(r);
	if (*at)
		return fault(r, line, "%s is on line %zu already", what, *at);
	*at = line;
	return 0;
}

/* The event is a key within `group`. */
static int read_setting(struct reader *r, const char *group)
{
	char name[SHOWN_SIZE], origin[PATH_SIZE];
	if (r->event.type != YAML_SCALAR_EVENT)
		return fault(r, event_line(r), "a key is a word");
	enum setting_id id = setting_find(slice_str(group), scalar(r));
	if (id == SETTING_COUNT)
		return fault(r, event_line(r),
			     "there is no setting %s.%s; chainfs config show lists them", group,
			     shown(scalar(r), name));
	int rc = once(r, &r->lines[id], setting_rows[id].key);
	if (rc == 0)
		rc = next(r);
	if (rc < 0)
		return rc;
	if (r->event.type != YAML_SCALAR_EVENT)
		return fault(r, event_line(r), "%s is one value, not a list or a mapping",
			     setting_rows[id].key);
	snprintf(origin, sizeof origin, "%s:%zu", r->name, event_line(r));
	return set_value(r->settings, id, scalar(r), origin, r->err);
}

static int group_unknown(struct reader *r)
{
	char key[SHOWN_SIZE];
	enum setting_id id = setting_find_key(scalar(r));
	if (id == SETTING_COUNT)
		return fault(r, event_line(r),
			     "there is no group of settings %s; chainfs config show lists them",
			     shown(scalar(r), key));
	const char *name = setting_rows[id].key, *dot = strchr(name, '.');
	return fault(r, event_line(r), "write %s as %.*s: { %s: … }", name, (int)(dot - name), name,
		     dot + 1);
}

/* The event is a key of the outermost mapping. */
static int read_group(struct reader *r)
{
	char group[SHOWN_SIZE];
	size_t first = 0, size = 0;
	if (r->event.type != YAML_SCALAR_EVENT)
		return fault(r, event_line(r), "a key is a word");
	for (; first < SETTING_COUNT; first++) {
		size = strcspn(setting_rows[first].key, ".");
		if (slice_eq(scalar(r), SLICE(setting_rows[first].key, size)))
			break;
	}
	if (first == SETTING_COUNT)
		return group_unknown(r);
	snprintf(group, sizeof group, "%.*s", (int)size, setting_rows[first].key);
	int rc = once(r, &r->group_lines[first], group);
	if (rc == 0)
		rc = next(r);
	if (rc < 0)
		return rc;
	if (r->event.type == YAML_SCALAR_EVENT && !scalar(r).n)
		return 0; /* all that was in it is a comment */
	if (r->event.type != YAML_MAPPING_START_EVENT)
		return fault(r, event_line(r),
			     "%s is a group: its settings follow, each NAME: VALUE", group);
	while ((rc = next(r)) == 0 && r->event.type != YAML_MAPPING_END_EVENT) {
		rc = read_setting(r, group);
		if (rc < 0)
			break;
	}
	return rc;
}

static int read_document(struct reader *r)
{
	int rc = next(r);
	if (rc < 0)
		return rc;
	if (r->event.type == YAML_SCALAR_EVENT && !scalar(r).n)
		return next(r); /* "---" and nothing else */
	if (r->event.type != YAML_MAPPING_START_EVENT)
		return fault(r, event_line(r),
			     "a file of settings is a mapping: GROUP: { NAME: VALUE }");
	while ((rc = next(r)) == 0 && r->event.type != YAML_MAPPING_END_EVENT) {
		rc = read_group(r);
		if (rc < 0)
			return rc;
	}
	return rc < 0 ? rc : next(r);
}

static int read_stream(struct reader *r)
{
	int rc = next(r); /* the stream's start */
	if (rc == 0)
		rc = next(r);
	if (rc == 0 && r->event.type == YAML_DOCUMENT_START_EVENT) {
		rc = read_document(r);
		if (rc == 0)
			rc = next(r);
	}
	if (rc == 0 && r->event.type != YAML_STREAM_END_EVENT)
		return fault(r, event_line(r), "a second document begins; settings are one");
	return rc;
}

static int read_text(struct settings *s, struct slice text, const char *name, struct err *err)
{
	AUTO(reader_release)
	struct reader r = { .text = text, .name = name, .settings = s, .err = err };
	if (!yaml_parser_initialize(&r.parser))
		return err_set(err, -ENOMEM, "no memory for settings");
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, text.p ? text.p : (const uint8_t *)"", text.n);
	return read_stream(&r);
}

/* ---- where they come from ---- */

static const char *variable(char *const *environment, const char *name)
{
	size_t size = strlen(name);
	for (; environment && *environment; environment++)
		if (strncmp(*environment, name, size) == 0 && (*environment)[size] == '=')
			return (*environment)[size + 1] ? *environment + size + 1 : NULL;
	return NULL;
}

/* 1: `path` is the file; 0: there is none there, or no such path. */
static int is_there(char path[PATH_SIZE], const char *format, ...) PRINTF_LIKE(2, 3);
static int is_there(char path[PATH_SIZE], const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	int n = vsnprintf(path, PATH_SIZE, format, ap);
	va_end(ap);
	return n > 0 && n < PATH_SIZE && access(path, F_OK) == 0;
}

/* False: there is no file, and none was asked for. */
static bool choose_file(const struct settings_sources *from, char path[PATH_SIZE])
{
	const char *named =
		from->file ? from->file : variable(from->environment, "CHAINFS_SETTINGS");
	const char *config = variable(from->environment, "XDG_CONFIG_HOME");
	const char *home = variable(from->environment, "HOME");
	if (named) {
		snprintf(path, PATH_SIZE, "%s", named);
		return true;
	}
	if (from->store && is_there(path, "%s/" FILE_NAME, from->store))
		return true;
	if (config && is_there(path, "%s/chainfs/" FILE_NAME, config))
		return true;
	if (!config && home && is_there(path, "%s/.config/chainfs/" FILE_NAME, home))
		return true;
	return is_there(path, "/etc/chainfs/" FILE_NAME);
}

static int load_file(struct settings *s, const struct settings_sources *from, struct err *err)
{
	AUTO(buf_release) struct buf text = BUF_INIT(SETTINGS_SIZE_MAX + 8192);
	char path[PATH_SIZE];
	if (!choose_file(from, path))
		return 0;
	int rc = files_read(path, SETTINGS_SIZE_MAX, &text, err);
	if (rc < 0)
		return rc == -EMSGSIZE ? -EINVAL : rc;
	s->file = strdup(path);
	if (!s->file)
		return err_set(err, -ENOMEM, "no memory for settings");
	return read_text(s, buf_slice(&text), path, err);
}

void setting_variable(enum setting_id id, char *out, size_t size)
{
	snprintf(out, size, "CHAINFS_%s", setting_rows[id].key);
	for (char *at = out; *at; at++)
		*at = *at == '.' || *at == '-' ? '_' : (char)toupper((unsigned char)*at);
}

static int load_environment(struct settings *s, char *const *environment, struct err *err)
{
	for (enum setting_id id = 0; id < SETTING_COUNT; id++) {
		char origin[96] = "environment ", *name = origin + strlen(origin);
		setting_variable(id, name, sizeof origin - (size_t)(name - origin));
		const char *text = variable(environment, name);
		int rc = text ? set_value(s, id, slice_str(text), origin, err) : 0;
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* "hyper.enabled=on,log.level=debug" */
static int load_flag(struct settings *s, const char *list, struct err *err)
{
	for (const char *at = list;; at++) {
		size_t size = strcspn(at, ","), key_size = strcspn(at, "=,");
		char key[SHOWN_SIZE];
		struct slice value = SLICE(at + key_size + 1, size - key_size - 1);
		enum setting_id id = setting_find_key(SLICE(at, key_size));
		if (key_size == size)
			return err_set(err, -EINVAL, "--set %.200s: it is KEY=VALUE,…", list);
		if (id == SETTING_COUNT)
			return err_set(
				err, -EINVAL,
				"--set: there is no setting %s; chainfs config show lists them",
				shown(SLICE(at, key_size), key));
		int rc = set_value(s, id, value, "flag", err);
		if (rc < 0)
			return rc;
		at += size;
		if (!*at)
			return 0;
	}
}

static int load_all(struct settings *s, const struct settings_sources *from, struct err *err)
{
	int rc = load_file(s, from, err);
	if (rc == 0)
		rc = load_environment(s, from->environment, err);
	for (size_t i = 0; rc == 0 && from->sets && from->sets[i]; i++)
		rc = load_flag(s, from->sets[i], err);
	return rc;
}

static struct settings *new_defaults(void)
{
	struct settings *s = calloc(1, sizeof *s);
	for (enum setting_id id = 0; s && id < SETTING_COUNT; id++) {
		bool fits = value_parse(&setting_rows[id], slice_str(setting_rows[id].standard),
					&s->values[id]);
		assert(fits);
	}
	return s;
}

int settings_load(const struct settings_sources *from, struct settings **out, struct err *err)
{
	AUTO(settings_freep) struct settings *s = new_defaults();
	if (!s)
		return err_set(err, -ENOMEM, "no memory for settings");
	int rc = load_all(s, from, err);
	if (rc == 0)
		*out = TAKE(s);
	return rc;
}

int settings_read(struct slice text, const char *name, struct settings **out, struct err *err)
{
	AUTO(settings_freep) struct settings *s = new_defaults();
	if (!s)
		return err_set(err, -ENOMEM, "no memory for settings");
	int rc = read_text(s, text, name, err);
	if (rc == 0)
		*out = TAKE(s);
	return rc;
}

/* ---- asking ---- */

uint64_t settings_number(const struct settings *s, enum setting_id id)
{
	struct value v = { 0 };
	if (s)
		return s->values[id].number;
	bool fits = value_parse(&setting_rows[id], slice_str(setting_rows[id].standard), &v);
	assert(fits);
	return v.number;
}

const char *settings_text(const struct settings *s, enum setting_id id)
{
	return s ? s->values[id].text : setting_rows[id].standard;
}

const char *settings_origin(const struct settings *s, enum setting_id id)
{
	return s && s->values[id].origin ? s->values[id].origin : "default";
}

const char *settings_file(const struct settings *s)
{
	return s && s->file ? s->file : "";
}
