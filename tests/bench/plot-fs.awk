# plot-fs.awk: medians.tsv (operation, file system, wall ms, least, most, processor ms) as bars of an SVG.
#
# A group an operation, a bar a file system, its length the logarithm of the wall time; a thin line from
# the fastest round to the slowest.
BEGIN {
	FS = "\t"
	split("#1b6ca8 #7fb7e0 #d08a2e #8a5fb0 #6f8f4e #2a9d8f #9fd8cf #999999", color, " ")
}
NF != 6 { print "plot-fs: " FILENAME ":" FNR ": not a median" > "/dev/stderr"; failed = 1; exit }
{
	if (!($1 in group)) { group[$1] = ++groups; title[groups] = $1 }
	if (!($2 in of)) { of[$2] = ++systems; system_name[systems] = $2 }
	n++
	g[n] = group[$1]; s[n] = of[$2]; wall[n] = $3; least[n] = $4; most[n] = $5
	bars[group[$1]]++
	if (n == 1 || $4 < low) low = $4
	if (n == 1 || $5 > high) high = $5
}
function x(ms) { return left + width * (log(ms) - from) / (to - from) }
function power(e,    v, i) { v = 1; for (i = 0; i < e; i++) v *= 10; for (i = 0; i > e; i--) v /= 10; return v }
END {
	if (failed) exit 2
	if (!n) exit 0
	left = 110; width = 620; bar = 11; gap = 14; top = 60
	first = int(log(low > 0.01 ? low : 0.01) / log(10)); if (power(first) > low) first--
	last = int(log(high) / log(10)) + 1
	from = first * log(10); to = last * log(10)
	height = top + n * bar + groups * gap + 30
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"860\" height=\"%d\" font-family=\"sans-serif\" font-size=\"11\">\n", height
	print "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>"
	print "<text x=\"10\" y=\"18\" font-size=\"13\">Wall time in ms (logarithmic), medians; lines: fastest to slowest round</text>"
	for (i = 1; i <= systems; i++) {
		printf "<rect x=\"%d\" y=\"28\" width=\"10\" height=\"10\" fill=\"%s\"/>", 10 + (i - 1) * 120, color[(i - 1) % 8 + 1]
		printf "<text x=\"%d\" y=\"37\">%s</text>\n", 24 + (i - 1) * 120, system_name[i]
	}
	for (e = first; e <= last; e++) {
		v = power(e)
		printf "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"#dddddd\"/>", x(v), top - 6, x(v), height - 20
		printf "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\" fill=\"#555555\">%g</text>\n", x(v), height - 6, v
	}
	y = top
	for (k = 1; k <= groups; k++) {
		printf "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", left - 8, y + bars[k] * bar / 2 + 4, title[k]
		for (i = 1; i <= n; i++) {
			if (g[i] != k) continue
			printf "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>", left, y, x(wall[i]) - left, bar - 2, color[(s[i] - 1) % 8 + 1]
			printf "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#222222\"/>", x(least[i]), y + (bar - 2) / 2, x(most[i]), y + (bar - 2) / 2
			printf "<text x=\"%.1f\" y=\"%d\" font-size=\"9\" fill=\"#333333\">%.1f</text>\n", (x(wall[i]) > x(most[i]) ? x(wall[i]) : x(most[i])) + 4, y + bar - 3, wall[i]
			y += bar
		}
		y += gap
	}
	print "</svg>"
}
