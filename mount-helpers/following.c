#include "mount-helpers/following.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/control/parameters.h"
#include "core/ingest/ingest.h"
#include "mount-helpers/leaving.h"
#include "net/live.h"

#define PATH_SIZE 4096

void following_authorities(const struct settings *s)
{
	const char *file = settings_text(s, SETTING_SYNC_CA_FILE);

	if (*file)
		setenv("SSL_CERT_FILE", file, 1);
}

static bool is_address(const char *word)
{
	return strstr(word, "://") != NULL;
}

/* A folder and those above it, as far as they are not there. */
static int make_folders(char *path, struct err *err)
{
	for (char *at = path + 1;; at++) {
		if (*at && *at != '/')
			continue;
		char was = *at;

		*at = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return err_set(err, -errno, "%s: %s", path, strerror(errno));
		*at = was;
		if (!was)
			return 0;
	}
}

/* Where the store of an address lies when nobody says. */
static int default_store(const char *url, char *out, size_t size, struct err *err)
{
	const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
	char name[SOURCE_NAME_MAX + 1], folder[PATH_SIZE];
	int n;

	source_name_of(url, name);
	if (geteuid() == 0)
		n = snprintf(folder, sizeof folder, "/var/lib/chainfs");
	else if (data && data[0] == '/')
		n = snprintf(folder, sizeof folder, "%s/chainfs", data);
	else if (home && home[0] == '/')
		n = snprintf(folder, sizeof folder, "%s/.local/share/chainfs", home);
	else
		return err_set(err, -EINVAL,
			       "no $XDG_DATA_HOME and no $HOME to keep a store in; say where with "
			       "-o store=DIR");
	if ((size_t)n >= sizeof folder ||
	    (size_t)snprintf(out, size, "%s/%s", folder, name) >= size)
		return err_set(err, -ENAMETOOLONG,
			       "the path of the store is too long; say where "
			       "with -o store=DIR");
	return make_folders(folder, err);
}

/* Of a new network, as an import would. */
static int switch_hyper(struct verb_call *c, struct network *n, struct err *err)
{
	AUTO(ingest_freep) struct ingest *in = NULL;
	struct ingest_options o = { .checkers = 1 };

	if (!settings_number(c->settings, SETTING_HYPER_ENABLED))
		return 0;
	int rc = ingest_start(n, &o, &in, err);

	return rc < 0 ? rc : ingest_set_hyper(in, true, err);
}

/* The network that the sources are of: named, the only one, or made of what was said. */
static int find_network(struct verb_call *c, const char *path, struct network **out,
			struct err *err)
{
	bool said = c->options[OPTION_NETWORK] || c->options[OPTION_CONFIG];
	size_t count = store_network_count(c->store);

	if (!said && count == 1) {
		*out = store_network_at(c->store, 0);
		return 0;
	}
	if (!said && count > 1)
		return err_set(err, -EINVAL, "%s holds %zu networks; say --network NAME", path,
			       count);
	if (!said)
		return err_set(err, -EINVAL,
			       "a new store needs to know who its network's validators are, which "
			       "no node can vouch for: --network NAME (chainfs presets lists them) "
			       "or --config FILE");
	if (!c->options[OPTION_CONFIG] &&
	    (*out = store_network_find(c->store, c->options[OPTION_NETWORK])))
		return 0;
	int rc = parameters_network(c, SLICE_EMPTY, out, err);

	if (rc == 0 && store_network_count(c->store) > count)
		return switch_hyper(c, *out, err);
	if (rc == -EINVAL && !c->options[OPTION_CONFIG])
		return err_set(err, rc,
			       "there is no preset of a network %s (chainfs presets lists them); "
			       "give its parameters with --config FILE",
			       c->options[OPTION_NETWORK]);
	return rc;
}

/* One that the file has with this address already is left as it is. */
static int name_source(struct store *s, struct network *n, const char *url, struct err *err)
{
	struct source_entry list[SYNC_SOURCES_MAX], e = { .name = "" };
	char scheme[16], host[SOURCE_URL_MAX + 1];
	uint16_t port;
	size_t count = 0;
	int rc = source_url_parse(url, scheme, host, &port, err);

	if (rc == 0)
		rc = live_file_read(s, n, list, &count, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].url, url) == 0)
			return 0;
	source_name_of(url, e.name);
	snprintf(e.url, sizeof e.url, "%s", url);
	memcpy(e.operator_name, e.name, sizeof e.operator_name);
	return live_file_add(s, n, &e, err);
}

