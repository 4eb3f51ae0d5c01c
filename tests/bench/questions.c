/* SPDX-License-Identifier: MIT */
#include "questions.h"

const struct question *const questions[] = {&question_blocked, &question_uv_ring,
	&question_uv_attached, &question_ev, &question_busy, &question_messages,
	&question_messages_one_core, &question_messages_saturated, &question_handles,
	&question_jobs, &question_jobs_one_core, &question_web_digest, &question_web_healthz,
	&question_spinning, &question_idle, &question_memory};
const unsigned question_count = COUNT(questions);

bool is_possible(const struct variant *variant)
{
	return variant->what && (variant->possible == NULL || variant->possible());
}
