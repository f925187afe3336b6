/* Reading everything there is: what verify asks for beyond the bytes of blocks. */
#include "core/store/db.h"
#include "core/store/inside.h"
#include "core/store/network.h"

static_assert(NETWORK_FAMILIES == FAMILY_COUNT, "a family that nobody checks");

static int check_family(struct db *db, enum family family, uint64_t *rows, struct err *err)
{
	AUTO(db_iter_freep) struct db_iter *it = NULL;
	int rc = db_iter_new(db, family, DB_ORDERED, &it);

	if (rc == 0)
		rc = db_iter_seek(it, SLICE_EMPTY, err);
	while (rc == 1) {
		++*rows;
		rc = db_iter_next(it, err);
	}
	return rc;
}

int network_check(struct network *n, struct family_check out[NETWORK_FAMILIES])
{
	for (int f = 0; f < FAMILY_COUNT; f++) {
		out[f] = (struct family_check){ .name = families[f].name };
		out[f].rc = check_family(n->db, f, &out[f].rows, &out[f].err);
		if (out[f].rc == -ENOMEM)
			return out[f].rc;
	}
	return 0;
}

int network_check_carried(struct network *n, uint64_t *last, struct err *err)
{
	AUTO(block_bytes_putp) const struct block_bytes *bytes = NULL;

	if (*last == n->carriers)
		return 0;
	int rc = network_carrier(n, *last + 1, &bytes, err);

	if (rc < 0 && rc != -EBADMSG && rc != -EUCLEAN)
		return rc;
	++*last;
	return rc < 0 ? -EBADMSG : 1;
}
