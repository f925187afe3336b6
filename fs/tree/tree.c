#include "fs/tree/tree.h"

#include "fs/tree/path.h"
#include "fs/tree/rows.h"
#include "fs/tree/tree_inside.h"

#include <stdio.h>
#include <unistd.h>

/* ---- the table ---- */

#define FOLDER NODE_FOLDER
#define PLAIN  NODE_FILE
#define LINK   NODE_LINK

const struct entry tree[] = {
	[ROW_ROOT] = { "", SETTLING, FOLDER, false, "what this mount shows", NULL, &root_ops,
		PLAIN_TOO },
	[ROW_ROOT_README] = { "README", FIXED, PLAIN, false, "this page", NULL, &root_readme_ops },
	[ROW_CTL] = { "ctl", FIXED, LINK, false,
		"what flows or is ordered: events and metrics", NULL, &ctl_ops },
	[ROW_PLAIN] = { "plain", FIXED, LINK, false,
		"whole plain files at the disk's speed: checkpoints and segments", NULL,
		&plain_ops },
	[ROW_ROOT_STATUS] = { "status", SETTLING, PLAIN, false,
		"a line a network: name, kind, main height, replayed, held, missing, highest "
		"height offered, lag, sources connected, sources",
		NULL, &root_status_ops },
	[ROW_NETWORK] = { "{network}", SETTLING, FOLDER, false, "one chain", NULL, &networks_ops,
		PLAIN_TOO },

	[ROW_README] = { "{network}/README", SETTLING, PLAIN, false,
		"what is here, whether hyper is on, who vouches for the validators",
		NULL, &network_readme_ops },
	[ROW_STATUS] = { "{network}/status", SETTLING, PLAIN, false,
		"what is held, replayed and missing, and how following goes", NULL,
		&network_status_ops },
	[ROW_HEAD] = { "{network}/head", SETTLING, LINK, false,
		"the newest main block", NULL, &head_ops },
	[ROW_BY_HASH] = { "{network}/by-hash", SETTLING, FOLDER, false,
		"lists nothing; resolves hashes", NULL, &by_hash_ops },
	[ROW_HASH] = { "{network}/by-hash/{hash}", SETTLING, LINK, true,
		"the block or item of a hash, or of 8 of its first digits or more",
		NULL, &hash_ops },

	[ROW_DIFFS] = { "{network}/diffs", SETTLING, FOLDER, false,
		"hyper against legacy, by main height", NULL, &diffs_ops },
	[ROW_DIVERGED] = { "{network}/diffs/diverged", SETTLING, PLAIN, false,
		"a line a height whose two roots differ: shard, height", NULL, &diverged_ops },
	[ROW_LATEST] = { "{network}/diffs/latest", SETTLING, LINK, false,
		"the newest height with a report", NULL, &latest_ops },
	[ROW_DIFF] = { "{network}/diffs/{height}", FIXED, FOLDER, true,
		"the two contexts at a main height", NULL, &diff_ops },
	[ROW_REASONS] = { "{network}/diffs/{height}/reasons.tsv", FIXED, PLAIN, false,
		"why hyper retains what it does: shard, set, reason, own or foreign shard of the "
		"account, records, accounts", NULL, &reasons_ops },
	[ROW_REPORT] = { "{network}/diffs/{height}/report", FIXED, PLAIN, false,
		"a line a shard: height, roots, records, retained; then retained by set",
		NULL, &report_ops },
	[ROW_REPORT_JSON] = { "{network}/diffs/{height}/report.json", FIXED, PLAIN, false,
		"the same as JSON", NULL, &report_json_ops },
	[ROW_RETAINED] = { "{network}/diffs/{height}/retained", FIXED, FOLDER, false,
		"the records that hyper holds and legacy does not", NULL, &retained_ops },
	[ROW_RETAINED_SHARD] = { "{network}/diffs/{height}/retained/{shard}", FIXED, FOLDER, false,
		"those of one shard", NULL, &retained_shard_ops },
	[ROW_RETAINED_ACCOUNT] = { "{network}/diffs/{height}/retained/{shard}/{fid}",
		FIXED, FOLDER, false, "those of one account", NULL, &retained_account_ops },
	[ROW_RETAINED_SET] = { "{network}/diffs/{height}/retained/{shard}/{fid}/{set}",
		FIXED, FOLDER, false, "those of one set", NULL, &retained_set_ops },
	[ROW_RETAINED_RECORD] = {
		"{network}/diffs/{height}/retained/{shard}/{fid}/{set}/{record}.json",
		FIXED, PLAIN, false, "the very file that is in hyper/at",
		NULL, &retained_record_ops },

	[ROW_SPAN] = { "{network}/diffs/{from}..{to}", FIXED, FOLDER, true,
		"what each context gained and lost between two main heights", NULL, &span_ops },
	[ROW_SPAN_HYPER] = { "{network}/diffs/{from}..{to}/hyper.tsv", FIXED, PLAIN, false,
		"a line a record that hyper gained or lost: sign, shard, height, account, set, "
		"name, reason", NULL, &span_file_ops },
	[ROW_SPAN_LEGACY] = { "{network}/diffs/{from}..{to}/legacy.tsv", FIXED, PLAIN, false,
		"the same of legacy", NULL, &span_file_ops },
	[ROW_SPAN_REASONS] = { "{network}/diffs/{from}..{to}/reasons.tsv", FIXED, PLAIN, false,
		"how many records: context, sign, reason, records", NULL, &span_file_ops },
	[ROW_SPAN_REPORT] = { "{network}/diffs/{from}..{to}/report", FIXED, PLAIN, false,
		"both heights; records gained and lost, by context and by shard", NULL,
		&span_file_ops },
	[ROW_SPAN_REPORT_JSON] = { "{network}/diffs/{from}..{to}/report.json", FIXED, PLAIN, false,
		"the same as JSON", NULL, &span_file_ops },

	[ROW_CHECKPOINTS] = { "{network}/checkpoints", SETTLING, FOLDER, false,
		"states to be carried away, by main height; mkdir ctl/pins/NAME asks for one",
		NULL, &checkpoints_ops, PLAIN_TOO },
	[ROW_CHECKPOINT] = { "{network}/checkpoints/{checkpoint}", SETTLING, FOLDER, false,
		"one state: main height and first digits of its block's hash; fixed once it is "
		"complete", NULL, &checkpoint_ops, PLAIN_TOO },
	[ROW_CP_BUILDING] = { "{network}/checkpoints/{checkpoint}/building", SETTLING, PLAIN,
		false, "while it is made, and alone then: how many records are written",
		NULL, &cp_building_ops, PLAIN_TOO },
	[ROW_CP_INFO] = { "{network}/checkpoints/{checkpoint}/info", FIXED, PLAIN, false,
		"heights, hashes, roots and records by shard, and what they cover",
		NULL, &cp_file_ops, PLAIN_TOO },
	[ROW_CP_SUMS] = { "{network}/checkpoints/{checkpoint}/SHA256SUMS", FIXED, PLAIN, false,
		"of all that is the same on every node: sha256sum -c", NULL, &cp_file_ops,
		PLAIN_TOO },
	[ROW_CP_VERDICT] = { "{network}/checkpoints/{checkpoint}/verdict", FIXED, PLAIN, false,
		"a line a check of this node, of the main block", NULL, &cp_file_ops, PLAIN_TOO },
	[ROW_CP_BLOCKS] = { "{network}/checkpoints/{checkpoint}/blocks", FIXED, FOLDER, false,
		"the blocks that the states are as of", NULL, &cp_folder_ops, PLAIN_TOO },
	[ROW_CP_BLOCK] = { "{network}/checkpoints/{checkpoint}/blocks/{shard}.pb",
		FIXED, PLAIN, false, "canonical bytes of one", NULL, &cp_block_ops, PLAIN_TOO },
	[ROW_CP_LEGACY] = { "{network}/checkpoints/{checkpoint}/legacy", FIXED, FOLDER, false,
		"the records that both contexts hold", NULL, &cp_folder_ops, PLAIN_TOO },
	[ROW_CP_LEGACY_SHARD] = { "{network}/checkpoints/{checkpoint}/legacy/{shard}",
		FIXED, FOLDER, false, "of one shard", NULL, &cp_shard_ops, PLAIN_TOO },
	[ROW_CP_LEGACY_PACK] = { "{network}/checkpoints/{checkpoint}/legacy/{shard}/{vshard}.pb",
		FIXED, PLAIN, false, "those of one of 256 parts, in the order of their keys",
		NULL, &cp_pack_ops, PLAIN_TOO },
	[ROW_CP_RETAINED] = { "{network}/checkpoints/{checkpoint}/retained", FIXED, FOLDER, false,
		"the records that hyper alone holds", NULL, &cp_folder_ops, PLAIN_TOO },
	[ROW_CP_RETAINED_SHARD] = { "{network}/checkpoints/{checkpoint}/retained/{shard}",
		FIXED, FOLDER, false, "of one shard", NULL, &cp_shard_ops, PLAIN_TOO },
	[ROW_CP_RETAINED_PACK] = {
		"{network}/checkpoints/{checkpoint}/retained/{shard}/{vshard}.pb",
		FIXED, PLAIN, false, "those of one of 256 parts", NULL, &cp_pack_ops, PLAIN_TOO },
	[ROW_CP_RULES] = { "{network}/checkpoints/{checkpoint}/rules", FIXED, FOLDER, false,
		"what the chain's rules need beyond records; no root covers it",
		NULL, &cp_folder_ops, PLAIN_TOO },
	[ROW_CP_RULES_SHARD] = { "{network}/checkpoints/{checkpoint}/rules/{shard}",
		FIXED, FOLDER, false, "of one shard", NULL, &cp_shard_ops, PLAIN_TOO },
	[ROW_CP_RULES_BOTH] = { "{network}/checkpoints/{checkpoint}/rules/{shard}/both.pb",
		FIXED, PLAIN, false, "of both contexts", NULL, &cp_file_ops, PLAIN_TOO },
	[ROW_CP_RULES_HYPER] = { "{network}/checkpoints/{checkpoint}/rules/{shard}/hyper.pb",
		FIXED, PLAIN, false, "of hyper alone", NULL, &cp_file_ops, PLAIN_TOO },
	[ROW_CP_EVIDENCE] = { "{network}/checkpoints/{checkpoint}/evidence", FIXED, FOLDER, false,
		"what this node has to trust it by; not the same on another node",
		NULL, &cp_folder_ops, PLAIN_TOO },
	[ROW_CP_PARAMETERS] = { "{network}/checkpoints/{checkpoint}/evidence/network.json",
		FIXED, PLAIN, false, "parameters of the network, its validators among them",
		NULL, &cp_file_ops, PLAIN_TOO },
	[ROW_CP_COMMITS] = { "{network}/checkpoints/{checkpoint}/evidence/commits-{shard}.pb",
		FIXED, PLAIN, false, "certificate of a block", NULL, &cp_commits_ops, PLAIN_TOO },

	[ROW_SEGMENTS] = { "{network}/segments", SETTLING, FOLDER, false,
		"the bytes of blocks as this node keeps them, in the order they came",
		NULL, &segments_ops, PLAIN_ALONE },
	[ROW_SEGMENT] = { "{network}/segments/{segment}.seg", SETTLING, PLAIN, false,
		"frames one behind the other; the last one grows, and ends with what is committed",
		NULL, &segment_ops, PLAIN_ALONE },

	[ROW_GAPS] = { "{network}/gaps", SETTLING, FOLDER, false,
		"empty when nothing is missing", NULL, &gaps_ops },
	[ROW_GAPS_SHARD] = { "{network}/gaps/{shard}", SETTLING, FOLDER, false,
		"a shard that misses heights", NULL, &gaps_shard_ops },
	[ROW_GAP] = { "{network}/gaps/{shard}/{range}", SETTLING, FOLDER, false,
		"missing heights, for one reason", NULL, &gap_ops },
	[ROW_GAP_ERROR] = { "{network}/gaps/{shard}/{range}/last_error", SETTLING, PLAIN, false,
		"why the last copy was refused", NULL, &gap_error_ops },
	[ROW_GAP_NEXT] = { "{network}/gaps/{shard}/{range}/next_try", SETTLING, PLAIN, false,
		"when it is asked for again; empty: when somebody brings it", NULL, &gap_next_ops },
	[ROW_GAP_REASON] = { "{network}/gaps/{shard}/{range}/reason", SETTLING, PLAIN, false,
		"not-fetched, refused, state, damaged or rolled-back", NULL, &gap_reason_ops },
	[ROW_GAP_STATUS] = { "{network}/gaps/{shard}/{range}/status", SETTLING, PLAIN, false,
		"missing, or refused when copies came", NULL, &gap_status_ops },
	[ROW_GAP_TRIES] = { "{network}/gaps/{shard}/{range}/tries", SETTLING, PLAIN, false,
		"requests and copies that failed so far", NULL, &gap_tries_ops },
	[ROW_GAP_CLAIM] = { "{network}/gaps/{shard}/{range}/claim", SETTLING, PLAIN, false,
		"what is done about it: asked NAME until TIME, checking, resting until TIME, "
		"waiting, or not offered; empty: nobody follows", NULL, &gap_claim_ops },
	[ROW_SOURCES] = { "{network}/sources", SETTLING, FOLDER, false,
		"who serves blocks of it; empty while nobody follows", NULL, &sources_ops },
	[ROW_SOURCE] = { "{network}/sources/{source}", SETTLING, FOLDER, false,
		"one of them", NULL, &source_ops },
	[ROW_SOURCE_ADDRESS] = { "{network}/sources/{source}/address", SETTLING, PLAIN, false,
		"where it is", NULL, &source_file_ops },
	[ROW_SOURCE_ERROR] = { "{network}/sources/{source}/last_error", SETTLING, PLAIN, false,
		"its last fault", NULL, &source_file_ops },
	[ROW_SOURCE_FAULTS] = { "{network}/sources/{source}/faults", SETTLING, PLAIN, false,
		"how many, a line a kind", NULL, &source_file_ops },
	[ROW_SOURCE_OPERATOR] = { "{network}/sources/{source}/operator", SETTLING, PLAIN, false,
		"who runs it: sources of one operator are one voice", NULL, &source_file_ops },
	[ROW_SOURCE_RANGE] = { "{network}/sources/{source}/range", SETTLING, PLAIN, false,
		"a line a shard: the first and last height that it offers", NULL,
		&source_file_ops },
	[ROW_SOURCE_RATE] = { "{network}/sources/{source}/rate", SETTLING, PLAIN, false,
		"what it gave, and how much it is asked for at a time", NULL, &source_file_ops },
	[ROW_SOURCE_REMARK] = { "{network}/sources/{source}/remark", SETTLING, PLAIN, false,
		"what else is to be known of it, what it has pruned say", NULL, &source_file_ops },
	[ROW_SOURCE_SCORE] = { "{network}/sources/{source}/score", SETTLING, PLAIN, false,
		"how far it is used, from 0 to 1", NULL, &source_file_ops },
	[ROW_SOURCE_STATUS] = { "{network}/sources/{source}/status", SETTLING, PLAIN, false,
		"connected or connecting, on trial, open (not asked for so long), or banned until "
		"TIME; why",
		NULL, &source_file_ops },
	[ROW_SOURCE_VERSION] = { "{network}/sources/{source}/version", SETTLING, PLAIN, false,
		"of its program and protocol, and how it calls itself", NULL, &source_file_ops },
	[ROW_TRUST_LIST] = { "{network}/trust", SETTLING, PLAIN, false,
		"a line a decision about a block: shard, height, hash, state, source, who, "
		"time, reason", NULL, &trust_list_ops },
	[ROW_HEIGHTS] = { "{network}/heights", FIXED, FOLDER, false,
		"what is known of every height", NULL, &heights_ops },
	[ROW_MAP] = { "{network}/heights/{shard}.map", SETTLING, PLAIN, false,
		"a byte a height from 1 on: r replayed, h held, x refused, NUL missing (a hole)",
		NULL, &map_ops },

	[ROW_CONTEXT] = { "{network}/{context}", SETTLING, FOLDER, false,
		"legacy: what the chain's rules keep; hyper: all that was ever valid",
		"{lane}", &context_ops },
	[ROW_LANES] = { "{network}/{context}/shards", SETTLING, FOLDER, false,
		"the shards beside the main one", NULL, &lanes_ops },
	[ROW_LANE] = { "{network}/{context}/shards/{shard}", SETTLING, FOLDER, false,
		"one shard", "{lane}", &lane_ops },
	[ROW_STATE] = { "{network}/{context}/state", SETTLING, FOLDER, false,
		"each shard at its own newest replayed height", "{state}", &state_ops },

	[ROW_ATS] = { "{lane}/at", SETTLING, FOLDER, false,
		"lists nothing; resolves heights", NULL, &ats_ops },
	[ROW_AT] = { "{lane}/at/{height}", FIXED, FOLDER, true,
		"the state as of a height; of a main one with the shards as it witnesses them",
		"{state}", &at_ops },
	[ROW_BLOCKS] = { "{lane}/blocks", SETTLING, FOLDER, false,
		"blocks in ranges of 1,000", NULL, &blocks_ops },
	[ROW_BLOCK_RANGE] = { "{lane}/blocks/{range}", SETTLING, FOLDER, false,
		"the heights that are held", NULL, &block_range_ops },
	[ROW_BLOCK_SHORT] = { "{lane}/blocks/{height}", FIXED, FOLDER, true,
		"the block without its range", NULL, &block_short_ops },
	[ROW_INDEX] = { "{lane}/blocks/{range}/index.tsv", SETTLING, PLAIN, false,
		"a line a block: height, hash, time, items, bytes", NULL, &index_ops },
	[ROW_ITEMS_BULK] = { "{lane}/blocks/{range}/items.jsonl", SETTLING, PLAIN, false,
		"every item of the range, one a line", NULL, &items_bulk_ops },
	[ROW_BLOCK] = { "{lane}/blocks/{range}/{height}", FIXED, FOLDER, false,
		"one block", NULL, &block_ops },
	[ROW_BLOCK_BYTES] = { "{lane}/blocks/{range}/{height}/block{suffix}", FIXED, PLAIN, false,
		"the block as received, without its certificate", NULL, &block_bytes_ops },
	[ROW_COMMITS] = { "{lane}/blocks/{range}/{height}/commits{suffix}", FIXED, PLAIN, false,
		"the certificate that this node was given", NULL, &commits_ops },
	[ROW_HEADER] = { "{lane}/blocks/{range}/{height}/header", FIXED, PLAIN, false,
		"a field a line", NULL, &header_ops },
	[ROW_HEADER_JSON] = { "{lane}/blocks/{range}/{height}/header.json", FIXED, PLAIN, false,
		"the same as JSON", NULL, &header_json_ops },
	[ROW_ITEMS] = { "{lane}/blocks/{range}/{height}/items", FIXED, FOLDER, false,
		"what the block carries", NULL, &items_ops },
	[ROW_ITEM] = { "{lane}/blocks/{range}/{height}/items/{item}.json", FIXED, PLAIN, false,
		"one item: index, kind, first digits of its hash", NULL, &item_ops },
	[ROW_ITEM_BYTES] = { "{lane}/blocks/{range}/{height}/items/{item}{suffix}",
		FIXED, PLAIN, true, "its bytes as received", NULL, &item_bytes_ops },
	[ROW_OUTCOMES] = { "{lane}/blocks/{range}/{height}/outcomes.tsv", SETTLING, PLAIN, false,
		"a line an item: index, merged, refused, none or not-replayed, reason",
		NULL, &outcomes_ops },
	[ROW_PARENT] = { "{lane}/blocks/{range}/{height}/parent", FIXED, PLAIN, false,
		"height and hash", NULL, &parent_ops },
	[ROW_SIGNERS] = { "{lane}/blocks/{range}/{height}/signers", FIXED, PLAIN, false,
		"a line a validator: its key, and 1 when this node has its signature",
		NULL, &signers_ops },
	[ROW_VERIFY] = { "{lane}/blocks/{range}/{height}/verify", SETTLING, PLAIN, false,
		"a line a check of this node: level, verdict, reason", NULL, &verify_ops },
	[ROW_ENVELOPES] = { "{lane}/envelopes", SETTLING, FOLDER, false,
		"hyper alone: what it retained, by block", NULL, &envelopes_ops },
	[ROW_ENVELOPE_RANGE] = { "{lane}/envelopes/{range}", SETTLING, FOLDER, false,
		"of 1,000 heights", NULL, &envelope_range_ops },
	[ROW_ENVELOPE] = { "{lane}/envelopes/{range}/{height}{suffix}", FIXED, PLAIN, false,
		"hyper root and the retained changes of a block", NULL, &envelope_ops },
	[ROW_ENVELOPE_JSON] = { "{lane}/envelopes/{range}/{height}.json", FIXED, PLAIN, false,
		"the same as JSON", NULL, &envelope_json_ops },
	[ROW_ROOTS] = { "{lane}/roots", SETTLING, FOLDER, false,
		"state roots of this context", NULL, &roots_ops },
	[ROW_ROOTS_RANGE] = { "{lane}/roots/{range}.tsv", SETTLING, PLAIN, false,
		"a line a replayed height: height, root, records", NULL, &roots_range_ops },

	[ROW_STATE_SHARDS] = { "{state}/shards", FIXED, FOLDER, false,
		"the shards beside the main one", NULL, &state_shards_ops },
	[ROW_STATE_SHARD] = { "{state}/shards/{shard}", FIXED, FOLDER, false,
		"the same of one shard", "{state}", &state_shard_ops },
	[ROW_STATE_ROOTS] = { "{state}/roots.tsv", FIXED, PLAIN, false,
		"a line an account: vshard, account, root, records; all lines as long",
		NULL, &state_roots_ops },
	[ROW_ACCOUNTS] = { "{state}/accounts", FIXED, FOLDER, false,
		"the accounts that hold something", NULL, &state_folder_ops },
	[ROW_VSHARD] = { "{state}/accounts/{vshard}", FIXED, FOLDER, false,
		"accounts of one of 256 parts", NULL, &vshard_ops },
	[ROW_ACCOUNT_SHORT] = { "{state}/accounts/{fid}", FIXED, FOLDER, true,
		"the account in its own shard; two digits are a vshard, so pad those",
		NULL, &account_short_ops },
	[ROW_ACCOUNT] = { "{state}/accounts/{vshard}/{fid}", FIXED, FOLDER, false,
		"one account", NULL, &account_ops },
	[ROW_COUNTS] = { "{state}/accounts/{vshard}/{fid}/counts", FIXED, PLAIN, false,
		"records by set, and in total", NULL, &counts_ops },
	[ROW_LIMITS] = { "{state}/accounts/{vshard}/{fid}/limits", FIXED, PLAIN, false,
		"how many the chain's rules let it keep", NULL, &limits_ops },
	[ROW_ACCOUNT_ROOT] = { "{state}/accounts/{vshard}/{fid}/root", FIXED, PLAIN, false,
		"of its records in this context", NULL, &account_root_ops },
	[ROW_SET] = { "{state}/accounts/{vshard}/{fid}/{set}", FIXED, FOLDER, false,
		"records of one kind; listed also when empty", NULL, &set_ops },
	[ROW_SET_BULK] = { "{state}/accounts/{vshard}/{fid}/{set}.jsonl", FIXED, PLAIN, false,
		"the same records, one a line", NULL, &set_bulk_ops },
	[ROW_RECORD] = { "{state}/accounts/{vshard}/{fid}/{set}/{record}.json", FIXED, PLAIN, false,
		"one record", NULL, &record_ops },
	[ROW_RECORD_BYTES] = { "{state}/accounts/{vshard}/{fid}/{set}/{record}{suffix}",
		FIXED, PLAIN, true, "its bytes as received", NULL, &record_bytes_ops },
	[ROW_NAMES] = { "{state}/names", FIXED, FOLDER, false,
		"the names that have an owner", NULL, &state_folder_ops },
	[ROW_NAME] = { "{state}/names/{name}", FIXED, PLAIN, false,
		"one name: owner and proof", NULL, &name_ops },
};
const size_t tree_count = ARRAY_LEN(tree);
static_assert(ARRAY_LEN(tree) == ROW_COUNT && ROW_COUNT <= 256, "a row without its place");

