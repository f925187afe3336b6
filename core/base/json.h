/* json.h: writes JSON exactly: 64-bit integers in full, keys in the order given (callers sort).
 *
 * JSON_PRETTY writes one field a line, two blanks a level, and a final newline; JSON_LINE writes
 * everything on one line with a final newline, for JSONL. The two differ in white space alone.
 *     struct json j = json_of(&out, JSON_LINE);
 *     json_object(&j, NULL); json_u64(&j, "fid", 7); json_end(&j); rc = json_done(&j);
 * A name of NULL is an element of an array, or the outermost value. Strings must be UTF-8; bytes
 * that are not are written as U+FFFD. Control characters, quote and backslash are escaped.
 * Errors  latch in the buf; json_done() tells. */
#ifndef CHAINFS_JSON_H
#define CHAINFS_JSON_H

#include "core/base/bytes.h"

enum json_style { JSON_PRETTY, JSON_LINE };

#define JSON_DEPTH_MAX 32

struct json {
	struct buf     *out;
	enum json_style style;
	int             depth;
	bool            first, is_array[JSON_DEPTH_MAX];
};

struct json json_of(struct buf *out, enum json_style style);
void json_object(struct json *j, const char *name);
void json_array(struct json *j, const char *name);
void json_end(struct json *j); /* of the innermost object or array */
void json_u64(struct json *j, const char *name, uint64_t v);
void json_i64(struct json *j, const char *name, int64_t v);
void json_bool(struct json *j, const char *name, bool v);
void json_null(struct json *j, const char *name);
void json_str(struct json *j, const char *name, const char *text);
void json_text(struct json *j, const char *name, struct slice utf8);
void json_hex(struct json *j, const char *name, struct slice bytes);
int  json_done(struct json *j) MUST_CHECK;

#endif
