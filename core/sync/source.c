#include "core/sync/source.h"

#include <ctype.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/files.h"

#define PORT_MAX  65535u
#define PATH_SIZE 4096

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_name(const char *text)
{
	size_t n = strlen(text);

	if (n == 0 || n > SOURCE_NAME_MAX || !is_word(text[0]))
		return false;
	for (size_t i = 1; i < n; i++)
		if (!is_word(text[i]) && !strchr("._-", text[i]))
			return false;
	return true;
}

/* A host in words: letters, digits, dots, dashes; or an address of IPv6 between brackets. */
static bool is_host(const char *text, bool v6)
{
	if (!text[0])
		return false;
	for (const char *c = text; *c; c++)
		if (v6 ? !isxdigit((unsigned char)*c) && !strchr(":.%", *c) &&
				    !isalnum((unsigned char)*c)
		       : !isalnum((unsigned char)*c) && !strchr(".-_", *c))
			return false;
	return true;
}

int source_url_parse(const char *url, char scheme[16], char host[SOURCE_URL_MAX + 1],
		     uint16_t *port, struct err *err)
{
	const char *mark = strstr(url, "://");
	uint64_t number = 0;

	if (strlen(url) > SOURCE_URL_MAX)
		return err_set(err, -EINVAL, "an address of more than %d letters", SOURCE_URL_MAX);
	if (!mark || mark == url || mark - url > 15)
		return err_set(err, -EINVAL, "\"%.80s\": an address is written grpc://HOST:PORT",
			       url);
	snprintf(scheme, 16, "%.*s", (int)(mark - url), url);
	for (const char *c = scheme; *c; c++)
		if (!is_word(*c))
			return err_set(err, -EINVAL,
				       "\"%.80s\": \"%s\" is no protocol; an address is written "
				       "grpc://HOST:PORT",
				       url, scheme);
	const char *at = mark + 3, *end = at + strlen(at);
	bool v6 = *at == '[';
	const char *host_end = v6 ? strchr(at, ']') : strchr(at, ':');

	if (v6 && !host_end)
		return err_set(err, -EINVAL, "\"%.80s\": the bracket is not closed", url);
	if (!host_end)
		host_end = end;
	at += v6;
	snprintf(host, SOURCE_URL_MAX + 1, "%.*s", (int)(host_end - at), at);
	at = host_end + v6;
	if (!is_host(host, v6))
		return err_set(err, -EINVAL, "\"%.80s\": there is no host that is called \"%.80s\"",
			       url, host);
	*port = 0;
	if (at == end)
		return 0;
	if (*at != ':' || dec_get(at + 1, (size_t)(end - at - 1), PORT_MAX, &number) < 0 || !number)
		return err_set(err, -EINVAL, "\"%.80s\": behind the host stands :PORT, 1 to %u",
			       url, PORT_MAX);
	*port = (uint16_t)number;
	return 0;
}

void source_name_of(const char *url, char out[SOURCE_NAME_MAX + 1])
{
	const char *mark = strstr(url, "://");
	size_t n = 0;

	for (const char *c = mark ? mark + 3 : url; *c && n < SOURCE_NAME_MAX; c++) {
		char low = (char)tolower((unsigned char)*c);

		if (is_word(low) || (n && low == '.'))
			out[n++] = low;
		else if (n && out[n - 1] != '-')
			out[n++] = '-';
	}
	while (n && !is_word(out[n - 1]))
		n--;
	if (n == 0)
		n = (size_t)snprintf(out, SOURCE_NAME_MAX + 1, "source");
	out[n] = '\0';
}

/* ---- the file ---- */

static struct slice next_word(struct slice *line)
{
	size_t from = 0, to;

	while (from < line->n && (line->p[from] == ' ' || line->p[from] == '\t'))
		from++;
	for (to = from; to < line->n && line->p[to] != ' ' && line->p[to] != '\t'; to++)
		;
	struct slice word = slice_sub(*line, from, to - from);

	*line = slice_sub(*line, to, line->n - to);
	return word;
}

static bool copy_word(struct slice word, char *out, size_t size)
{
	if (word.n == 0 || word.n >= size || memchr(word.p, 0, word.n))
		return false;
	memcpy(out, word.p, word.n);
	out[word.n] = '\0';
	return true;
}

