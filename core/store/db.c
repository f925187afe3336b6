#include "core/store/db.h"

#include "core/base/clock.h"
#include "core/base/trace.h"
#include "core/store/room.h"
#include "core/store/salvage.h"
#include "core/store/tiers.h"

#include <rocksdb/c.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define FILTER_BITS          10            /* a key: one absent key in a hundred costs a read */
/* Keys of a block from one that is written whole to the next. RocksDB's own 16 take a sixtieth more;
 * a search walks over some tens of keys more, which no measurement told from noise. */
#define RESTART_INTERVAL     64
#define FILE_SIZE            (64u << 20)
#define WAL_SIZE_MAX         (192u << 20)  /* what a start after a kill has to replay at most */
/* Rows of all families of a database that no file holds yet, before the fullest family is written
 * out: two thirds of the cache, within these. */
#define WRITE_MEMORY_MIN     (16u << 20) /* less makes thousands of small files */
#define WRITE_MEMORY_MAX     (128u << 20)
#define BYTES_PER_SYNC       (1u << 20)
#define OPEN_FILES_MAX       400           /* of 1,024 descriptors, for each network */
#define POOL_SIZE_MAX        8             /* idle iterators of a family and order */
#define ITERATOR_AGE_MAX_MS  10000
#define QUIET_POLL_US        5000
#define LOG_SIZE_MAX         (1u << 20)
#define ZSTD_LEVEL           3
#define ZSTD_WINDOW_DEFAULT  (-14)         /* RocksDB's own word for "the library decides" */
#define RECOVERY_POINT_IN_TIME 2           /* kPointInTimeRecovery */
#define LOG_LEVEL_WARN       2
#define PACKED_AT_CLOSE_MAX  (32u << 20)  /* half a second of work */
#define SETTLE_SHARE         8            /* a close may take this part of the time it was open */
#define SETTLE_MS_MAX        5000u
#define SETTLE_POLL_US       20000
#define SETTLE_IDLE_MS       500
#define EPOCH_BITS            40            /* writes of one database while it is open */
#define ROOM_TO_TIDY         (16u << 20)
#define MANIFEST_STEP        (64u << 10)
#define COMPACT_FORCE        2               /* kForce */

struct db_cache {
	rocksdb_cache_t *lru;
	size_t           write_memory; /* of each database that is opened with it */
};

struct db_batch {
	const struct db       *db;
	rocksdb_writebatch_t  *batch;
};

/* Room for a key in the other form. */
struct other_key {
	uint8_t bytes[ROW_STORED_KEY_MAX];
};

struct db_iter {
	struct db          *db;
	rocksdb_iterator_t *it;
	struct slice        key; /* where it stands */
	uint64_t            epoch, made_ms;
	enum family         family;
	enum db_order       order;
	struct db_iter     *next; /* in the pool */
	struct other_key *other;  /* where it stands, unpacked; NULL: nothing is packed */
};

/* Iterators that were put back, for whoever asks next: making one costs as much as a read. */
struct pool {
	struct db_iter *idle;
	size_t          count;
};

struct db {
	rocksdb_t                       *rocks;
	char                            *path;
	rocksdb_options_t               *options;
	rocksdb_column_family_handle_t  *handles[FAMILY_COUNT];
	rocksdb_options_t               *family_options[FAMILY_COUNT];
	rocksdb_block_based_table_options_t *tables[FAMILY_COUNT];
	rocksdb_readoptions_t           *read_ordered, *read_stem;
	rocksdb_writeoptions_t          *write;
	_Atomic uint64_t                 epoch;
	uint64_t                         epoch_first, opened_ms;
	bool packed;
	void (*on_damage)(void *arg, const char *file, const char *words);
	void *on_damage_arg;

	pthread_mutex_t                  pool_lock; /* guards pools; a leaf */
	struct pool                      pools[FAMILY_COUNT][DB_ORDER_COUNT];
};