static struct tree_env env;

void tree_set_env(const struct tree_env *e)
{
	env = *e;
}

const struct tree_env *tree_env(void)
{
	return &env;
}

struct sights *tree_sights(void)
{
	return env.sights;
}

/* ---- which rows stand below which ---- */

static struct shape shapes[ROW_COUNT];
static pthread_once_t shapes_once = PTHREAD_ONCE_INIT;

static bool is_below(const struct entry *folder, const char *path, size_t parent_size)
{
	const char *names[] = { folder->path, folder->opens };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (names[i] && strlen(names[i]) == parent_size &&
		    memcmp(names[i], path, parent_size) == 0)
			return true;
	return false;
}

static void find_shapes(void)
{
	for (size_t r = 1; r < ROW_COUNT; r++) {
		const char *path = tree[r].path, *slash = strrchr(path, '/');
		size_t parent_size = slash ? (size_t)(slash - path) : 0;

		shapes[r].leaf = slash ? slash + 1 : path;
		shapes[r].plain = !strchr(shapes[r].leaf, '{');
		for (size_t f = 0; f < ROW_COUNT; f++) {
			if (tree[f].type != NODE_FOLDER || f == r ||
			    !is_below(&tree[f], path, parent_size))
				continue;
			shapes[r].parent = (uint8_t)f;
			assert(shapes[f].child_count < CHILDREN_MAX);
			shapes[f].children[shapes[f].child_count++] = (uint8_t)r;
		}
	}
	shapes[ROW_ROOT].leaf = "";
}

