/* presets.c: the parameters of well-known networks: who may sign, from which height on.
 *
 * Keys and heights are those that the network's operators publish with their node software
 * (snapchain v0.14.2). A preset is the text that --config would have. */
#include "core/chain/snapchain/presets.h"

#include <string.h>

static const char farcaster[] =
	"{\"network\": \"farcaster\", \"kind\": \"snapchain\", \"fc_network\": 1, "
	"\"num_shards\": 2,\n"
	" \"validators\": [\n"
	"  {\"effective_at\": 0, \"shard_ids\": [0, 1, 2], \"public_keys\": [\n"
	"   \"29696eb40eb900a329a8d2542edef15d552c9ba6ded7882276be1e9eca090970\",\n"
	"   \"6bc2d8901443de856d2670b0c2ea12b6727132fa830f9030d3a44ac5da9b1a72\",\n"
	"   \"81032ecefa4260e5a63424f5a4b8b18b52d717a52583b3ffe22c4a7b084911b8\",\n"
	"   \"2c0f58a364b7959c85e49b5a50d14d220c16f8bd7879b0d5d3f68b32de83ecb8\",\n"
	"   \"67474a42e0c6507198b73373b0558dfc94616b976ecfdf5c45fae11e2bee7102\"]},\n"
	"  {\"effective_at\": 26386684, \"shard_ids\": [0], \"public_keys\": [\n"
	"   \"29696eb40eb900a329a8d2542edef15d552c9ba6ded7882276be1e9eca090970\",\n"
	"   \"6bc2d8901443de856d2670b0c2ea12b6727132fa830f9030d3a44ac5da9b1a72\",\n"
	"   \"81032ecefa4260e5a63424f5a4b8b18b52d717a52583b3ffe22c4a7b084911b8\",\n"
	"   \"db65769be751f402fe9ea2fdf21679a870ea0e088454bbc47e02c4cc6c258081\",\n"
	"   \"67474a42e0c6507198b73373b0558dfc94616b976ecfdf5c45fae11e2bee7102\"]},\n"
	"  {\"effective_at\": 26556206, \"shard_ids\": [2], \"public_keys\": [\n"
	"   \"29696eb40eb900a329a8d2542edef15d552c9ba6ded7882276be1e9eca090970\",\n"
	"   \"6bc2d8901443de856d2670b0c2ea12b6727132fa830f9030d3a44ac5da9b1a72\",\n"
	"   \"81032ecefa4260e5a63424f5a4b8b18b52d717a52583b3ffe22c4a7b084911b8\",\n"
	"   \"db65769be751f402fe9ea2fdf21679a870ea0e088454bbc47e02c4cc6c258081\",\n"
	"   \"67474a42e0c6507198b73373b0558dfc94616b976ecfdf5c45fae11e2bee7102\"]},\n"
	"  {\"effective_at\": 26701296, \"shard_ids\": [1], \"public_keys\": [\n"
	"   \"29696eb40eb900a329a8d2542edef15d552c9ba6ded7882276be1e9eca090970\",\n"
	"   \"6bc2d8901443de856d2670b0c2ea12b6727132fa830f9030d3a44ac5da9b1a72\",\n"
	"   \"81032ecefa4260e5a63424f5a4b8b18b52d717a52583b3ffe22c4a7b084911b8\",\n"
	"   \"db65769be751f402fe9ea2fdf21679a870ea0e088454bbc47e02c4cc6c258081\",\n"
	"   \"67474a42e0c6507198b73373b0558dfc94616b976ecfdf5c45fae11e2bee7102\"]},\n"
	"  {\"effective_at\": 28415000, \"shard_ids\": [0], \"public_keys\": [\n"
	"   \"29696eb40eb900a329a8d2542edef15d552c9ba6ded7882276be1e9eca090970\",\n"
	"   \"6bc2d8901443de856d2670b0c2ea12b6727132fa830f9030d3a44ac5da9b1a72\",\n"
	"   \"81032ecefa4260e5a63424f5a4b8b18b52d717a52583b3ffe22c4a7b084911b8\",\n"
	"   \"db65769be751f402fe9ea2fdf21679a870ea0e088454bbc47e02c4cc6c258081\",\n"
	"   \"67474a42e0c6507198b73373b0558dfc94616b976ecfdf5c45fae11e2bee7102\",\n"
	"   \"80d7800b45db3ec6d6e4be4d278db1aea1c7a77206941ec976a8680ecbe56860\"]},\n"
	"  {\"effective_at\": 28706000, \"shard_ids\": [2], \"public_keys\": [\n"
	"   \"29696eb40eb900a329a8d2542edef15d552c9ba6ded7882276be1e9eca090970\",\n"
	"   \"6bc2d8901443de856d2670b0c2ea12b6727132fa830f9030d3a44ac5da9b1a72\",\n"
	"   \"81032ecefa4260e5a63424f5a4b8b18b52d717a52583b3ffe22c4a7b084911b8\",\n"
	"   \"db65769be751f402fe9ea2fdf21679a870ea0e088454bbc47e02c4cc6c258081\",\n"
	"   \"67474a42e0c6507198b73373b0558dfc94616b976ecfdf5c45fae11e2bee7102\",\n"
	"   \"80d7800b45db3ec6d6e4be4d278db1aea1c7a77206941ec976a8680ecbe56860\"]},\n"
	"  {\"effective_at\": 28852000, \"shard_ids\": [1], \"public_keys\": [\n"
	"   \"29696eb40eb900a329a8d2542edef15d552c9ba6ded7882276be1e9eca090970\",\n"
	"   \"6bc2d8901443de856d2670b0c2ea12b6727132fa830f9030d3a44ac5da9b1a72\",\n"
	"   \"81032ecefa4260e5a63424f5a4b8b18b52d717a52583b3ffe22c4a7b084911b8\",\n"
	"   \"db65769be751f402fe9ea2fdf21679a870ea0e088454bbc47e02c4cc6c258081\",\n"
	"   \"67474a42e0c6507198b73373b0558dfc94616b976ecfdf5c45fae11e2bee7102\",\n"
	"   \"80d7800b45db3ec6d6e4be4d278db1aea1c7a77206941ec976a8680ecbe56860\"]},\n"
	"  {\"effective_at\": 39180000, \"shard_ids\": [0], \"public_keys\": [\n"
	"   \"29696eb40eb900a329a8d2542edef15d552c9ba6ded7882276be1e9eca090970\",\n"
	"   \"6bc2d8901443de856d2670b0c2ea12b6727132fa830f9030d3a44ac5da9b1a72\",\n"
	"   \"81032ecefa4260e5a63424f5a4b8b18b52d717a52583b3ffe22c4a7b084911b8\",\n"
	"   \"db65769be751f402fe9ea2fdf21679a870ea0e088454bbc47e02c4cc6c258081\",\n"
	"   \"67474a42e0c6507198b73373b0558dfc94616b976ecfdf5c45fae11e2bee7102\",\n"
	"   \"80d7800b45db3ec6d6e4be4d278db1aea1c7a77206941ec976a8680ecbe56860\",\n"
	"   \"3376e30a4d8e7ea596f3c066f7e9f3a960fad76ed0b6fb7de66552cbe9318b5e\"]},\n"
	"  {\"effective_at\": 39624000, \"shard_ids\": [2], \"public_keys\": [\n"
	"   \"29696eb40eb900a329a8d2542edef15d552c9ba6ded7882276be1e9eca090970\",\n"
	"   \"6bc2d8901443de856d2670b0c2ea12b6727132fa830f9030d3a44ac5da9b1a72\",\n"
	"   \"81032ecefa4260e5a63424f5a4b8b18b52d717a52583b3ffe22c4a7b084911b8\",\n"
	"   \"db65769be751f402fe9ea2fdf21679a870ea0e088454bbc47e02c4cc6c258081\",\n"
	"   \"67474a42e0c6507198b73373b0558dfc94616b976ecfdf5c45fae11e2bee7102\",\n"
	"   \"80d7800b45db3ec6d6e4be4d278db1aea1c7a77206941ec976a8680ecbe56860\",\n"
	"   \"3376e30a4d8e7ea596f3c066f7e9f3a960fad76ed0b6fb7de66552cbe9318b5e\"]},\n"
	"  {\"effective_at\": 39798000, \"shard_ids\": [1], \"public_keys\": [\n"
	"   \"29696eb40eb900a329a8d2542edef15d552c9ba6ded7882276be1e9eca090970\",\n"
	"   \"6bc2d8901443de856d2670b0c2ea12b6727132fa830f9030d3a44ac5da9b1a72\",\n"
	"   \"81032ecefa4260e5a63424f5a4b8b18b52d717a52583b3ffe22c4a7b084911b8\",\n"
	"   \"db65769be751f402fe9ea2fdf21679a870ea0e088454bbc47e02c4cc6c258081\",\n"
	"   \"67474a42e0c6507198b73373b0558dfc94616b976ecfdf5c45fae11e2bee7102\",\n"
	"   \"80d7800b45db3ec6d6e4be4d278db1aea1c7a77206941ec976a8680ecbe56860\",\n"
	"   \"3376e30a4d8e7ea596f3c066f7e9f3a960fad76ed0b6fb7de66552cbe9318b5e\"]}\n"
	" ]}\n";

static const struct {
	const char *name, *text;
} presets[] = {
	{ "farcaster", farcaster },
};

const char *sc_preset(const char *network_name)
{
	for (size_t i = 0; i < ARRAY_LEN(presets); i++)
		if (strcmp(presets[i].name, network_name) == 0)
			return presets[i].text;
	return NULL;
}

const char *sc_preset_name(size_t i)
{
	return i < ARRAY_LEN(presets) ? presets[i].name : NULL;
}
