/* TLS as a filter, over a library that is a script: what it says when it has taken nothing of what
 * came. The real one is in test_h2.c. */
#include "net/tls.h"
#include "tests/support/support.h"

#include <gnutls/gnutls.h>

/* ---- the library: these stand in its place ---- */

static gnutls_pull_func pull;
static gnutls_transport_ptr_t pull_from;
static size_t takes; /* bytes of what lies there, before it asks for more; 0: it asks at once */

int gnutls_certificate_set_x509_trust_file(gnutls_certificate_credentials_t to, const char *file,
					   gnutls_x509_crt_fmt_t format)
{
	return 1;
}

void gnutls_transport_set_ptr(gnutls_session_t session, gnutls_transport_ptr_t arg)
{
	pull_from = arg;
}

void gnutls_transport_set_pull_function(gnutls_session_t session, gnutls_pull_func call)
{
	pull = call;
}

static int ask_for_more(void)
{
	uint8_t taken[64];

	if (takes)
		assert_int_equal(pull(pull_from, taken, MIN(takes, sizeof taken)), takes);
	takes = 0;
	return GNUTLS_E_AGAIN;
}

int gnutls_handshake(gnutls_session_t session)
{
	return ask_for_more();
}

ssize_t gnutls_record_recv(gnutls_session_t session, void *out, size_t size)
{
	return ask_for_more();
}

/* ---- what is made of it ---- */

static struct tls *filter(void)
{
	struct tls *t = NULL;
	struct err err = ERR_INIT;

	if (tls_client_new("node.example", "/dev/null", &t, &err) < 0)
		fail_msg("%s", err.text);
	return t;
}

static void all_that_came_is_taken_before_more_is_asked_for(void **state)
{
	AUTO(tls_freep) struct tls *t = filter();
	uint8_t out[16];

	tls_give(t, slice_str("eight by"));
	takes = 8;
	assert_int_equal(tls_handshake(t, NULL), -EAGAIN);
	tls_give(t, slice_str("and four"));
	takes = 8;
	assert_int_equal(tls_read(t, out, sizeof out, NULL), -EAGAIN);
}

/* Else the next bytes would meet those that lie there. */
static void bytes_that_nobody_takes_are_a_fault_of_the_peer(void **state)
{
	AUTO(tls_freep) struct tls *t = filter();
	AUTO(tls_freep) struct tls *other = filter();
	struct err err = ERR_INIT;
	uint8_t out[16];

	pull_from = t;
	tls_give(t, slice_str("eight by"));
	takes = 3;
	assert_int_equal(tls_read(t, out, sizeof out, &err), -EPROTO);
	assert_string_equal(err.text, "TLS: 5 bytes that came are not taken");
	tls_give(other, slice_str("eight by"));
	takes = 0;
	assert_int_equal(tls_handshake(other, &err), -EPROTO);
	assert_string_equal(err.text, "TLS: 8 bytes that came are not taken");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_that_came_is_taken_before_more_is_asked_for),
		cmocka_unit_test(bytes_that_nobody_takes_are_a_fault_of_the_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