const struct shape *tree_shape(uint8_t row)
{
	pthread_once(&shapes_once, find_shapes);
	assert(row < ROW_COUNT);
	return &shapes[row];
}

/* ---- nodes ---- */

struct node tree_root(void)
{
	return (struct node){ .row = ROW_ROOT };
}

void node_of_object(struct node *n, enum row row, uint64_t object)
{
	n->row = (uint8_t)row;
	n->of_object = true;
	n->scope = (struct scope){ 0 };
	n->key = object;
}

void node_of_view(const struct look *l, struct node *n)
{
	n->scope.kind = SCOPE_VIEW;
	n->scope.height = 0;
	n->scope.view_number = l->view->number;
}

void node_common(struct node *n)
{
	n->scope.context = CONTEXT_LEGACY;
}

struct node tree_child_of(const struct node *folder, uint8_t row)
{
	struct node n = *folder;

	n.row = row;
	return n;
}

static bool is_of_checkpoint(uint8_t row)
{
	static const char below[] = "{network}/checkpoints/";

	return strncmp(tree[row].path, below, sizeof below - 1) == 0;
}

/* Rows that tell of following: those of a source have nothing else to tell. */
static bool is_of_source(uint8_t row)
{
	static const char below[] = "{network}/sources/{source}/";

	return strncmp(tree[row].path, below, sizeof below - 1) == 0;
}

