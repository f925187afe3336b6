#include "core/store/stats.h"

/* Fields that are written as a number a record, in this order: what a difference is taken to comes
 * before it. */
enum field {
	FIELD_TYPE,
	FIELD_FORM,
	FIELD_HEIGHT, /* of carried records alone: others share theirs */
	FIELD_ITEM,
	FIELD_TIME,
	FIELD_SIZE,
	FIELD_OFFSET,
	FIELD_LINE,
	FIELD_JSON,
	FIELD_COUNT
};

static uint64_t zigzag(int64_t v)
{
	return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

static int64_t unzigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* What a field of a record is taken as the difference to. For the first one `before` is zero. */
static uint64_t expected(enum field f, const struct stat_record *before,
			 const struct stat_record *r)
{
	switch (f) {
	case FIELD_HEIGHT:
		return before->height;
	case FIELD_ITEM:
		return before->item;
	case FIELD_TIME:
		return before->time;
	case FIELD_OFFSET:
		return (uint64_t)before->offset + before->size;
	case FIELD_JSON:
		return r->line_size;
	default:
		return 0;
	}
}

static bool is_difference(enum field f)
{
	return f == FIELD_HEIGHT || f == FIELD_ITEM || f == FIELD_TIME || f == FIELD_OFFSET ||
	       f == FIELD_JSON;
}

static uint64_t field_get(enum field f, const struct stat_record *r)
{
	switch (f) {
	case FIELD_TYPE:   return r->type;
	case FIELD_FORM:   return r->form;
	case FIELD_HEIGHT: return r->height;
	case FIELD_ITEM:   return r->item;
	case FIELD_TIME:   return r->time;
	case FIELD_OFFSET: return r->offset;
	case FIELD_SIZE:   return r->size;
	case FIELD_LINE:   return r->line_size;
	default:           return r->json_size;
	}
}

/* False: no record has such a value. */
static bool field_set(enum field f, uint64_t v, struct stat_record *r)
{
	switch (f) {
	case FIELD_TYPE:   r->type = (uint8_t)v; return v >= OBJECT_BLOCK && v <= OBJECT_INNER;
	case FIELD_FORM:   r->form = (uint16_t)v; return v <= UINT16_MAX;
	case FIELD_ITEM:   r->item = (uint32_t)v; break;
	case FIELD_HEIGHT: r->height = v; return true;
	case FIELD_TIME:   r->time = v; return true;
	case FIELD_OFFSET: r->offset = (uint32_t)v; break;
	case FIELD_SIZE:   r->size = (uint32_t)v; break;
	case FIELD_LINE:   r->line_size = (uint32_t)v; break;
	default:           r->json_size = (uint32_t)v; break;
	}
	return v <= UINT32_MAX;
}

bool stat_group_add(struct stat_group *g, uint64_t object, const struct stat_record *r)
{
	const struct stat_record *first = &g->records[0];

	if (g->count && (g->count == STAT_GROUP_MAX || object <= g->objects[g->count - 1] ||
			 object - g->objects[0] >= STAT_GROUP_SPAN || r->shard != first->shard ||
			 r->carrier != first->carrier || r->renderer != first->renderer ||
			 (!r->carrier && r->height != first->height)))
		return false;
	g->objects[g->count] = object;
	g->records[g->count++] = *r;
	return true;
}

void stat_group_write(const struct stat_group *g, struct buf *out)
{
	static const struct stat_record none;
	uint64_t carrier = g->records[0].carrier;

	buf_varint(out, g->count + (carrier ? STAT_CARRIED : 0));
	buf_varint(out, g->records[0].shard);
	buf_varint(out, carrier ? carrier : g->records[0].height);
	buf_varint(out, g->records[0].renderer);
	for (size_t i = 1; i < g->count; i++)
		buf_varint(out, g->objects[i] - g->objects[i - 1]);
	for (enum field f = FIELD_TYPE; f < FIELD_COUNT; f++) {
		if (f == FIELD_HEIGHT && !carrier)
			continue;
		for (size_t i = 0; i < g->count; i++) {
			const struct stat_record *r = &g->records[i], *before = i ? r - 1 : &none;
			uint64_t v = field_get(f, r);

			buf_varint(out, is_difference(f)
						? zigzag((int64_t)(v - expected(f, before, r)))
						: v);
		}
	}
}

/* Values are sums of differences, so a record needs those before it. */
static int read_records(struct rd *r, const struct stat_record *common, struct stat_group *out)
{
	static const struct stat_record none;
	bool good = true;

	for (size_t i = 0; i < out->count; i++)
		out->records[i] = *common;
	for (enum field f = FIELD_TYPE; f < FIELD_COUNT; f++) {
		if (f == FIELD_HEIGHT && !common->carrier)
			continue;
		for (size_t i = 0; i < out->count; i++) {
			struct stat_record *at = &out->records[i];
			uint64_t v = rd_varint(r);

			if (is_difference(f))
				v = expected(f, i ? at - 1 : &none, at) + (uint64_t)unzigzag(v);
			good &= field_set(f, v, at);
		}
	}
	return rd_done(r) < 0 || !good ? -EUCLEAN : 0;
}

int stat_group_read(struct slice in, uint64_t first, struct stat_group *out)
{
	struct rd r = rd_of(in);
	uint64_t count = rd_varint(&r), shard = rd_varint(&r), owner = rd_varint(&r);
	uint64_t renderer = rd_varint(&r);
	bool carried = count > STAT_CARRIED;

	if (carried)
		count -= STAT_CARRIED;
	if (!rd_ok(&r) || (carried && owner == 0) || count == 0 || count > STAT_GROUP_MAX ||
	    shard > UINT32_MAX || renderer > UINT32_MAX)
		return -EUCLEAN;
	out->count = count;
	out->objects[0] = first;
	for (size_t i = 1; i < count; i++)
		out->objects[i] = out->objects[i - 1] + rd_varint(&r);
	struct stat_record common = {
		.shard = (uint32_t)shard,
		.height = carried ? 0 : owner,
		.carrier = carried ? owner : 0,
		.renderer = (uint32_t)renderer,
	};

	return read_records(&r, &common, out);
}

int stat_group_find(struct slice in, uint64_t first, uint64_t object, struct stat_record *out)
{
	struct stat_group g;
	int rc = stat_group_read(in, first, &g);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < g.count; i++)
		if (g.objects[i] == object) {
			*out = g.records[i];
			return 1;
		}
	return 0;
}