static int read_entry(struct slice line, struct source_entry *e, struct err *err)
{
	char scheme[16], host[SOURCE_URL_MAX + 1];
	uint16_t port;

	*e = (struct source_entry){ .name = "" };
	if (!copy_word(next_word(&line), e->name, sizeof e->name) || !is_name(e->name))
		return err_set(err, -EINVAL,
			       "a line is NAME URL OPERATOR, and a name is up to %d letters a-z, "
			       "digits, dots, dashes",
			       SOURCE_NAME_MAX);
	if (!copy_word(next_word(&line), e->url, sizeof e->url))
		return err_set(err, -EINVAL, "source %s: no address, or one that is too long",
			       e->name);
	int rc = source_url_parse(e->url, scheme, host, &port, err);

	if (rc < 0)
		return err_note(err, rc, "source %s", e->name);
	struct slice operator_name = next_word(&line);

	if (operator_name.n == 0)
		snprintf(e->operator_name, sizeof e->operator_name, "%s", e->name);
	else if (!copy_word(operator_name, e->operator_name, sizeof e->operator_name) ||
		 !is_name(e->operator_name))
		return err_set(err, -EINVAL,
			       "source %s: an operator is up to %d letters a-z, digits, dots, "
			       "dashes",
			       e->name, SOURCE_OPERATOR_MAX);
	if (next_word(&line).n)
		return err_set(err, -EINVAL, "source %s: a line is NAME URL OPERATOR", e->name);
	return 0;
}

int source_entries_read(struct slice text, struct source_entry *out, size_t out_max, size_t *count,
			struct err *err)
{
	size_t number = 0;

	*count = 0;
	while (text.n) {
		const uint8_t *newline = memchr(text.p, '\n', text.n);
		size_t size = newline ? (size_t)(newline - text.p) : text.n;
		struct slice line = slice_sub(text, 0, size), look = line;

		text = slice_sub(text, size + (newline != NULL), text.n);
		number++;
		struct slice first = next_word(&look);

		if (first.n == 0 || first.p[0] == '#')
			continue;
		if (*count == out_max)
			return err_set(err, -EINVAL, "line %zu: more than %zu sources", number,
				       out_max);
		struct source_entry *e = &out[*count];
		int rc = read_entry(line, e, err);

		if (rc < 0)
			return err_note(err, rc, "line %zu", number);
		for (size_t i = 0; i < *count; i++)
			if (strcmp(out[i].name, e->name) == 0)
				return err_set(err, -EINVAL, "line %zu: a second source %s", number,
					       e->name);
		(*count)++;
	}
	return 0;
}

int source_entries_write(const struct source_entry *list, size_t count, struct buf *out)
{
	for (size_t i = 0; i < count; i++)
		buf_fmt(out, "%s %s %s\n", list[i].name, list[i].url, list[i].operator_name);
	return buf_done(out);
}

int source_file_read(const char *path, struct source_entry *out, size_t out_max, size_t *count,
		     struct err *err)
{
	AUTO(buf_release) struct buf text = BUF_INIT(SOURCES_TEXT_MAX);
	int rc = files_read(path, SOURCES_TEXT_MAX, &text, err);

	*count = 0;
	if (rc == -ENOENT) {
		if (err)
			err->text[0] = '\0';
		return 0;
	}
	if (rc == 0)
		rc = source_entries_read(buf_slice(&text), out, out_max, count, err);
	return rc == -EINVAL ? err_note(err, rc, "%s", path) : rc;
}

/* The name is there, with these bytes, or as before. */
static int write_beside(const char *path, const char *beside, struct slice bytes)
{
	char folder[PATH_SIZE];
	AUTO(base_closep)
	int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0)
		return -errno;
	int rc = files_write(fd, bytes);

	if (rc == 0 && fsync(fd) < 0)
		rc = -errno;
	if (rc == 0 && rename(beside, path) < 0)
		rc = -errno;
	if (rc < 0) {
		unlink(beside);
		return rc;
	}
	snprintf(folder, sizeof folder, "%s", path);
	AUTO(base_closep) int dir = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return dir < 0 || fsync(dir) < 0 ? -errno : 0;
}

int source_file_write(const char *path, const struct source_entry *list, size_t count,
		      struct err *err)
{
	AUTO(buf_release) struct buf text = BUF_INIT(SOURCES_TEXT_MAX);
	char beside[PATH_SIZE];

	if ((size_t)snprintf(beside, sizeof beside, "%s.new", path) >= sizeof beside)
		return err_set(err, -ENAMETOOLONG, "%.200s…: the path is too long", path);
	buf_str(&text, "# who serves blocks of this network: NAME URL OPERATOR\n");
	int rc = source_entries_write(list, count, &text);

	if (rc == 0)
		rc = write_beside(path, beside, buf_slice(&text));
	return rc < 0 ? err_set(err, rc, "%s: %s", path, strerror(-rc)) : 0;
}
