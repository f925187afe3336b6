/* One timed cell: a loop over files, or a command; by the clock, and by processors of client and
 * server.
 *
 *     fsbench [-s PID]… stat|read ROOT LIST CLIENTS   of each path in the file LIST, below ROOT
 *     fsbench [-s PID]… seq FILE [warm]               reads a file once; warm: once before, untimed
 *     fsbench [-s PID]… pread FILE COUNT CLIENTS      4 KiB at random places
 *     fsbench [-s PID]… run COMMAND…                  its standard output is counted
 *
 * Prints: wall_ms client_ms server_ms units. Units are what was done (files, bytes, lines written),
 * so that nobody is fast who did less. The processors' time of a server is that of all its threads,
 * also those that ended, in nanoseconds; of a command that of all it started. */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SERVERS_MAX 8
#define CLIENTS_MAX 64
#define CHUNK       (1u << 20)
#define PAGE        4096u

static clockid_t servers[SERVERS_MAX];
static size_t server_count;

static void die(const char *what)
{
	perror(what);
	exit(2);
}

/* ---- clocks ---- */

struct spent {
	double wall, client, server; /* ms */
};

static double ms_of(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t) < 0)
		die("clock of a server");
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double ms_of_usage(int who)
{
	struct rusage u;

	getrusage(who, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

static struct spent now(void)
{
	struct spent s = { .client =
				   ms_of(CLOCK_PROCESS_CPUTIME_ID) + ms_of_usage(RUSAGE_CHILDREN) };

	for (size_t i = 0; i < server_count; i++)
		s.server += ms_of(servers[i]);
	s.wall = ms_of(CLOCK_MONOTONIC);
	return s;
}

static void report(struct spent from, uint64_t units)
{
	struct spent to = now();

	printf("%.3f %.3f %.3f %llu\n", to.wall - from.wall, to.client - from.client,
	       to.server - from.server, (unsigned long long)units);
}

/* ---- loops over files, by some clients at once ---- */

struct job {
	pthread_t thread;
	char **paths;
	size_t first, end;
	int fd; /* of pread */
	size_t pages;
	uint64_t seed, units;
	void *(*body)(void *job);
};

static void *stat_files(void *arg)
{
	struct job *j = arg;
	struct stat st;

	for (size_t i = j->first; i < j->end; i++) {
		if (lstat(j->paths[i], &st) < 0)
			die(j->paths[i]);
		j->units++;
	}
	return NULL;
}

static void *read_files(void *arg)
{
	struct job *j = arg;
	char *bytes = malloc(CHUNK);

	if (!bytes)
		die("memory");
	for (size_t i = j->first; i < j->end; i++) {
		int fd = open(j->paths[i], O_RDONLY);
		ssize_t n;

		if (fd < 0)
			die(j->paths[i]);
		while ((n = read(fd, bytes, CHUNK)) > 0)
			j->units += (uint64_t)n;
		if (n < 0)
			die(j->paths[i]);
		close(fd);
	}
	free(bytes);
	return NULL;
}

static void *read_pages(void *arg)
{
	struct job *j = arg;
	char bytes[PAGE];

	for (size_t i = j->first; i < j->end; i++) {
		j->seed ^= j->seed << 13;
		j->seed ^= j->seed >> 7;
		j->seed ^= j->seed << 17;
		if (pread(j->fd, bytes, PAGE, (off_t)(j->seed % j->pages * PAGE)) != PAGE)
			die("pread");
		j->units++;
	}
	return NULL;
}

static uint64_t with_clients(struct job job, size_t count, unsigned clients)
{
	struct job jobs[CLIENTS_MAX];
	uint64_t units = 0;

	if (clients < 1 || clients > CLIENTS_MAX)
		exit(1);
	for (unsigned i = 0; i < clients; i++) {
		jobs[i] = job;
		jobs[i].first = count * i / clients;
		jobs[i].end = count * (i + 1) / clients;
		jobs[i].seed = 88172645463325252u + i * 7919u;
		if (pthread_create(&jobs[i].thread, NULL, job.body, &jobs[i]) != 0)
			die("thread");
	}
	for (unsigned i = 0; i < clients; i++) {
		pthread_join(jobs[i].thread, NULL);
		units += jobs[i].units;
	}
	return units;
}

static char **read_list(const char *root, const char *list, size_t *count)
{
	FILE *in = fopen(list, "re");
	char **paths = NULL, *line = NULL;
	size_t cap = 0, line_cap = 0;
	ssize_t n;

	if (!in)
		die(list);
	for (*count = 0; (n = getline(&line, &line_cap, in)) > 0; ++*count) {
		line[n - 1] = '\0';
		if (*count == cap &&
		    !(paths = realloc(paths, (cap = cap ? 2 * cap : 1024) * sizeof *paths)))
			die("memory");
		if (asprintf(&paths[*count], "%s/%s", root, line) < 0)
			die("memory");
	}
	free(line);
	fclose(in);
	return paths;
}

static void files(void *(*body)(void *), char **words)
{
	size_t count;
	struct job job = { .paths = read_list(words[0], words[1], &count), .body = body };
	struct spent from = now();

	report(from, with_clients(job, count, (unsigned)atoi(words[2])));
}

static void pages(char **words)
{
	struct job job = { .fd = open(words[0], O_RDONLY), .body = read_pages };
	struct stat st;

	if (job.fd < 0 || fstat(job.fd, &st) < 0 || st.st_size < PAGE)
		die(words[0]);
	job.pages = (size_t)st.st_size / PAGE;
	struct spent from = now();

	report(from, with_clients(job, strtoul(words[1], NULL, 10), (unsigned)atoi(words[2])));
}

static uint64_t read_once(const char *path)
{
	static char bytes[CHUNK];
	int fd = open(path, O_RDONLY);
	uint64_t sum = 0;
	ssize_t n;

	if (fd < 0)
		die(path);
	while ((n = read(fd, bytes, sizeof bytes)) > 0)
		sum += (uint64_t)n;
	if (n < 0)
		die(path);
	close(fd);
	return sum;
}

static void sequential(const char *path, int warm)
{
	if (warm)
		read_once(path);
	struct spent from = now();

	report(from, read_once(path));
}

/* ---- a command ---- */

static uint64_t lines_of(int fd)
{
	static char bytes[CHUNK];
	uint64_t lines = 0;
	ssize_t n;

	while ((n = read(fd, bytes, sizeof bytes)) > 0)
		for (const char *at = bytes; (at = memchr(at, '\n', (size_t)(bytes + n - at)));
		     at++)
			lines++;
	return lines;
}

static void command(char **words)
{
	int ends[2], status;

	if (pipe(ends) < 0)
		die("pipe");
	struct spent from = now();
	pid_t child = fork();

	if (child == 0) {
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		close(ends[1]);
		execvp(words[0], words);
		die(words[0]);
	}
	close(ends[1]);
	uint64_t lines = lines_of(ends[0]);

	if (child < 0 || waitpid(child, &status, 0) < 0)
		die(words[0]);
	report(from, lines);
	/* 1 of grep and diff is an answer; it shows in the units. */
	if (!WIFEXITED(status) || WEXITSTATUS(status) > 1) {
		fprintf(stderr, "fsbench: %s failed\n", words[0]);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "+s:")) == 's')
		if (server_count == SERVERS_MAX ||
		    clock_getcpuclockid(atoi(optarg), &servers[server_count++]) != 0)
			die(optarg);
	char **words = argv + optind;
	int count = argc - optind;

	if (count == 4 && strcmp(words[0], "stat") == 0)
		files(stat_files, words + 1);
	else if (count == 4 && strcmp(words[0], "read") == 0)
		files(read_files, words + 1);
	else if (count == 4 && strcmp(words[0], "pread") == 0)
		pages(words + 1);
	else if ((count == 2 || count == 3) && strcmp(words[0], "seq") == 0)
		sequential(words[1], count == 3);
	else if (count >= 2 && strcmp(words[0], "run") == 0)
		command(words + 1);
	else
		return 1;
	return 0;
}
