/* SPDX-License-Identifier: MIT */
#include "scenario.h"

#define SCENARIOS native_scenarios
#include "scenarios.h"