#ifdef __SANITIZE_THREAD__
/* RocksDB and the zstd below it are not instrumented: the checker sees their copies and not the
 * atomics that order them. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "called_from_lib:librocksdb.so\ncalled_from_lib:libzstd.so\n";
}
#endif

#define FILE_NAME_SIZE 64

/* Which file its words are of: the last part of a path of ours that they name. */
static void file_of(const char *words, const char *folder, char out[FILE_NAME_SIZE])
{
	const char *at = strstr(words, folder);

	out[0] = 0;
	if (!at)
		return;
	at += strlen(folder);
	at += strspn(at, "/");
	snprintf(out, FILE_NAME_SIZE, "%.*s", (int)strcspn(at, " :,;/\n"), at);
}

/* Turns RocksDB's words into a code, and frees them. db NULL: of none that is open. */
static int fault(const struct db *db, char *words, struct err *err)
{
	/* What fails a checksum or does not parse is damaged; else it could not be read. */
	int rc = strstr(words, "No space left")		 ? -ENOSPC :
		 strstr(words, "While lock file")	 ? -EBUSY :
		 strstr(words, "Permission denied")	 ? -EACCES :
		 strncmp(words, "Corruption", 10) == 0 ? -EBADMSG :
							 -EIO;

	bool told = rc == -EBADMSG && db && db->on_damage;

	if (told) {
		char file[FILE_NAME_SIZE];

		file_of(words, db->path, file);
		db->on_damage(db->on_damage_arg, file, words);
	}
	if (err)
		err_set(err, rc, "database: %s%s",
			rc == -EBUSY ? "another process has it open: " : "", words);
	else if (!told)
		trace_error("store", "the database reports an error", "words=%s", words);
	rocksdb_free(words);
	return rc;
}

/* ---- cache ---- */

struct db_cache *db_cache_new(size_t bytes)
{
	struct db_cache *c = malloc(sizeof *c);

	if (!c)
		return NULL;
	c->lru = rocksdb_cache_create_lru(bytes);
	c->write_memory =
		MIN(MAX(bytes / 3 * 2, (size_t)WRITE_MEMORY_MIN), (size_t)WRITE_MEMORY_MAX);
	return c;
}

void db_cache_freep(struct db_cache **c)
{
	if (*c)
		rocksdb_cache_destroy((*c)->lru);
	free(*c);
	*c = NULL;
}

/* ---- options, each with its reason ---- */

/* A row's stem is its key without the place: filters then know keys and not versions, so that a key
 * that was never written costs no read. */
static char *stem(void *state, const char *key, size_t n, size_t *out_n)
{
	*out_n = key_row_stem(SLICE(key, n));
	return (char *)(uintptr_t)key;
}

static unsigned char has_stem(void *state, const char *key, size_t n)
{
	return key_row_stem(SLICE(key, n)) > 0;
}

static unsigned char no_range(void *state, const char *key, size_t n)
{
	return 0;
}

static const char *stem_name(void *state)
{
	return "chainfs.stem"; /* stands in the files: another name would ignore their filters */
}

static void keep(void *state)
{
}

static rocksdb_block_based_table_options_t *table_options(enum family f, rocksdb_cache_t *cache)
{
	const struct family_rules *rules = &families[f];
	rocksdb_block_based_table_options_t *t = rocksdb_block_based_options_create();

	rocksdb_block_based_options_set_block_cache(t, cache);
	rocksdb_block_based_options_set_block_size(t, rules->block_size);
	rocksdb_block_based_options_set_block_restart_interval(t, RESTART_INTERVAL);
	/* Indexes and filters count as cache, so that memory has one bound however big the store
	 * is; those of the newest files stay, since every read asks them. */
	rocksdb_block_based_options_set_cache_index_and_filter_blocks(t, 1);
	rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(t, 1);
	rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(t, 1);
	rocksdb_block_based_options_set_format_version(t, 5); /* the filter that is exact */
	/* What is merged gets filters that say as much in a third less, for more work once. */
	if (rules->filter)
		rocksdb_block_based_options_set_filter_policy(
			t, rocksdb_filterpolicy_create_ribbon_hybrid(FILTER_BITS, 0));
	rocksdb_block_based_options_set_whole_key_filtering(t, !rules->placed);
	return t;
}

