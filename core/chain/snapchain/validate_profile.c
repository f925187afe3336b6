/* User data and username proofs: the texts that people choose. */
#include "core/chain/snapchain/text.h"
#include "core/chain/snapchain/user_data.h"
#include "core/chain/snapchain/validate.h"

#define LABEL_MAX    16
#define ENS_MAX      20
#define BASENAME_MAX 25
#define TEXT_MAX     256

static bool is_lower(uint8_t c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(uint8_t c)
{
	return is_lower(c) || is_digit(c) || (c >= 'A' && c <= 'Z');
}

static bool ends_with(struct slice s, const char *end)
{
	struct slice e = slice_str(end);

	return s.n >= e.n && memcmp(s.p + s.n - e.n, e.p, e.n) == 0;
}

/* ---- names ---- */

static bool is_label(struct slice s)
{
	if (s.n < 1 || s.n > LABEL_MAX || s.p[0] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!is_lower(s.p[i]) && !is_digit(s.p[i]) && s.p[i] != '-')
			return false;
	return true;
}

static bool is_label_under(struct slice s, const char *suffix, size_t size_max)
{
	return ends_with(s, suffix) && s.n <= size_max &&
	       is_label(slice_sub(s, 0, s.n - strlen(suffix)));
}

static bool is_ens(struct slice s)
{
	return is_label_under(s, ".eth", ENS_MAX);
}

static bool is_basename(struct slice s)
{
	return is_label_under(s, ".base.eth", BASENAME_MAX);
}

static bool is_username(struct slice s)
{
	if (ends_with(s, ".base.eth"))
		return is_basename(s);
	return ends_with(s, ".eth") ? is_ens(s) : is_label(s);
}

/* ---- other texts ---- */

/* [-]D.DD or more digits before the point, as hundredths; moves *s behind it. */
static bool coordinate(struct slice *s, size_t digits_max, int *hundredths)
{
	bool   negative = s->n && s->p[0] == '-';
	size_t i = negative, digits = 0;
	int    v = 0;

	for (; i < s->n && is_digit(s->p[i]) && digits < digits_max; i++, digits++)
		v = 10 * v + (s->p[i] - '0');
	if (!digits || s->n - i < 3 || s->p[i] != '.' || !is_digit(s->p[i + 1]) ||
	    !is_digit(s->p[i + 2]))
		return false;
	v = 100 * v + 10 * (s->p[i + 1] - '0') + (s->p[i + 2] - '0');
	*hundredths = negative ? -v : v;
	*s = slice_sub(*s, i + 3, s->n);
	return true;
}

static bool is_location(struct slice s)
{
	int latitude, longitude;

	if (!slice_starts(s, slice_str("geo:")))
		return false;
	s = slice_sub(s, 4, s.n);
	if (!coordinate(&s, 2, &latitude) || !s.n || s.p[0] != ',')
		return false;
	s = slice_sub(s, 1, s.n);
	return coordinate(&s, 3, &longitude) && !s.n && abs(latitude) <= 9000 &&
	       abs(longitude) <= 18000;
}

static bool is_twitter(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_lower(s.p[i]) && !is_digit(s.p[i]) && s.p[i] != '_')
			return false;
	return s.n <= 15;
}

/* First of ten digits each: every decimal digit of Unicode 16, as
 * the chain's pattern for GitHub has it. */
static const uint32_t digits[] = {
	0x0030, 0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66,
	0x0ce6, 0x0d66, 0x0de6, 0x0e50, 0x0ed0, 0x0f20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946,
	0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0,
	0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x10d40, 0x11066, 0x110f0, 0x11136,
	0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x116d0, 0x116da, 0x11730, 0x118e0,
	0x11950, 0x11bf0, 0x11c50, 0x11d50, 0x11da0, 0x11f50, 0x16a60, 0x16ac0, 0x16b50, 0x1ccf0,
	0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e4f0, 0x1e5f1, 0x1e950,
	0x1fbf0,
};

/* The text is UTF-8: the codec has seen to that. */
static uint32_t code_point(struct slice s, size_t *i)
{
	uint8_t  c = s.p[(*i)++];
	uint32_t v = c < 0x80 ? c : c < 0xe0 ? c & 0x1fu : c < 0xf0 ? c & 0x0fu : c & 0x07u;

	while (*i < s.n && (s.p[*i] & 0xc0) == 0x80)
		v = v << 6 | (s.p[(*i)++] & 0x3fu);
	return v;
}

static bool is_github(struct slice s)
{
	bool dash = true; /* none may come first, nor behind another */

	if (!s.n || s.n > 38)
		return false;
	for (size_t i = 0; i < s.n;) {
		uint32_t c = code_point(s, &i);
		bool     good = c < 0x80 && is_alnum((uint8_t)c);

		for (size_t j = 0; j < ARRAY_LEN(digits) && !good; j++)
			good = c >= digits[j] && c < digits[j] + 10;
		if (!good && (c != '-' || dash))
			return false;
		dash = !good;
	}
	return true;
}

