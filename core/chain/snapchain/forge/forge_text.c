#include "core/chain/snapchain/forge/forge_text.h"

#include <stdio.h>

static const char *const names[FORGE_NAMES] = {
	"alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy",
	"kim", "leo", "mallory", "nina", "oscar", "peggy", "quinn", "rupert", "sybil", "trent",
	"uma", "victor", "walter", "xena", "yuri", "zoe", "amira", "boris", "chen", "dina",
	"emil", "farah", "gino", "hana", "igor", "jonas", "kofi", "lena", "milo", "noor",
};

static const char *const topics[] = {
	"sourdough", "the night train", "tomatoes", "chess", "the lighthouse", "rain", "old maps",
	"the tram", "bees", "crosswords", "the harbour", "bicycles", "mushrooms", "typewriters",
	"the eclipse", "jazz", "postcards", "the library", "kites", "ginger tea", "the canal",
	"owls", "chestnuts", "ferns", "the market", "woodcuts", "radio plays", "snow", "pigeons",
	"the allotment", "marbles", "lemon cake", "the planetarium", "tides", "dominoes", "clay",
};

/* Each takes one topic. */
static const char *const sayings[] = {
	"Morning thought: %s.",
	"I could talk about %s all day.",
	"Nobody told me that %s would be this much fun.",
	"Who else spends the weekend with %s?",
	"I was wrong about %s.",
	"A short note on %s: start small.",
	"Today I learned something new about %s.",
	"My neighbour knows everything about %s. Everything.",
	"If you have five minutes, have a look at %s.",
	"Unpopular opinion: %s is better in winter.",
	"Three years of %s and still a beginner.",
	"Found an old photo of %s.",
	"There is a club for %s here. I joined.",
	"Question to the room: how did you get into %s?",
	"The best thing about %s is that nobody is in a hurry.",
	"Rainy afternoon, and %s.",
	"I keep a notebook for %s. Page one hundred today.",
	"My grandmother's advice on %s: patience.",
	"The radio had an hour on %s last night.",
	"Back from a walk. Thinking of %s.",
	"Small victory with %s this morning.",
	"Please recommend a book on %s.",
	"We need more people who care about %s.",
	"Is anybody else waiting for %s?",
};

static const char *const replies[] = {
	"Same here, %s!",
	"Tell me more about %s.",
	"You had me at %s.",
	"I never thought of %s that way.",
	"No. Well, maybe. But %s?",
	"Count me in for %s.",
	"This is the best take on %s so far.",
	"My cat disagrees about %s.",
	"Agreed, although %s is not for everybody.",
	"Saving this for the next time somebody asks about %s.",
	"How long did it take you with %s?",
	"Always up for %s.",
};

static const char *const lives[] = {
	"Early riser. Mostly %s.",
	"Teaches maths, dreams of %s.",
	"Here for %s.",
	"Gardener. Sometimes %s.",
	"Repairs clocks, reads about %s.",
	"Nurse, cyclist, fond of %s.",
	"Writes letters. Ask me about %s.",
	"Half baker, half %s.",
};

static const char *const places[] = {
	"geo:52.52,13.40", "geo:48.85,2.35", "geo:40.71,-74.00", "geo:35.68,139.69",
	"geo:-33.86,151.20", "geo:5.60,-0.18", "geo:59.91,10.75", "geo:-34.60,-58.38",
	"geo:64.14,-21.94", "geo:1.35,103.81",
};

static const char *pick(struct forge_dice *d, const char *const *list, size_t count)
{
	return list[forge_below(d, (uint32_t)count)];
}

static void fill(struct forge_dice *d, const char *const *list, size_t count, const char *topic,
		 char out[FORGE_TEXT_SIZE])
{
	snprintf(out, FORGE_TEXT_SIZE, pick(d, list, count), topic);
}

const char *forge_name(uint32_t i)
{
	assert(i < FORGE_NAMES);
	return names[i];
}

const char *forge_topic(struct forge_dice *d)
{
	return pick(d, topics, ARRAY_LEN(topics));
}

const char *forge_place(uint32_t i)
{
	return places[i % ARRAY_LEN(places)];
}

void forge_say(struct forge_dice *d, const char *topic, char out[FORGE_TEXT_SIZE])
{
	fill(d, sayings, ARRAY_LEN(sayings), topic, out);
}

void forge_reply(struct forge_dice *d, const char *topic, char out[FORGE_TEXT_SIZE])
{
	fill(d, replies, ARRAY_LEN(replies), topic, out);
}

void forge_about(struct forge_dice *d, char out[FORGE_TEXT_SIZE])
{
	fill(d, lives, ARRAY_LEN(lives), forge_topic(d), out);
}