static rocksdb_options_t *family_options(enum family f, rocksdb_block_based_table_options_t *table)
{
	const struct family_rules *rules = &families[f];
	rocksdb_options_t *o = rocksdb_options_create();

	rocksdb_options_set_block_based_table_factory(o, table);
	rocksdb_options_set_write_buffer_size(o, rules->write_buffer_size);
	rocksdb_options_set_max_write_buffer_number(o, 3); /* fill one while one is written out */
	rocksdb_options_set_target_file_size_base(o, FILE_SIZE);
	/* Levels sized from the last one up: obsolete bytes stay at a tenth of the whole. */
	rocksdb_options_set_level_compaction_dynamic_level_bytes(o, 1);
	/* zstd on every level: our rows are small and alike, unpacking is rare behind the cache,
	 * and a small store has most of its bytes on the upper levels. */
	rocksdb_options_set_compression(o, rocksdb_zstd_compression);
	rocksdb_options_set_compression_options(o, ZSTD_WINDOW_DEFAULT, ZSTD_LEVEL, 0, 0);
	/* What is written out of memory is merged soon; what lies on the last level stays. */
	rocksdb_options_set_bottommost_compression(o, rocksdb_zstd_compression);
	rocksdb_options_set_bottommost_compression_options(o, ZSTD_WINDOW_DEFAULT,
							   rules->zstd_level, 0, 0, 1);
	rocksdb_options_set_optimize_filters_for_hits(o, rules->mostly_hits);
	if (rules->placed) {
		rocksdb_options_set_prefix_extractor(
			o, rocksdb_slicetransform_create(NULL, keep, stem, has_stem, no_range,
							 stem_name));
		/* The same for what is still in memory. */
		rocksdb_options_set_memtable_prefix_bloom_size_ratio(o, 0.05);
	}
	return o;
}

/* The C interface has no other way to this one. `o` is taken over. */
static rocksdb_options_t *without_fallocate(rocksdb_options_t *o)
{
	rocksdb_options_t *out = rocksdb_options_create();
	char *words = NULL;

	rocksdb_get_options_from_string(o, "allow_fallocate=false", out, &words);
	if (!words) {
		rocksdb_options_destroy(o);
		return out;
	}
	trace_warn("store", "the database's log takes room in advance", "why=\"%s\"", words);
	rocksdb_free(words);
	rocksdb_options_destroy(out);
	return o;
}

static rocksdb_options_t *database_options(const struct db_options *options)
{
	rocksdb_options_t *o = rocksdb_options_create();
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	rocksdb_options_set_create_if_missing(o, options->create);
	rocksdb_options_set_error_if_exists(o, options->create);
	rocksdb_options_set_create_missing_column_families(o, 1); /* a format may gain families */
	rocksdb_options_set_paranoid_checks(o, 1); /* a damaged file is an error, not a guess */
	/* A log with a torn tail opens as of its last whole batch. A height that is lost so is a
	 * gap and is filled again; a store that does not open is not. */
	rocksdb_options_set_wal_recovery_mode(o, RECOVERY_POINT_IN_TIME);
	rocksdb_options_set_max_total_wal_size(o, WAL_SIZE_MAX);
	rocksdb_options_set_db_write_buffer_size(o, options->cache->write_memory);
	/* The disk gets files as they are written and not all at once at their end. */
	rocksdb_options_set_bytes_per_sync(o, BYTES_PER_SYNC);
	rocksdb_options_set_max_open_files(o, OPEN_FILES_MAX);
	rocksdb_options_set_max_background_jobs(o, (int)MAX(2, MIN(cpus, 4)));
	/* Its own log is for its developers: short, warnings only, no statistics. */
	rocksdb_options_set_info_log_level(o, LOG_LEVEL_WARN);
	rocksdb_options_set_max_log_file_size(o, LOG_SIZE_MAX);
	rocksdb_options_set_keep_log_file_num(o, 1);
	rocksdb_options_set_stats_dump_period_sec(o, 0);
	rocksdb_options_set_stats_persist_period_sec(o, 0);
	/* Opening reads no statistics out of every file: the mount answers sooner. So it does with
	 * one thread for a family's first files and not sixteen, which cost more to start than they
	 * save. */
	rocksdb_options_set_skip_stats_update_on_db_open(o, 1);
	rocksdb_options_set_max_file_opening_threads(o, 1);
	/* A log that takes 70 MB of the disk in advance leaves a small one full. */
	rocksdb_options_set_manifest_preallocation_size(o, MANIFEST_STEP);
	return without_fallocate(o);
}

