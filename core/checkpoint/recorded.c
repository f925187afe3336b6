#include "core/checkpoint/recorded.h"

#include "core/base/files.h"
#include "core/sync/archive.h"

#include <cjson/cJSON.h>
#include <fcntl.h>
#include <stdio.h>
#include <zstd.h>

#define PATH_SIZE 4096
#define INDEX_MAX (256u << 20)
#define WINDOW    256u /* blocks of a data shard that are kept */

struct answer {
	uint32_t vshard, page;
	bool refused;
	size_t offset, size;
};

struct pages {
	bool read;
	struct answer *list;
	size_t count;
	struct files_held file;
	struct buf unpacked;
	struct slice bytes;
};

struct blocks {
	uint64_t next;  /* of shard 0: the height that its stream gives next */
	uint64_t first; /* of the others: heights of the window */
	struct buf window[WINDOW];
};

struct recorded {
	char folder[PATH_SIZE];
	const struct chain_ops *ops;
	struct archive *archive; /* NULL: there are no blocks */
	uint64_t height;
	struct buf json;
	struct pages pages[SHARD_MAX];
	struct blocks blocks[SHARD_MAX];
};

static void json_freep(cJSON **j)
{
	cJSON_Delete(*j);
	*j = NULL;
}

/* ---- files ---- */

static int path_of(const struct recorded *r, char out[PATH_SIZE], struct err *err,
		   const char *format, uint32_t shard)
{
	char name[64];

	snprintf(name, sizeof name, "%s-%u.%s", format, shard,
		 strcmp(format, "index") == 0      ? "json"
		 : strcmp(format, "metadata") == 0 ? "pb"
						   : "pbs");
	if ((size_t)snprintf(out, PATH_SIZE, "%s/%s", r->folder, name) >= PATH_SIZE)
		return err_set(err, -ENAMETOOLONG, "%s: the path is too long", r->folder);
	return 0;
}

static int read_json(const char *path, cJSON **out, struct err *err)
{
	AUTO(buf_release) struct buf text = BUF_INIT(INDEX_MAX);
	int rc = files_read_plain(AT_FDCWD, path, INDEX_MAX, &text, err);

	if (rc < 0)
		return rc;
	*out = cJSON_ParseWithLength((const char *)text.p, text.n);
	return *out ? 0 : err_set(err, -EBADMSG, "%s is not JSON", path);
}

static int unpack(const char *path, struct slice packed, struct buf *out, struct err *err)
{
	ZSTD_DStream *z = ZSTD_createDStream();
	ZSTD_inBuffer in = { packed.p, packed.n, 0 };
	size_t left = z ? 1 : 0;
	int rc = z ? 0 : -ENOMEM;

	while (rc == 0 && (in.pos < in.size || left)) {
		uint8_t piece[64 << 10];
		ZSTD_outBuffer o = { piece, sizeof piece, 0 };
		size_t before = in.pos;

		left = ZSTD_decompressStream(z, &o, &in);
		if (ZSTD_isError(left) || (in.pos == before && !o.pos))
			rc = in.pos == in.size && !ZSTD_isError(left) ? 1 : -EBADMSG;
		buf_bytes(out, piece, o.pos);
	}
	ZSTD_freeDStream(z);
	if (rc == 0 || (rc == 1 && !left))
		rc = buf_done(out);
	else if (rc == 1)
		rc = -EBADMSG;
	return rc < 0 ? err_set(err, rc, "%s does not unpack", path) : 0;
}

static int hold_packed(char path[PATH_SIZE], struct files_held *out, struct err *err)
{
	size_t n = strlen(path);

	if (n + 5 > PATH_SIZE)
		return err_set(err, -ENAMETOOLONG, "%s: the path is too long", path);
	memcpy(path + n, ".zst", 5);
	int rc = files_hold(AT_FDCWD, path, out);

	return rc < 0 ? err_set(err, rc, "%s: %s", path, strerror(-rc)) : 0;
}

