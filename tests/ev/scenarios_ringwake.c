/* SPDX-License-Identifier: MIT */
#include "scenario.h"

#include <ringwake/ev-compat.h>

#define SCENARIOS ringwake_scenarios
#include "scenarios.h"
