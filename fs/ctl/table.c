/* What stands in ctl: one table, and the README that comes from it. */
#include "fs/ctl/inside.h"

#include <stdio.h>

const struct ctl_row ctl_rows[ROW_END] = {
	[ROW_ROOT] = { "", 0, FOLDER, ORDER_COUNT, false, "" },
	[ROW_README] = { "README", ROW_ROOT, TEXT, ORDER_COUNT, false, "this page" },
	[ROW_BACKWARD] = { "backward", ROW_ROOT, SETTABLE, ORDER_BACKWARD, true,
			   "on, off: history below what is held is fetched, or waits" },
	[ROW_CAP] = { "cap", ROW_ROOT, SETTABLE, ORDER_CAP, true,
		      "bytes a second that following may take, with k, M or G; 0: no bound" },
	[ROW_EVENTS] = { "events", ROW_ROOT, STREAM, ORDER_COUNT, false,
			 "a line an event: time, network, kind, key=value pairs. cat waits\n"
			 "for the next one and begins with what comes after its open; tail -f\n"
			 "shows the last lines first and looks for more every second. A\n"
			 "reader that is too slow is told how many lines it lost" },
	[ROW_FETCH] = { "fetch", ROW_ROOT, SETTABLE, ORDER_FETCH, true,
			"\"SHARD FIRST-LAST\", behind NETWORK where there are several: these\n"
			"heights are asked for before others; what is still missing of what\n"
			"was asked for is read here" },
	[ROW_FREEZE] = { "freeze", ROW_ROOT, SETTABLE, ORDER_FREEZE, true,
			 "1, or \"1 SECONDS\": nothing below the store is written any more, so\n"
			 "that its folder may be copied; 0 thaws, and so does its time, 60 s" },
	[ROW_LAST_ERROR] = { "last_error", ROW_ROOT, TEXT, ORDER_LAST_ERROR, true,
			     "why the last order that was refused was refused" },
	[ROW_LOG_LEVEL] = { "log-level", ROW_ROOT, SETTABLE, ORDER_LOG_LEVEL, true,
			    "error, warn, info or debug" },
	[ROW_METRICS] = { "metrics", ROW_ROOT, TEXT, ORDER_COUNT, false,
			  "numbers in Prometheus' text format" },
	[ROW_PAUSE] = { "pause", ROW_ROOT, SETTABLE, ORDER_PAUSE, true,
			"1: imports of the daemon stop between two commits; 0: they go on" },
	[ROW_PINS] = { "pins", ROW_ROOT, FOLDER, ORDER_COUNT, true,
		       "mkdir pins/NAME asks for a checkpoint of the newest main height, and\n"
		       "pins/NAME@HEIGHT of that one; rmdir lets it go. NETWORK:NAME where there\n"
		       "are several networks" },
	[ROW_TRUST] = { "trust", ROW_ROOT, SETTABLE, ORDER_TRUST, true,
			"\"pin NETWORK HEIGHT HASH\", \"distrust NETWORK HEIGHT REASON\" or\n"
			"\"rollback NETWORK HEIGHT\", of the main shard; what the last of them\n"
			"did is read here" },
	[ROW_VERIFY] = { "verify", ROW_ROOT, SETTABLE, ORDER_VERIFY, true,
			 "NETWORK, \"NETWORK FIRST-LAST\" or \"NETWORK CHECKPOINT\": checked in\n"
			 "the background; what was found is read here" },
	[ROW_PIN] = { NULL, ROW_PINS, FOLDER, ORDER_COUNT, true, "" },
	[ROW_PIN_CHECKPOINT] = { "checkpoint", ROW_PIN, LINK, ORDER_COUNT, true,
				 "where it is, or will be" },
	[ROW_PIN_HEIGHT] = { "height", ROW_PIN, TEXT, ORDER_COUNT, true, "its main height" },
	[ROW_PIN_STATE] = { "state", ROW_PIN, TEXT, ORDER_COUNT, true,
			    "waiting, building N of M, complete, or failed: why" },
};

static const char readme_head[] = "What flows and what is ordered, beside the tree of this mount.\n"
				  "\n";
static const char readme_tail[] =
	"\n"
	"An order is one write of one line, by the owner alone; what is refused fails on the\n"
	"write itself, and last_error says why. Kinds of events: ban, block, checkpoint,\n"
	"confirmed, damaged, disk, follow, freeze, gap, head, healed, hyper, import, mount, pause,\n"
	"refused, repaired, rollback, source, sync, trust, verify; of the reader itself: events.\n";

void ctl_readme(struct ctl *c, struct buf *out)
{
	buf_str(out, readme_head);
	for (enum row r = ROW_ROOT + 1; r < ROW_END; r++) {
		const struct ctl_row *row = &ctl_rows[r];
		char name[32];

		if ((row->ordered && !c->orders) || !row->name)
			continue;
		snprintf(name, sizeof name, "%s%s%s", row->below == ROW_PIN ? "pins/*/" : "",
			 row->name, row->kind == FOLDER ? "/" : "");
		buf_fmt(out, "%-17s ", name);
		for (const char *p = row->about; *p; p++) {
			buf_u8(out, (uint8_t)*p);
			if (*p == '\n')
				buf_fmt(out, "%18s", "");
		}
		buf_u8(out, '\n');
	}
	buf_str(out, readme_tail);
}