/* The stream of answers, plain or packed. */
static int hold_answers(struct recorded *r, uint32_t shard, char path[PATH_SIZE], struct err *err)
{
	struct pages *p = &r->pages[shard];
	int rc = files_hold(AT_FDCWD, path, &p->file);

	p->bytes = p->file.bytes;
	if (rc != -ENOENT)
		return rc < 0 ? err_set(err, rc, "%s: %s", path, strerror(-rc)) : 0;
	rc = hold_packed(path, &p->file, err);
	if (rc < 0)
		return rc;
	p->unpacked = (struct buf)BUF_INIT(RECORDED_SIZE_MAX);
	rc = unpack(path, p->file.bytes, &p->unpacked, err);
	p->bytes = buf_slice(&p->unpacked);
	files_let_go(&p->file);
	return rc;
}

static double number(const cJSON *row, int i)
{
	const cJSON *n = cJSON_GetArrayItem(row, i);

	return cJSON_IsNumber(n) ? n->valuedouble : -2;
}

static int read_index(struct pages *p, const cJSON *json, const char *path, struct err *err)
{
	struct rd in = rd_of(p->bytes);
	const cJSON *row;

	p->list = calloc((size_t)MAX(cJSON_GetArraySize(json), 1), sizeof *p->list);
	if (!p->list)
		return err_set(err, -ENOMEM, "%s: no memory", path);
	cJSON_ArrayForEach(row, json)
	{
		struct answer *a = &p->list[p->count];
		double vshard = number(row, 0), page = number(row, 1), bytes = number(row, 2);

		if (vshard < 0 || page < 0 || bytes < -1)
			return err_set(err, -EBADMSG,
				       "%s: request %zu is no [vshard, page, bytes, …]", path,
				       p->count);
		*a = (struct answer){ .vshard = (uint32_t)vshard,
				      .page = (uint32_t)page,
				      .refused = bytes < 0 };
		if (!a->refused) {
			struct slice message = rd_blob(&in);

			if (!rd_ok(&in))
				return err_set(err, -EBADMSG,
					       "%s: the answer to request %zu is cut", path,
					       p->count);
			a->offset = message.n ? (size_t)(message.p - p->bytes.p) : 0;
			a->size = message.n;
		}
		p->count++;
	}
	return 0;
}

static int read_pages(struct recorded *r, uint32_t shard, struct err *err)
{
	AUTO(json_freep) cJSON *json = NULL;
	char path[PATH_SIZE];

	if (r->pages[shard].read)
		return 0;
	int rc = path_of(r, path, err, "index", shard);

	if (rc == 0)
		rc = read_json(path, &json, err);
	if (rc == 0)
		rc = path_of(r, path, err, "shard", shard);
	if (rc == 0)
		rc = hold_answers(r, shard, path, err);
	if (rc == 0)
		rc = read_index(&r->pages[shard], json, path, err);
	r->pages[shard].read = rc == 0;
	return rc;
}

/* ---- what is asked ---- */

static int give_metadata(void *arg, uint32_t shard, struct buf *out, struct err *err)
{
	AUTO(files_let_go) struct files_held file = FILES_HELD_NONE;
	struct recorded *r = arg;
	char path[PATH_SIZE];
	int rc = path_of(r, path, err, "metadata", shard);

	if (rc == 0)
		rc = files_read_plain(AT_FDCWD, path, out->size_max, out, err);
	if (rc != -ENOENT)
		return rc;
	rc = hold_packed(path, &file, err);
	return rc < 0 ? rc : unpack(path, file.bytes, out, err);
}

