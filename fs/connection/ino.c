#include "fs/connection/ino.h"

#define ROW_BITS  8
#define SCOPE_BIT (UINT64_C(1) << 63)

static_assert(1 + INO_NETWORK_BITS + NODE_OBJECT_BITS + ROW_BITS == 64,
	      "a node of an object is 64 bits");
static_assert(1 + INO_SLOT_BITS + NODE_KEY_BITS + ROW_BITS == 64, "a node of a scope is 64 bits");

static uint64_t low(uint64_t number, unsigned bits)
{
	return number & ((UINT64_C(1) << bits) - 1);
}

uint64_t ino_pack(struct ino p)
{
	unsigned key_bits = p.of_object ? NODE_OBJECT_BITS : NODE_KEY_BITS;
	unsigned place_bits = p.of_object ? INO_NETWORK_BITS : INO_SLOT_BITS;

	if (p.key >> key_bits || p.place >> place_bits || (p.of_object && p.place == 0))
		return 0;
	return (p.of_object ? 0 : SCOPE_BIT) | (uint64_t)p.place << (key_bits + ROW_BITS) |
	       p.key << ROW_BITS | p.row;
}

struct ino ino_unpack(uint64_t number)
{
	bool of_object = !(number & SCOPE_BIT);
	unsigned key_bits = of_object ? NODE_OBJECT_BITS : NODE_KEY_BITS;

	return (struct ino){
		.of_object = of_object,
		.row = (uint8_t)number,
		.place = (uint32_t)low(number >> (key_bits + ROW_BITS),
				       of_object ? INO_NETWORK_BITS : INO_SLOT_BITS),
		.key = low(number >> ROW_BITS, key_bits),
	};
}