static bool is_eth_address(struct slice s)
{
	uint8_t address[20];
	char    text[SC_EIP55_SIZE];

	if (s.n != 42 || memcmp(s.p, "0x", 2) != 0 ||
	    hex_get((const char *)s.p + 2, 40, address, 20) < 0)
		return false;
	sc_eip55(address, text);
	return memcmp(text, s.p, 42) == 0;
}

static bool is_sol_address(struct slice s)
{
	uint8_t bytes[SC_BASE58_BYTES_MAX];

	return sc_base58_get(s, bytes) == 32;
}

/* How many bytes in front of s are allowed: alphanumerics of either
 * case or lower case only, or `more`. */
static size_t span(struct slice s, bool upper, const char *more)
{
	size_t n = 0;

	while (n < s.n && ((is_alnum(s.p[n]) && (upper || !(s.p[n] >= 'A' && s.p[n] <= 'Z'))) ||
			   (s.p[n] && strchr(more, s.p[n]))))
		n++;
	return n;
}

/* CAIP-19: namespace:reference/namespace:reference and perhaps /token. */
static bool is_asset(struct slice s)
{
	static const struct { bool upper; const char *more; size_t min, max; char end; } parts[] = {
		{ false, "", 1, TEXT_MAX, ':' },
		{ true, "", 1, TEXT_MAX, '/' },
		{ false, "-", 3, 8, ':' },
		{ true, "-.%", 1, 128, '\0' },
	};

	if (s.n > TEXT_MAX)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		size_t n = span(s, parts[i].upper, parts[i].more);

		if (n < parts[i].min || n > parts[i].max)
			return false;
		s = slice_sub(s, n, s.n);
		if (!parts[i].end)
			break;
		if (!s.n || s.p[0] != (uint8_t)parts[i].end)
			return false;
		s = slice_sub(s, 1, s.n);
	}
	if (!s.n)
		return true;
	s = s.p[0] == '/' ? slice_sub(s, 1, s.n) : SLICE_EMPTY;
	return s.n && span(s, true, "") == s.n;
}

/* ---- user data ---- */

static bool any_text(struct slice s)
{
	(void)s;
	return true;
}

static const struct rule {
	uint8_t  type;
	uint16_t size_max;
	bool     may_be_empty, for_pro;
	unsigned version; /* of the rules, from which on the type exists */
	bool (*good)(struct slice s);
} rules[] = {
	{ SC_USER_PFP, TEXT_MAX, true, false, 0, any_text },
	{ SC_USER_DISPLAY, 32, true, false, 0, any_text },
	{ SC_USER_BIO, TEXT_MAX, true, false, 0, any_text },
	{ SC_USER_URL, TEXT_MAX, true, false, 0, any_text },
	{ SC_USER_NAME, TEXT_MAX, true, false, 0, is_username },
	{ SC_USER_LOCATION, TEXT_MAX, true, false, 0, is_location },
	{ SC_USER_TWITTER, TEXT_MAX, true, false, 0, is_twitter },
	{ SC_USER_GITHUB, TEXT_MAX, false, false, 0, is_github },
	{ SC_USER_BANNER, TEXT_MAX, true, true, 0, any_text },
	{ SC_USER_ETH_ADDRESS, TEXT_MAX, true, false, 0, is_eth_address },
	{ SC_USER_SOL_ADDRESS, TEXT_MAX, true, false, 0, is_sol_address },
	{ SC_USER_PROFILE_TOKEN, TEXT_MAX, true, false, 0, is_asset },
	{ SC_USER_LIVE_AT, TEXT_MAX, true, false, SC_V_LIVE_AT, any_text },
};

int sc_validate_user_data(struct sc_check *c)
{
	const Sc__UserDataBody *b = c->m->content->user_data;
	struct slice            value = sc_bytes(b->value);
	const struct rule      *rule = NULL;
	int                     pro;

	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		if (rules[i].type == b->type)
			rule = &rules[i];
	if (!rule || c->r->version < rule->version)
		return refuse(c->r, "user data of an unknown type");
	if (value.n > rule->size_max)
		return refuse(c->r, "its value is too long");
	if (!(rule->may_be_empty && !value.n) && !rule->good(value))
		return refuse(c->r, "its value does not have the form of its type");
	if (!rule->for_pro)
		return 0;
	pro = sc_check_pro(c);
	return pro < 0 ? pro : pro ? 0 : refuse(c->r, "user data for pro accounts");
}

int sc_validate_username_proof(struct sc_check *c)
{
	const Sc__UserNameProof *b = c->m->content->username_proof;
	struct slice             name = sc_bytes(b->name);
	enum { ENS = 2, BASENAME = 3 };

	if (b->type == ENS && is_ens(name))
		return 0;
	if (b->type == BASENAME && is_basename(name))
		return 0;
	return refuse(c->r, "not the proof of an ENS name or a basename");
}
