#include "core/chain/snapchain/forge/forge_story.h"

#include <stdio.h>

#include "core/chain/snapchain/text.h"

struct forge_scenes {
	struct forge_people *p;
	struct forge_message kept;        /* a message to be sent again, or later */
	uint8_t  diary_first[HASH20_SIZE]; /* alice's first cast */
	struct forge_message diary_second; /* and her second, whole */
	uint8_t  liked_first[HASH20_SIZE]; /* what bob liked first */
	uint8_t  hidden[HASH20_SIZE];      /* a cast of mallory's */
	struct forge_channel garden;
	struct forge_wallet  harbour;     /* dave's wallet */
	struct forge_wallet  greenhouse;  /* owns the channel; heidi's */
	struct forge_wallet  shed;        /* owns it later; judy's */
	struct forge_wallet  new_custody; /* trent's second */
	struct forge_key     solana;      /* dave's other wallet */
	struct forge_key     phone, tablet; /* keys that leo's applications asked for */
	struct forge_key     new_signer;  /* trent's */
	struct forge_key     nobody;      /* a key that no account knows */
};

/* ---- short words for what the script says ---- */

static struct forge_person *person(struct forge_scenes *s, enum forge_who who)
{
	return &s->p->list[who];
}

static void say_as(struct forge_scenes *s, enum forge_who who, const struct forge_cast *c)
{
	struct forge_person *me = person(s, who);
	struct forge_stamp stamp = forge_now(s->p, me);

	forge_cast(&stamp, c, &s->p->message);
	forge_post(s->p, me);
	forge_was_cast(s->p, me, "that");
}

static void say(struct forge_scenes *s, enum forge_who who, const char *text)
{
	say_as(s, who, &(struct forge_cast){ .text = text });
}

static void unsay(struct forge_scenes *s, enum forge_who who, const uint8_t hash[HASH20_SIZE])
{
	struct forge_stamp stamp = forge_now(s->p, person(s, who));

	forge_cast_remove(&stamp, hash, &s->p->message);
	forge_post(s->p, person(s, who));
}

static const uint8_t *newest_cast(const struct forge_person *who)
{
	assert(who->casts > 0);
	return who->own_casts[(who->casts - 1) % FORGE_REMEMBERED].hash;
}

static void set(struct forge_scenes *s, enum forge_who who, enum forge_user_data kind,
		const char *text)
{
	struct forge_stamp stamp = forge_now(s->p, person(s, who));

	forge_user_data(&stamp, kind, text, &s->p->message);
	forge_post(s->p, person(s, who));
}

static void keep(const struct forge_message *from, struct forge_message *to)
{
	buf_clear(&to->bytes);
	buf_add(&to->bytes, buf_slice(&from->bytes));
	memcpy(to->hash, from->hash, sizeof to->hash);
}

static void send_kept(struct forge_scenes *s, enum forge_who who, const struct forge_message *m)
{
	forge_chain_user(s->p->chain, person(s, who)->shard, person(s, who)->fid, m);
}

/* ---- casts: pruned, removed after that, sent again; removed before they were there ---- */

static void scene_diary(struct forge_scenes *s, uint64_t at)
{
	struct forge_person *alice = person(s, ALICE);
	struct forge_stamp stamp = forge_now(s->p, alice);
	char text[FORGE_TEXT_SIZE];

	if (at >= 12 && at < 42) { /* thirty days, and room for twenty */
		snprintf(text, sizeof text, "Diary, day %u: %s.", (unsigned)at - 11,
			 forge_topic(&s->p->dice));
		say(s, ALICE, text);
		if (at == 12)
			memcpy(s->diary_first, s->p->message.hash, HASH20_SIZE);
		if (at == 13)
			keep(&s->p->message, &s->diary_second);
	}
	switch (at) {
	case 60: /* legacy has forgotten it: only hyper has something to remove */
		return unsay(s, ALICE, s->diary_first);
	case 62: /* sent again it is back, until she says the next word */
		return send_kept(s, ALICE, &s->diary_second);
	case 64:
		return say(s, ALICE, "Reading my old diary. Some days are missing.");
	case 70:
		return unsay(s, ALICE, newest_cast(alice));
	case 72: /* once more: the newer remove takes the place of the older */
		return unsay(s, ALICE, newest_cast(alice));
	case 75: /* the remove overtakes the cast, which is then refused for good */
		forge_cast(&stamp, &(struct forge_cast){ .text = "I should not say this." },
			   &s->kept);
		return unsay(s, ALICE, s->kept.hash);
	case 77:
		return send_kept(s, ALICE, &s->kept);
	case 110:
		alice->quiet = false;
		return;
	default:
		return;
	}
}

