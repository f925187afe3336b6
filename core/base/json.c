#include "core/base/json.h"

struct json json_of(struct buf *out, enum json_style style)
{
	return (struct json){ .out = out, .style = style, .first = true };
}

static void indent(struct json *j)
{
	buf_u8(j->out, '\n');
	for (int i = 0; i < j->depth; i++)
		buf_str(j->out, "  ");
}

/* A string's characters that stand for themselves are copied in runs. */
static void string(struct json *j, struct slice s)
{
	size_t run = 0;

	buf_u8(j->out, '"');
	for (size_t i = 0; i < s.n;) {
		uint8_t c = s.p[i];
		size_t size = 1;

		if (c >= 0x80) {
			/* The longest valid character here; utf8_valid() knows the rules. */
			for (size = 2; size <= 4 && !utf8_valid(slice_sub(s, i, size)); size++)
				;
			if (size <= 4 && i + size <= s.n) {
				i += size;
				continue;
			}
			size = 1;
		} else if (c >= 0x20 && c != '"' && c != '\\') {
			i++;
			continue;
		}
		buf_bytes(j->out, s.p + run, i - run);
		if (c >= 0x80)
			buf_str(j->out, "\xef\xbf\xbd");
		else if (c == '"' || c == '\\')
			buf_fmt(j->out, "\\%c", c);
		else if (c == '\n')
			buf_str(j->out, "\\n");
		else if (c == '\t')
			buf_str(j->out, "\\t");
		else if (c == '\r')
			buf_str(j->out, "\\r");
		else
			buf_fmt(j->out, "\\u%04x", c);
		i += size;
		run = i;
	}
	buf_bytes(j->out, s.p ? s.p + run : NULL, s.n - run);
	buf_u8(j->out, '"');
}

/* What comes before a value: comma, line, name. */
static void value(struct json *j, const char *name)
{
	/* An object's members have names; an element and the outermost value have none. */
	assert((name != NULL) == (j->depth > 0 && !j->is_array[j->depth - 1]));
	if (!j->first)
		buf_u8(j->out, ',');
	if (j->style == JSON_PRETTY && j->depth > 0)
		indent(j);
	j->first = false;
	if (name) {
		string(j, slice_str(name));
		buf_str(j->out, j->style == JSON_PRETTY ? ": " : ":");
	}
}

/* After the outermost value the next one starts afresh, which makes a line of JSONL of each. */
static void finish_if_outermost(struct json *j)
{
	if (j->depth > 0)
		return;
	buf_u8(j->out, '\n');
	j->first = true;
}

static void begin(struct json *j, const char *name, bool is_array)
{
	assert(j->depth < JSON_DEPTH_MAX);
	value(j, name);
	buf_u8(j->out, is_array ? '[' : '{');
	j->is_array[j->depth++] = is_array;
	j->first = true;
}

void json_object(struct json *j, const char *name)
{
	begin(j, name, false);
}

void json_array(struct json *j, const char *name)
{
	begin(j, name, true);
}

void json_end(struct json *j)
{
	assert(j->depth > 0);
	bool empty = j->first;

	j->depth--;
	if (j->style == JSON_PRETTY && !empty)
		indent(j);
	buf_u8(j->out, j->is_array[j->depth] ? ']' : '}');
	j->first = false;
	finish_if_outermost(j);
}

void json_u64(struct json *j, const char *name, uint64_t v)
{
	value(j, name);
	buf_u64(j->out, v);
	finish_if_outermost(j);
}

void json_i64(struct json *j, const char *name, int64_t v)
{
	value(j, name);
	if (v < 0)
		buf_u8(j->out, '-');
	buf_u64(j->out, v < 0 ? -(uint64_t)v : (uint64_t)v);
	finish_if_outermost(j);
}

void json_bool(struct json *j, const char *name, bool v)
{
	value(j, name);
	buf_str(j->out, v ? "true" : "false");
	finish_if_outermost(j);
}

void json_null(struct json *j, const char *name)
{
	value(j, name);
	buf_str(j->out, "null");
	finish_if_outermost(j);
}

void json_text(struct json *j, const char *name, struct slice utf8)
{
	value(j, name);
	string(j, utf8);
	finish_if_outermost(j);
}

void json_str(struct json *j, const char *name, const char *text)
{
	json_text(j, name, slice_str(text));
}

void json_hex(struct json *j, const char *name, struct slice bytes)
{
	value(j, name);
	buf_u8(j->out, '"');
	buf_hex(j->out, bytes);
	buf_u8(j->out, '"');
	finish_if_outermost(j);
}

int json_done(struct json *j)
{
	assert(j->depth == 0);
	return buf_done(j->out);
}
