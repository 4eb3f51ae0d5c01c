-- SPDX-License-Identifier: MIT
-- wrk: prints the figures that web.c reads, in one line. Times are in microseconds.
function done(summary, latency)
	local errors = summary.errors
	print(string.format("requests=%d us=%d failed=%d p50=%g p99=%g p99.9=%g",
		summary.requests, summary.duration,
		errors.connect + errors.read + errors.write + errors.status + errors.timeout,
		latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
