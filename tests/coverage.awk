# Line and branch coverage by folder, then the files that are covered least; of gcovr's --csv.
BEGIN { FS = "," }
NR == 1 {
	for (i = 1; i <= NF; i++)
		column[$i] = i
	next
}
{
	folder = $(column["filename"])
	sub(/\/[^\/]*$/, "", folder)
	lines[folder] += $(column["line_total"])
	hit[folder] += $(column["line_covered"])
	branches[folder] += $(column["branch_total"])
	taken[folder] += $(column["branch_covered"])
	all += $(column["line_total"])
	all_hit += $(column["line_covered"])
	all_branches += $(column["branch_total"])
	all_taken += $(column["branch_covered"])
	missed[$(column["filename"])] = $(column["line_total"]) - $(column["line_covered"])
}
function share(part, whole) { return whole ? sprintf("%5.1f %%", 100 * part / whole) : "      -" }
END {
	if (!all) {
		print "coverage: no line was measured"
		exit 1
	}
	sort = "sort"
	for (folder in lines)
		printf "%-28s lines %6d %s   branches %6d %s\n", folder, lines[folder], share(hit[folder], lines[folder]), branches[folder], share(taken[folder], branches[folder]) | sort
	close(sort)
	printf "%-28s lines %6d %s   branches %6d %s\n", "all", all, share(all_hit, all), all_branches, share(all_taken, all_branches)
	print "\nlines that no test reached, most first:"
	least = "sort -rn | head -n 15"
	for (file in missed)
		printf "%6d %s\n", missed[file], file | least
	close(least)
}
