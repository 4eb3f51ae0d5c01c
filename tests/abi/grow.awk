# SPDX-License-Identifier: MIT
# Makes the headers that are given the headers of a later version, whose structures have grown: a new
# member takes the place of the reserved ones. Structures without reserved members grow at the end.
function grow() {
	print "\t" member[name] >(FILENAME ".grown")
	delete member[name]
}
BEGIN {
	member["ringwake_msg"] = "void *grown;"
	member["ringwake_event"] = "void *grown[2];"
	member["ringwake_batch"] = "void *grown[4];"
	member["ringwake_work"] = "void *grown[1];"
	member["ringwake_uv_request"] = "void *grown[2];"
	member["ringwake_uv_async_state"] = "void *grown[6];"
	member["ringwake_ev_async"] = "void *grown[2];"
	member["ringwake_ev_work"] = "void *grown[1];"
	member["ringwake_params"] = "uint64_t grown; uint64_t reserved[6];"
	member["ringwake_submit_params"] = "uint64_t grown; uint64_t reserved[6];"
	member["ringwake_pool_params"] = "uint64_t grown; uint64_t reserved[6];"
	member["ringwake_channel_params"] = "uint64_t grown; uint64_t reserved[7];"
	member["ringwake_stats"] = "uint64_t grown;"
	member["ringwake_pool_stats"] = "uint64_t grown;"
	member["ringwake_pool_times"] = "uint64_t grown;"
}
/^struct [a-z_]+ \{$/ { name = $2 }
name in member && /^\t[a-z0-9_]+ \*?reserved(\[[0-9]+\])?;/ { grow(); next }
/^#define RINGWAKE_VERSION_MINOR / { $3++ }
/^};$/ {
	if (name in member)
		grow()
	name = ""
}
{ print >(FILENAME ".grown") }
END {
	for (name in member) {
		print "grow.awk: struct " name " is in no header"
		failed = 1
	}
	exit failed
}
