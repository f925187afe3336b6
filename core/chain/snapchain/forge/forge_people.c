#include "core/chain/snapchain/forge/forge_people.h"

#include <stdio.h>

#include "core/chain/snapchain/keyspace.h"

#define DATA_BYTES_ONE_IN 8 /* messages that carry their signed bytes twice */

void forge_registry_of(uint64_t seed, struct forge_wallet *out)
{
	forge_wallet_of(seed, "registry", 0, out);
}

int forge_people_init(struct forge_people *p, struct forge_chain *chain,
		      const struct chain_params *params, uint64_t seed, uint32_t block_time_s,
		      uint32_t count, uint64_t fid_first, struct err *err)
{
	*p = (struct forge_people){
		.chain = chain,
		.seed = seed,
		.block_time_s = block_time_s,
		.dice = forge_dice_of(seed, "people", 0),
		.ledger = { .seed = seed, .block_number = 140000000 },
		.message = FORGE_MESSAGE_INIT,
		.event = BUF_INIT(FORGE_MESSAGE_SIZE_MAX),
	};
	forge_registry_of(seed, &p->registry);
	p->list = calloc(count, sizeof *p->list);
	if (!p->list)
		return err_set(err, -ENOMEM, "no memory for %" PRIu32 " accounts", count);
	p->count = count;
	for (uint32_t i = 0; i < count; i++) {
		struct forge_person *who = &p->list[i];

		who->fid = fid_first + i;
		who->shard = sc_fid_hash(who->fid) % params->data_shards + 1;
		forge_key_of(seed, "signer", who->fid, &who->key);
		forge_wallet_of(seed, "custody", who->fid, &who->custody);
	}
	return 0;
}

void forge_people_release(struct forge_people *p)
{
	forge_message_release(&p->message);
	buf_release(&p->event);
	free(p->list);
	*p = (struct forge_people){ 0 };
}

/* ---- joining ---- */

void forge_tell(struct forge_people *p, const struct forge_person *who)
{
	forge_chain_system(p->chain, 0, who->fid, buf_slice(&p->event));
	forge_chain_system(p->chain, who->shard, who->fid, buf_slice(&p->event));
}

void forge_rent(struct forge_people *p, const struct forge_person *who, uint64_t rent_time,
		uint32_t units)
{
	forge_rent_event(&p->ledger, rent_time, who->fid, units, &who->custody, &p->event);
	forge_tell(p, who);
}

void forge_join(struct forge_people *p, uint64_t rent_time, uint32_t units)
{
	assert(p->joined < p->count);
	struct forge_person *who = &p->list[p->joined++];
	uint64_t now = forge_chain_now(p->chain);

	forge_id_event(&p->ledger, now, who->fid, FORGE_ID_REGISTER, &who->custody, NULL,
		       &p->event);
	forge_tell(p, who);
	forge_signer_event(&p->ledger, now, who->fid, FORGE_SIGNER_ADD, who->key.key, &p->event);
	forge_tell(p, who);
	forge_rent(p, who, rent_time, units);
}

void forge_give_name(struct forge_people *p, const char *name, const struct forge_person *to,
		     const struct forge_person *from, uint32_t age_s)
{
	const struct forge_person *owner = to ? to : from;

	forge_name_transfer(++p->names_given, forge_chain_now(p->chain) - age_s, name,
			    to ? to->fid : 0, from ? from->fid : 0, &p->registry, &owner->custody,
			    &p->event);
	forge_chain_system(p->chain, owner->shard, owner->fid, buf_slice(&p->event));
	if (from && from->shard != owner->shard)
		forge_chain_system(p->chain, from->shard, from->fid, buf_slice(&p->event));
}

/* ---- speaking ---- */

static struct forge_stamp stamp(struct forge_people *p, const struct forge_person *who,
				uint32_t age_s)
{
	return (struct forge_stamp){
		.fid = who->fid,
		.time_fc = (uint32_t)(forge_chain_now(p->chain) - SC_EPOCH - age_s),
		.key = &who->key,
		.data_bytes = forge_below(&p->dice, DATA_BYTES_ONE_IN) == 0,
	};
}

struct forge_stamp forge_now(struct forge_people *p, const struct forge_person *who)
{
	return stamp(p, who, 0);
}