/* ---- reactions: pruned, taken back after that, by cast and by address ---- */

static void like(struct forge_scenes *s, bool remove, enum forge_reaction kind, uint64_t fid,
		 const uint8_t hash[HASH20_SIZE])
{
	struct forge_stamp stamp = forge_now(s->p, person(s, BOB));
	struct forge_target t = { .fid = fid };

	memcpy(t.hash, hash, sizeof t.hash);
	forge_reaction(&stamp, remove, kind, &t, NULL, &s->p->message);
	forge_post(s->p, person(s, BOB));
}

static void scene_likes(struct forge_scenes *s, uint64_t at)
{
	struct forge_person *alice = person(s, ALICE), *bob = person(s, BOB);
	struct forge_stamp stamp = forge_now(s->p, bob);

	if (at >= 14 && at < 42)
		like(s, false, FORGE_LIKE, alice->fid, newest_cast(alice));
	switch (at) {
	case 14:
		memcpy(s->liked_first, newest_cast(alice), HASH20_SIZE);
		return;
	case 80: /* pruned long ago */
		return like(s, true, FORGE_LIKE, alice->fid, s->liked_first);
	case 82: /* and liked anew: the add is newer than the remove */
		return like(s, false, FORGE_LIKE, alice->fid, s->liked_first);
	case 84:
		return like(s, false, FORGE_RECAST, alice->fid, s->liked_first);
	case 86:
		forge_reaction(&stamp, false, FORGE_LIKE, NULL, "https://square.example/talk",
			       &s->p->message);
		return forge_post(s->p, bob);
	case 88:
		bob->quiet = false;
		return;
	default:
		return;
	}
}

/* ---- links: pruned, swept by a compact state, and what comes too late for it ---- */

static void follow(struct forge_scenes *s, bool remove, enum forge_who whom, uint32_t age_s)
{
	struct forge_stamp stamp = forge_now(s->p, person(s, CAROL));

	stamp.time_fc -= age_s;
	forge_link(&stamp, remove, "follow", person(s, whom)->fid, &s->p->message);
	forge_post(s->p, person(s, CAROL));
}

static void compact(struct forge_scenes *s, const enum forge_who *whom, size_t count,
		    uint32_t age_s)
{
	struct forge_stamp stamp = forge_now(s->p, person(s, CAROL));
	uint64_t fids[8];

	assert(count <= ARRAY_LEN(fids));
	for (size_t i = 0; i < count; i++)
		fids[i] = person(s, whom[i])->fid;
	stamp.time_fc -= age_s;
	forge_link_compact(&stamp, "follow", fids, count, &s->p->message);
	forge_post(s->p, person(s, CAROL));
}