/* ---- what its cache had ---- */

/* The library counts on each thread by itself, at no cost; what a thread has not told yet is told
 * by its next read. */
struct counted {
	rocksdb_perfcontext_t *of_thread;
	uint64_t hits, misses;
};
static pthread_key_t counted_key;
static pthread_once_t counted_once = PTHREAD_ONCE_INIT;
static _Thread_local struct counted *counted;

static void counted_end(void *at)
{
	rocksdb_perfcontext_destroy(((struct counted *)at)->of_thread);
	free(at);
}

static void counted_init(void)
{
	if (pthread_key_create(&counted_key, counted_end) != 0)
		trace_debug("store", "hits of the database's cache are not counted", "");
}

static bool counted_begin(void)
{
	pthread_once(&counted_once, counted_init);
	struct counted *own = calloc(1, sizeof *own);

	if (!own)
		return false;
	own->of_thread = rocksdb_perfcontext_create();
	if (pthread_setspecific(counted_key, own) != 0) {
		counted_end(own);
		return false;
	}
	counted = own;
	return true;
}

static void count_blocks(void)
{
	if (!counted && !counted_begin())
		return;
	struct counted *c = counted;
	uint64_t hits = rocksdb_perfcontext_metric(c->of_thread, rocksdb_block_cache_hit_count);
	uint64_t misses = rocksdb_perfcontext_metric(c->of_thread, rocksdb_block_read_count);

	if (hits == c->hits && misses == c->misses)
		return;
	tier_add(TIER_ROWS, hits - c->hits, misses - c->misses);
	c->hits = hits;
	c->misses = misses;
}

/* ---- iterators ---- */

static uint64_t epoch_of(const struct db *db)
{
	return atomic_load_explicit(&db->epoch, memory_order_acquire);
}

static void iter_free(struct db_iter *it)
{
	if (it->it)
		rocksdb_iter_destroy(it->it);
	free(it->other);
	free(it);
}

static bool is_packed(const struct db *db, enum family family)
{
	return db->packed && families[family].placed;
}

/* As the database has the key, or what lies where it would. */
static struct slice sought(const struct db *db, enum family family, struct slice key)
{
	return is_packed(db, family) ? key_row_pack(key) : key;
}

static bool is_own(const struct db *db, enum family family, struct slice key, struct slice stored)
{
	return !is_packed(db, family) || key_row_is_own(key, stored);
}

/* An iterator keeps files alive that compaction has replaced, so an old one is not kept. */
static bool is_current(const struct db_iter *it)
{
	return it->epoch == epoch_of(it->db) && clock_mono_ms() - it->made_ms < ITERATOR_AGE_MAX_MS;
}

static struct db_iter *pool_take(struct db *db, enum family family, enum db_order order)
{
	struct pool *p = &db->pools[family][order];

	LOCKED(&db->pool_lock);
	struct db_iter *it = p->idle;

	if (it) {
		p->idle = it->next;
		p->count--;
	}
	return it;
}

/* False: the pool is full. */
static bool pool_put(struct db_iter *it)
{
	struct pool *p = &it->db->pools[it->family][it->order];

	LOCKED(&it->db->pool_lock);
	if (p->count >= POOL_SIZE_MAX)
		return false;
	it->next = p->idle;
	p->idle = it;
	p->count++;
	return true;
}

static void pools_empty(struct db *db)
{
	struct db_iter *it;

	for (size_t f = 0; f < FAMILY_COUNT; f++)
		for (size_t o = 0; o < DB_ORDER_COUNT; o++)
			while ((it = pool_take(db, f, o)))
				iter_free(it);
}

