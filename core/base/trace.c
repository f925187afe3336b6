#include "core/base/trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_SIZE 1024

const char *const trace_level_names[TRACE_LEVEL_COUNT] = {
	[TRACE_ERROR] = "error",
	[TRACE_WARN]  = "warn",
	[TRACE_INFO]  = "info",
	[TRACE_DEBUG] = "debug",
};

static int level_most = TRACE_INFO; /* read and set atomically */

static struct {
	pthread_mutex_t sink_lock; /* guards the rest; a leaf */
	trace_sink     *sink;
	void           *arg;
} out = { PTHREAD_MUTEX_INITIALIZER, NULL, NULL };

void trace_set_level(enum trace_level most)
{
	__atomic_store_n(&level_most, (int)most, __ATOMIC_RELAXED);
}

enum trace_level trace_get_level(void)
{
	return (enum trace_level)__atomic_load_n(&level_most, __ATOMIC_RELAXED);
}

void trace_set_sink(trace_sink *sink, void *arg)
{
	LOCKED(&out.sink_lock);
	out.sink = sink;
	out.arg = arg;
}

static void current_sink(trace_sink **sink, void **arg)
{
	LOCKED(&out.sink_lock);
	*sink = out.sink;
	*arg = out.arg;
}

static void append(char line[LINE_SIZE], size_t *n, const char *format, va_list args)
{
	int wanted = vsnprintf(line + *n, LINE_SIZE - *n, format, args);

	if (wanted > 0)
		*n = MIN(*n + (size_t)wanted, (size_t)LINE_SIZE - 1);
}

static void append_fmt(char line[LINE_SIZE], size_t *n, const char *format, ...) PRINTF_LIKE(3, 4);
static void append_fmt(char line[LINE_SIZE], size_t *n, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	append(line, n, format, args);
	va_end(args);
}

/* "2026-11-21T15:03:11.042Z warn ingest: block refused, its height is a gap shard=1 height=7" */
void trace_line(enum trace_level level, const char *part, const char *sentence, const char *format,
		...)
{
	char line[LINE_SIZE];
	size_t n = 0;
	struct timespec now;
	struct tm tm;
	va_list args;

	if (level > trace_get_level())
		return;
	int saved = errno;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &tm);
	append_fmt(line, &n, ".%03dZ %s %s: %s", (int)(now.tv_nsec / 1000000),
		   trace_level_names[level], part, sentence);

	size_t sentence_end = n;

	append_fmt(line, &n, " ");
	va_start(args, format);
	append(line, &n, format, args);
	va_end(args);
	if (n == sentence_end + 1)
		n = sentence_end; /* no fields, no blank */
	/* One line is one line, whatever came in an argument. */
	for (size_t i = 0; i < n; i++)
		if (line[i] == '\n' || line[i] == '\r')
			line[i] = ' ';

	trace_sink *sink;
	void *arg;

	current_sink(&sink, &arg);
	if (sink) {
		line[n] = '\0';
		sink(level, line, n, arg);
	} else {
		line[n] = '\n';
		/* Nobody is left to tell when standard error is gone. */
		ssize_t ignored = write(STDERR_FILENO, line, n + 1);
		(void)ignored;
	}
	errno = saved;
}

void trace_escape(char *text_out, size_t out_size, const char *text, size_t text_size)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 0;

	if (out_size == 0)
		return;
	for (size_t i = 0; i < text_size; i++) {
		uint8_t c = (uint8_t)text[i];

		/* The backslash too, so that the text can be read back without doubt. */
		if (c >= 0x20 && c < 0x7f && c != '\\') {
			if (n + 1 >= out_size)
				break;
			text_out[n++] = (char)c;
		} else {
			if (n + 4 >= out_size)
				break;
			text_out[n++] = '\\';
			text_out[n++] = 'x';
			text_out[n++] = digits[c >> 4];
			text_out[n++] = digits[c & 15];
		}
	}
	text_out[n] = '\0';
}