/* The token is that of the answer before. */
static int follows(const struct recorded *r, const struct pages *p, size_t i, struct slice token)
{
	struct chain_page page;

	if (!token.n)
		return p->list[i].page == 0;
	if (p->list[i].page == 0 || i == 0 || p->list[i - 1].vshard != p->list[i].vshard ||
	    p->list[i - 1].refused)
		return 0;
	int rc = r->ops->replica_page(
		SLICE(p->bytes.p + p->list[i - 1].offset, p->list[i - 1].size), &page, NULL);

	if (rc < 0)
		return 0;
	rc = slice_eq(page.token, token);
	r->ops->replica_page_release(&page);
	return rc;
}

static int give_page(void *arg, uint32_t shard, uint64_t height, uint32_t vshard,
		     struct slice token, struct buf *out, struct err *err)
{
	struct recorded *r = arg;
	const struct pages *p = &r->pages[shard];
	int rc = read_pages(r, shard, err);

	if (rc < 0)
		return rc;
	if (r->height && height != r->height)
		return err_set(err, -EHOSTUNREACH, "pages are recorded of height %" PRIu64 " alone",
			       r->height);
	for (size_t i = 0; i < p->count; i++) {
		if (p->list[i].vshard != vshard || !follows(r, p, i, token))
			continue;
		if (p->list[i].refused)
			return err_set(err, -ENODATA, "the node refused the page");
		buf_add(out, SLICE(p->bytes.p + p->list[i].offset, p->list[i].size));
		return buf_done(out);
	}
	return err_set(err, -EHOSTUNREACH, "the page is not recorded");
}

/* ---- blocks ---- */

static int next_block(struct recorded *r, uint32_t shard, struct buf *out, uint64_t *height,
		      struct err *err)
{
	struct chain_peek peek;

	buf_release(out);
	*out = (struct buf)BUF_INIT(BLOCK_SIZE_MAX);
	int rc = archive_next(r->archive, shard, out, err);

	if (rc != 1)
		return rc;
	rc = r->ops->peek(buf_slice(out), shard == 0, &peek, err);
	*height = peek.height;
	return rc < 0 ? rc : 1;
}

static int give_main(struct recorded *r, uint64_t height, struct buf *out, struct err *err)
{
	struct blocks *b = &r->blocks[0];
	uint64_t at = 0;
	int rc = 0;

	if (!b->next || b->next > height) {
		rc = archive_rewind(r->archive, 0, err);
		b->next = 1;
	}
	while (rc == 0 && (rc = next_block(r, 0, out, &at, err)) == 1 && at < height)
		rc = 0;
	b->next = at + 1;
	return rc == 1 && at != height ? 0 : rc;
}

/* The last WINDOW blocks up to the height. */
static int read_window(struct recorded *r, uint32_t shard, uint64_t height, struct err *err)
{
	struct blocks *b = &r->blocks[shard];
	uint64_t at = 0;
	int rc = archive_rewind(r->archive, shard, err);

	for (size_t i = 0; i < WINDOW; i++)
		buf_release(&b->window[i]);
	b->first = height >= WINDOW ? height - WINDOW + 1 : 1;
	while (rc == 0 && at < height) {
		AUTO(buf_release) struct buf message = BUF_INIT(BLOCK_SIZE_MAX);

		rc = next_block(r, shard, &message, &at, err);
		if (rc != 1)
			break;
		rc = 0;
		if (at >= b->first && at <= height) {
			struct buf *place = &b->window[at % WINDOW];

			buf_release(place);
			*place = message;
			message = (struct buf)BUF_INIT(0);
		}
	}
	return MIN(rc, 0);
}

static int give_block(void *arg, uint32_t shard, uint64_t height, struct buf *out, struct err *err)
{
	struct recorded *r = arg;

	if (!r->archive || !archive_has(r->archive, shard))
		return 0;
	if (shard == 0)
		return give_main(r, height, out, err);
	struct blocks *b = &r->blocks[shard];
	int rc = 0;

	if (!b->first || height < b->first || height >= b->first + WINDOW)
		rc = read_window(r, shard, height, err);
	if (rc < 0 || !b->window[height % WINDOW].n)
		return rc;
	buf_add(out, buf_slice(&b->window[height % WINDOW]));
	rc = buf_done(out);
	return rc < 0 ? rc : 1;
}

