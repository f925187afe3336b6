#include "core/checkpoint/prove.h"

#include "core/base/trace.h"
#include "core/checkpoint/prove_inside.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_SIZE  (256u << 10)
#define PARAMS_MAX (4u << 20)
#define DEPTH_MAX  3
#define SHOWN_SIZE 256 /* of a path that is none of ours */

const char *const proof_names[PROOF_COUNT] = {
	[PROOF_BYTES] = "bytes",     [PROOF_BLOCKS] = "blocks", [PROOF_COMMITS] = "commits",
	[PROOF_RECORDS] = "records", [PROOF_LEGACY] = "legacy", [PROOF_HYPER] = "hyper",
};

enum proof_level proof_failed(const struct proof *p)
{
	enum proof_level l = 0;

	while (l < PROOF_COUNT &&
	       (p->levels[l].verdict == VERDICT_OK ||
		(l == PROOF_HYPER && p->levels[l].verdict == VERDICT_ABSENT && !p->info.hyper)))
		l++;
	return l;
}

bool proof_holds(const struct proof *p)
{
	return proof_failed(p) == PROOF_COUNT;
}

/* ---- faults ---- */

void prover_say(struct prover *p, enum proof_level level, enum verdict verdict, const char *format,
		...)
{
	struct level_result *l = &p->out->levels[level];
	va_list ap;

	if (l->verdict == VERDICT_FAILED)
		return;
	l->verdict = (uint8_t)verdict;
	va_start(ap, format);
	vsnprintf(l->reason, sizeof l->reason, format, ap);
	va_end(ap);
}

void prover_fault(struct prover *p, enum proof_level level, const char *path, const char *format,
		  ...)
{
	struct level_result *l = &p->out->levels[level];
	char sentence[ERR_TEXT_SIZE];
	va_list ap;

	va_start(ap, format);
	vsnprintf(sentence, sizeof sentence, format, ap);
	va_end(ap);
	if (p->fault)
		p->fault(p->fault_arg, level, path, sentence);
	if (p->faults[level]++ == 0)
		snprintf(l->reason, sizeof l->reason, "%.*s: %.*s", CHECKPOINT_PATH_MAX, path,
			 REASON_SIZE - CHECKPOINT_PATH_MAX - 3, sentence);
	l->verdict = VERDICT_FAILED;
}

/* The reason has room for one file; how many there are goes before it. */
static void count_faults(struct prover *p)
{
	for (int i = 0; i < PROOF_COUNT; i++) {
		struct level_result *l = &p->out->levels[i];
		char first[REASON_SIZE];

		if (p->faults[i] < 2)
			continue;
		memcpy(first, l->reason, sizeof first);
		snprintf(l->reason, sizeof l->reason, "%" PRIu64 " files; %.*s", p->faults[i],
			 REASON_SIZE - 32, first);
	}
}

int prover_stopped(struct prover *p)
{
	return p->stop && atomic_load_explicit(p->stop, memory_order_relaxed)
		       ? err_set(p->err, -EINTR, "interrupted")
		       : 0;
}

/* ---- which files there are ---- */

/* "12" and then `rest`; a number of a shard, without leading zeros. */
static bool shard_then(const char **at, uint8_t *shard)
{
	size_t n = strspn(*at, "0123456789");
	uint64_t v;

	if (!n || n > 2 || (n > 1 && (*at)[0] == '0') || dec_get(*at, n, SHARD_MAX - 1, &v) < 0)
		return false;
	*shard = (uint8_t)v;
	*at += n;
	return true;
}

static bool skip(const char **at, const char *text)
{
	size_t n = strlen(text);

	if (strncmp(*at, text, n) != 0)
		return false;
	*at += n;
	return true;
}

static bool vshard_then(const char **at, uint8_t *vshard)
{
	char again[3];

	if (!(*at)[0] || !(*at)[1] || hex_get(*at, 2, vshard, 1) < 0)
		return false;
	hex_put(again, vshard, 1);
	if (strncmp(again, *at, 2) != 0)
		return false;
	*at += 2;
	return true;
}