int db_iter_new(struct db *db, enum family family, enum db_order order, struct db_iter **out)
{
	struct db_iter *it;

	while ((it = pool_take(db, family, order))) {
		if (is_current(it)) {
			*out = it;
			return 0;
		}
		iter_free(it);
	}
	it = calloc(1, sizeof *it);
	if (!it)
		return -ENOMEM;
	it->db = db;
	it->family = family;
	it->order = order;
	it->other = is_packed(db, family) ? malloc(sizeof *it->other) : NULL;
	if (is_packed(db, family) && !it->other) {
		iter_free(it);
		return -ENOMEM;
	}
	it->made_ms = clock_mono_ms();
	it->epoch = epoch_of(db); /* first: a write in between makes it look old, never new */
	it->it = rocksdb_create_iterator_cf(db->rocks,
					    order == DB_STEM ? db->read_stem : db->read_ordered,
					    db->handles[family]);
	*out = it;
	return 0;
}

void db_iter_freep(struct db_iter **at)
{
	struct db_iter *it = TAKE(*at);

	count_blocks();
	if (it && !(is_current(it) && pool_put(it)))
		iter_free(it);
}

uint64_t db_epoch(const struct db *db)
{
	return epoch_of(db);
}

bool db_iter_is_current(const struct db_iter *it)
{
	return it->epoch == epoch_of(it->db);
}

/* ---- opening ---- */

static int flush(struct db *db, struct err *err)
{
	rocksdb_flushoptions_t *o = rocksdb_flushoptions_create();
	char *words = NULL;

	rocksdb_flushoptions_set_wait(o, 1);
	for (size_t f = 0; f < FAMILY_COUNT && !words; f++)
		rocksdb_flush_cf(db->rocks, o, db->handles[f], &words);
	rocksdb_flushoptions_destroy(o);
	return words ? fault(db, words, err) : 0;
}

static bool any_family(struct db *db, const char *property)
{
	bool any = false;

	for (size_t f = 0; f < FAMILY_COUNT && !any; f++) {
		uint64_t n = 0;

		any = rocksdb_property_int_cf(db->rocks, db->handles[f], property, &n) == 0 && n;
	}
	return any;
}

/* After much was written files are still to be merged. Whoever opens next would do that beside its
 * reads, and one that is opened for moments only would begin with it each time and never finish.
 * A merge that is due and that nobody begins never will be: the disk is full, or it was
 * forbidden. */
static void settle(struct db *db)
{
	uint64_t now = clock_mono_ms(), seen = now;
	uint64_t end = now + MIN((now - db->opened_ms) / SETTLE_SHARE, SETTLE_MS_MAX);

	for (; now < end && now - seen < SETTLE_IDLE_MS; now = clock_mono_ms()) {
		if (any_family(db, "rocksdb.num-running-compactions"))
			seen = now;
		else if (!any_family(db, "rocksdb.compaction-pending"))
			return;
		usleep(SETTLE_POLL_US);
	}
}

/* So that the next open has no log to replay. Nothing is lost when it fails: it is all in the log.
 * A small store is packed besides, which big ones come to by themselves as they grow. */
static void tidy(struct db *db)
{
	uint64_t bytes = 0;

	if (room_free(db->path) < ROOM_TO_TIDY) /* nothing is begun that a full disk would end */
		return;
	if (flush(db, NULL) < 0)
		return;
	for (size_t f = 0; f < FAMILY_COUNT; f++)
		bytes += db_family_bytes(db, f);
	if (bytes <= PACKED_AT_CLOSE_MAX && room_free(db->path) >= ROOM_TO_TIDY + 2 * bytes)
		db_compact(db);
	else
		settle(db);
}