static void scene_links(struct forge_scenes *s, uint64_t at)
{
	static const enum forge_who friends[] = { ALICE, DAVE, GRACE, QUINN, SYBIL, UMA };
	struct forge_stamp stamp = forge_now(s->p, person(s, CAROL));
	uint32_t block = s->p->block_time_s;

	if (at >= 14 && at < 36 && at - 12 != CAROL) /* twenty-one people, and room for fifteen */
		follow(s, false, (enum forge_who)(at - 12), 0);
	switch (at) {
	case 50:
		return follow(s, true, VICTOR, 0);
	case 52:
		return follow(s, false, VICTOR, 0);
	case 54: /* the other kind of link; a compact state of follows leaves it alone */
		forge_link(&stamp, false, "block", person(s, MALLORY)->fid, &s->p->message);
		return forge_post(s->p, person(s, CAROL));
	case 90: /* takes away who is not named, also what was pruned before */
		return compact(s, friends, ARRAY_LEN(friends), 0);
	case 92: /* older than the compact state, and not named in it */
		return follow(s, false, WALTER, 4 * block);
	case 94:
		return follow(s, false, WALTER, 0);
	case 96: /* an older compact state comes too late */
		return compact(s, friends, 3, 8 * block);
	case 98:
		compact(s, friends, 4, 0);
		person(s, CAROL)->quiet = false;
		return;
	default:
		return;
	}
}

/* ---- verified addresses, and what goes with them ---- */

static void verify(struct forge_scenes *s, enum forge_who who, const struct forge_wallet *w)
{
	struct forge_stamp stamp = forge_now(s->p, person(s, who));
	uint8_t block_hash[HASH_SIZE];

	forge_bytes_of(s->p->seed, "claimed block", stamp.time_fc, block_hash);
	forge_verify_ethereum(&stamp, w, block_hash, &s->p->message);
	forge_post_main(s->p, person(s, who));
}

static void unverify(struct forge_scenes *s, enum forge_who who, struct slice address)
{
	struct forge_stamp stamp = forge_now(s->p, person(s, who));

	forge_verification_remove(&stamp, address, &s->p->message);
	forge_post_main(s->p, person(s, who));
}

static void scene_addresses(struct forge_scenes *s, uint64_t at)
{
	struct forge_stamp stamp = forge_now(s->p, person(s, DAVE));
	char eip55[SC_EIP55_SIZE], base58[SC_BASE58_TEXT_SIZE];
	uint8_t block_hash[HASH_SIZE];

	sc_eip55(s->harbour.address, eip55);
	sc_base58(SLICE_ARRAY(s->solana.key), base58);
	switch (at) {
	case 16:
		return verify(s, DAVE, &s->harbour);
	case 18:
		forge_bytes_of(s->p->seed, "claimed block", at, block_hash);
		forge_verify_solana(&stamp, &s->solana, block_hash, &s->p->message);
		return forge_post_main(s->p, person(s, DAVE));
	case 22:
		set(s, DAVE, FORGE_PRIMARY_ETHEREUM, eip55);
		return set(s, DAVE, FORGE_PRIMARY_SOLANA, base58);
	case 30: /* verified again: the older one goes, and the primary address with it */
		return verify(s, DAVE, &s->harbour);
	case 34:
		return set(s, DAVE, FORGE_PRIMARY_ETHEREUM, eip55);
	case 48: /* taken back: the primary address is revoked */
		return unverify(s, DAVE, SLICE_ARRAY(s->harbour.address));
	case 52: /* nothing verifies it any more: refused */
		return set(s, DAVE, FORGE_PRIMARY_ETHEREUM, eip55);
	case 56:
		return unverify(s, DAVE, SLICE_ARRAY(s->solana.key));
	default:
		break;
	}
	if (at >= 26 && at <= 32 && at % 2 == 0) { /* erin: four addresses, and room for two */
		struct forge_wallet w;

		forge_wallet_of(s->p->seed, "erin", at, &w);
		verify(s, ERIN, &w);
	}
}

/* ---- storage lent, and given back ---- */

static void lend(struct forge_scenes *s, uint64_t units)
{
	struct forge_stamp stamp = forge_now(s->p, person(s, FRANK));

	forge_lend(&stamp, person(s, GRACE)->fid, units, 2, &s->p->message);
	forge_post_main(s->p, person(s, FRANK));
}

