/* The protocols by which a network is followed: one row each, found by an address's scheme. A new
 * one is a file that fills a struct source_ops, and a row here. */
#include "net/live.h"

#include "core/chain/chain.h"
#include "core/store/network.h"
#include "net/replica.h"
#include "net/snapchain_calls.h"
#include "net/snapchain_replica.h"
#include "net/snapchain_source.h"

#define THEIRS_PATIENCE_MS 20000u /* somebody waits for it */

static int snapchain_open(struct loop *l, struct network *n, const char *host, uint16_t port,
			  bool tls, const struct source_listener *to, struct source **out,
			  struct err *err)
{
	const struct snapchain_options o = {
		.host = host,
		.port = port,
		.tls = tls,
		.shard_count = network_ops(n)->shard_count(network_params(n)),
	};
	return snapchain_source_open(l, &o, to, out, err);
}

static int grpc_open(struct loop *l, struct network *n, const char *host, uint16_t port,
		     const struct source_listener *to, struct source **out, struct err *err)
{
	return snapchain_open(l, n, host, port, false, to, out, err);
}

static int grpcs_open(struct loop *l, struct network *n, const char *host, uint16_t port,
		      const struct source_listener *to, struct source **out, struct err *err)
{
	return snapchain_open(l, n, host, port, true, to, out, err);
}

static const struct source_protocol protocols[] = {
	{ "grpc", "snapchain", SNAPCHAIN_PORT, &snapchain_source_ops, grpc_open },
	{ "grpcs", "snapchain", SNAPCHAIN_PORT, &snapchain_source_ops, grpcs_open },
};

const struct source_protocol *source_protocol_find(const char *scheme, const char *chain)
{
	for (size_t i = 0; i < ARRAY_LEN(protocols); i++)
		if (strcmp(protocols[i].scheme, scheme) == 0 &&
		    (!chain || strcmp(protocols[i].chain, chain) == 0))
			return &protocols[i];
	return NULL;
}

/* ---- whom a store can be started from ---- */

static const struct replica_protocol {
	const char *scheme, *chain;
	uint16_t port;
	bool tls;
	int (*open)(struct loop *l, const struct snapchain_options *o, uint32_t patience_ms,
		    const atomic_bool *stop, struct replica *out, struct err *err);
	int (*theirs)(struct loop *l, const struct snapchain_options *o, uint32_t patience_ms,
		      const atomic_bool *stop, struct compare_theirs *out, struct err *err);
} replicas[] = {
	{ "grpc", "snapchain", SNAPCHAIN_PORT, false, snapchain_replica_open,
	  snapchain_theirs_open },
	{ "grpcs", "snapchain", SNAPCHAIN_PORT, true, snapchain_replica_open,
	  snapchain_theirs_open },
};

static const struct replica_protocol *replica_find(const char *scheme, const char *chain,
						   struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(replicas); i++)
		if (strcmp(replicas[i].scheme, scheme) == 0 &&
		    strcmp(replicas[i].chain, chain) == 0)
			return &replicas[i];
	err_set(err, -EPROTONOSUPPORT, "%s: no protocol by which a %s node is asked", scheme,
		chain);
	return NULL;
}

static struct snapchain_options options_of(const struct replica_protocol *p, const char *host,
					   uint16_t port)
{
	return (struct snapchain_options){ .host = host,
					   .port = port ? port : p->port,
					   .tls = p->tls };
}

int replica_open(struct loop *l, const char *chain, const char *scheme, const char *host,
		 uint16_t port, const atomic_bool *stop, struct replica *out, struct err *err)
{
	const struct replica_protocol *p = replica_find(scheme, chain, err);
	if (!p)
		return -EPROTONOSUPPORT;
	const struct snapchain_options o = options_of(p, host, port);
	return p->open(l, &o, 0, stop, out, err);
}

int theirs_open(struct loop *l, const char *chain, const char *scheme, const char *host,
		uint16_t port, const atomic_bool *stop, struct compare_theirs *out, struct err *err)
{
	const struct replica_protocol *p = replica_find(scheme, chain, err);
	if (!p)
		return -EPROTONOSUPPORT;
	const struct snapchain_options o = options_of(p, host, port);
	return p->theirs(l, &o, THEIRS_PATIENCE_MS, stop, out, err);
}

/* All of them are of one kind by now. */
void replica_close(struct replica *r)
{
	if (r->arg)
		snapchain_replica_close(r);
}

void theirs_close(struct compare_theirs *t)
{
	if (t->arg)
		snapchain_theirs_close(t);
}