void db_closep(struct db **at)
{
	struct db *db = TAKE(*at);

	if (!db)
		return;
	pools_empty(db);
	if (db->rocks && epoch_of(db) != db->epoch_first)
		tidy(db);
	for (size_t f = 0; f < FAMILY_COUNT; f++)
		if (db->handles[f])
			rocksdb_column_family_handle_destroy(db->handles[f]);
	if (db->rocks)
		rocksdb_close(db->rocks);
	for (size_t f = 0; f < FAMILY_COUNT; f++) {
		if (db->family_options[f])
			rocksdb_options_destroy(db->family_options[f]);
		if (db->tables[f])
			rocksdb_block_based_options_destroy(db->tables[f]);
	}
	if (db->read_ordered)
		rocksdb_readoptions_destroy(db->read_ordered);
	if (db->read_stem)
		rocksdb_readoptions_destroy(db->read_stem);
	if (db->write)
		rocksdb_writeoptions_destroy(db->write);
	if (db->options)
		rocksdb_options_destroy(db->options);
	pthread_mutex_destroy(&db->pool_lock);
	free(db->path);
	free(db);
}

#define FORM_PACKED 1

/* The first row: no other is written before the form of all is known. */
static int write_form(struct db *db, struct err *err)
{
	AUTO(db_batch_freep) struct db_batch *batch = NULL;
	const uint8_t form = FORM_PACKED;

	if (db_batch_new(db, &batch) < 0)
		return err_set(err, -ENOMEM, "no memory for a batch");
	db_batch_put(batch, FAMILY_META, slice_str(META_FORM), SLICE(&form, 1));
	db->packed = true;
	return db_write(db, batch, err);
}

static int read_form(struct db *db, struct err *err)
{
	AUTO(buf_release) struct buf value = BUF_INIT(64);
	int rc = db_get(db, FAMILY_META, slice_str(META_FORM), &value, err);

	if (rc == 1 && (value.n != 1 || value.p[0] != FORM_PACKED))
		return err_set(err, -EPROTONOSUPPORT,
			       "database: keys of a form that this program does not know");
	db->packed = rc == 1;
	return MIN(rc, 0);
}

static _Atomic uint64_t opened; /* databases so far: no two have an epoch in common */

int db_open(const char *path, const struct db_options *options, struct db **out, struct err *err)
{
	AUTO(db_closep) struct db *db = calloc(1, sizeof *db);
	const char *names[FAMILY_COUNT];
	const rocksdb_options_t *family_list[FAMILY_COUNT];
	char *words = NULL;

	if (!db)
		return err_set(err, -ENOMEM, "no memory for a database");
	pthread_mutex_init(&db->pool_lock, NULL);
	db->epoch_first = (atomic_fetch_add(&opened, 1) + 1) << EPOCH_BITS;
	atomic_init(&db->epoch, db->epoch_first);
	db->opened_ms = clock_mono_ms();
	db->on_damage = options->on_damage;
	db->on_damage_arg = options->arg;
	db->path = strdup(path);
	if (!db->path)
		return err_set(err, -ENOMEM, "no memory for a database");
	for (size_t f = 0; f < FAMILY_COUNT; f++) {
		db->tables[f] = table_options(f, options->cache->lru);
		db->family_options[f] = family_options(f, db->tables[f]);
		names[f] = families[f].name;
		family_list[f] = db->family_options[f];
	}
	db->options = database_options(options);
	db->read_ordered = rocksdb_readoptions_create();
	rocksdb_readoptions_set_total_order_seek(db->read_ordered, 1);
	db->read_stem = rocksdb_readoptions_create();
	rocksdb_readoptions_set_prefix_same_as_start(db->read_stem, 1);
	db->write = rocksdb_writeoptions_create();
	rocksdb_writeoptions_set_sync(db->write, !options->sync_off);

	db->rocks = options->read_only
			    ? rocksdb_open_for_read_only_column_families(
				      db->options, path, FAMILY_COUNT, names, family_list,
				      db->handles, 0, &words)
			    : rocksdb_open_column_families(db->options, path, FAMILY_COUNT, names,
							   family_list, db->handles, &words);
	if (words)
		return fault(db, words, err);
	int rc = options->create && options->packed ? write_form(db, err) : read_form(db, err);

	if (rc < 0)
		return rc;
	*out = TAKE(db);
	return 0;
}

bool db_is_packed(const struct db *db)
{
	return db->packed;
}

