/* SPDX-License-Identifier: MIT */
#ifndef QUESTIONS_H
#define QUESTIONS_H

#include "question.h"

extern const struct question *const questions[];
extern const unsigned question_count;

extern const struct question question_blocked, question_uv_ring, question_uv_attached, question_ev,
	question_spinning;
extern const struct question question_messages, question_messages_one_core,
	question_messages_saturated;
extern const struct question question_busy, question_handles, question_jobs, question_jobs_one_core;
extern const struct question question_web_digest, question_web_healthz;
extern const struct question question_idle, question_memory;

#endif
