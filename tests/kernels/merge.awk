# SPDX-License-Identifier: MIT
# Merges the output of several machines (see each) into one TAP stream. A test program prints TAP, or
# its exit status counts as one test. The skipped tests of a program share one line.
#
# @machine NAME         the lines up to the next @machine belong to this machine
# @skip TEXT            this machine cannot be tested
# @begin PROGRAM        ... @end PROGRAM STATUS SECONDS: the output of one program is between the two lines
# @done                 the machine has run all its programs
# @console TEXT         the end of the console of a machine without @done

function result(good, text) {
	printf "%sok %d - %s: %s\n", good ? "" : "not ", ++count, machine, text
	failed += !good
}

function end_program(outcome, status,    i) {
	bad = failed - failed_before
	ran = passed + bad + skipped
	if (skipped)
		result(1, program " # SKIP " skipped " of " planned " tests")
	if (planned + ran == 0 && (status == 0 || status == 77))
		result(1, program (status == 77 ? " # SKIP" : ""))
	else if (status != 0 && bad == 0)
		result(0, program ": " outcome)
	else if (planned != ran)
		result(0, program ": planned " planned " tests, ran " ran)
	if (failed > failed_before)
		for (i = 1; i <= others; i++)
			print (other[i] ~ /^#/ ? "" : "# ") other[i]
	program = ""
}

function end_machine() {
	if (machine == "")
		return
	if (program != "")
		end_program("did not end", -1)
	if (!done)
		result(0, "the end marker")
	else if (!programs)
		result(0, "there are programs to run")
	machine = ""
}

{ sub(/\r$/, "") }

$1 == "@machine" {
	end_machine()
	sub(/^@machine /, "")
	machine = $0
	done = programs = 0
	next
}

$1 == "@skip" {
	sub(/^@skip/, "# SKIP")
	result(1, $0)
	next
}

$1 == "@begin" {
	program = $2
	programs++
	planned = passed = skipped = others = 0
	failed_before = failed
	next
}

$1 == "@end" {
	if ($4 >= 10)
		print "# " machine ": " program ": " $4 " s"
	end_program("exit status " $3, $3)
	next
}
$1 == "@done" { done = 1; next }
program == "" && /^Bail out!/ { print; bailed_out = 1; exit }
$1 == "@console" { end_machine(); sub(/^@console/, "# "); print; next }
program == "" { print "# " $0; next }

/^1\.\.[0-9]+/ {
	sub(/^1\.\./, "")
	planned += $1
	next
}

/^(not )?ok / {
	if (/ # SKIP/) { # cmocka 1 prints "not ok" for a skipped test
		skipped++
		next
	}
	good = $1 == "ok"
	sub(/^(not )?ok +[0-9]* *(- )?/, "")
	passed += good
	result(good, program ": " $0)
	next
}

{ other[++others] = $0 }

END {
	if (bailed_out)
		exit 99
	end_machine()
	print "1.." count + 0
	exit !count || failed > 0
}
