#include "mount-helpers/verbs.h"

#include "mount-helpers/papers.h"

#include <stdio.h>

static int verb_help_verb(struct verb_call *c);
static int verb_version(struct verb_call *c);

const struct verb verbs[] = {
	{ "demo", "[FOLDER]", "makes a small chain, imports it and mounts it",
	  "Generates a deterministic chain of the Snapchain kind with validators of its own\n"
	  "below FOLDER (default chainfs-demo), imports it with hyper on, mounts it at\n"
	  "FOLDER/mnt and prints five lines to try. Needs no network. Run again it mounts\n"
	  "what is there.",
	  STORE_LOCAL, 0, 1,
	  OPT(SEED) | OPT(NO_MOUNT) | OPT(HYPER) | OPT(QUIET) | OPT(FOREGROUND) | OPT(HELP), false,
	  verb_demo, NULL },
	{ "import", "STORE ARCHIVE", "reads an archive into a store",
	  "Checks every block of the archive folder on all cores, replays the chain's rules\n"
	  "and commits as it goes. A block that fails a check is refused and its height\n"
	  "becomes a gap with the reason. Interrupt it at any moment; the same command goes\n"
	  "on where it was. A store that a daemon holds is filled through the daemon.",
	  STORE_CREATE, 2, 2,
	  OPT(NETWORK) | OPT(CONFIG) | OPT(RANGE) | OPT(HYPER) | OPT(ALLOW_UNCOMMITTED) |
		  OPT(TRUST_ARCHIVE) | OPT(CHECKERS) | OPT(JSON) | OPT(QUIET) | OPT(NO_SYNC) |
		  OPT(HELP),
	  false, verb_import, verb_import_check },
	{ "restore", "STORE DIR", "starts a store from a checkpoint",
	  "Proves the checkpoint DIR from its bytes up to the root that validators signed, and\n"
	  "makes STORE of it, which must not exist: the state of that height in both contexts, and\n"
	  "one block a shard. An import goes on with the next height; earlier blocks may be\n"
	  "imported and are not replayed. When something does not prove, nothing is made.",
	  STORE_NONE, 2, 2,
	  OPT(NETWORK) | OPT(CONFIG) | OPT(TRUST_ARCHIVE) | OPT(JSON) | OPT(QUIET) | OPT(NO_SYNC) |
		  OPT(HELP),
	  false, verb_restore, NULL },
	{ "bootstrap", "STORE SOURCE", "starts a store from the state of a node",
	  "Takes the state that a node replicates, SOURCE grpc://HOST:PORT, or recorded pages of one,\n"
	  "SOURCE a folder, and proves it up to the root that validators signed: the newest snapshot\n"
	  "whose certificate holds, or that of --height. Shard 0 is replayed from its first block.\n"
	  "Makes STORE, which must not exist; an import or a mount goes on with the next height. What\n"
	  "no root covers is guessed, and such accounts are marked (chainfs guessed). When something\n"
	  "does not prove, nothing is made.",
	  STORE_NONE, 2, 2,
	  OPT(NETWORK) | OPT(CONFIG) | OPT(TRUST_ARCHIVE) | OPT(HYPER) | OPT(HEIGHT) | OPT(JSON) |
		  OPT(QUIET) | OPT(NO_SYNC) | OPT(SETTINGS) | OPT(SET) | OPT(HELP),
	  false, verb_bootstrap, NULL },
	{ "guessed", "STORE", "accounts of which a bootstrap had to guess something",
	  "One line an account: shard, account, what was guessed of it, which no root covers. A\n"
	  "block whose root does not come out later says so where its account is one of them.",
	  STORE_OPEN, 1, 1, OPT(NETWORK) | OPT(SHARD) | OPT(JSON) | OPT(HELP), false, verb_guessed,
	  NULL },
	{ "compare", "STORE URL", "which accounts differ between a store and a node",
	  "Asks the node at URL, grpc://HOST:PORT, for the trie of its state, shard by shard, and\n"
	  "goes down only where its hashes differ from ours: a line an account that differs, with\n"
	  "its root and records here and there. A node has the trie of its newest height alone.\n"
	  "Where the store still has the state of that height, that is compared, else its newest,\n"
	  "and accounts that the blocks in between changed differ as well; both heights are said.\n"
	  "Nothing is written. Exits with 4 when something differs. Of shard 0 nodes tell no trie.",
	  STORE_OPEN, 2, 2, OPT(NETWORK) | OPT(SHARD) | OPT(JSON) | OPT(HELP), false, verb_compare,
	  NULL },
	{ "mount", "STORE|URL MOUNTPOINT", "mounts a store, or follows a node and mounts that",
	  "Returns once ls works below MOUNTPOINT; a daemon stays behind and ends with\n"
	  "umount. A stale mount point of a daemon that died is cleared first.\n"
	  "Of the address of a node, grpc://HOST:PORT, a store is made where there is none:\n"
	  "-o store=DIR, else chainfs/HOST-PORT below $XDG_DATA_HOME or ~/.local/share, of root\n"
	  "below /var/lib. Who the network's validators are no node can vouch for: a new store\n"
	  "needs --network NAME of a preset, or --config FILE. A store whose networks name\n"
	  "sources follows them whenever it is mounted; -o source=URL names one more.",
	  STORE_LOCAL, 2, 2,
	  OPT(NETWORK) | OPT(CONFIG) | OPT(HYPER) | OPT(FOREGROUND) | OPT(OPTIONS) | OPT(HELP),
	  false, verb_mount, NULL },
	{ "source add", "STORE URL [OPERATOR]", "names a node that a network is followed from",
	  "Writes it to the network's file of sources, under --name or one made of the address.\n"
	  "A daemon that holds the store begins at once, others when the store is mounted.\n"
	  "Sources of one OPERATOR count as one voice when a tip is confirmed.",
	  STORE_OPEN, 2, 3, OPT(NETWORK) | OPT(NAME) | OPT(RPC) | OPT(HELP), false,
	  verb_source_add, NULL },
	{ "source remove", "STORE NAME", "no longer follows a node",
	  "What was fetched from it stays.", STORE_OPEN, 2, 2, OPT(NETWORK) | OPT(RPC) | OPT(HELP),
	  false, verb_source_remove, NULL },
	{ "source pardon", "STORE NAME", "lifts the ban of a node",
	  "Whatever it did is forgotten. Needs the daemon that follows it: bans end with it.",
	  STORE_OPEN, 2, 2, OPT(NETWORK) | OPT(RPC) | OPT(HELP), false, verb_source_pardon, NULL },
	{ "source list", "STORE", "the nodes that are followed, and how far they are used",
	  "A line a source: network, name, address, operator, state (connecting, connected, open,\n"
	  "half-open, banned; - without a daemon), score in thousandths, heights and bytes that it\n"
	  "gave, and what was wrong last.",
	  STORE_OPEN, 1, 1, OPT(NETWORK) | OPT(JSON) | OPT(RPC) | OPT(HELP), false,
	  verb_source_list, NULL },
	{ "umount", "MOUNTPOINT", "unmounts; the daemon behind it ends",
	  "As umount(8) does, which works as well. A busy mount is refused unless --lazy detaches "
	  "it.",
	  STORE_NONE, 1, 1, OPT(LAZY) | OPT(HELP), false, verb_umount, NULL },
	{ "upgrade", "MOUNTPOINT", "lets the installed program take over a mount",
	  "The daemon finishes what is in hand and leaves the mount to the program that lies at\n"
	  "its path by now, under the same process number. Open files, working directories and\n"
	  "readers go on; it returns once the mount answers. A program for which inode numbers\n"
	  "mean something else is refused, and nothing changes.",
	  STORE_NONE, 1, 1, OPT(HELP), false, verb_upgrade, NULL },
	{ "hand-over", "STORE", "what upgrade asks of a daemon", "Asks the keeper of the mount.",
	  STORE_OPEN, 1, 1, OPT(HELP), true, verb_hand_over, NULL },
	{ "keep", "KEPT [STORE MOUNTPOINT]", "what a keeper becomes",
	  "Goes on with descriptors that another program of ours left open; \"meaning\" says what\n"
	  "both must agree on.",
	  STORE_NONE, 1, 3,
	  OPT(OPTIONS) | OPT(FOREGROUND) | OPT(SETTINGS) | OPT(SET) | OPT(HELP), true, verb_keep,
	  NULL },
	{ "status", "STORE", "what a store holds",
	  "Heights held and replayed, roots of both contexts, retained records, by network and\n"
	  "shard; of a network that is followed also how far it is, how fast, and its sources.\n"
	  "--watch goes on with that until Ctrl-C: bars on a terminal, else a line a second.",
	  STORE_OPEN, 1, 1, OPT(NETWORK) | OPT(JSON) | OPT(WATCH) | OPT(RPC) | OPT(HELP), false,
	  verb_status, NULL },
	{ "gaps", "STORE", "which heights are missing, and why",
	  "One line a gap: shard, first and last height, reason, what went wrong last.", STORE_OPEN,
	  1, 1, OPT(NETWORK) | OPT(SHARD) | OPT(JSON) | OPT(RPC) | OPT(HELP), false, verb_gaps,
	  NULL },
	{ "verify", "STORE|CHECKPOINT", "checks what a store or a checkpoint holds again",
	  "Reads every block held and recomputes hashes, certificates and signatures on all\n"
	  "cores. The levels accounts and state are those of the replay at import. Prints a\n"
	  "line for every fault, then the counts of each level.\n"
	  "The folder of a checkpoint is checked from its files alone, up to the root that\n"
	  "validators signed: a line for every damaged file, then one a level. Who the\n"
	  "validators are say --config FILE, or --network NAME for a preset; else the\n"
	  "checkpoint vouches for itself.",
	  STORE_OPEN, 1, 1, OPT(NETWORK) | OPT(CONFIG) | OPT(RANGE) | OPT(STORED) | OPT(JSON) |
		  OPT(RPC) | OPT(HELP),
	  false, verb_verify, verb_verify_check },
	{ "pin", "STORE NAME", "asks for a checkpoint, and that it stays",
	  "Pins the newest main height that is replayed, or --height, under NAME: its checkpoint\n"
	  "is built below STORE and stays until the name is let go. A daemon that holds the\n"
	  "store builds it in the background; else it is built now. A build that was\n"
	  "interrupted begins again with the next mount or pin.",
	  STORE_OPEN, 2, 2, OPT(NETWORK) | OPT(HEIGHT) | OPT(QUIET) | OPT(HELP), false, verb_pin,
	  NULL },
	{ "unpin", "STORE NAME", "lets go of a checkpoint",
	  "A checkpoint that no pin wants any more is taken away.", STORE_OPEN, 2, 2,
	  OPT(NETWORK) | OPT(HELP), false, verb_unpin, NULL },
	{ "checkpoints", "STORE", "which checkpoints there are, and what asks for them",
	  "A line a pin: network, name, height, state, checkpoint or what went wrong; then a line\n"
	  "a checkpoint that no pin names.",
	  STORE_OPEN, 1, 1, OPT(NETWORK) | OPT(JSON) | OPT(HELP), false, verb_checkpoints, NULL },
	{ "checkpoint", "STORE FOLDER", "writes a checkpoint of the state into a folder",
	  "Makes FOLDER/HEIGHT-HASH with the state of both contexts as of a main height, what\n"
	  "the rules need beyond it, the blocks that sign it and their certificates, and prints\n"
	  "its path. The same chain gives the same bytes on every machine, but for evidence/\n"
	  "and verdict. One that is complete already is left alone.",
	  STORE_OPEN, 2, 2, OPT(NETWORK) | OPT(HEIGHT) | OPT(JSON) | OPT(HELP), false,
	  verb_checkpoint, NULL },
	{ "trust add", "STORE", "writes a signed block down as a checkpoint that is trusted",
	  "Checks the certificate of the main block --height (the newest that is replayed), or of\n"
	  "the block in --evidence FILE, which the store need not hold, against the validators of\n"
	  "its height, and appends it to the registry of the network with the block as evidence.\n"
	  "From then on another block of that height is refused.",
	  STORE_OPEN, 1, 1,
	  OPT(NETWORK) | OPT(HEIGHT) | OPT(SHARD) | OPT(EVIDENCE) | OPT(HELP), false,
	  verb_trust_add, NULL },
	{ "trust pin", "STORE HEIGHT HASH [REASON]", "says which block of a height is the right one",
	  "Your own word, of the main shard or --shard: from then on another block of that height is\n"
	  "refused. Where the store holds another one, the pin is refused, unless --force rolls back\n"
	  "below it.",
	  STORE_OPEN, 3, 4, OPT(NETWORK) | OPT(SHARD) | OPT(FORCE) | OPT(HELP), false,
	  verb_trust_pin, NULL },
	{ "trust list", "STORE", "what was decided about blocks of a network, and by whom",
	  "One line a decision, the newest last: shard, height, hash, state, source, who, time,\n"
	  "reason.",
	  STORE_OPEN, 1, 1, OPT(NETWORK) | OPT(JSON) | OPT(HELP), false, verb_trust_list, NULL },
	{ "distrust", "STORE HEIGHT|CHECKPOINT REASON", "refuses a block from now on",
	  "Appends to the registry that the block held at that height, or the one that CHECKPOINT\n"
	  "names (HEIGHT-HASH, 8 digits of it), is not to be trusted. Where the store holds it, it\n"
	  "rolls back below it. Only trust pin brings it back.",
	  STORE_OPEN, 3, 3, OPT(NETWORK) | OPT(SHARD) | OPT(HELP), false, verb_distrust, NULL },
	{ "rollback", "STORE HEIGHT|CHECKPOINT [REASON]", "goes back to an earlier height",
	  "The state is as of that main height again, and of every other shard as of what its block\n"
	  "witnesses. Blocks above become gaps with the reason, to be imported or fetched again. One\n"
	  "commit: it happened or it did not.",
	  STORE_OPEN, 2, 3, OPT(NETWORK) | OPT(JSON) | OPT(HELP), false, verb_rollback, NULL },
	{ "fsck", "STORE", "walks all of a store and says what is wrong with it",
	  "Computes again whatever can be computed: bytes against digests and hashes, rows\n"
	  "against blocks, indexes in both directions, accounts and roots from records,\n"
	  "counters, deaths, segments, checkpoints, pins. A fault is a line: class, network,\n"
	  "part, shard, height, sentence. --repair makes gaps of damaged blocks, so that the\n"
	  "next import of them heals them, and writes anew what follows from the bytes of\n"
	  "blocks, and files of pins of which a half is whole. Orphans cost room and harm\n"
	  "nobody: they alone are no failure.",
	  STORE_OPEN, 1, 1, OPT(NETWORK) | OPT(REPAIR) | OPT(JSON) | OPT(QUIET) | OPT(HELP), false,
	  verb_fsck, NULL },
	{ "doctor", "[STORE [MOUNTPOINT]]", "looks for what would get in the way",
	  "One line a check: ok, note or fault, what was looked at, what was found, what to do.\n"
	  "Looks at FUSE with a trial mount, limits, the clock, settings, mounts whose daemons\n"
	  "died, and at STORE and MOUNTPOINT when they are given. Changes nothing. Exits with 4\n"
	  "when there is a fault.",
	  STORE_NONE, 0, 2, OPT(SETTINGS) | OPT(SET) | OPT(JSON) | OPT(HELP), false, verb_doctor,
	  NULL },
	{ "export", "STORE ARCHIVE", "writes what a store holds as an archive",
	  "Makes the folder ARCHIVE with the blocks held, in the order of their heights, each with\n"
	  "the certificate it came with, and the network's parameters in network.json. What import\n"
	  "reads of it in an empty store is the same state. A height that is missing here is missing\n"
	  "there. Interrupted it leaves a folder without network.json, which is not complete.",
	  STORE_OPEN, 2, 2, OPT(NETWORK) | OPT(RANGE) | OPT(JSON) | OPT(QUIET) | OPT(HELP), false,
	  verb_export, NULL },
	{ "config show", "[STORE]", "the settings, and where they come from",
	  "One line a setting: key and value, with --origin also where the value comes from.\n"
	  "Those of STORE are those of the daemon that holds it, else those that a verb would\n"
	  "have for it.",
	  STORE_ASK, 0, 1, OPT(ORIGIN) | OPT(JSON) | OPT(HELP), false, verb_config_show, NULL },
	{ "config check", "FILE", "checks a file of settings",
	  "Names the first fault in FILE with its line, and exits with 4.", STORE_NONE, 1, 1,
	  OPT(JSON) | OPT(HELP), false, verb_config_check, NULL },
	{ "migrate", "STORE", "brings a store to the format of this program",
	  "A store names its format. This program also reads, and goes on writing, the one before\n"
	  "its own; migrate lets it write its own from then on, which takes a seventh less for\n"
	  "bytes of blocks and which older programs refuse. A store that a later program made is\n"
	  "refused, and so is a folder that is none.",
	  STORE_NONE, 1, 1, OPT(JSON) | OPT(HELP), false, verb_migrate, NULL },
	{ "presets", "[NAME]", "networks whose parameters are known",
	  "One line a set of validators: network, kind, the height it counts from, its shards and\n"
	  "how many validators it has. With NAME: that network's parameters, as --config takes\n"
	  "them.",
	  STORE_NONE, 0, 1, OPT(JSON) | OPT(HELP), false, verb_presets, NULL },
	{ "hyper diff", "STORE", "what a main block changed in each context",
	  "Prints the two contexts as of the main height --block: roots, records, what hyper\n"
	  "retains; then a line for every record that the block, and the blocks of other\n"
	  "shards it is the first to witness, gave to a context or took from it: context, sign,\n"
	  "shard, height, account, set, name, reason.",
	  STORE_OPEN, 1, 1,
	  OPT(NETWORK) | OPT(BLOCK) | OPT(SHARD) | OPT(CONTEXT) | OPT(JSON) | OPT(RPC) | OPT(HELP),
	  false, verb_hyper_diff, NULL },
	{ "hyper audit", "STORE", "checks what hyper retained",
	  "Of the newest --latest heights of every shard (1000): has each its hyper root and\n"
	  "its envelope, do bytes and rows make them again, does what is retained grow by what\n"
	  "the changes say, was every prune of legacy a no-op of hyper? At the newest height\n"
	  "the roots are made again from all records. A line for every fault, then the counts.",
	  STORE_OPEN, 1, 1, OPT(NETWORK) | OPT(LATEST) | OPT(JSON) | OPT(RPC) | OPT(HELP), false,
	  verb_hyper_audit, NULL },
	{ "hyper metrics", "STORE", "how much hyper holds, on a line",
	  "Sums over all networks, or one: heights replayed, how far replay is behind what is\n"
	  "held and hyper behind replay, records, what is retained, its bytes, failures, and the\n"
	  "soft cap. With --tail a line every hyper.metrics_interval, until interrupted; the\n"
	  "store is held meanwhile, unless a daemon holds it, which is then asked.",
	  STORE_OPEN, 1, 1, OPT(NETWORK) | OPT(TAIL) | OPT(JSON) | OPT(RPC) | OPT(HELP), false,
	  verb_hyper_metrics, NULL },
	{ "forge", "FOLDER", "writes a generated archive",
	  "Writes a deterministic archive of the Snapchain kind, for tests and measurements. With\n"
	  "--bare it has many heights and nothing else; its blocks are nobody's word, and import\n"
	  "takes them with --allow-uncommitted.",
	  STORE_NONE, 1, 1,
	  OPT(SEED) | OPT(BLOCKS) | OPT(MESSAGES) | OPT(ACCOUNTS) | OPT(BARE) | OPT(QUIET) |
		  OPT(HELP),
	  true,
	  verb_forge, NULL },
	{ "papers", "FOLDER [PARTS]", "writes manual pages and completions",
	  "Writes the sources of the manual pages (scdoc) and the completions of bash, zsh and\n"
	  "fish into FOLDER, from the program's own tables; PARTS is the folder of what people\n"
	  "wrote for the pages.",
	  STORE_NONE, 1, 2, OPT(HELP), true, verb_papers, NULL },
	{ "version", "", "prints the version",
	  "The program's version and the store format that it writes.", STORE_NONE, 0, 0,
	  OPT(JSON) | OPT(HELP), false, verb_version, NULL },
	{ "help", "[VERB…]", "this text, or that of a verb",
	  "Lists the verbs, or says more of one.", STORE_NONE, 0, 2, OPT(HELP), false, verb_help_verb, NULL },
};
const size_t verb_count = ARRAY_LEN(verbs);

static int verb_help_verb(struct verb_call *c)
{
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 20);
	if (!c->word_count) {
		verb_help_all(verbs, verb_count, &out);
		verb_write(c, buf_slice(&out));
		return EXIT_DONE;
	}
	char *words[] = { (char *)c->words[0], (char *)c->words[1] };
	int used;
	const struct verb *v = verb_find(verbs, verb_count, c->word_count, words, &used);
	if (v) {
		verb_help(v, &out);
		verb_write(c, buf_slice(&out));
		return EXIT_DONE;
	}
	verb_say(c, "chainfs help: there is no verb \"%s\"\n", c->words[0]);
	return EXIT_USAGE;
}

static int verb_version(struct verb_call *c)
{
	if (verb_has(c, OPTION_JSON))
		verb_print(c, "{\"store_format\":%d,\"version\":\"%s\"}\n", STORE_FORMAT,
			   CHAINFS_VERSION);
	else
		verb_print(c, "chainfs %s, store format %d\n", CHAINFS_VERSION, STORE_FORMAT);
	return EXIT_DONE;
}