static void scene_storage(struct forge_scenes *s, uint64_t at)
{
	char text[FORGE_TEXT_SIZE];

	if (at >= 55 && at < 95) { /* grace has room for forty while frank's unit is with her */
		snprintf(text, sizeof text, "Recipe %u: %s.", (unsigned)at - 54,
			 forge_topic(&s->p->dice));
		say(s, GRACE, text);
	}
	if (at >= 20 && at <= 140 && at % 3 == 0) {
		snprintf(text, sizeof text, "Log entry %u. %s, mostly.", (unsigned)at / 3 - 5,
			 forge_topic(&s->p->dice));
		say(s, ZOE, text);
	}
	switch (at) {
	case 50:
		return lend(s, 1);
	case 52: /* one unit has to stay: refused */
		return lend(s, 3);
	case 120:
		return lend(s, 2);
	case 180:
		return lend(s, 0);
	case 184: /* back to twenty */
		return say(s, GRACE, "Half of my recipes are gone, it seems.");
	case FORGE_EXPIRES_AT + 5:
		return say(s, ZOE, "My old storage has run out.");
	default:
		return;
	}
}

/* ---- a channel ---- */

static void member(struct forge_scenes *s, enum forge_who by, enum forge_who whom,
		   enum forge_member action)
{
	struct forge_stamp stamp = forge_now(s->p, person(s, by));

	forge_channel_member(&stamp, &s->garden, person(s, whom)->fid, action, &s->p->message);
	forge_post_main(s->p, person(s, by));
}

static void update(struct forge_scenes *s, enum forge_who by, const char *name, bool open)
{
	struct forge_stamp stamp = forge_now(s->p, person(s, by));

	forge_channel_update(&stamp, &s->garden, name, "Everything that grows.", open,
			     &s->p->message);
	forge_post_main(s->p, person(s, by));
}

static void pin(struct forge_scenes *s, enum forge_who by, const uint8_t *hash)
{
	struct forge_stamp stamp = forge_now(s->p, person(s, by));

	forge_channel_pin(&stamp, &s->garden, hash, &s->p->message);
	forge_post_main(s->p, person(s, by));
}

static void moderate(struct forge_scenes *s, enum forge_who by, const uint8_t *hash, bool hide)
{
	struct forge_stamp stamp = forge_now(s->p, person(s, by));

	forge_channel_moderate(&stamp, &s->garden, hash, hide, &s->p->message);
	forge_post_main(s->p, person(s, by));
}

static void registry(struct forge_scenes *s, enum forge_channel_event kind,
		     const struct forge_wallet *owner)
{
	forge_channel_event(&s->p->ledger, forge_chain_now(s->p->chain), kind, &s->garden, owner,
			    &s->p->event);
	forge_chain_system(s->p->chain, 0, 0, buf_slice(&s->p->event));
}

static void scene_channel(struct forge_scenes *s, uint64_t at)
{
	struct forge_cast seeds = { .text = "Which tomatoes do you sow this year?",
				    .parent_url = "https://garden.example/" };

	switch (at) {
	case 40: return verify(s, HEIDI, &s->greenhouse);
	case 42: return registry(s, FORGE_CHANNEL_REGISTER, &s->greenhouse);
	case 44: return update(s, HEIDI, "Garden", false);
	case 45:
		say(s, MALLORY, "Gnomes. The answer is always gnomes.");
		memcpy(s->hidden, s->p->message.hash, HASH20_SIZE);
		return;
	case 46: return member(s, HEIDI, IVAN, FORGE_MEMBER_ADD);
	case 47: return say_as(s, IVAN, &seeds);
	case 48: return member(s, KIM, KIM, FORGE_MEMBER_ADD); /* by invitation alone: refused */
	case 50: return update(s, HEIDI, "Garden", true);
	case 52: return member(s, KIM, KIM, FORGE_MEMBER_ADD);
	case 53: return say_as(s, KIM, &seeds);
	case 54: return member(s, HEIDI, JUDY, FORGE_MODERATOR_ADD);
	case 56: return pin(s, JUDY, newest_cast(person(s, IVAN)));
	case 58: return moderate(s, JUDY, s->hidden, true);
	case 60: return moderate(s, JUDY, s->hidden, false);
	case 62: return member(s, JUDY, MALLORY, FORGE_MEMBER_BAN);
	case 64: return member(s, MALLORY, MALLORY, FORGE_MEMBER_ADD); /* refused */
	case 66: return pin(s, HEIDI, newest_cast(person(s, KIM)));
	case 70: return member(s, IVAN, IVAN, FORGE_MEMBER_REMOVE);
	case 72: return member(s, HEIDI, MALLORY, FORGE_MEMBER_UNBAN);
	case 74: return pin(s, HEIDI, NULL);
	case 76: return registry(s, FORGE_CHANNEL_RENEW, &s->greenhouse);
	case 98: return verify(s, JUDY, &s->shed);
	case 100: return registry(s, FORGE_CHANNEL_TRANSFER, &s->shed);
	case 104: return update(s, HEIDI, "Garden", false); /* no longer hers: refused */
	case 105: return update(s, JUDY, "The Garden", true);
	case 107: return member(s, JUDY, KIM, FORGE_MODERATOR_ADD);
	case 109: return member(s, JUDY, KIM, FORGE_MODERATOR_REMOVE);
	default: return;
	}
}