/* ---- life ---- */

struct replica recorded_replica(struct recorded *r)
{
	return (struct replica){
		.arg = r, .metadata = give_metadata, .page = give_page, .block = give_block
	};
}

uint64_t recorded_height(const struct recorded *r)
{
	return r->height;
}

struct slice recorded_config(const struct recorded *r)
{
	return r->json.n    ? buf_slice(&r->json)
	       : r->archive ? archive_config(r->archive)
			    : SLICE_EMPTY;
}

void recorded_closep(struct recorded **r)
{
	if (!*r)
		return;
	for (size_t s = 0; s < SHARD_MAX; s++) {
		files_let_go(&(*r)->pages[s].file);
		buf_release(&(*r)->pages[s].unpacked);
		free((*r)->pages[s].list);
		for (size_t i = 0; i < WINDOW; i++)
			buf_release(&(*r)->blocks[s].window[i]);
	}
	archive_closep(&(*r)->archive);
	buf_release(&(*r)->json);
	free(*r);
	*r = NULL;
}

static int read_height(struct recorded *r, struct err *err)
{
	AUTO(json_freep) cJSON *json = NULL;
	char path[PATH_SIZE + 16];
	const cJSON *shard;

	snprintf(path, sizeof path, "%s/fetch.json", r->folder);
	int rc = read_json(path, &json, err);

	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	cJSON_ArrayForEach(shard, cJSON_GetObjectItem(json, "shards"))
	{
		const cJSON *h = cJSON_GetObjectItem(shard, "height");

		if (cJSON_IsNumber(h) && h->valuedouble > 0)
			r->height = (uint64_t)h->valuedouble;
	}
	return 0;
}

static int open_archive(struct recorded *r, struct err *err)
{
	struct err ignored = ERR_INIT;
	char above[PATH_SIZE + 8];
	int rc = archive_open(r->folder, &r->archive, &ignored);

	if (rc != -ENODATA)
		return rc < 0 ? err_set(err, rc, "%s", err_text(&ignored, rc)) : 0;
	snprintf(above, sizeof above, "%s/..", r->folder);
	rc = archive_open(above, &r->archive, &ignored);
	return rc == -ENODATA ? 0 : rc < 0 ? err_set(err, rc, "%s", err_text(&ignored, rc)) : 0;
}

int recorded_open(const char *folder, const struct chain_ops *ops, struct recorded **out,
		  struct err *err)
{
	AUTO(recorded_closep) struct recorded *r = calloc(1, sizeof *r);
	char path[PATH_SIZE + 16];

	if (!r)
		return err_set(err, -ENOMEM, "%s: no memory", folder);
	for (size_t s = 0; s < SHARD_MAX; s++)
		for (size_t i = 0; i < WINDOW; i++)
			r->blocks[s].window[i] = (struct buf)BUF_INIT(BLOCK_SIZE_MAX);
	r->ops = ops;
	r->json = (struct buf)BUF_INIT(ARCHIVE_CONFIG_SIZE_MAX);
	if ((size_t)snprintf(r->folder, sizeof r->folder, "%s", folder) >= sizeof r->folder)
		return err_set(err, -ENAMETOOLONG, "%s: the path is too long", folder);
	snprintf(path, sizeof path, "%s/network.json", folder);
	int rc = files_read_plain(AT_FDCWD, path, ARCHIVE_CONFIG_SIZE_MAX, &r->json, err);

	if (rc == -ENOENT)
		rc = 0;
	if (rc == 0)
		rc = read_height(r, err);
	if (rc == 0)
		rc = open_archive(r, err);
	if (rc < 0)
		return rc;
	*out = TAKE(r);
	return 0;
}
