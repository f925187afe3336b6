/* Casts, reactions and links. */
#include "core/chain/snapchain/validate.h"

#define OLD_EMBEDS_UNTIL 73612800u /* Farcaster seconds */
#define URL_SIZE_MAX     256
#define LINK_TYPE_MAX    8
#define MENTIONS_MAX     10

static bool is_url(ProtobufCBinaryData b)
{
	return b.len >= 1 && b.len <= URL_SIZE_MAX;
}

static bool is_cast(const Sc__CastId *id)
{
	return id && id->fid && id->hash.len == HASH20_SIZE;
}

/* Bytes of text by cast type; the third is for pro accounts. */
static const struct {
	size_t min, max;
} text_sizes[] = { { 0, 320 }, { 321, 1024 }, { 1025, 10000 } };
#define CAST_PRO 2

static const char *mentions_fault(const Sc__CastAddBody *b)
{
	uint32_t last = 0;

	if (b->n_mentions > MENTIONS_MAX || b->n_mentions != b->n_mentions_positions)
		return "its mentions and their positions do not fit";
	for (size_t i = 0; i < b->n_mentions; i++) {
		uint32_t at = b->mentions_positions[i];

		if (!b->mentions[i])
			return "it mentions no fid";
		if (at > b->text.len || at < last)
			return "its mentions are out of place";
		last = at;
	}
	return NULL;
}

static const char *embeds_fault(const Sc__CastAddBody *b, uint32_t timestamp)
{
	if (b->n_embeds_deprecated > (timestamp < OLD_EMBEDS_UNTIL ? 2u : 0u))
		return "embeds of the old kind";
	if (b->n_embeds && b->n_embeds_deprecated)
		return "embeds of both kinds";
	for (size_t i = 0; i < b->n_embeds; i++) {
		const Sc__Embed *e = b->embeds[i];
		bool good = e->embed_case == SC__EMBED__EMBED_URL ? is_url(e->url) :
			    e->embed_case == SC__EMBED__EMBED_CAST_ID && is_cast(e->cast_id);

		if (!good)
			return "an embed that is neither url nor cast";
	}
	for (size_t i = 0; i < b->n_embeds_deprecated; i++)
		if (!is_url(b->embeds_deprecated[i]))
			return "an embed that is no url";
	return NULL;
}

static const char *parent_fault(const Sc__CastAddBody *b)
{
	switch (b->parent_case) {
	case SC__CAST_ADD_BODY__PARENT_PARENT_CAST_ID:
		return is_cast(b->parent_cast_id) ? NULL : "its parent is no cast";
	case SC__CAST_ADD_BODY__PARENT_PARENT_URL:
		return is_url(b->parent_url) ? NULL : "its parent is no url";
	default:
		return NULL;
	}
}

/* Where a subscription decides: long texts, and more than two embeds while that was pro's. */
static int pro_fault(struct sc_check *c, const Sc__CastAddBody *b)
{
	size_t most = c->r->version >= SC_V_FOUR_EMBEDS ? 4 : 2;
	int    pro;

	if (b->type != CAST_PRO && b->n_embeds <= most)
		return 0;
	pro = sc_check_pro(c);
	if (pro < 0)
		return pro;
	if (b->type == CAST_PRO && !pro)
		return refuse(c->r, "a cast for pro accounts");
	return b->n_embeds <= (pro ? 4 : most) ? 0 : refuse(c->r, "more embeds than it may have");
}

int sc_validate_cast_add(struct sc_check *c)
{
	const Sc__CastAddBody *b = c->m->content->cast_add;
	const char *why;

	if (b->type < 0 || (size_t)b->type >= ARRAY_LEN(text_sizes))
		return refuse(c->r, "a cast of an unknown type");
	if (b->text.len < text_sizes[b->type].min || b->text.len > text_sizes[b->type].max)
		return refuse(c->r, "its text does not have the size of its type");
	if (!b->text.len && !b->n_embeds && !b->n_embeds_deprecated && !b->n_mentions)
		return refuse(c->r, "an empty cast");
	why = mentions_fault(b);
	if (!why)
		why = embeds_fault(b, c->m->content->timestamp);
	if (!why)
		why = parent_fault(b);
	return why ? refuse(c->r, why) : pro_fault(c, b);
}

int sc_validate_cast_remove(struct sc_check *c)
{
	return c->m->content->cast_remove->target_hash.len == HASH20_SIZE
		       ? 0
		       : refuse(c->r, "its target is no cast");
}

int sc_validate_reaction(struct sc_check *c)
{
	const Sc__ReactionBody *b = c->m->content->reaction;
	bool good = b->target_case == SC__REACTION_BODY__TARGET_TARGET_URL
			    ? is_url(b->target_url)
			    : b->target_case == SC__REACTION_BODY__TARGET_TARGET_CAST_ID &&
				      is_cast(b->target_cast_id);

	if (b->type < 0 || b->type > 2)
		return refuse(c->r, "a reaction of an unknown type");
	return good ? 0 : refuse(c->r, "its target is neither url nor cast");
}

static bool is_link_type(ProtobufCBinaryData type)
{
	return type.len >= 1 && type.len <= LINK_TYPE_MAX;
}

int sc_validate_link(struct sc_check *c)
{
	const Sc__LinkBody *b = c->m->content->link;

	if (!is_link_type(b->type))
		return refuse(c->r, "a link type is 1 to 8 bytes");
	return b->target_case == SC__LINK_BODY__TARGET_TARGET_FID && b->target_fid ?
		       0 : refuse(c->r, "a link to no fid");
}

int sc_validate_link_compact(struct sc_check *c)
{
	const Sc__LinkCompactStateBody *b = c->m->content->link_compact;

	if (!is_link_type(b->type))
		return refuse(c->r, "a link type is 1 to 8 bytes");
	for (size_t i = 0; i < b->n_target_fids; i++)
		if (!b->target_fids[i])
			return refuse(c->r, "a link to no fid");
	return b->n_target_fids ? 0 : refuse(c->r, "a compact state without links");
}