/* What a path is; false: no file of a checkpoint. Blocks have the suffix of their kind. */
static bool file_of(const char *path, struct file *f)
{
	const char *at = path;

	*f = (struct file){ .kind = FILE_OWN };
	if (strlen(path) >= sizeof f->path)
		return false;
	memcpy(f->path, path, strlen(path));
	if (strcmp(path, "verdict") == 0 || skip(&at, "evidence/"))
		return true;
	if (strcmp(path, "info") == 0) {
		f->kind = FILE_INFO;
		return true;
	}
	if (strcmp(path, "SHA256SUMS") == 0) {
		f->kind = FILE_SUMS;
		return true;
	}
	if (skip(&at, "blocks/")) {
		f->kind = FILE_BLOCK;
		return shard_then(&at, &f->shard) && at[0] == '.' && at[1];
	}
	if (skip(&at, "rules/")) {
		f->kind = FILE_RULES;
		return shard_then(&at, &f->shard) &&
		       (strcmp(at, "/both.pb") == 0 || strcmp(at, "/hyper.pb") == 0);
	}
	f->kind = FILE_LEGACY;
	if (!skip(&at, "legacy/")) {
		f->kind = FILE_RETAINED;
		if (!skip(&at, "retained/"))
			return false;
	}
	return shard_then(&at, &f->shard) && skip(&at, "/") && vshard_then(&at, &f->vshard) &&
	       strcmp(at, ".pb") == 0;
}

static void no_file_of_ours(struct prover *p, const char *path, const char *what)
{
	char shown[SHOWN_SIZE];

	trace_escape(shown, sizeof shown, path, strlen(path));
	prover_fault(p, PROOF_BYTES, shown, "%s", what);
}

static int add_file(struct prover *p, const char *path, uint64_t size)
{
	struct file f;

	if (!file_of(path, &f)) {
		no_file_of_ours(p, path, "no file of a checkpoint");
		return 0;
	}
	if (base_grow(&p->files, &p->file_cap, p->file_count + 1, sizeof *p->files) < 0)
		return err_set(p->err, -ENOMEM, "no memory for the list of files");
	f.size = size;
	p->files[p->file_count++] = f;
	return 0;
}

static int walk(struct prover *p, int at, const char *prefix, unsigned depth);

static int walk_entry(struct prover *p, int at, const char *prefix, const char *name,
		      unsigned depth)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof path, "%s%s", prefix, name);
	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		no_file_of_ours(p, path, strerror(errno));
		return 0;
	}
	if (S_ISREG(st.st_mode))
		return add_file(p, path, (uint64_t)st.st_size);
	if (!S_ISDIR(st.st_mode) || depth == 0) {
		no_file_of_ours(p, path, "no plain file");
		return 0;
	}
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0) {
		no_file_of_ours(p, path, strerror(errno));
		return 0;
	}
	strncat(path, "/", sizeof path - strlen(path) - 1);
	return walk(p, fd, path, depth - 1);
}

/* Takes the descriptor over. */
static int walk(struct prover *p, int at, const char *prefix, unsigned depth)
{
	DIR *d = fdopendir(at);
	const struct dirent *e;
	int rc = 0;

	if (!d) {
		base_closep(&at);
		return err_set(p->err, -ENOMEM, "no memory to list a folder");
	}
	while (rc == 0 && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			rc = walk_entry(p, at, prefix, e->d_name, depth);
	closedir(d);
	return rc;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct file *)a)->path, ((const struct file *)b)->path);
}

struct file *prover_file(struct prover *p, const char *path)
{
	struct file like;

	if (!p->file_count || strlen(path) >= sizeof like.path)
		return NULL;
	memcpy(like.path, path, strlen(path) + 1);
	return bsearch(&like, p->files, p->file_count, sizeof *p->files, by_path);
}

static int list_files(struct prover *p, const char *folder)
{
	int fd;

	p->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = p->folder < 0 ? -1 : openat(p->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		int rc = -errno;

		return err_set(p->err, rc, "%s: %s", folder, strerror(-rc));
	}
	int rc = walk(p, fd, "", DEPTH_MAX);

	if (p->file_count)
		qsort(p->files, p->file_count, sizeof *p->files, by_path);
	return rc;
}

/* ---- reading ---- */

