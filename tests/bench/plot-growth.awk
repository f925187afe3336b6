# plot-growth.awk: what figures.tsv has of growth ("N blocks: what", value, unit) as curves of an SVG.
#
# A panel a subject, both axes logarithmic.
BEGIN { FS = "\t" }
$1 == "growth" && $2 ~ /^[0-9]+ blocks: / {
	size = $2; sub(/ .*/, "", size)
	what = $2; sub(/^[0-9]+ blocks: /, "", what); sub(/ of [0-9]+ names/, "", what)
	if (!(what in panel)) { panel[what] = ++panels; title[panels] = what ($4 == "" ? "" : ", " $4) }
	n++
	p[n] = panel[what]; at[n] = size + 0; value[n] = $3 > 0.001 ? $3 : 0.001
	if (n == 1 || at[n] < small) small = at[n]
	if (n == 1 || at[n] > large) large = at[n]
}
function x(v) { return left + width * (large > small ? (log(v) - log(small)) / (log(large) - log(small)) : 0.5) }
function y(v) { return top + high * (1 - (log(v) - log(low)) / (log(most) - log(low))) }
END {
	if (!n) exit 0
	left = 70; width = 560; high = 90
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"%d\" font-family=\"sans-serif\" font-size=\"11\">\n", panels * 150 + 20
	print "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>"
	for (k = 1; k <= panels; k++) {
		top = (k - 1) * 150 + 30
		low = most = 0
		for (i = 1; i <= n; i++) {
			if (p[i] != k) continue
			if (low == 0 || value[i] < low) low = value[i]
			if (value[i] > most) most = value[i]
		}
		low /= 2; most *= 2
		printf "<text x=\"10\" y=\"%d\" font-size=\"12\">%s</text>\n", top - 8, title[k]
		printf "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#cccccc\"/>\n", left - 10, top, width + 20, high
		line = ""
		for (i = 1; i <= n; i++) {
			if (p[i] != k) continue
			line = line sprintf("%.1f,%.1f ", x(at[i]), y(value[i]))
			printf "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"#1b6ca8\"/>", x(at[i]), y(value[i])
			printf "<text x=\"%.1f\" y=\"%.1f\" font-size=\"10\">%g</text>", x(at[i]) + 5, y(value[i]) - 5, value[i]
			printf "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\" fill=\"#555555\">%d</text>\n", x(at[i]), top + high + 13, at[i]
		}
		printf "<polyline points=\"%s\" fill=\"none\" stroke=\"#1b6ca8\"/>\n", line
	}
	print "</svg>"
}
