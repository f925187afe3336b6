# report.awk: the table, the JSON and the floors of a run.
#
#     awk -v json=FILE -v medians=FILE -v want='NAME…' -f report.awk plan.tsv samples.tsv reasons.tsv figures.tsv floors.tsv
#
# plan.tsv says which rows there must be (part, op, column, rounds): one that has neither as many samples
# nor a reason why not is an error, as is a line that cannot be read. Ratios are medians of the ratios
# within each round, since the machine is as busy for all columns of a round. Exit code 3: an error; 1: a
# floor is not met, or none was measured; 0.
BEGIN { FS = "\t"; OFS = "\t" }

function bad(why) { printf "report: %s:%d: %s\n", FILENAME, FNR, why > "/dev/stderr"; errors++ }
function is_number(s) { return s ~ /^-?[0-9]+(\.[0-9]*)?(e[-+]?[0-9]+)?$/ }

FNR == 1 { file = FILENAME; sub(/.*\//, "", file) }
/^#/ || /^$/ { next }
file == "plan.tsv" {
	if (NF != 4) { bad("not a row of the plan"); next }
	key = $2 SUBSEP $3
	if (key in rounds) { bad("planned twice"); next }
	rounds[key] = $4
	if (!($2 in op_seen)) { op_seen[$2] = 1; ops[++op_count] = $2 }
	if (!($3 in column_seen)) { column_seen[$3] = 1; columns[++column_count] = $3 }
	next
}
file == "samples.tsv" {
	key = $2 SUBSEP $3
	if (NF != 8) { bad("not a sample"); next }
	for (i = 4; i <= 8; i++)
		if (!is_number($i)) { bad("no number: " $i); next }
	if (!(key in rounds)) { bad("not planned: " $2 " of " $3); next }
	if ((key, $4) in wall) { bad("measured twice: " $2 " of " $3); next }
	wall[key, $4] = $5; client[key, $4] = $6; server[key, $4] = $7
	got[key]++
	if (!($2 in units)) units[$2] = $8
	else if (units[$2] != $8) bad($2 " of " $3 " did " $8 " units of " units[$2])
	next
}
file == "reasons.tsv" {
	if (NF != 4 || $4 == "") { bad("not a reason"); next }
	reason[$2, $3] = $4
	next
}
file == "figures.tsv" {
	if (NF != 4 || !is_number($3)) { bad("not a figure"); next }
	if (!($2 in figure_seen)) { figure_seen[$2] = 1; figures[++figure_count] = $2 }
	figure[$2] = $3; figure_unit[$2] = $4; figure_part[$2] = $1
	next
}
file == "floors.tsv" {
	if (NF != 5 || !is_number($3) || !is_number($4)) { bad("not a floor"); next }
	f = ++floor_count
	floor_kind[f] = $1; floor_rows[f] = $2; floor[f] = $3; goal[f] = $4; floor_about[f] = $5
	next
}
{ bad("what is this file?") }

# ---- numbers ----

function median(list, n,    i, j, x) {
	for (i = 2; i <= n; i++) {
		x = list[i]
		for (j = i - 1; j > 0 && list[j] > x; j--) list[j + 1] = list[j]
		list[j + 1] = x
	}
	return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}
function have(op, column) { return got[op, column] > 0 }
function of(table, op, column,    r, n, list) {
	for (r = 1; r <= rounds[op, column]; r++)
		list[++n] = table == "wall" ? wall[op, column, r] : table == "client" ? client[op, column, r] \
			: table == "server" ? server[op, column, r] : client[op, column, r] + server[op, column, r]
	return median(list, n)
}
function extreme(op, column, sign,    r, x, best) {
	for (r = 1; r <= rounds[op, column]; r++) {
		x = wall[op, column, r]
		if (r == 1 || sign * x > sign * best) best = x
	}
	return best
}
# Column a over column b, round by round.
function ratio(op, a, b, cpu,    r, n, list, x, y) {
	for (r = 1; r <= rounds[op, a]; r++) {
		x = cpu ? client[op, a, r] + server[op, a, r] : wall[op, a, r]
		y = cpu ? client[op, b, r] + server[op, b, r] : wall[op, b, r]
		list[++n] = x / (y > 0 ? y : 0.001)
	}
	return median(list, n)
}
function ratio_text(op, a, b, cpu, form) {
	if (!have(op, a) || !have(op, b)) return "-"
	return sprintf(form, ratio(op, a, b, cpu))
}
function transport(column) { sub(/^[a-z]*-/, "", column); return column }
function is_ours(column) { return column ~ /^chainfs-/ }
function quoted(s) { gsub(/\\/, "\\\\", s); gsub(/"/, "\\\"", s); gsub(/\t/, "\\t", s); return "\"" s "\"" }

# ---- the table ----

function rows(    i, k, op, column, null, line) {
	printf "%-11s %-16s %9s %17s %9s %9s | %7s %7s %7s %7s %7s\n", "operation", "file system", "wall ms",
		"least-most", "client ms", "server ms", "of null", "its CPU", "x ptll", "x sqll", "/ ext4"
	for (i = 1; i <= op_count; i++) {
		op = ops[i]
		for (k = 1; k <= column_count; k++) {
			column = columns[k]
			if (!((op, column) in rounds)) continue
			if (!have(op, column)) {
				if (!((op, column) in reason)) {
					printf "report: %s of %s: no sample and no reason\n", op, column > "/dev/stderr"
					errors++
				} else
					printf "%-11s %-16s not measured: %s\n", op, column, reason[op, column]
				missing++
				continue
			}
			if (got[op, column] != rounds[op, column]) {
				printf "report: %s of %s: %d samples of %d\n", op, column, got[op, column], \
					rounds[op, column] > "/dev/stderr"
				errors++
				continue
			}
			measured++
			if (medians != "")
				printf "%s\t%s\t%.3f\t%.3f\t%.3f\t%.3f\n", op, column, of("wall", op, column), \
					extreme(op, column, -1), extreme(op, column, 1), of("cpu", op, column) > medians
			null = "null-" (is_ours(column) ? transport(column) : "classic")
			printf "%-11s %-16s %9.1f %17s %9.1f %9.1f | %7s %7s %7s %7s %7s\n", op, column, of("wall", op, column),
				sprintf("%.1f-%.1f", extreme(op, column, -1), extreme(op, column, 1)),
				of("client", op, column), of("server", op, column),
				ratio_text(op, null, column, 0, "%.2f"), ratio_text(op, null, column, 1, "%.2f"),
				ratio_text(op, "passthrough_ll", column, 0, "%.2f"),
				ratio_text(op, "squashfuse_ll", column, 0, "%.2f"),
				ratio_text(op, column, "ext4", 0, "%.2f")
		}
	}
	if (op_count)
		print "of null: the null file system's wall time over this one's (1: as fast); its CPU: the same of processor time,\n" \
			"client and server; x ptll, x sqll: passthrough_ll's and squashfuse_ll's wall time over this one's;\n" \
			"/ ext4: this one's wall time over ext4's. Medians of the ratios of each round."
}

# ---- floors ----

function verdict(name, f, value, less, known,    met, at) {
	if (!known) {
		printf "%-13s floor %-6s goal %-5s %8s  %s: %s\n", "not measured", floor[f], goal[f], "-", name, floor_about[f]
		unknown++
	} else {
		met = less ? value <= floor[f] : (floor_kind[f] == "faster" ? value > floor[f] : value >= floor[f])
		at = less ? value <= goal[f] : value >= goal[f]
		printf "%-13s floor %-6s goal %-5s %8.2f  %s: %s\n", met ? at ? "met, and goal" : "met" : "not met",
			floor[f], goal[f], value, name, floor_about[f]
		if (met) floors_met++; else floors_not++
		if (at) goals_met++
	}
	verdicts[++verdict_count] = sprintf("{\"name\":%s,\"what\":%s,\"floor\":%s,\"goal\":%s,\"value\":%s,\"met\":%s,\"goal_met\":%s}",
		quoted(name), quoted(floor_about[f]), floor[f], goal[f], known ? sprintf("%.4f", value) : "null",
		known ? met ? "true" : "false" : "null", known ? at ? "true" : "false" : "null")
}
function judge(f,    n, names, i, k, column, op, other, a, b) {
	n = split(floor_rows[f], names, ",")
	if (floor_kind[f] ~ /^at-/) {
		# Only judged where the part that gives it was asked for.
		if (names[1] in figure)
			verdict(names[1], f, figure[names[1]], floor_kind[f] == "at-most", 1)
		else if (names[1] in wanted)
			verdict(names[1], f, 0, 0, 0)
		return
	}
	for (i = 1; i <= n; i++)
		for (k = 1; k <= column_count; k++) {
			op = names[i]; column = columns[k]
			if (!is_ours(column) || !((op, column) in rounds)) continue
			if (floor_kind[f] == "null") {
				other = "null-" transport(column)
				verdict(op " " column, f, have(op, column) && have(op, other) ? ratio(op, other, column, 0) : 0, 0,
					have(op, column) && have(op, other))
			} else if (floor_kind[f] == "ext4") {
				verdict(op " " column, f, have(op, column) && have(op, "ext4") ? ratio(op, column, "ext4", 0) : 0, 1,
					have(op, column) && have(op, "ext4"))
			} else {
				a = have(op, "passthrough_ll") && have(op, column); b = have(op, "squashfuse_ll") && have(op, column)
				if (a) a = ratio(op, "passthrough_ll", column, 0)
				if (b) b = ratio(op, "squashfuse_ll", column, 0)
				verdict(op " " column, f, a < b ? a : b, 0, a && b)
			}
		}
}

function write_json(    i, k, op, column, first, key) {
	if (json == "") return
	printf "{\"operations\":[" > json
	first = 1
	for (i = 1; i <= op_count; i++)
		for (k = 1; k <= column_count; k++) {
			op = ops[i]; column = columns[k]
			if (!((op, column) in rounds)) continue
			printf "%s\n{\"operation\":%s,\"filesystem\":%s", first ? "" : ",", quoted(op), quoted(column) > json
			first = 0
			if (!have(op, column)) {
				printf ",\"not_measured\":%s}", quoted(reason[op, column]) > json
				continue
			}
			printf ",\"rounds\":%d,\"wall_ms\":%.3f,\"wall_least_ms\":%.3f,\"wall_most_ms\":%.3f,\"client_cpu_ms\":%.3f,\"server_cpu_ms\":%.3f,\"units\":%s}", \
				rounds[op, column], of("wall", op, column), extreme(op, column, -1), extreme(op, column, 1), \
				of("client", op, column), of("server", op, column), units[op] > json
		}
	printf "],\n\"figures\":{" > json
	for (i = 1; i <= figure_count; i++)
		printf "%s\n%s:{\"value\":%s,\"unit\":%s,\"part\":%s}", (i > 1 ? "," : ""), quoted(figures[i]), \
			figure[figures[i]], quoted(figure_unit[figures[i]]), quoted(figure_part[figures[i]]) > json
	printf "},\n\"floors\":[" > json
	for (i = 1; i <= verdict_count; i++)
		printf "%s\n%s", (i > 1 ? "," : ""), verdicts[i] > json
	printf "],\n\"floors_met\":%d,\"floors_not_met\":%d,\"goals_met\":%d,\"not_measured\":%d}\n", \
		floors_met, floors_not, goals_met, unknown > json
	close(json)
}

END {
	if (want != "") {
		n = split(want, list, " ")
		for (i = 1; i <= n; i++) wanted[list[i]] = 1
	}
	rows()
	if (figure_count) print ""
	for (i = 1; i <= figure_count; i++)
		printf "%-60s %14s %s\n", figures[i], figure[figures[i]], figure_unit[figures[i]]
	print ""
	if (!errors)
		for (f = 1; f <= floor_count; f++) judge(f)
	write_json()
	if (errors) {
		printf "%d errors: this run says nothing\n", errors
		exit 3
	}
	printf "%d rows measured, %d could not be\n", measured, missing
	printf "%d floors met, %d not met, %d goals met, %d not measured\n", floors_met, floors_not, goals_met, unknown
	exit floors_not > 0 || floors_met == 0
}