static int file_open(struct prover *p, const char *path, struct err *err)
{
	int fd = openat(p->folder, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int rc = fd < 0 ? -errno : fd;

	return rc < 0 ? err_set(err, rc, "%s", strerror(-rc)) : fd;
}

int prover_hold(struct prover *p, const struct file *f, struct files_held *out, struct err *err)
{
	int rc = files_hold(p->folder, f->path, out);

	if (rc == -EBADMSG)
		return err_set(err, rc, "no plain file");
	return rc < 0 ? err_set(err, rc, "%s", strerror(-rc)) : 0;
}

/* A whole small file: 1, 0 when it is not there, cannot be read or is over size_max (with a
 * sentence). */
static int file_get(struct prover *p, const char *path, size_t size_max, struct buf *out,
		    struct err *why)
{
	struct file *f = prover_file(p, path);
	AUTO(files_let_go) struct files_held m = FILES_HELD_NONE;

	if (!f || f->unreadable) {
		err_set(why, -ENOENT, "%s", f ? "cannot be read" : "is not there");
		return 0;
	}
	if (prover_hold(p, f, &m, why) < 0)
		return 0;
	if (m.bytes.n > size_max) {
		err_set(why, -EMSGSIZE, "has %zu bytes, %zu are the most", m.bytes.n, size_max);
		return 0;
	}
	buf_add(out, m.bytes);
	return buf_done(out) < 0 ? err_set(p->err, -ENOMEM, "%s: no memory", path) : 1;
}

/* ---- bytes ---- */

/* An I/O error is told here, and then the file is left alone. */
static int hash_file(struct prover *p, struct file *f, uint8_t sum[HASH_SIZE])
{
	AUTO(base_freep) uint8_t *buffer = malloc(READ_SIZE);
	AUTO(base_closep) int fd = -1;
	struct sha256 h;
	struct err err = ERR_INIT;
	ssize_t n;
	int rc = 0;

	if (!buffer)
		return err_set(p->err, -ENOMEM, "no memory to read a file");
	fd = file_open(p, f->path, &err);
	hash_sha256_init(&h);
	while (fd >= 0 && (n = read(fd, buffer, READ_SIZE)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_set(&err, -EIO, "%s", strerror(errno));
			break;
		}
		hash_sha256_add(&h, SLICE(buffer, (size_t)n));
		p->out->bytes += (uint64_t)n;
		rc = prover_stopped(p);
		if (rc < 0)
			return rc;
	}
	hash_sha256_end(&h, sum);
	if (!err.text[0])
		return 1;
	f->unreadable = true;
	prover_fault(p, PROOF_BYTES, f->path, "%s", err.text);
	return 0;
}

static uint64_t size_max_of(enum file_kind kind)
{
	return kind == FILE_INFO    ? CHECKPOINT_INFO_MAX
	       : kind == FILE_BLOCK ? BLOCK_SIZE_MAX
				    : UINT64_MAX; /* packs are as large as the state */
}

static int check_sum(struct prover *p, const char *path, const uint8_t sum[HASH_SIZE])
{
	struct file *f = prover_file(p, path);
	uint8_t computed[HASH_SIZE];

	if (!f) {
		prover_fault(p, PROOF_BYTES, path, "is not there");
		return 0;
	}
	f->named = true;
	if (f->kind == FILE_OWN || f->kind == FILE_SUMS) {
		prover_fault(p, PROOF_BYTES, path, "has a sum, though it is a node's own");
		return 0;
	}
	/* A file with holes of its own making would be read for hours. */
	if (f->size > size_max_of(f->kind)) {
		f->unreadable = true;
		prover_fault(p, PROOF_BYTES, path,
			     "has %" PRIu64 " bytes, %" PRIu64 " are the most", f->size,
			     size_max_of(f->kind));
		return 0;
	}
	int rc = hash_file(p, f, computed);

	if (rc == 1 && memcmp(computed, sum, HASH_SIZE) != 0)
		prover_fault(p, PROOF_BYTES, path, "its SHA-256 is not the one of SHA256SUMS");
	return MIN(rc, 0);
}

static int check_sums(struct prover *p)
{
	AUTO(buf_release) struct buf text = BUF_INIT(CHECKPOINT_SUMS_MAX);
	char last[CHECKPOINT_PATH_MAX] = "";
	uint8_t sum[HASH_SIZE];
	size_t at = 0;
	struct err why = ERR_INIT;
	int rc = file_get(p, "SHA256SUMS", CHECKPOINT_SUMS_MAX, &text, &why);

	if (rc == 0)
		prover_fault(p, PROOF_BYTES, "SHA256SUMS", "%s", why.text);
	if (rc <= 0)
		return rc;
	rc = 0;
	while (rc == 0 && (rc = checkpoint_sum_next(buf_slice(&text), &at, last, sum, &why)) == 1)
		rc = check_sum(p, last, sum);
	if (rc == -EBADMSG) {
		prover_fault(p, PROOF_BYTES, "SHA256SUMS", "%s", why.text);
		rc = 0;
	}
	for (size_t i = 0; i < p->file_count && rc == 0; i++)
		if (!p->files[i].named && p->files[i].kind != FILE_OWN &&
		    p->files[i].kind != FILE_SUMS)
			prover_fault(p, PROOF_BYTES, p->files[i].path,
				     "SHA256SUMS does not name it");
	return rc;
}

static int read_info(struct prover *p)
{
	AUTO(buf_release) struct buf text = BUF_INIT(CHECKPOINT_INFO_MAX);
	struct err why = ERR_INIT;
	int rc = file_get(p, "info", CHECKPOINT_INFO_MAX, &text, &why);

	if (rc < 0)
		return rc;
	if (rc == 1) {
		rc = checkpoint_info_read(buf_slice(&text), &p->out->info, &why);
		if (rc == -ENOMEM)
			return err_set(p->err, rc, "info: no memory");
		rc = rc == 0;
	}
	if (rc == 0) {
		prover_fault(p, PROOF_BYTES, "info", "%s", why.text);
		memset(&p->out->info, 0, sizeof p->out->info);
		return 0;
	}
	p->ops = chain_kind(p->out->info.kind);
	return 0;
}

static bool has_shard(const struct prover *p, uint32_t shard)
{
	for (uint32_t i = 0; i < p->out->info.shard_count; i++)
		if (p->out->info.shards[i].shard == shard)
			return true;
	return false;
}

/* Files that info leaves no place for. */
static void check_places(struct prover *p)
{
	const struct checkpoint_info *info = &p->out->info;

	for (size_t i = 0; i < p->file_count && info->shard_count; i++) {
		const struct file *f = &p->files[i];
		bool own = f->kind == FILE_INFO || f->kind == FILE_SUMS || f->kind == FILE_OWN;
		bool hyper = f->kind == FILE_RETAINED ||
			     (f->kind == FILE_RULES && strstr(f->path, "/hyper.pb"));
		const char *suffix = f->kind == FILE_BLOCK ? strchr(f->path, '.') : NULL;

		if (!own && !has_shard(p, f->shard))
			prover_fault(p, PROOF_BYTES, f->path, "of a shard that info does not name");
		else if (hyper && !info->hyper)
			prover_fault(p, PROOF_BYTES, f->path, "hyper's own, which is off by info");
		else if (suffix && p->ops && strcmp(suffix, p->ops->block_suffix) != 0)
			prover_fault(p, PROOF_BYTES, f->path, "no file of a checkpoint");
	}
}

static int prove_bytes(struct prover *p)
{
	int rc = check_sums(p);

	if (rc == 0)
		rc = read_info(p);
	if (rc < 0)
		return rc;
	check_places(p);
	prover_say(p, PROOF_BYTES, VERDICT_OK, "%zu files, %" PRIu64 " bytes", p->file_count,
		   p->out->bytes);
	return 0;
}

/* ---- parameters ---- */

static int find_params(struct prover *p, const struct chain_params *given)
{
	AUTO(buf_release) struct buf text = BUF_INIT(PARAMS_MAX);
	struct err why = ERR_INIT;
	int rc;

	p->params = given;
	if (given)
		return 0;
	rc = file_get(p, "evidence/network.json", PARAMS_MAX, &text, &why);
	if (rc == 1)
		rc = p->ops->params_parse(buf_slice(&text), &p->own_params, &why);
	if (rc == -ENOMEM)
		return err_note(p->err, rc, "parameters");
	p->params = p->own_params;
	if (!p->params)
		prover_fault(p, PROOF_COMMITS, "evidence/network.json", "%s", why.text);
	return 0;
}

/* ---- blocks and commits ---- */

/* What info says of it, and what its own levels say; false when it is not right. */
static bool block_is(struct prover *p, const char *path, const struct checkpoint_shard *s,
		     const struct chain_block *b)
{
	static const enum level needed[] = { LEVEL_STRUCTURE, LEVEL_HEADER, LEVEL_MESSAGES };

	for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
		const struct level_result *l = &b->levels[needed[i]];

		if (l->verdict == VERDICT_FAILED) {
			prover_fault(p, PROOF_BLOCKS, path, "%s", l->reason);
			return false;
		}
		if (l->verdict != VERDICT_OK)
			prover_say(p, PROOF_BLOCKS, l->verdict, "%s: %s", path, l->reason);
	}
	const char *other = b->shard != s->shard                       ? "shard"
			    : b->height != s->height                   ? "height"
			    : memcmp(b->hash, s->hash, HASH_SIZE) != 0 ? "hash"
			    : b->time != s->time                       ? "time"
			    : b->root_size != s->legacy.root_size ||
					    memcmp(b->root, s->legacy.root, b->root_size) != 0
				    ? "root"
				    : NULL;

	if (other)
		prover_fault(p, PROOF_BLOCKS, path, "its %s is not the one of info", other);
	return !other;
}