static bool may_be_sight(uint8_t row)
{
	static const char below[] = "{network}/gaps/{shard}/{range}/";

	return row == ROW_STATUS || is_of_source(row) ||
	       strncmp(tree[row].path, below, sizeof below - 1) == 0;
}

/* What a handle made up by somebody could say, and none of ours does. */
static bool is_sound(const struct node *n)
{
	if (!n->network)
		return n->row == ROW_ROOT || n->row == ROW_ROOT_README || n->row == ROW_CTL ||
		       n->row == ROW_PLAIN || n->row == ROW_ROOT_STATUS;
	/* There a scope says something else by the same fields. */
	if ((n->scope.kind == SCOPE_CHECKPOINT) != is_of_checkpoint(n->row))
		return false;
	if (n->scope.kind == SCOPE_SIGHT ? !may_be_sight(n->row) : is_of_source(n->row))
		return false;
	if (n->row == ROW_SET || n->row == ROW_SET_BULK || n->row == ROW_RETAINED_SET)
		return key_set(n->key) < network_ops(n->network)->set_count;
	return true;
}

/* A node of a view is asked about with that view, and no other. */
int tree_check(const struct view *view, const struct node *n, struct err *err)
{
	if (n->row >= ROW_COUNT || !is_sound(n) || (n->network && !view))
		return err_set(err, -ESTALE, "there never was such a file");
	if (n->network && !n->of_object && n->scope.kind == SCOPE_VIEW &&
	    view->number != n->scope.view_number)
		return err_set(err, -ESTALE, "a file of an older view");
	return 0;
}

