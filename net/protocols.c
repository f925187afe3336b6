/* The protocols by which a network is followed: one row each, found by an address's scheme. A new
 * one is a file that fills a struct source_ops, and a row here. */
#include "net/live.h"

#include "core/chain/chain.h"
#include "core/store/network.h"
#include "net/snapchain_calls.h"
#include "net/snapchain_source.h"

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
		    strcmp(protocols[i].chain, chain) == 0)
			return &protocols[i];
	return NULL;
}