struct forge_stamp forge_lately(struct forge_people *p, const struct forge_person *who)
{
	return stamp(p, who, forge_below(&p->dice, p->block_time_s));
}

void forge_post(struct forge_people *p, const struct forge_person *who)
{
	forge_chain_user(p->chain, who->shard, who->fid, &p->message);
}

void forge_post_main(struct forge_people *p, const struct forge_person *who)
{
	forge_chain_user(p->chain, 0, who->fid, &p->message);
}

void forge_was_cast(struct forge_people *p, struct forge_person *who, const char *topic)
{
	uint32_t i = p->recent_count++ % FORGE_RECENT;

	memcpy(who->own_casts[who->casts++ % FORGE_REMEMBERED].hash, p->message.hash, HASH20_SIZE);
	p->recent[i].cast.fid = who->fid;
	memcpy(p->recent[i].cast.hash, p->message.hash, HASH20_SIZE);
	p->recent[i].topic = topic;
}

/* ---- chatter ---- */

/* Somebody on the chain, never oneself; NULL: nobody else is there. */
static const struct forge_person *somebody(struct forge_people *p, const struct forge_person *me)
{
	if (p->joined < 2)
		return NULL;
	uint32_t mine = (uint32_t)(me - p->list), i = forge_below(&p->dice, p->joined - 1);

	return &p->list[i >= mine && mine < p->joined ? i + 1 : i];
}

static void do_cast(struct forge_people *p, struct forge_person *who, bool reply)
{
	char text[FORGE_TEXT_SIZE], url[FORGE_TEXT_SIZE];
	struct forge_stamp s = forge_lately(p, who);
	struct forge_cast c = { .text = text };
	const char *topic = forge_topic(&p->dice);

	if (reply && p->recent_count) {
		uint32_t i = forge_below(&p->dice, MIN(p->recent_count, FORGE_RECENT));

		topic = p->recent[i].topic;
		c.parent = &p->recent[i].cast;
		forge_reply(&p->dice, topic, text);
	} else {
		const struct forge_person *other = somebody(p, who);

		forge_say(&p->dice, topic, text);
		switch (forge_below(&p->dice, 12)) {
		case 0:
			if (other)
				c.mention = other->fid;
			break;
		case 1:
			snprintf(url, sizeof url, "https://notes.example/%" PRIu64 "/%" PRIu32,
				 who->fid, who->casts);
			c.urls[c.url_count++] = url;
			break;
		case 2:
			if (p->recent_count)
				c.quote = &p->recent[(p->recent_count - 1) % FORGE_RECENT].cast;
			break;
		case 3:
			c.parent_url = "https://square.example/talk";
			break;
		default:
			break;
		}
	}
	forge_cast(&s, &c, &p->message);
	forge_post(p, who);
	forge_was_cast(p, who, topic);
}

static void do_react(struct forge_people *p, struct forge_person *who)
{
	struct forge_stamp s = forge_lately(p, who);
	uint32_t i = forge_below(&p->dice, MIN(p->recent_count, FORGE_RECENT));
	enum forge_reaction kind = forge_below(&p->dice, 4) ? FORGE_LIKE : FORGE_RECAST;
	uint32_t slot = who->reactions++ % FORGE_REMEMBERED;

	who->own_reactions[slot].target = p->recent[i].cast;
	who->own_reactions[slot].kind = (uint8_t)kind;
	forge_reaction(&s, false, kind, &p->recent[i].cast, NULL, &p->message);
	forge_post(p, who);
}

static void do_unreact(struct forge_people *p, struct forge_person *who)
{
	struct forge_stamp s = forge_lately(p, who);
	uint32_t slot = forge_below(&p->dice, MIN(who->reactions, FORGE_REMEMBERED));

	forge_reaction(&s, true, (enum forge_reaction)who->own_reactions[slot].kind,
		       &who->own_reactions[slot].target, NULL, &p->message);
	forge_post(p, who);
}

static void do_follow(struct forge_people *p, struct forge_person *who,
		      const struct forge_person *other)
{
	struct forge_stamp s = forge_lately(p, who);

	who->own_links[who->links++ % FORGE_REMEMBERED] = other->fid;
	forge_link(&s, false, "follow", other->fid, &p->message);
	forge_post(p, who);
}