int tree_check_of(const struct look *l, const struct node *n)
{
	return tree_check(l->view, n, l->err);
}

bool tree_is_absent(int rc)
{
	return rc == -ENOENT || rc == -ENODATA;
}

/* ---- lookup ---- */

int tree_plain_child(struct look *l, const struct node *folder, uint8_t row, struct node *out)
{
	*out = tree_child_of(folder, row);
	return tree[row].ops && tree[row].ops->make ? tree[row].ops->make(l, folder, out) : 0;
}

int tree_lookup(const struct view *view, const struct node *folder, const char *name,
		struct node *out, struct err *err)
{
	AUTO(look_release) struct look l = LOOK_INIT(view, err);
	const struct shape *shape = tree_shape(folder->row);
	int rc = tree_check_of(&l, folder);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < shape->child_count; i++) {
		uint8_t row = shape->children[i];

		if (shapes[row].plain && strcmp(shapes[row].leaf, name) == 0)
			return tree_plain_child(&l, folder, row, out);
	}
	for (size_t i = 0; i < shape->child_count; i++) {
		uint8_t row = shape->children[i];

		if (shapes[row].plain)
			continue;
		*out = tree_child_of(folder, row);
		rc = tree[row].ops->find(&l, folder, name, out);
		if (rc != -ENOENT)
			return rc;
	}
	return rc == -ENOENT ? rc : err_set(err, -ENOENT, "%s: there is no such name here", name);
}