int db_salvage(const char *path, struct err *err)
{
	rocksdb_options_t *o = rocksdb_options_create();
	uint64_t newest = salvage_newest(path);
	char *words = NULL;

	rocksdb_options_set_info_log_level(o, LOG_LEVEL_WARN);
	rocksdb_repair_db(o, path, &words);
	while (words && salvage_drop(path, words, newest)) {
		rocksdb_free(TAKE(words));
		rocksdb_repair_db(o, path, &words);
	}
	rocksdb_options_destroy(o);
	return words ? fault(NULL, words, err) : 0;
}

uint64_t db_sequence(struct db *db)
{
	return rocksdb_get_latest_sequence_number(db->rocks);
}

/* ---- point reads ---- */

int db_get(struct db *db, enum family family, struct slice key, struct buf *value, struct err *err)
{
	char *words = NULL;
	struct slice stored = sought(db, family, key);

	if (!is_own(db, family, key, stored))
		return 0; /* nobody can have stored it */
	rocksdb_pinnableslice_t *found =
		rocksdb_get_pinned_cf(db->rocks, db->read_ordered, db->handles[family],
				      (const char *)stored.p, stored.n, &words);

	count_blocks();
	if (words) {
		rocksdb_pinnableslice_destroy(found);
		return fault(db, words, err);
	}
	if (!found)
		return 0;
	size_t n = 0;
	const char *bytes = rocksdb_pinnableslice_value(found, &n);

	buf_bytes(value, bytes, n);
	rocksdb_pinnableslice_destroy(found);
	int rc = buf_done(value);

	return rc < 0 ? err_set(err, rc, "a value of %zu bytes", n) : 1;
}

/* ---- writes ---- */

int db_batch_new(struct db *db, struct db_batch **out)
{
	struct db_batch *b = malloc(sizeof *b);

	if (!b)
		return -ENOMEM;
	b->db = db;
	b->batch = rocksdb_writebatch_create();
	*out = b;
	return 0;
}

void db_batch_freep(struct db_batch **b)
{
	if (*b)
		rocksdb_writebatch_destroy((*b)->batch);
	free(*b);
	*b = NULL;
}

void db_batch_put(struct db_batch *b, enum family family, struct slice key, struct slice value)
{
	struct slice stored = sought(b->db, family, key);

	assert(is_own(b->db, family, key, stored));
	rocksdb_writebatch_put_cf(b->batch, b->db->handles[family], (const char *)stored.p,
				  stored.n, (const char *)value.p, value.n);
}

void db_batch_delete(struct db_batch *b, enum family family, struct slice key)
{
	struct slice stored = sought(b->db, family, key);

	if (is_own(b->db, family, key, stored))
		rocksdb_writebatch_delete_cf(b->batch, b->db->handles[family],
					     (const char *)stored.p, stored.n);
}

void db_batch_delete_range(struct db_batch *b, enum family family, struct slice first,
			   struct slice end)
{
	first = sought(b->db, family, first);
	end = sought(b->db, family, end);
	rocksdb_writebatch_delete_range_cf(b->batch, b->db->handles[family], (const char *)first.p,
					   first.n, (const char *)end.p, end.n);
}

void db_batch_clear(struct db_batch *b)
{
	rocksdb_writebatch_clear(b->batch);
}

size_t db_batch_bytes(const struct db_batch *b)
{
	size_t n = 0;

	rocksdb_writebatch_data(b->batch, &n);
	return n;
}

int db_write(struct db *db, struct db_batch *b, struct err *err)
{
	char *words = NULL;

	rocksdb_write(db->rocks, db->write, b->batch, &words);
	atomic_fetch_add(&db->epoch, 1);
	pools_empty(db);
	return words ? fault(db, words, err) : 0;
}

/* ---- moving ---- */

static struct slice stored_key(const struct db_iter *it)
{
	size_t n = 0;
	const char *p = rocksdb_iter_key(it->it, &n);

	return SLICE(p, n);
}

/* An iterator that stands nowhere is at its end, or met an error: only asking tells which. */
static int standing(struct db_iter *it, struct err *err)
{
	char *words = NULL;

	if (rocksdb_iter_valid(it->it)) {
		it->key = stored_key(it);
		if (it->other)
			it->key = key_row_unpack(it->key, it->other->bytes);
		return 1;
	}
	rocksdb_iter_get_error(it->it, &words);
	return words ? fault(it->db, words, err) : 0;
}

