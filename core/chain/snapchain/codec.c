#include "core/chain/snapchain/codec.h"

#include <stdarg.h>
#include <stdio.h>

#define FIELD(n) (UINT64_C(1) << (n))

static const struct wire_text texts[] = {
	{ &sc__user_data_body__descriptor, FIELD(2) },
	{ &sc__embed__descriptor, FIELD(1) },
	{ &sc__cast_add_body__descriptor, FIELD(1) | FIELD(4) | FIELD(7) },
	{ &sc__reaction_body__descriptor, FIELD(3) },
	{ &sc__link_body__descriptor, FIELD(1) },
	{ &sc__link_compact_state_body__descriptor, FIELD(1) },
	{ &sc__channel_update_body__descriptor,
	  FIELD(2) | FIELD(3) | FIELD(4) | FIELD(5) | FIELD(6) },
	{ &sc__channel_register_body__descriptor, FIELD(1) },
};

const struct wire_rules sc_strict = { true, texts, ARRAY_LEN(texts) };
const struct wire_rules sc_lax = { false, texts, ARRAY_LEN(texts) };

const ProtobufCFieldDescriptor *sc_body_field(const Sc__MessageData *data,
					      const ProtobufCMessage **body)
{
	const ProtobufCMessageDescriptor *type = data->base.descriptor;

	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *d = &type->fields[i];

		if (d->id != (uint32_t)data->body_case ||
		    !(d->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
			continue;
		const void *at = (const uint8_t *)data + d->offset;

		*body = *(ProtobufCMessage *const *)at;
		return d;
	}
	return NULL;
}

int sc_say(struct level_result *out, enum verdict verdict, const char *format, ...)
{
	va_list args;

	out->verdict = (uint8_t)verdict;
	va_start(args, format);
	vsnprintf(out->reason, sizeof out->reason, format, args);
	va_end(args);
	return 0;
}

/* ---- items ---- */

static const ProtobufCMessageDescriptor *const form_types[] = {
	[SC_FORM_MESSAGE] = &sc__message__descriptor,
	[SC_FORM_ONCHAIN] = &sc__on_chain_event__descriptor,
	[SC_FORM_FNAME] = &sc__fname_transfer__descriptor,
	[SC_FORM_PROOF] = &sc__user_name_proof__descriptor,
	[SC_FORM_BLOCK_EVENT] = &sc__block_event__descriptor,
	[SC_FORM_SYSTEM] = &sc__validator_message__descriptor,
};

int sc_item_unpack(uint16_t form, struct slice bytes, struct arena *arena, ProtobufCMessage **out)
{
	if (form >= ARRAY_LEN(form_types) || !form_types[form])
		return -EINVAL;
	return wire_unpack(form_types[form], bytes, &sc_strict, arena, out, NULL);
}