bool tree_height(const struct node *folder, const char *name, uint32_t *shard, uint64_t *height)
{
	size_t size = strlen(name);

	*shard = folder->scope.shard;
	if (folder->row == ROW_BLOCKS)
		return path_number(name, size, height) == 0 && *height > 0;
	return folder->row == ROW_BLOCK_RANGE &&
	       path_padded(name, size, HEIGHT_DIGITS, height) == 0 &&
	       *height / RANGE_SIZE == folder->key && *height > 0;
}

/* ---- parents ---- */

static bool stands_below(const struct node *n, const char *opened)
{
	size_t size = strlen(opened);
	const char *path = tree[n->row].path;

	return strncmp(path, opened, size) == 0 && !strchr(path + size + 1, '/');
}

/* Which of the folders that open {lane} or {state}, the scope says. */
static uint8_t parent_row(const struct node *n)
{
	const struct scope *s = &n->scope;

	if (stands_below(n, "{lane}"))
		return s->shard ? ROW_LANE : ROW_CONTEXT;
	if (!stands_below(n, "{state}"))
		return tree_shape(n->row)->parent;
	if (s->kind != SCOPE_STATE)
		return s->shard ? ROW_STATE_SHARD : ROW_STATE;
	return s->view_number ? ROW_STATE_SHARD : ROW_AT;
}