static int name_sources(struct verb_call *c, const char *path, const char *address,
			const char *more, struct err *err)
{
	struct network *n = NULL;
	int rc = find_network(c, path, &n, err);

	if (rc == 0 && address)
		rc = name_source(c->store, n, address, err);
	AUTO(base_freep) char *list = strdup(more ? more : "");
	char *save = NULL;

	if (rc == 0 && !list)
		rc = err_set(err, -ENOMEM, "no memory for the sources");
	for (char *url = rc == 0 ? strtok_r(list, " ", &save) : NULL; url && rc == 0;
	     url = strtok_r(NULL, " ", &save))
		rc = name_source(c->store, n, url, err);
	return rc;
}

/* What nobody has made yet, and holds nothing, goes again: else the next try would find a store
 * without a network. */
static void take_back(struct verb_call *c, const char *path, bool was_there)
{
	bool empty = store_network_count(c->store) == 0;
	char part[PATH_SIZE];

	store_closep(&c->store);
	if (was_there || !empty)
		return;
	static const char *const parts[] = { "chainfs-store", "lock", "reserve", "networks" };

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if ((size_t)snprintf(part, sizeof part, "%s/%s", path, parts[i]) < sizeof part)
			(void)remove(part);
	(void)rmdir(path);
}

static int open_and_name(struct verb_call *c, const struct mount_options *o, const char *path,
			 const char *address, struct err *err)
{
	struct stat st;
	bool was_there = lstat(path, &st) == 0;
	struct store_options so = { .create = address != NULL, .holder = "mount" };
	int rc = store_open(path, &so, &c->store, err);

	if (rc < 0)
		return rc;
	rc = name_sources(c, path, address, o->source, err);
	if (rc < 0)
		take_back(c, path, was_there);
	store_closep(&c->store);
	return rc;
}

struct answer {
	int rc;
	struct err err;
};

/* In a process of its own: the database library starts threads that a daemon forked from us would
 * take to be its own. */
static int apart(struct verb_call *c, const struct mount_options *o, const char *path,
		 const char *address, struct err *err)
{
	struct answer a = { .rc = -EIO };
	int fds[2];

	if (pipe(fds) < 0)
		return err_set(err, -errno, "no pipe: %s", strerror(errno));
	pid_t pid = fork();

	if (pid == 0) {
		close(fds[0]);
		a.rc = open_and_name(c, o, path, address, &a.err);
		_exit(write(fds[1], &a, sizeof a) == (ssize_t)sizeof a ? 0 : 1);
	}
	close(fds[1]);
	AUTO(base_closep) int in = fds[0];

	if (pid < 0)
		return err_set(err, -errno, "no process: %s", strerror(errno));
	ssize_t n;

	while ((n = read(in, &a, sizeof a)) < 0 && errno == EINTR)
		;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (n != (ssize_t)sizeof a)
		return err_set(err, -EIO, "%s: the process that was to make it ended", path);
	return a.rc < 0 ? err_set(err, a.rc, "%s", err_text(&a.err, a.rc)) : 0;
}

int following_prepare(struct verb_call *c, const struct mount_options *o, const char *word,
		      char *out, size_t size, struct err *err)
{
	const char *address = is_address(word) ? word : NULL;
	char scheme[16], host[SOURCE_URL_MAX + 1];
	uint16_t port;
	int rc = address ? source_url_parse(word, scheme, host, &port, err) : 0;

	if (rc < 0)
		return rc;
	if (address && !source_protocol_find(scheme, NULL))
		return err_set(err, -EINVAL,
			       "\"%.80s\": nobody speaks \"%s\" here; an address is written "
			       "grpc://HOST:PORT",
			       word, scheme);
	if (!address && o->store)
		return err_set(err, -EINVAL,
			       "-o store=%s goes with the address of a node, grpc://HOST:PORT; %s "
			       "is none",
			       o->store, word);
	if (!address || o->store) {
		if ((size_t)snprintf(out, size, "%s", address ? o->store : word) >= size)
			return err_set(err, -ENAMETOOLONG, "the path of the store is too long");
	} else {
		rc = default_store(address, out, size, err);
	}
	if (rc < 0 || (!address && !o->source))
		return rc;
	/* What was said with -o counts as said with --. */
	const char *network = c->options[OPTION_NETWORK], *config = c->options[OPTION_CONFIG];

	if (o->network)
		c->options[OPTION_NETWORK] = o->network;
	if (o->config)
		c->options[OPTION_CONFIG] = o->config;
	leaving_wait(out);
	rc = apart(c, o, out, address, err);
	c->options[OPTION_NETWORK] = network;
	c->options[OPTION_CONFIG] = config;
	return rc;
}
