/* SPDX-License-Identifier: MIT */
/*
 * A handle that any thread sends to. libuv knows it as a uv_async_t, which keeps the loop alive and
 * which uv_walk(), uv_ref() and similar functions use. A send does not go through libuv: it sends a
 * ringwake_event. So the cost of a wake depends on the handles that were sent, not on how many
 * exist.
 *
 * The handles stay in the list that libuv searches when it wakes the loop itself. So libuv's own
 * uv_async_send() reaches them, too: source that was compiled without the compat header calls it.
 */
#include "async.h"
#include "libuv.h"
#include "libuv_private.h"

#include <errno.h>
#include <stdatomic.h>

#if UINTPTR_MAX == UINT64_MAX
#define LINE  64
#define BEGIN offsetof(struct ringwake_uv_async_state, event.msg)
_Static_assert(offsetof(struct ringwake_uv_async_state, binding) - BEGIN == LINE,
	"what a send and its callback use fills one cache line");
_Static_assert(BEGIN % LINE == 0 && sizeof(struct ringwake_uv_async_state) % LINE == 0 &&
		offsetof(struct ringwake_uv_async, state) % LINE == 0,
	"so it does in an array");
#endif

/*
 * If the application has called libuv's own uv_close(), state->closing is 0. Until the loop notices
 * that in its check phase, the handle is one of the loop's closing handles. So in most cases there
 * is no need to touch the handle's flags, which are in a cache line that nothing else uses.
 */
static bool is_closing(const struct ringwake_uv_async_state *state, const uv_async_t *handle)
{
	if (state->closing > 0)
		return true;
	if (!state->knows_libuv)
		return uv_is_closing((const uv_handle_t *)handle);
	return ringwake_uv_first_closing(handle->loop) && ringwake_uv_handle_is_closing(handle);
}

void ringwake_uv_call_async(struct ringwake_uv_async_state *state)
{
	uv_async_t *handle = ringwake_uv_handle_of(state);
	if (is_closing(state, handle))
		return;
	if (state->is_taken) {
		uv_async_cb cb = ringwake_uv_taken_cb(handle);
		if (cb)
			cb(handle);
	} else if (state->cb) {
		state->cb((ringwake_uv_async_t *)handle);
	}
}

/*
 * libuv calls these two functions after its own uv_async_send(). They also identify the two kinds
 * of handle: one with a state of its own, and one that was taken over.
 */
static void on_libuv(uv_async_t *handle)
{
	struct ringwake_uv_async_state *state = &((ringwake_uv_async_t *)handle)->state;
	struct ringwake_uv *binding = state->binding;
	ringwake_uv_enter(binding);
	ringwake_uv_call_async(state);
	ringwake_uv_leave(binding);
}

static void on_libuv_taken(uv_async_t *handle)
{
	struct ringwake_uv_async_state *state = ringwake_uv_async_slot(handle);
	if (state == NULL)
		return;
	struct ringwake_uv *binding = state->binding;
	ringwake_uv_enter(binding);
	ringwake_uv_call_async(state);
	ringwake_uv_leave(binding);
}

/* If libuv's layout is not known, the callback of a handle cannot be read. */
static struct ringwake_uv_async_state *search_state(const uv_async_t *handle)
{
	struct ringwake_uv *binding = ringwake_uv_find(handle->loop);
	if (binding == NULL || binding->knows_libuv)
		return NULL;
	struct ringwake_uv_async_state *found = binding->asyncs;
	while (found && ringwake_uv_handle_of(found) != handle)
		found = found->next;
	return found;
}

struct ringwake_uv_async_state *ringwake_uv_async_state_of(uv_handle_t *handle)
{
	if (handle->type != UV_ASYNC)
		return NULL;
	uv_async_t *async = (uv_async_t *)handle;
	uv_async_cb mark = ringwake_uv_async_cb_of(async);
	if (mark == on_libuv_taken)
		return ringwake_uv_async_slot(async);
	if (mark == on_libuv)
		return &((ringwake_uv_async_t *)async)->state;
	return search_state(async);
}

/* The state of a taken handle holds a reference to its target, for a send that comes too late. */
static void bind_event(struct ringwake_uv *binding, struct ringwake_uv_async_state *state)
{
	struct ringwake *before = state->is_taken ? ringwake_event_target(&state->event) : NULL;
	ringwake_event_init(&state->event, binding->target, ringwake_uv_on_event);
	state->knows_libuv = binding->knows_libuv;
	if (state->is_taken)
		ringwake_ref(binding->target);
	if (before)
		ringwake_unref(before);
}