int tree_parent(const struct view *view, const struct node *folder, struct node *out,
		struct err *err)
{
	AUTO(look_release) struct look l = LOOK_INIT(view, err);
	const struct entry *e = &tree[folder->row];
	int rc = tree_check_of(&l, folder);

	if (rc < 0)
		return rc;
	if (e->type != NODE_FOLDER || folder->of_object)
		return err_set(err, -ENOTDIR, "%s is no folder", e->path);
	*out = tree_child_of(folder, parent_row(folder));
	out->key = 0;
	if (out->row == ROW_ROOT)
		*out = tree_root();
	return e->ops && e->ops->parent ? e->ops->parent(&l, folder, out) : 0;
}

/* ---- attributes and bytes ---- */

bool tree_shows(enum connection on, uint8_t row)
{
	return on == ON_PLAIN ? tree[row].shown != MAIN_ALONE : tree[row].shown != PLAIN_ALONE;
}

int tree_attr_of(struct look *l, const struct node *n, struct attr *out)
{
	const struct entry *e = &tree[n->row];

	*out = (struct attr){ .type = e->type };
	int rc = e->ops && e->ops->attr ? e->ops->attr(l, n, out) : 0;
	/* Below a folder of its own view a name is not going to move; it is asked for again. */
	if (e->class == SETTLING && !n->of_object && n->network &&
	    (n->scope.kind == SCOPE_VIEW || n->scope.kind == SCOPE_SIGHT))
		out->settles = true;
	return rc;
}

