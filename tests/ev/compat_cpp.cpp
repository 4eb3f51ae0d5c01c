// SPDX-License-Identifier: MIT
// ev++.h on ringwake: uses ev::async as libev's manual shows.
#include <ringwake/ev-compat.h>

#include <ev++.h>

#include <atomic>
#include <cstdio>
#include <thread>
#include <unistd.h>

static int number;
static int failed;

static void ok(bool holds, const char *what)
{
	std::printf("%s %d - %s\n", holds ? "ok" : "not ok", ++number, what);
	failed += !holds;
}

struct holder {
	ev::async async;
	ev::loop_ref loop;
	int count;
	int wanted;

	explicit holder(ev::loop_ref in) : async(in), loop(in), count(0), wanted(1)
	{
		async.set<holder, &holder::on_async>(this);
	}

	void on_async(ev::async &, int revents)
	{
		count += revents == ev::ASYNC;
		if (count == wanted)
			loop.break_loop(ev::ALL);
	}
};

static void use(ev::loop_ref loop, const char *backend)
{
	char what[100];
	holder one(loop);
	one.async.start();
	ok(one.async.is_active(), "started");
	for (int i = 1; i <= 100; i++) {
		one.wanted = i;
		std::thread sender([&one] { one.async.send(); });
		loop.run(0);
		sender.join();
	}
	std::snprintf(what, sizeof what, "100 sends from threads on %s", backend);
	ok(one.count == 100, what);
	one.async.send();
	ok(one.async.async_pending(), "sent and pending");
	one.async.stop();
	ok(!one.async.is_active(), "stopped");
	loop.run(ev::NOWAIT);
	ok(one.count == 100, "no callback after the stop");

	// An object that is never started, in memory that has other contents.
	unsigned char memory[sizeof(holder)];
	for (unsigned char &byte : memory)
		byte = 0xa5;
	holder *two = new (memory) holder(loop);
	two->async.send();
	two->async.start();
	loop.run(ev::NOWAIT);
	ok(two->count == 0, "a send before the start has no effect");
	two->async.send();
	loop.run(ev::NOWAIT);
	ok(two->count == 1, "a send after the start has one callback");
	two->~holder();
}

// ringwake's own interface, compiled as C++.
static std::atomic<int> ran(0);

static void run_work(ringwake_ev_work *)
{
	ran++;
}

static void work_done(struct ev_loop *, ringwake_ev_work *work, int)
{
	if (work->status == 0)
		ran++;
}

static void use_work()
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct ringwake_ev *binding;
	struct ringwake_pool *pool;
	ringwake_ev_work work;
	ok(ringwake_ev_attach(&binding, loop, NULL) == 0, "attached");
	ok(ringwake_pool_open(&pool, 0) == 0, "pool open");
	ringwake_ev_work_init(&work, run_work, work_done);
	ok(ringwake_ev_queue_work(binding, pool, &work) == 0, "work queued");
	ev_run(loop, 0);
	ok(ran == 2, "work done");
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ok(ringwake_ev_detach(binding) == 0, "detached");
	ev_loop_destroy(loop);
}

int main()
{
	static const struct {
		unsigned flag;
		const char *name;
	} backends[] = {{ev::SELECT, "select"}, {ev::POLL, "poll"}, {ev::EPOLL, "epoll"},
		{EVBACKEND_IOURING, "io_uring"}};
	alarm(60);
	for (const auto &backend : backends) {
		struct ev_loop *probe = ev_loop_new(backend.flag | EVFLAG_NOENV);
		if (probe == NULL)
			continue;
		ev_loop_destroy(probe);
		ev::dynamic_loop loop(backend.flag | EVFLAG_NOENV);
		use(loop, backend.name);
	}
	use_work();
	std::printf("1..%d\n", number);
	return failed > 0;
}