/* ---- keys without an on-chain event ---- */

static void add_key(struct forge_scenes *s, const struct forge_key *key, uint32_t nonce,
		    const int32_t *scopes, size_t count)
{
	struct forge_person *leo = person(s, LEO), *nina = person(s, NINA);
	struct forge_stamp stamp = forge_now(s->p, leo);
	struct forge_key_add k = { .key = key->key,
				   .custody = &leo->custody,
				   .request_fid = nina->fid,
				   .request_custody = &nina->custody,
				   .nonce = nonce,
				   .ttl_s = 60 * 86400,
				   .scopes = scopes,
				   .scope_count = count };

	forge_key_add(&stamp, &k, &s->p->message);
	forge_post_main(s->p, leo);
}

static void remove_key(struct forge_scenes *s, const struct forge_key *key, bool itself,
		       uint32_t nonce)
{
	struct forge_person *leo = person(s, LEO);
	struct forge_stamp stamp = forge_now(s->p, leo);

	if (itself)
		stamp.key = key;
	forge_key_remove(&stamp, key->key, itself ? NULL : &leo->custody, nonce, &s->p->message);
	forge_post_main(s->p, leo);
}

static void say_with(struct forge_scenes *s, enum forge_who who, const struct forge_key *key,
		     const char *text)
{
	struct forge_stamp stamp = forge_now(s->p, person(s, who));

	stamp.key = key;
	forge_cast(&stamp, &(struct forge_cast){ .text = text }, &s->p->message);
	forge_post(s->p, person(s, who));
}

static void scene_keys(struct forge_scenes *s, uint64_t at)
{
	static const int32_t casts[] = { SC_CAST_ADD, SC_CAST_REMOVE };
	static const int32_t more[] = { SC_CAST_ADD, SC_CAST_REMOVE, SC_REACTION_ADD,
					SC_REACTION_REMOVE };
	struct forge_stamp stamp = forge_now(s->p, person(s, LEO));

	switch (at) {
	case 44: return add_key(s, &s->phone, 1, casts, ARRAY_LEN(casts));
	case 46: return say_with(s, LEO, &s->phone, "Sent from my phone.");
	case 48: case 64: /* the first time the key may not; its successor may */
		stamp.key = &s->phone;
		forge_reaction(&stamp, false, FORGE_LIKE, NULL, "https://notes.example/",
			       &s->p->message);
		return forge_post(s->p, person(s, LEO));
	case 60: return add_key(s, &s->phone, 2, more, ARRAY_LEN(more));
	case 90: return remove_key(s, &s->phone, false, 3);
	case 92: return say_with(s, LEO, &s->phone, "Is this still on?"); /* refused */
	case 100: return add_key(s, &s->tablet, 4, more, ARRAY_LEN(more));
	case 106: return say_with(s, LEO, &s->tablet, "Sent from the sofa.");
	case 110: return remove_key(s, &s->tablet, true, 1);
	default: return;
	}
}

/* ---- names ---- */

