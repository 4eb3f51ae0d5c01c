/* SPDX-License-Identifier: MIT */
/* ringwake_send_many(): in the order of the array, all or none, with at most one doorbell. */
#include "hooks.h"

enum { COUNT = 100 };

struct numbered {
	struct ringwake_msg msg;
	unsigned number;
};
static struct numbered messages[COUNT];
static struct ringwake_msg *array[COUNT];
static unsigned next_number;
static bool in_order;

static void check_number(struct ringwake_msg *msg)
{
	in_order = in_order && ((struct numbered *)msg)->number == next_number;
	next_number++;
}

static void number_messages(void)
{
	next_number = 0;
	in_order = true;
	for (unsigned i = 0; i < COUNT; i++) {
		messages[i] = (struct numbered){.msg.fn = check_number, .number = i};
		array[i] = &messages[i].msg;
	}
}

static void dispatch_all(struct ringwake *target)
{
	while (ringwake_dispatch(target, 7) > 0)
		;
}

static void test_order(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	number_messages();
	assert_int_equal(ringwake_send(target, array[0]), 0);
	assert_int_equal(ringwake_send_many(target, array + 1, COUNT - 2), 0);
	assert_int_equal(ringwake_send_many(target, array + COUNT - 1, 1), 0);
	assert_true(ringwake_pending(target));
	dispatch_all(target);
	assert_false(ringwake_pending(target));
	assert_int_equal(next_number, COUNT);
	assert_true(in_order);
	ringwake_close(target);
}

static void test_one_doorbell(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	number_messages();
	hook_doorbell();
	assert_true(ringwake_arm(target));
	assert_true(ringwake_is_armed(target));
	assert_int_equal(ringwake_send_many(target, array, COUNT), 0);
	assert_int_equal(doorbell_calls, 1);
	ringwake_disarm(target);
	assert_false(ringwake_is_armed(target));
	unhook();
	dispatch_all(target);
	assert_int_equal(next_number, COUNT);
	assert_int_equal(stats_of(target).doorbells_saved, COUNT - 1);
	ringwake_close(target);
}

static void test_none(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	assert_true(ringwake_arm(target));
	assert_int_equal(ringwake_send_many(target, NULL, 0), 0);
	ringwake_disarm(target);
	assert_int_equal(stats_of(target).doorbells, 0);
	ringwake_close(target);
}

static void test_all_are_refused(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	number_messages();
	messages[COUNT / 2].msg.fn = NULL;
	assert_int_equal(ringwake_send_many(target, array, COUNT), -EINVAL);
	assert_false(ringwake_pending(target));

	messages[COUNT / 2].msg.fn = check_number;
	ringwake_ref(target);
	ringwake_close(target);
	/* The caller keeps refused messages and may send them again. */
	for (int i = 0; i < 2; i++) {
		int error = ringwake_send_many(target, array, COUNT);
		assert_int_equal(error, -ECANCELED);
		assert_true(ringwake_was_refused(error));
	}
	ringwake_unref(target);
	assert_int_equal(next_number, 0);
}

static void test_refused_doorbell(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	number_messages();
	hook_doorbell();
	doorbell_error = -ENOMEM;
	assert_true(ringwake_arm(target));
	int error = ringwake_send_many(target, array, COUNT);
	assert_int_equal(error, -ENOMEM);
	assert_false(ringwake_was_refused(error));
	ringwake_disarm(target);
	unhook();
	dispatch_all(target);
	assert_int_equal(next_number, COUNT);
	ringwake_close(target);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_PATHS(test_order),
		ON_BOTH_PATHS(test_one_doorbell),
		ON_BOTH_PATHS(test_none),
		ON_BOTH_PATHS(test_all_are_refused),
		ON_BOTH_PATHS(test_refused_doorbell),
	};
	return RUN_BOUNDED(tests, 60);
}
