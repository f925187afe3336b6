/* render.h: what a reader of the mount sees of a block and its items, as text and JSON.
 *
 * JSON has sorted keys. Bytes are lower-case hex, text is text, a name is text when it is UTF-8 and
 * hex when not, an enum is its word or, when it has none, its number. `timestamp` is the number
 * that was signed, in Farcaster seconds for messages; `time` is the same moment in UTC. Every field
 * is shown, also one that is zero or empty; a submessage that is not there is left out.
 * `type` is the item's kind (a number without a word stays one), `body_type` the name of the body
 * that is there, which a hostile message may have chosen otherwise. Nothing depends on who reads,
 * or when.
 * Errors  -EBADMSG when an object's bytes do not parse, and what the buf latches. */
#ifndef CHAINFS_SNAPCHAIN_RENDER_H
#define CHAINFS_SNAPCHAIN_RENDER_H

#include "core/chain/snapchain/block.h"

#define SC_RENDERER 1 /* chain_ops.renderer: a change of any rendering below adds one */

struct sc_object {
	uint16_t                 form;    /* enum sc_form */
	const struct sc_message
		*message; /* SC_FORM_MESSAGE, and in a block event that carries one */
	const ProtobufCMessage  *pb;      /* the other forms */
};

int sc_object_render(const struct sc_object *o, bool line, struct buf *out) MUST_CHECK;

/* The exact sizes of both renderings, by way of the line; `scratch` is overwritten. */
int sc_object_sizes(const struct sc_object *o, struct buf *scratch, uint32_t *json_size,
		    uint32_t *line_size) MUST_CHECK;

/* chain_ops of this kind. */
int sc_render_object(const struct chain_object *o, bool line, struct buf *out);
int sc_render_header(const struct chain_block *b, bool json, struct buf *out);
int sc_render_parent(const struct chain_block *b, struct buf *out);

#endif
