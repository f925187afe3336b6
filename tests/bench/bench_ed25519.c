/* Raw Ed25519: how long all cores take for the signatures of an archive's messages and
 * certificates, and nothing else. What import is compared with.
 *
 *     bench_ed25519 ARCHIVE          prints "SIGNATURES SECONDS", and those of processors
 *
 * Every message's own signature and every certificate's are checked once, as import does it; they
 * are collected in memory first, which is not timed. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/sign.h"
#include "core/sync/archive.h"
#include "proto/snapchain.pb-c.h"

struct signature { /* copied out of a decoded block */
	uint8_t key[ED25519_KEY_SIZE], bytes[ED25519_SIGNATURE_SIZE], text[160];
	size_t  text_size;
};

static struct signature *list;
static size_t count, cap, failed;
static size_t threads;

static void add(ProtobufCBinaryData key, ProtobufCBinaryData bytes, struct slice text)
{
	if (key.len != ED25519_KEY_SIZE || bytes.len != ED25519_SIGNATURE_SIZE ||
	    text.n > sizeof list->text)
		return;
	if (count == cap) {
		cap = cap ? 2 * cap : 1024;
		list = realloc(list, cap * sizeof *list);
		if (!list)
			abort();
	}
	struct signature *s = &list[count++];
	memcpy(s->key, key.data, key.len);
	memcpy(s->bytes, bytes.data, bytes.len);
	memcpy(s->text, text.p, text.n);
	s->text_size = text.n;
}

static void add_message(const Sc__Message *m)
{
	if (m)
		add(m->signer, m->signature, SLICE(m->hash.data, m->hash.len));
}

static void add_transactions(Sc__Transaction **list_of, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < list_of[i]->n_user_messages; k++)
			add_message(list_of[i]->user_messages[k]);
		for (size_t k = 0; k < list_of[i]->n_system_messages; k++) {
			const Sc__BlockEvent *e = list_of[i]->system_messages[k]->block_event;
			if (e && e->data &&
			    e->data->body_case == SC__BLOCK_EVENT_DATA__BODY_MERGE_MESSAGE)
				add_message(e->data->merge_message->message);
		}
	}
}

static void add_commits(const Sc__Commits *c)
{
	for (size_t i = 0; c && i < c->n_signatures; i++) {
		Sc__Vote v = SC__VOTE__INIT;
		uint8_t text[512];
		v.type = 1;
		v.height = c->height;
		v.round = c->round;
		v.value = c->value;
		v.voter = c->signatures[i]->signer;
		if (sc__vote__get_packed_size(&v) <= sizeof text)
			add(c->signatures[i]->signer, c->signatures[i]->signature,
			    SLICE(text, sc__vote__pack(&v, text)));
	}
}

static void collect(const char *folder)
{
	struct err err = ERR_INIT;
	struct archive *a = NULL;
	struct buf message = BUF_INIT(BLOCK_SIZE_MAX);
	if (archive_open(folder, &a, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	for (uint32_t s = 0; s < archive_shards(a); s++) {
		while (archive_next(a, s, &message, &err) == 1) {
			Sc__Block *b = s ? NULL : sc__block__unpack(NULL, message.n, message.p);
			Sc__ShardChunk *c =
				s ? sc__shard_chunk__unpack(NULL, message.n, message.p) : NULL;
			if (b) {
				add_transactions(b->transactions, b->n_transactions);
				add_commits(b->commits);
				sc__block__free_unpacked(b, NULL);
			}
			if (c) {
				add_transactions(c->transactions, c->n_transactions);
				add_commits(c->commits);
				sc__shard_chunk__free_unpacked(c, NULL);
			}
		}
	}
	buf_release(&message);
	archive_closep(&a);
}

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void *check(void *arg)
{
	size_t part = (size_t)(uintptr_t)arg, bad = 0;
	for (size_t i = part; i < count; i += threads)
		bad += !ed25519_verify(list[i].key, list[i].bytes,
				       SLICE(list[i].text, list[i].text_size));
	__atomic_fetch_add(&failed, bad, __ATOMIC_RELAXED);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread[64];
	if (argc != 2 || sign_init() < 0)
		return 1;
	collect(argv[1]);
	threads = (size_t)MIN(sysconf(_SC_NPROCESSORS_ONLN), 64);
	uint64_t start = clock_mono_ns(), start_cpu = cpu_ns();
	for (size_t i = 0; i < threads; i++)
		if (pthread_create(&thread[i], NULL, check, (void *)(uintptr_t)i) != 0)
			return 1;
	for (size_t i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	printf("%zu %.3f %.3f\n", count, (double)(clock_mono_ns() - start) / 1e9,
	       (double)(cpu_ns() - start_cpu) / 1e9);
	if (failed)
		fprintf(stderr, "%zu signatures fail\n", failed);
	free(list);
	return 0;
}