static void scene_names(struct forge_scenes *s, uint64_t at)
{
	struct forge_people *p = s->p;
	struct forge_person *oscar = person(s, OSCAR), *peggy = person(s, PEGGY),
			    *quinn = person(s, QUINN), *rupert = person(s, RUPERT);
	struct forge_stamp stamp = forge_now(p, rupert);

	switch (at) {
	case 40: return forge_give_name(p, "oz", oscar, NULL, 0);
	case 45: return forge_give_name(p, "bookclub", peggy, NULL, 0);
	case 47:
		set(s, PEGGY, FORGE_USERNAME, "bookclub");
		return set(s, OSCAR, FORGE_USERNAME, "oz");
	case 49: return set(s, QUINN, FORGE_USERNAME, "bookclub"); /* hers: refused */
	case 55:
		forge_ens_proof(&stamp, "rupert.eth", &rupert->custody, &p->message);
		return forge_post(p, rupert);
	case 57: return set(s, RUPERT, FORGE_USERNAME, "rupert.eth");
	case 75: return forge_give_name(p, "uma", person(s, UMA), NULL, 0); /* renewed */
	case 85:
		forge_ens_proof(&stamp, "rupert.eth", &rupert->custody, &p->message);
		return forge_post(p, rupert);
	case 88: /* an old paper: refused */
		return forge_give_name(p, "bookclub", person(s, UMA), NULL, 86400);
	case 130: /* the name moves, and peggy's profile loses it */
		return forge_give_name(p, "bookclub", quinn, peggy, 0);
	case 133: return set(s, QUINN, FORGE_USERNAME, "bookclub");
	case 150: return forge_give_name(p, "oz", NULL, oscar, 0);
	default: return;
	}
}

/* ---- more than most: the pro tier ---- */

static void scene_pro(struct forge_scenes *s, uint64_t at)
{
	static const char line[] = "A chapter is a long walk. ";
	char text[sizeof line * 80] = "";

	switch (at) {
	case 28: /* without the tier: refused */
	case 36:
		for (size_t i = 0; i < 60; i++)
			memcpy(text + i * (sizeof line - 1), line, sizeof line);
		return say_as(s, SYBIL, &(struct forge_cast){ .type = 2, .text = text });
	case 31:
		forge_pro_event(&s->p->ledger, forge_chain_now(s->p->chain), person(s, SYBIL)->fid,
				30, &person(s, SYBIL)->custody, &s->p->event);
		return forge_tell(s->p, person(s, SYBIL));
	case 38:
		for (size_t i = 0; i < 20; i++)
			memcpy(text + i * (sizeof line - 1), line, sizeof line);
		return say_as(s, SYBIL, &(struct forge_cast){ .type = 1, .text = text });
	case 39:
		return say_as(s, SYBIL,
			      &(struct forge_cast){ .text = "Four pictures of the manuscript.",
						    .url_count = 4,
						    .urls = { "https://pictures.example/1.png",
							      "https://pictures.example/2.png",
							      "https://pictures.example/3.png",
							      "https://pictures.example/4.png" } });
	case 41: return set(s, SYBIL, FORGE_BANNER, "https://pictures.example/banner.png");
	default: return;
	}
}

/* ---- accounts that change hands, and strangers ---- */

