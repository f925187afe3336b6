/* Connections over sockets: recordings played by a server that only sends them, and TLS: whose
 * certificate is taken, and what is said of others. The authority and the certificates are made
 * here. */
#include "net/grpc.h"

#include <gnutls/x509.h>

#include "tests/unit/h2_lab.h"
#include "tests/unit/node_lab.h"

struct identity {
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t certificate;
};

static void identity_new(struct identity *id, const char *name, bool authority,
			 const struct identity *by)
{
	static uint8_t serial;
	const uint8_t address[4] = { 127, 0, 0, 1 };
	time_t now = time(NULL);
	serial++;
	gnutls_x509_privkey_init(&id->key);
	assert_int_equal(
		gnutls_x509_privkey_generate(id->key, GNUTLS_PK_ECDSA,
					     GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
		0);
	gnutls_x509_crt_init(&id->certificate);
	gnutls_x509_crt_set_version(id->certificate, 3);
	gnutls_x509_crt_set_serial(id->certificate, &serial, 1);
	gnutls_x509_crt_set_activation_time(id->certificate, now - 60);
	gnutls_x509_crt_set_expiration_time(id->certificate, now + 3600);
	gnutls_x509_crt_set_dn_by_oid(id->certificate, GNUTLS_OID_X520_COMMON_NAME, 0, name,
				      (unsigned)strlen(name));
	gnutls_x509_crt_set_key(id->certificate, id->key);
	gnutls_x509_crt_set_ca_status(id->certificate, authority);
	if (authority)
		gnutls_x509_crt_set_key_usage(id->certificate, GNUTLS_KEY_KEY_CERT_SIGN);
	else if (strcmp(name, "127.0.0.1") == 0)
		gnutls_x509_crt_set_subject_alt_name(id->certificate, GNUTLS_SAN_IPADDRESS, address,
						     4, GNUTLS_FSAN_SET);
	else
		gnutls_x509_crt_set_subject_alt_name(id->certificate, GNUTLS_SAN_DNSNAME, name,
						     (unsigned)strlen(name), GNUTLS_FSAN_SET);
	by = by ? by : id;
	assert_int_equal(gnutls_x509_crt_sign2(id->certificate, by->certificate, by->key,
					       GNUTLS_DIG_SHA256, 0),
			 0);
}

static void identity_release(struct identity *id)
{
	gnutls_x509_crt_deinit(id->certificate);
	gnutls_x509_privkey_deinit(id->key);
}

/* The certificate as a file; its path is `path`, mkstemp()'s. */
static void identity_save(const struct identity *id, char *path)
{
	gnutls_datum_t pem;
	assert_int_equal(gnutls_x509_crt_export2(id->certificate, GNUTLS_X509_FMT_PEM, &pem), 0);
	int fd = mkstemp(path);
	assert_true(fd >= 0 && write(fd, pem.data, pem.size) == (ssize_t)pem.size);
	close(fd);
	gnutls_free(pem.data);
}

/* ---- one call of GetInfo ---- */

struct visit {
	struct loop *loop;
	struct h2_options options;
	struct h2 *h2;
	struct grpc_call *call;

	pthread_mutex_t visit_lock; /* guards the rest; a leaf */
	pthread_cond_t cond;
	bool done;
	int rc, status;
	size_t answer;
	unsigned messages;
	char sentence[256];
};

static void visit_done(struct visit *v, int rc, int status, const char *sentence)
{
	LOCKED(&v->visit_lock);
	if (v->done) /* the call's end says more than its connection's */
		return;
	v->rc = rc;
	v->status = status;
	snprintf(v->sentence, sizeof v->sentence, "%s", sentence);
	v->done = true;
	pthread_cond_signal(&v->cond);
}

static void got(void *arg, struct buf *message)
{
	struct visit *v = arg;
	v->answer = message->n;
	v->messages++;
	buf_release(message);
}

static void call_ended(void *arg, int status, bool local, const char *sentence)
{
	struct visit *v = arg;
	v->call = NULL;
	visit_done(v, 0, status, sentence);
}

static void visit_ready(void *arg)
{
	struct visit *v = arg;
	const struct grpc_options o = { .timeout_ms = 5000, .message_max = 1u << 20 };
	const struct grpc_listener to = { v, got, NULL, call_ended };
	assert_int_equal(grpc_start(v->h2, v->loop, CALL_GET_INFO, SLICE_EMPTY, &o, &to, &v->call),
			 0);
}

static void visit_ended(void *arg, int rc, const char *sentence)
{
	visit_done(arg, rc, -1, sentence);
}

static void visit_begin(void *arg)
{
	struct visit *v = arg;
	struct err err = ERR_INIT;
	const struct h2_listener to = { v, visit_ready, visit_ended };
	int rc = h2_open(v->loop, &v->options, &to, &v->h2, &err);
	if (rc < 0)
		visit_done(v, rc, -1, err_text(&err, rc));
}

static void visit_end(void *arg)
{
	struct visit *v = arg;
	grpc_cancel(&v->call);
	h2_closep(&v->h2);
}

static void visit(struct visit *v)
{
	v->answer = v->messages = 0;
	v->done = false;
	assert_int_equal(loop_open("test", &v->loop, NULL), 0);
	pthread_mutex_init(&v->visit_lock, NULL);
	pthread_cond_init(&v->cond, NULL);
	assert_int_equal(loop_call(v->loop, visit_begin, v), 0);
	pthread_mutex_lock(&v->visit_lock);
	while (!v->done)
		pthread_cond_wait(&v->cond, &v->visit_lock);
	pthread_mutex_unlock(&v->visit_lock);
	assert_int_equal(loop_call(v->loop, visit_end, v), 0);
	loop_closep(&v->loop);
	pthread_cond_destroy(&v->cond);
	pthread_mutex_destroy(&v->visit_lock);
}

/* ---- a server that plays a recording ---- */

struct player {
	const char *name;
	size_t cut;     /* bytes of the server that are sent */
	bool stays;     /* then it says nothing, until the client goes; else it hangs up */
	struct node at; /* its socket */
};

/* Reads what the client sends until its request is there. */
static void player_listens(int fd)
{
	uint8_t bytes[4096];
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t total = 0;
	while (poll(&p, 1, total > 130 ? 30 : 5000) > 0) {
		ssize_t n = recv(fd, bytes, sizeof bytes, 0);
		if (n <= 0)
			return;
		total += (size_t)n;
	}
}

static void *player_thread(void *arg)
{
	struct player *p = arg;
	AUTO(base_closep) int fd = accept(p->at.listener, NULL, NULL);
	AUTO(buf_release) struct buf file = lab_unpack(p->name);
	size_t left = p->cut;
	unsigned asked = 0;
	for (struct rd r = rd_of(buf_slice(&file)); rd_left(&r) && left;) {
		char kind = (char)rd_u8(&r);
		rd_be64(&r);
		struct slice bytes = rd_bytes(&r, rd_be32(&r));
		/* Opening and acknowledgement come by themselves; the third is the request. */
		if (kind == 'C' && ++asked == 3)
			player_listens(fd);
		if (kind != 'S')
			continue;
		bytes = slice_sub(bytes, 0, left);
		left -= bytes.n;
		if (send(fd, bytes.p, bytes.n, MSG_NOSIGNAL) < 0)
			break;
	}
	for (uint8_t byte; p->stays && recv(fd, &byte, 1, 0) > 0;)
		;
	return NULL;
}

static void play(const char *name, size_t cut, bool stays, bool impatient, struct visit *v)
{
	struct player p = { .name = name, .cut = cut, .stays = stays };
	pthread_t thread;
	node_init(&p.at, 0);
	assert_int_equal(pthread_create(&thread, NULL, player_thread, &p), 0);
	*v = (struct visit){ .options = { .host = "127.0.0.1",
					  .port = p.at.port,
					  .silent_ms = impatient ? 200 : 0,
					  .connect_ms = impatient ? 1500 : 0 } };
	visit(v);
	pthread_join(thread, NULL);
	close(p.at.listener);
	pthread_mutex_destroy(&p.at.node_lock);
}

static void recordings_play_over_a_socket(void **state)
{
	const struct {
		const char *name;
		int rc, status;
		unsigned messages;
		const char *sentence;
	} plays[] = {
		{ "getinfo", 0, 0, 1, "" },
		{ "getblocks-1-600", 0, 0, 599, "" },
		{ "getblocks-beyond-tip", 0, 0, 0, "" },
		{ "getshardchunks-1-1-300", 0, 0, 1, "" },
		{ "getshardchunks-beyond-tip", 0, 0, 1, "" },
		{ "getblocks-killed", 0, 14, 74, "the connection ended" },
		{ "subscribe-killed", 0, 14, 8, "the connection ended" },
		{ "error-decode", 0, 13, 0, "failed to decode" },
		{ "error-rst-panic", 0, 1, 0, "reset" },
		{ "error-shard0-events", 0, 3, 0, "Shard not found" },
		{ "error-timeout", 0, 0, 1, "" },
		{ "error-unimplemented", 0, 12, 0, "" },
		{ "error-unknown-shard", 0, 2, 0, "Missing shard store" },
		{ "replication-refused", 0, 13, 0, "KeyRemove" },
	};
	for (size_t i = 0; i < ARRAY_LEN(plays); i++) {
		struct visit v;
		bool killed = plays[i].status == 14;
		play(plays[i].name, SIZE_MAX, !killed, false, &v);
		if (v.status != plays[i].status || v.messages != plays[i].messages)
			print_error("%s: %d %d %u \"%s\"\n", plays[i].name, v.rc, v.status,
				    v.messages, v.sentence);
		assert_int_equal(v.status, plays[i].status);
		assert_int_equal(v.messages, plays[i].messages);
		assert_non_null(strstr(v.sentence, plays[i].sentence));
	}
}

static void a_peer_that_says_nothing_is_given_up(void **state)
{
	struct visit v;
	/* Before its SETTINGS, and amid them: no HTTP/2 comes. */
	play("getinfo", 0, true, true, &v);
	assert_int_equal(v.rc, -ETIMEDOUT);
	assert_non_null(strstr(v.sentence, "no HTTP/2 came in time"));
	play("getinfo", 10, true, true, &v);
	assert_int_equal(v.rc, -ETIMEDOUT);
	/* Amid an answer: a PING asks it, and has no answer. */
	play("getblocks-1-600", 30000, true, true, &v);
	assert_int_equal(v.status, GRPC_UNAVAILABLE);
	assert_in_range(v.messages, 10, 60);
	/* Cut there: the same, at once. */
	play("getblocks-1-600", 30000, false, true, &v);
	assert_int_equal(v.status, GRPC_UNAVAILABLE);
}

struct expectation {
	const char *host, *name; /* whom we call, who the certificate is for */
	bool trusted, client_tls, node_tls, no_alpn;
	int rc;
	const char *sentence;
};

static const struct expectation table[] = {
	{ "127.0.0.1", "127.0.0.1", true, true, true, false, 0, "" },
	{ "localhost", "localhost", true, true, true, false, 0, "" },
	{ "127.0.0.1", "node.example", true, true, true, false, -EKEYREJECTED,
	  "name in the certificate does not match" },
	{ "localhost", "127.0.0.1", true, true, true, false, -EKEYREJECTED, "does not match" },
	{ "127.0.0.1", "127.0.0.1", false, true, true, false, -EKEYREJECTED, "NOT trusted" },
	{ "127.0.0.1", "127.0.0.1", true, true, true, true, -EPROTO, "did not agree to HTTP/2" },
	{ "127.0.0.1", "127.0.0.1", true, true, false, false, -EPROTO, "TLS: " },
	{ "127.0.0.1", "127.0.0.1", true, false, false, false, 0, "" },
};

static void a_certificate_must_be_trusted_and_the_hosts(void **state)
{
	struct identity authority, other;
	char path[] = "/tmp/chainfs-ca-XXXXXX", other_path[] = "/tmp/chainfs-ca-XXXXXX";
	identity_new(&authority, "an authority", true, NULL);
	identity_new(&other, "another authority", true, NULL);
	identity_save(&authority, path);
	identity_save(&other, other_path);
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		const struct expectation *e = &table[i];
		struct identity id;
		struct node n;
		identity_new(&id, e->name, false, &authority);
		node_init(&n, 10);
		n.tls = e->node_tls;
		n.no_alpn = e->no_alpn;
		gnutls_certificate_allocate_credentials(&n.credentials);
		assert_int_equal(
			gnutls_certificate_set_x509_key(n.credentials, &id.certificate, 1, id.key),
			0);
		node_start(&n);
		struct visit v = { .options = { .host = e->host,
						.port = n.port,
						.tls = e->client_tls,
						.ca_file = e->trusted ? path : other_path } };
		visit(&v);
		if (v.rc != e->rc || !strstr(v.sentence, e->sentence))
			print_error("row %zu: %d \"%s\"\n", i, v.rc, v.sentence);
		assert_int_equal(v.rc, e->rc);
		assert_int_equal(v.status, e->rc ? -1 : GRPC_OK);
		assert_true(e->rc ? v.answer == 0 : v.answer > 20);
		assert_non_null(strstr(v.sentence, e->sentence));
		node_release(&n);
		identity_release(&id);
	}
	unlink(path);
	unlink(other_path);
	identity_release(&authority);
	identity_release(&other);
}

static void a_file_of_authorities_must_have_some(void **state)
{
	struct visit v = { .options = { .host = "127.0.0.1",
					.port = 1,
					.tls = true,
					.ca_file = "/nonexistent" } };
	visit(&v);
	assert_int_equal(v.rc, -ENOENT);
	assert_string_equal(v.sentence, "/nonexistent: cannot be read");
	v.options.ca_file = "/dev/null";
	visit(&v);
	assert_int_equal(v.rc, -EBADMSG);
	v.options.tls = false;
	v.options.host = "no-such-host.invalid";
	visit(&v);
	assert_int_equal(v.rc, -EHOSTUNREACH);
	assert_non_null(strstr(v.sentence, "no-such-host.invalid:1: "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recordings_play_over_a_socket),
		cmocka_unit_test(a_peer_that_says_nothing_is_given_up),
		cmocka_unit_test(a_certificate_must_be_trusted_and_the_hosts),
		cmocka_unit_test(a_file_of_authorities_must_have_some),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