int db_iter_seek(struct db_iter *it, struct slice key, struct err *err)
{
	key = sought(it->db, it->family, key);
	rocksdb_iter_seek(it->it, (const char *)key.p, key.n);
	return standing(it, err);
}

int db_iter_seek_back(struct db_iter *it, struct slice key, struct err *err)
{
	struct slice stored = sought(it->db, it->family, key);

	rocksdb_iter_seek_for_prev(it->it, (const char *)stored.p, stored.n);
	int rc = standing(it, err);

	/* What lies where it would may be behind it. */
	return rc == 1 && slice_cmp(it->key, key) > 0 ? db_iter_back(it, err) : rc;
}

int db_iter_next(struct db_iter *it, struct err *err)
{
	rocksdb_iter_next(it->it);
	return standing(it, err);
}

int db_iter_back(struct db_iter *it, struct err *err)
{
	rocksdb_iter_prev(it->it);
	return standing(it, err);
}

struct slice db_iter_key(const struct db_iter *it)
{
	return it->key;
}

struct slice db_iter_value(const struct db_iter *it)
{
	size_t n = 0;
	const char *p = rocksdb_iter_value(it->it, &n);

	return SLICE(p, n);
}

/* ---- sizes ---- */

uint64_t db_family_bytes(struct db *db, enum family family)
{
	uint64_t bytes = 0;

	if (rocksdb_property_int_cf(db->rocks, db->handles[family], "rocksdb.total-sst-files-size",
				    &bytes) != 0)
		return 0;
	return bytes;
}

void db_compact(struct db *db)
{
	rocksdb_compactoptions_t *o = rocksdb_compactoptions_create();

	/* Also what lies there already: on the last level nothing has to say any more when it was
	 * written, which packs a tenth better. */
	rocksdb_compactoptions_set_bottommost_level_compaction(o, COMPACT_FORCE);
	(void)!flush(db, NULL);
	for (size_t f = 0; f < FAMILY_COUNT; f++)
		rocksdb_compact_range_cf_opt(db->rocks, db->handles[f], o, NULL, 0, NULL, 0);
	rocksdb_compactoptions_destroy(o);
}

/* ---- quiet ---- */

static int set_compactions(struct db *db, bool on, struct err *err)
{
	static const char *const key = "disable_auto_compactions";
	const char *value = on ? "false" : "true";

	for (size_t f = 0; f < FAMILY_COUNT; f++) {
		char *words = NULL;

		rocksdb_set_options_cf(db->rocks, db->handles[f], 1, &key, &value, &words);
		if (words)
			return fault(db, words, err);
	}
	return 0;
}

static bool is_at_work(struct db *db)
{
	static const char *const properties[] = { "rocksdb.num-running-compactions",
						  "rocksdb.num-running-flushes" };

	for (size_t i = 0; i < ARRAY_LEN(properties); i++) {
		uint64_t n = 0;

		if (rocksdb_property_int(db->rocks, properties[i], &n) == 0 && n)
			return true;
	}
	return false;
}

static int wake(struct db *db, struct err *err)
{
	char *words = NULL;

	rocksdb_enable_file_deletions(db->rocks, 0, &words);
	int rc = words ? fault(db, words, err) : 0;
	int more = set_compactions(db, true, err);

	return rc < 0 ? rc : more;
}

int db_quiet(struct db *db, bool quiet, unsigned wait_ms, struct err *err)
{
	uint64_t end = clock_mono_ms() + wait_ms;
	char *words = NULL;

	if (!quiet)
		return wake(db, err);
	rocksdb_disable_file_deletions(db->rocks, &words);
	int rc = words ? fault(db, words, err) : set_compactions(db, false, err);

	while (rc == 0 && is_at_work(db)) {
		if (clock_mono_ms() >= end)
			rc = err_set(err, -EAGAIN, "the database still rewrites its files");
		else
			usleep(QUIET_POLL_US);
	}
	if (rc < 0)
		(void)!wake(db, NULL);
	return rc;
}