static void scene_custody(struct forge_scenes *s, uint64_t at)
{
	struct forge_people *p = s->p;
	struct forge_person *trent = person(s, TRENT);
	struct forge_person stranger = { .fid = FORGE_STORY_FID + FORGE_NAMES + 1,
					 .shard = trent->shard };
	struct forge_stamp stamp = forge_now(p, &stranger);
	uint64_t now = forge_chain_now(p->chain);

	switch (at) {
	case 65:
		forge_id_event(&p->ledger, now, trent->fid, FORGE_ID_TRANSFER, &s->new_custody,
			       &trent->custody, &p->event);
		trent->custody = s->new_custody;
		return forge_tell(p, trent);
	case 66:
		trent->quiet = true;
		forge_signer_event(&p->ledger, now, trent->fid, FORGE_SIGNER_ADD, s->new_signer.key,
				   &p->event);
		return forge_tell(p, trent);
	case 67:
		forge_signer_event(&p->ledger, now, trent->fid, FORGE_SIGNER_REMOVE, trent->key.key,
				   &p->event);
		return forge_tell(p, trent);
	case 68: /* the old key: refused */
		return say(s, TRENT, "It is still me. I think.");
	case 69:
		trent->key = s->new_signer;
		trent->quiet = false;
		return say(s, TRENT, "New keys, same old me.");
	case 71:
		forge_id_event(&p->ledger, now, trent->fid, FORGE_ID_RECOVERY, &trent->custody,
			       NULL, &p->event);
		forge_tell(p, trent);
		return forge_tell(p, trent); /* told twice: the second one is refused */
	case 80: /* a key that walter's account does not know */
		return say_with(s, WALTER, &s->nobody, "Totally walter.");
	case 83: /* an account that does not exist */
		stamp.key = &s->nobody;
		forge_cast(&stamp, &(struct forge_cast){ .text = "Hello?" }, &p->message);
		return forge_post(p, &stranger);
	case 86:
		say(s, WALTER, "Once is enough.");
		return keep(&p->message, &s->kept);
	case 87: /* a duplicate */
		return send_kept(s, WALTER, &s->kept);
	default:
		return;
	}
}

/* ---- how the validators do ---- */

static void scene_validators(uint64_t at, struct forge_pace *pace)
{
	if (at >= 120 && at < 150) /* one is away */
		pace->away = 2;
	if (at == 103) /* a chunk comes late: the block names the one before again */
		pace->silent_bits = 1u << 2;
	if (at == 200 ||
	    at == 201) /* shard 0 comes late: data shards stay ahead of it from here on */
		pace->silent_bits = 1u << 0;
	pace->repeat_event = at == 57 || at == 61;
}

/* ---- the script ---- */

int forge_scenes_new(struct forge_people *p, struct forge_scenes **out)
{
	struct forge_scenes *s = calloc(1, sizeof *s);

	if (!s)
		return -ENOMEM;
	s->p = p;
	s->kept = (struct forge_message)FORGE_MESSAGE_INIT;
	s->diary_second = (struct forge_message)FORGE_MESSAGE_INIT;
	s->garden = forge_channel_of("garden");
	forge_wallet_of(p->seed, "harbour", 0, &s->harbour);
	forge_wallet_of(p->seed, "greenhouse", 0, &s->greenhouse);
	forge_wallet_of(p->seed, "shed", 0, &s->shed);
	forge_wallet_of(p->seed, "new custody", 0, &s->new_custody);
	forge_key_of(p->seed, "wallet", 0, &s->solana);
	forge_key_of(p->seed, "phone", 0, &s->phone);
	forge_key_of(p->seed, "tablet", 0, &s->tablet);
	forge_key_of(p->seed, "new signer", 0, &s->new_signer);
	forge_key_of(p->seed, "nobody", 0, &s->nobody);
	/* Chatter would blur what the script wants to show of them. */
	p->list[ALICE].quiet = p->list[BOB].quiet = p->list[CAROL].quiet = true;
	p->list[DAVE].verified = p->list[ERIN].verified = true;
	*out = s;
	return 0;
}

void forge_scenes_freep(struct forge_scenes **at)
{
	struct forge_scenes *s = TAKE(*at);

	if (!s)
		return;
	forge_message_release(&s->kept);
	forge_message_release(&s->diary_second);
	free(s);
}

void forge_scenes_play(struct forge_scenes *s, uint64_t at, struct forge_pace *pace)
{
	if (at < FORGE_SCENES_SPEAK)
		return;
	scene_diary(s, at);
	scene_likes(s, at);
	scene_links(s, at);
	scene_addresses(s, at);
	scene_storage(s, at);
	scene_channel(s, at);
	scene_keys(s, at);
	scene_names(s, at);
	scene_pro(s, at);
	scene_custody(s, at);
	scene_validators(at, pace);
}