static int prove_block(struct prover *p, uint32_t place)
{
	const struct checkpoint_shard *s = &p->out->info.shards[place];
	AUTO(buf_release) struct buf canonical = BUF_INIT(BLOCK_SIZE_MAX);
	AUTO(buf_release) struct buf certificate = BUF_INIT(BLOCK_SIZE_MAX);
	AUTO(chain_block_freep) struct chain_block *b = NULL;
	char path[CHECKPOINT_PATH_MAX], commits[CHECKPOINT_PATH_MAX];
	struct err why = ERR_INIT, none = ERR_INIT;
	int rc;

	snprintf(path, sizeof path, "blocks/%" PRIu32 "%s", s->shard, p->ops->block_suffix);
	snprintf(commits, sizeof commits, "evidence/commits-%" PRIu32 "%s", s->shard,
		 p->ops->block_suffix);
	rc = file_get(p, path, BLOCK_SIZE_MAX, &canonical, &why);
	if (rc == 1)
		rc = file_get(p, commits, BLOCK_SIZE_MAX, &certificate, &none) < 0 ? -ENOMEM : 1;
	if (rc == 1) {
		rc = p->ops->decode(p->params, s->shard == 0, true, &canonical, &certificate, &b,
				    &why);
		if (rc == -ENOMEM)
			return err_note(p->err, rc, "%s", path);
		rc = rc == 0;
	}
	if (rc < 0)
		return rc;
	if (rc == 0) {
		prover_fault(p, PROOF_BLOCKS, path, "%s", why.text);
		return 0;
	}
	const struct level_result *commit = &b->levels[LEVEL_COMMIT];

	if (commit->verdict == VERDICT_FAILED)
		prover_fault(p, PROOF_COMMITS, commits, "%s", commit->reason);
	if (block_is(p, path, s, b))
		p->blocks[place] = TAKE(b);
	return 0;
}