static void open_async(struct ringwake_uv *binding, struct ringwake_uv_async_state *state)
{
	bind_event(binding, state);
	state->binding = binding;
	state->closing = 0;
	state->awaits_message = false;
	state->is_due = false;
	atomic_init(&state->marks, 0);
	state->next = binding->asyncs;
	state->link = &binding->asyncs;
	if (state->next)
		state->next->link = &state->next;
	binding->asyncs = state;
	binding->handles++;
}

void ringwake_uv_forget_async(struct ringwake_uv_async_state *state)
{
	ringwake_uv_forget_due(state);
	*state->link = state->next;
	if (state->next)
		state->next->link = state->link;
	state->binding->handles--;
	if (state->is_taken) {
		ringwake_uv_set_async_slot(state->taken, NULL);
		ringwake_uv_async_state_put(state);
	} else {
		/* Relaxed: a later send reads the mark; a concurrent send finds a closed event. */
		atomic_store_explicit(&state->marks, GONE, memory_order_relaxed);
	}
}

int ringwake_uv_async_init(
	struct ringwake_uv *binding, ringwake_uv_async_t *async, ringwake_uv_async_cb cb)
{
	int error = ringwake_uv_libuv.async_init(binding->loop, &async->handle, on_libuv);
	if (error < 0)
		return error;
	async->state.cb = cb;
	async->state.is_taken = false;
	open_async(binding, &async->state);
	return 0;
}

void ringwake_uv_take_async(
	struct ringwake_uv *binding, struct ringwake_uv_async_state *state, uv_async_t *handle)
{
	state->is_taken = true;
	state->taken = handle;
	open_async(binding, state);
	ringwake_uv_set_taken_cb(handle, ringwake_uv_async_cb_of(handle));
	ringwake_uv_set_async_slot(handle, state);
	ringwake_uv_set_async_cb(handle, on_libuv_taken);
}

int ringwake_uv_async_send(ringwake_uv_async_t *async)
{
	/* Relaxed: pairs with the store in ringwake_uv_forget_async. */
	if (atomic_load_explicit(&async->state.marks, memory_order_relaxed) & GONE)
		return UV_ECANCELED;
	ringwake_uv_mark_if_in_callback(&async->state);
	return ringwake_event_send(&async->state.event);
}

/* A forked child that has not called uv_loop_fork() uses its parent's descriptors, as it does with
 * libuv alone. */
static int send_in_child(struct ringwake_uv_async_state *state)
{
	/* Release: pairs with the acquire in take_missed. */
	atomic_fetch_or_explicit(&state->marks, MISSED, memory_order_release);
	return ringwake_uv_wake_by_libuv(state->binding);
}

int ringwake_uv_send_plain(uv_async_t *handle)
{
	if (ringwake_uv_async_cb_of(handle) != on_libuv_taken)
		return ringwake_uv_libuv.async_send(handle);
	struct ringwake_uv_async_state *state = ringwake_uv_async_slot(handle);
	/* libuv never refuses a send. A send to a closing or closed handle does nothing. */
	if (state == NULL)
		return 0;
	ringwake_uv_mark_if_in_callback(state);
	int result = ringwake_event_send(&state->event);
	if (result == -EOWNERDEAD)
		return send_in_child(state);
	return result == -ECANCELED ? 0 : result;
}

static bool take_missed(struct ringwake_uv_async_state *state)
{
	/* Acquire: pairs with the release in send_in_child. */
	return atomic_fetch_and_explicit(&state->marks, ~MISSED, memory_order_acquire) & MISSED;
}

void ringwake_uv_deliver_missed(struct ringwake_uv *binding)
{
	struct ringwake_uv_async_state *state = binding->asyncs;
	/* A callback may open handles, and close handles: these stay in the list until later. */
	while (state && !binding->detached) {
		struct ringwake_uv_async_state *next = state->next;
		/* A send by ringwake_uv_async_send() is refused instead. */
		if (state->closing == 0 && take_missed(state))
			ringwake_uv_call_async(state);
		state = next;
	}
}

static void move_async(struct ringwake_uv *binding, struct ringwake_uv_async_state *state)
{
	bool is_sent = take_missed(state);
	bind_event(binding, state);
	/* A closing handle that waits for its message would wait for ever: send it again. */
	if (state->awaits_message || (is_sent && state->closing == 0))
		ringwake_event_send(&state->event);
	if (state->closing > 0)
		ringwake_uv_close_event(state);
}

void ringwake_uv_move_asyncs(struct ringwake_uv *binding)
{
	ringwake_uv_forget_all_due(binding); /* these sends are the parent's */
	for (struct ringwake_uv_async_state *i = binding->asyncs; i; i = i->next)
		move_async(binding, i);
}