int tree_attr(const struct view *view, const struct node *n, struct attr *out, struct err *err)
{
	AUTO(look_release) struct look l = LOOK_INIT(view, err);
	int rc = tree_check_of(&l, n);

	return rc < 0 ? rc : tree_attr_of(&l, n, out);
}

#define PLAIN_READ (128u << 10)

/* All of a file on the disk. */
static int read_plain(struct look *l, const struct node *n, struct buf *out)
{
	AUTO(base_closep) int fd = tree[n->row].ops->open(l, n);
	ssize_t got = fd;

	while (fd >= 0 && buf_reserve(out, PLAIN_READ) == 0 &&
	       (got = read(fd, out->p + out->n, PLAIN_READ)) > 0)
		out->n += (size_t)got;
	if (fd < 0 || got < 0)
		return fd < 0 ? fd : -errno;
	/* One that grows has more by now than this node of it. */
	struct attr attr;
	int rc = tree_attr_of(l, n, &attr);

	out->n = rc == 0 ? MIN(out->n, attr.size) : out->n;
	return rc < 0 ? rc : buf_done(out);
}

int tree_open(const struct view *view, const struct node *n, struct err *err)
{
	AUTO(look_release) struct look l = LOOK_INIT(view, err);
	const struct entry *e = &tree[n->row];

	if (!e->ops || !e->ops->open)
		return -EOPNOTSUPP;
	int rc = tree_check_of(&l, n);

	return rc < 0 ? rc : e->ops->open(&l, n);
}

int tree_read(const struct view *view, const struct node *n, struct buf *out, struct err *err)
{
	AUTO(look_release) struct look l = LOOK_INIT(view, err);
	const struct entry *e = &tree[n->row];
	int rc = tree_check_of(&l, n);

	if (rc < 0)
		return rc;
	if (!e->ops || (!e->ops->read && !e->ops->open))
		return err_set(err, -EISDIR, "%s: a folder has no bytes", e->path);
	rc = e->ops->read ? e->ops->read(&l, n, out) : read_plain(&l, n, out);
	if (rc == 0)
		rc = buf_done(out);
	return rc < 0 ? err_note(err, rc, "%s", e->path) : 0;
}

/* From a hole to what is behind it, over those that follow at once. */
static uint64_t behind_holes(struct look *l, const struct node *n, struct range hole)
{
	struct range next;

	while (tree[n->row].ops->hole(l, n, hole.end, &next) && next.first <= hole.end)
		hole.end = next.end;
	return hole.end;
}

int tree_seek(const struct view *view, const struct node *n, uint64_t offset, bool data,
	      uint64_t *out, struct err *err)
{
	AUTO(look_release) struct look l = LOOK_INIT(view, err);
	const struct entry *e = &tree[n->row];
	struct range hole;
	struct attr attr;
	int rc = tree_check_of(&l, n);

	if (rc == 0)
		rc = tree_attr_of(&l, n, &attr);
	if (rc < 0)
		return rc;
	if (offset >= attr.size)
		return -ENXIO;
	if (!e->ops || !e->ops->hole || !e->ops->hole(&l, n, offset, &hole)) {
		*out = data ? offset : attr.size;
		return 0;
	}
	bool inside = hole.first <= offset;

	*out = !data ? MAX(offset, hole.first) : inside ? behind_holes(&l, n, hole) : offset;
	return *out < attr.size || !data ? 0 : -ENXIO;
}
