// SPDX-License-Identifier: MIT
// The public headers compile as C++, and C++ programs can link and call their functions.
#include <ringwake/liburing-compat.h>
#include <ringwake/pool.h>
#include <ringwake/ringwake.h>

#include <cstdio>
#include <thread>

namespace
{
struct counter {
	ringwake_msg msg;
	int count;
};

int failures, number;

void check(bool ok, const char *what)
{
	std::printf("%sok %d - %s\n", ok ? "" : "not ", ++number, what);
	failures += !ok;
}

int events, works;
} // namespace

int main()
{
	std::printf("1..5\n");
	ringwake *target = nullptr;
	check(ringwake_open(&target, nullptr, nullptr) == 0, "open");

	counter message{};
	message.msg.fn = [](ringwake_msg *msg) { reinterpret_cast<counter *>(msg)->count++; };
	std::thread sender([&] { ringwake_send(target, &message.msg); });
	while (message.count == 0 && ringwake_wait(target, 30000000000) >= 0)
		;
	sender.join();
	check(message.count == 1, "a message");

	ringwake_event event;
	ringwake_event_init(&event, target, [](ringwake_event *) { events++; });
	ringwake_event_send(&event);
	ringwake_dispatch(target, 0);
	check(events == 1 && ringwake_event_close(&event) == 0, "an event");

	ringwake_pool *pool = nullptr;
	ringwake_work work{}, fast{};
	ringwake_submit_params params{};
	params.work_class = RINGWAKE_WORK_FAST;
	if (ringwake_pool_open(&pool, 0) == 0) {
		ringwake_pool_submit(
			pool, target, &work, [](ringwake_work *) { works++; },
			[](ringwake_work *, int status) { works += status == 0; });
		ringwake_pool_submit_with(
			pool, target, &fast, [](ringwake_work *) { works++; },
			[](ringwake_work *, int status) { works += status == 0; }, &params);
		ringwake_batch batch;
		ringwake_work pieces[2]{};
		ringwake_work *all[] = {&pieces[0], &pieces[1]};
		ringwake_pool_submit_batch(
			pool, target, &batch, all, 2,
			[](ringwake_work *piece) { works += ringwake_work_is_cancelled(piece); },
			[](ringwake_batch *) { works++; }, nullptr);
		ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
		ringwake_dispatch(target, 0);
		works += ringwake_work_status(all[0]) == 0;
	}
	check(works == 6, "work");

	struct ringwake_stats stats;
	ringwake_get_stats(target, &stats, sizeof stats);
	check(stats.messages == 5, "statistics");
	ringwake_close(target);
	return failures;
}