static const struct chain_witness *witness_of(const struct chain_block *main, uint32_t shard)
{
	for (size_t i = 0; i < main->witness_count; i++)
		if (main->witnesses[i].shard == shard && main->witnesses[i].height)
			return &main->witnesses[i];
	return NULL;
}

static void check_witnesses(struct prover *p, const char *path)
{
	const struct checkpoint_info *info = &p->out->info;
	const struct chain_block *main = p->blocks[0];
	size_t witnessed = 0;

	for (size_t i = 0; i < main->witness_count; i++)
		witnessed += main->witnesses[i].height > 0;
	if (witnessed != info->shard_count - 1)
		prover_fault(p, PROOF_BLOCKS, path, "witnesses %zu shards, info has %" PRIu32,
			     witnessed, info->shard_count - 1);
	for (uint32_t i = 1; i < info->shard_count; i++) {
		const struct checkpoint_shard *s = &info->shards[i];
		const struct chain_witness *w = witness_of(main, s->shard);

		if (w && w->height == s->height && memcmp(w->hash, s->hash, HASH_SIZE) == 0)
			continue;
		prover_fault(p, PROOF_BLOCKS, path,
			     "does not witness shard %" PRIu32 " as info has it", s->shard);
		chain_block_freep(&p->blocks[i]); /* nothing ties it to what is signed */
	}
}

