# SPDX-License-Identifier: MIT
# For contract.test: reads symbol maps, headers and pages, in this order, and prints "file TAB
# complaint" for each difference. Types are the business of synopsis.test.
#
# The errors of a function are named behind "Errors:" in the comment directly above it:
#   -EX, UV_EX          the function returns it (UV_EX counts as -EX)
#   as NAME()           it also returns the errors of NAME()
#   without -EX, ...    but not these, up to the next full stop or semicolon
#   those of ...        and errors of the kernel, of the doorbell or of another function; header and
#                       page say so in words, and need not list them
# Functions without a blank line between them share the comment. A page has in its ERRORS section,
# as ".It Bq Er -EX" or ".It Dv UV_EX", the errors of all its functions together, and no others.

function error_name(word) {
	match(word, /(-|UV_)E[A-Z0-9]+/)
	word = substr(word, RSTART, RLENGTH)
	sub(/^(-|UV_)/, "", word)
	return "-" word
}

function function_name(text) {
	sub(/\(.*/, "", text)
	sub(/.*[ \t*]/, "", text)
	return text
}

function argument_name(text) {
	if (match(text, /\(\*[a-z_]+/))
		return substr(text, RSTART + 2, RLENGTH - 2)
	gsub(/[^A-Za-z0-9_]+/, " ", text)
	sub(/ $/, "", text)
	sub(/.* /, "", text)
	return text
}

# The names of the arguments of a declaration: "a, b".
function argument_names(text,    i, c, depth, argument, names) {
	sub(/^[^(]*\(/, "", text)
	sub(/\)[^)]*$/, "", text)
	text = text ","
	for (i = 1; i <= length(text); i++) {
		c = substr(text, i, 1)
		if (c == "(")
			depth++
		if (c == ")")
			depth--
		if (c == "," && depth == 0) {
			if (argument != "void")
				names = names (names == "" ? "" : ", ") argument_name(argument)
			argument = ""
		} else
			argument = argument c
	}
	return names
}

function complain(where, text) { print where "\t" text }

FNR == 1 {
	kind = FILENAME ~ /\.map$/ ? "map" : FILENAME ~ /\.h$/ ? "header" : "page"
	file = FILENAME
	sub(/.*\//, "", file)
	section = pending = comment = ""
	in_comment = in_body = 0
}

kind == "map" && /^\t\t[a-z]/ { exported[substr($1, 1, length($1) - 1)] = file }

kind == "header" && /^\/\*/ {
	comment = ""
	in_comment = 1
}
kind == "header" && in_comment {
	comment = comment " " $0
	in_comment = !/\*\//
	next
}
kind == "header" && /^$/ { comment = "" }
kind == "header" && /^}/ { in_body = 0 }
kind == "header" && !in_body && (/^[a-z]/ || pending != "") {
	pending = pending " " $0
	if (!/[;{]$/)
		next
	in_body = /[{]$/ && pending !~ /^ extern "C"/
	if (pending ~ /[a-z_]\(/ && pending !~ /^ typedef/ && pending !~ /^ struct [a-z_]+ [{]/) {
		name = function_name(pending)
		if (name ~ /^(ringwake|io_uring)_/) {
			arguments[name] = argument_names(pending)
			errors[name] = comment
			header[name] = file
			if (pending !~ /^ static inline/)
				needs_export[name] = 1
		}
	}
	pending = ""
}

kind != "page" { next }

/^\.Sh/ { section = $2 }
section == "NAME" && $1 == ".Nm" { named[$2] = file }
section == "SYNOPSIS" && $1 == ".Fo" {
	name = $2
	in_synopsis[name] = file
	synopsis[name] = ""
}
section == "SYNOPSIS" && $1 == ".Fa" && $2 != "void" {
	synopsis[name] = synopsis[name] (synopsis[name] == "" ? "" : ", ") argument_name($0)
}
section == "ERRORS" && /^\.It (Bq )?(Er|Dv) / {
	for (i = 2; i <= NF; i++)
		if ($i ~ /^(-|UV_)E[A-Z0-9]+$/)
			listed[file, error_name($i)] = 1
}

# Notes the errors of a function as those that the page has to list.
function expect(page, name, excluded,    text, words, count, i, following, is_without) {
	text = errors[name]
	if (!sub(/.*Errors:/, "", text))
		return
	sub(/\*\/.*/, "", text)
	count = split(text, words, " ")
	for (i = 1; i <= count; i++) {
		if (words[i] == "without")
			is_without = 1
		if (is_without && words[i] ~ /-E|UV_E/)
			excluded = excluded " " error_name(words[i]) " "
		if (words[i] ~ /[.;]$/)
			is_without = 0
	}
	for (i = 1; i <= count; i++) {
		if (words[i] == "without")
			is_without = 1
		following = words[i + 1]
		if (words[i] == "as" && sub(/\(\).*/, "", following)) {
			if (following in errors)
				expect(page, following, excluded)
			else
				complain(page, "\"Errors: as " following "()\", which is in no header")
		}
		if (!is_without && words[i] ~ /^[^a-z]*(-|UV_)E[A-Z0-9]+/ &&
			!index(excluded, " " error_name(words[i]) " "))
			expected[page, error_name(words[i])] = name
		if (words[i] ~ /[.;]$/)
			is_without = 0
	}
}

function compare_names(    name) {
	for (name in exported)
		if (!(name in header))
			complain(exported[name], name " is in no header")
	for (name in header) {
		if (name in needs_export && !(name in exported))
			complain(header[name], name "() is in no symbol map")
		if (!(name in named) && name !~ /_compat_/) # of the other library's manual
			complain(header[name], name "() is in the NAME section of no page")
	}
	for (name in in_synopsis) {
		if (!(name in header))
			complain(in_synopsis[name], name "() is in no header")
		else if (synopsis[name] != arguments[name])
			complain(in_synopsis[name], name "(" synopsis[name] ") has the arguments (" \
				arguments[name] ") in the header")
		if (named[name] != in_synopsis[name])
			complain(in_synopsis[name], name " is missing in the NAME section")
	}
	for (name in named)
		if (name in header && !(name in in_synopsis))
			complain(named[name], name "() is missing in the SYNOPSIS")
}

function compare_errors(    name, key, part) {
	for (name in named)
		if (name in header)
			expect(named[name], name, "")
	for (key in expected)
		if (!(key in listed)) {
			split(key, part, SUBSEP)
			complain(part[1], "ERRORS lacks " part[2] " of " expected[key] "()")
		}
	for (key in listed)
		if (!(key in expected)) {
			split(key, part, SUBSEP)
			complain(part[1], "ERRORS has " part[2] ", which no function has in the header")
		}
}

END {
	compare_names()
	compare_errors()
}