static void do_unfollow(struct forge_people *p, struct forge_person *who)
{
	struct forge_stamp s = forge_lately(p, who);
	uint32_t slot = forge_below(&p->dice, MIN(who->links, FORGE_REMEMBERED));

	forge_link(&s, true, "follow", who->own_links[slot], &p->message);
	forge_post(p, who);
}

static void do_profile(struct forge_people *p, struct forge_person *who)
{
	static const enum forge_user_data turns[] = { FORGE_DISPLAY, FORGE_BIO,      FORGE_PFP,
						      FORGE_URL,     FORGE_LOCATION, FORGE_TWITTER,
						      FORGE_GITHUB };
	struct forge_stamp s = forge_lately(p, who);
	enum forge_user_data kind = turns[who->profile++ % ARRAY_LEN(turns)];
	char text[FORGE_TEXT_SIZE], name[32];

	if (who->name)
		snprintf(name, sizeof name, "%s", who->name);
	else
		snprintf(name, sizeof name, "user%" PRIu64, who->fid);
	switch (kind) {
	case FORGE_BIO:
		forge_about(&p->dice, text);
		break;
	case FORGE_PFP:
		snprintf(text, sizeof text, "https://pictures.example/%s/%" PRIu32 ".png", name,
			 who->profile);
		break;
	case FORGE_URL:
		snprintf(text, sizeof text, "https://%s.example/", name);
		break;
	case FORGE_LOCATION:
		snprintf(text, sizeof text, "%s", forge_place(forge_below(&p->dice, 64)));
		break;
	default:
		snprintf(text, sizeof text, "%s", name);
		break;
	}
	/* A display name is what people play with; handles elsewhere have rules. */
	if (kind == FORGE_DISPLAY && who->profile > ARRAY_LEN(turns))
		snprintf(text, sizeof text, "%.16s (%" PRIu32 ")", name, who->profile);
	forge_user_data(&s, kind, text, &p->message);
	forge_post(p, who);
}

static void do_delete(struct forge_people *p, struct forge_person *who)
{
	struct forge_stamp s = forge_lately(p, who);
	uint32_t slot = forge_below(&p->dice, MIN(who->casts, FORGE_REMEMBERED));

	forge_cast_remove(&s, who->own_casts[slot].hash, &p->message);
	forge_post(p, who);
}

static void do_verify(struct forge_people *p, struct forge_person *who)
{
	struct forge_stamp s = forge_lately(p, who);
	struct forge_key address;
	uint8_t block_hash[HASH_SIZE];

	who->verified = true;
	forge_key_of(p->seed, "solana", who->fid, &address);
	forge_bytes_of(p->seed, "solana block", who->fid, block_hash);
	forge_verify_solana(&s, &address, block_hash, &p->message);
	forge_post_main(p, who);
}

static enum forge_action draw(struct forge_dice *d, const uint8_t weights[FORGE_ACTIONS])
{
	uint32_t all = 0, at;

	for (int i = 0; i < FORGE_ACTIONS; i++)
		all += weights[i];
	at = forge_below(d, all);
	for (int i = 0; i < FORGE_ACTIONS; i++) {
		if (at < weights[i])
			return (enum forge_action)i;
		at -= weights[i];
	}
	return FORGE_DO_CAST;
}

void forge_chatter(struct forge_people *p, struct forge_person *who,
		   const uint8_t weights[FORGE_ACTIONS])
{
	const struct forge_person *other = somebody(p, who);

	/* What is not possible yet becomes a cast, so that every call is one message. */
	switch (draw(&p->dice, weights)) {
	case FORGE_DO_REPLY:
		return do_cast(p, who, true);
	case FORGE_DO_REACT:
		if (p->recent_count)
			return do_react(p, who);
		break;
	case FORGE_DO_UNREACT:
		if (who->reactions)
			return do_unreact(p, who);
		break;
	case FORGE_DO_FOLLOW:
		if (other)
			return do_follow(p, who, other);
		break;
	case FORGE_DO_UNFOLLOW:
		if (who->links)
			return do_unfollow(p, who);
		break;
	case FORGE_DO_PROFILE:
		return do_profile(p, who);
	case FORGE_DO_DELETE:
		if (who->casts)
			return do_delete(p, who);
		break;
	case FORGE_DO_VERIFY:
		if (!who->verified)
			return do_verify(p, who);
		break;
	default:
		break;
	}
	do_cast(p, who, false);
}
