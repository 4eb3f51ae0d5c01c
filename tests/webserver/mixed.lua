-- SPDX-License-Identifier: MIT
-- wrk: requests the paths one after the other, and prints the number of responses.
local paths = {"/", "/digest?bytes=64", "/healthz", "/digest?bytes=4096", "/metrics",
	"/digest?bytes=65536"}
local threads = {}

function setup(thread)
	table.insert(threads, thread)
end

function init()
	index = 0
	good = 0
	bad = 0
end

function request()
	index = index % #paths + 1
	return wrk.format("GET", paths[index])
end

function response(status)
	if status == 200 then
		good = good + 1
	else
		bad = bad + 1
	end
end

function done(summary)
	local good, bad = 0, 0
	for _, thread in ipairs(threads) do
		good = good + thread:get("good")
		bad = bad + thread:get("bad")
	end
	local errors = summary.errors
	print(string.format("good=%d bad=%d errors=%d", good, bad,
		errors.connect + errors.read + errors.write + errors.timeout))
end
