/* trace.h: lines for the person who runs the daemon: a fixed sentence, then key=value.
 *
 *     trace_warn("ingest", "block refused, its height is a gap", "shard=%u height=%" PRIu64, s, h);
 *
 * error: a person must act. warn: we recovered, and what happens next. info: a state changed.
 * debug: off unless asked for. No secrets; text of a peer goes through trace_escape() first.
 * Goes to standard error, one write a line, or to a sink that the daemon sets. Any thread.
 * A sink that is replaced may still get the lines that were on their way. A format of "" is a line
 * without fields. */
#ifndef CHAINFS_TRACE_H
#define CHAINFS_TRACE_H

#include "core/base/base.h"

enum trace_level { TRACE_ERROR, TRACE_WARN, TRACE_INFO, TRACE_DEBUG, TRACE_LEVEL_COUNT };
extern const char *const trace_level_names[TRACE_LEVEL_COUNT];

typedef void trace_sink(enum trace_level level, const char *line, size_t line_size, void *arg);

void trace_set_level(enum trace_level most);
enum trace_level trace_get_level(void);
void trace_set_sink(trace_sink *sink, void *arg); /* NULL: standard error again */
void trace_line(enum trace_level level, const char *part, const char *sentence,
		const char *format, ...) PRINTF_LIKE(4, 5);
/* Printable ASCII of `text`, the rest as \xNN, cut to fit; for names and sentences of a peer. */
void trace_escape(char *out, size_t out_size, const char *text, size_t text_size);

#define trace_error(part, sentence, ...) trace_line(TRACE_ERROR, part, sentence, __VA_ARGS__)
#define trace_warn(part, sentence, ...)  trace_line(TRACE_WARN, part, sentence, __VA_ARGS__)
#define trace_info(part, sentence, ...)  trace_line(TRACE_INFO, part, sentence, __VA_ARGS__)
#define trace_debug(part, sentence, ...) trace_line(TRACE_DEBUG, part, sentence, __VA_ARGS__)

#endif