static void say_commits(struct prover *p)
{
	const struct chain_block *main = p->blocks[0];
	uint32_t without = 0;

	if (!main) {
		prover_say(p, PROOF_COMMITS, VERDICT_PENDING, "the main block did not verify");
		return;
	}
	for (uint32_t i = 1; i < p->out->info.shard_count; i++)
		without += p->blocks[i] &&
			   p->blocks[i]->levels[LEVEL_COMMIT].verdict == VERDICT_ABSENT;
	const struct level_result *l = &main->levels[LEVEL_COMMIT];
	char others[64] = "";

	if (without)
		snprintf(others, sizeof others, "; %" PRIu32 " shards by its witness alone",
			 without);
	prover_say(p, PROOF_COMMITS, l->verdict, "%s%s%s", l->reason, others,
		   p->own_params && l->verdict == VERDICT_OK
			   ? "; validators of evidence/, which vouches for itself"
			   : "");
}

static int prove_blocks(struct prover *p)
{
	char path[CHECKPOINT_PATH_MAX];
	int rc = 0;

	prover_say(p, PROOF_BLOCKS, VERDICT_OK, "%s", "");
	for (uint32_t i = 0; i < p->out->info.shard_count && rc == 0; i++)
		rc = prove_block(p, i);
	if (rc < 0)
		return rc;
	snprintf(path, sizeof path, "blocks/0%s", p->ops->block_suffix);
	if (p->blocks[0])
		check_witnesses(p, path);
	say_commits(p);
	return 0;
}

/* ---- all of it ---- */

static void prover_release(struct prover *p)
{
	for (uint32_t i = 0; i < SHARD_MAX; i++)
		chain_block_freep(&p->blocks[i]);
	if (p->own_params)
		p->ops->params_free(p->own_params);
	base_closep(&p->folder);
	free(p->files);
}

static int prove_rest(struct prover *p, const struct chain_params *params)
{
	int rc;

	for (int l = PROOF_BLOCKS; l < PROOF_COUNT; l++)
		prover_say(p, (enum proof_level)l, VERDICT_PENDING, "info does not tell of what");
	if (!p->out->info.shard_count)
		return 0;
	for (int l = PROOF_BLOCKS; l < PROOF_COUNT && !p->ops; l++)
		prover_say(p, (enum proof_level)l, VERDICT_UNSUPPORTED,
			   "of a kind that this program does not know");
	if (!p->ops)
		return 0;
	rc = find_params(p, params);
	for (int l = PROOF_BLOCKS; l <= PROOF_RECORDS && !p->params; l++)
		prover_say(p, (enum proof_level)l, VERDICT_PENDING, "no parameters of the network");
	if (rc == 0 && p->params)
		rc = prove_blocks(p);
	if (rc == 0 && p->params)
		rc = prove_records(p);
	if (rc == 0)
		rc = prove_root(p, CONTEXT_LEGACY);
	return rc < 0 ? rc : prove_root(p, CONTEXT_HYPER);
}

int checkpoint_prove_each(const char *folder, const struct chain_params *params,
			  const atomic_bool *stop, proof_fault *fault, void *arg, struct proof *out,
			  struct err *err)
{
	struct err own = ERR_INIT;
	AUTO(prover_release)
	struct prover p = {
		.folder = -1,
		.stop = stop,
		.fault = fault,
		.fault_arg = arg,
		.out = out,
		.err = err ? err : &own,
	};

	memset(out, 0, sizeof *out);
	int rc = list_files(&p, folder);

	if (rc == 0)
		rc = prove_bytes(&p);
	if (rc == 0)
		rc = prove_rest(&p, params);
	count_faults(&p);
	return rc;
}

int checkpoint_prove(const char *folder, const struct chain_params *params, const atomic_bool *stop,
		     struct proof *out, struct err *err)
{
	return checkpoint_prove_each(folder, params, stop, NULL, NULL, out, err);
}
