// What the stage (stage.c) and the guard that bears it (start.c) share: the news on their socket pair.
#pragma once
#include "keeper.h"

enum stage_news { FAILED, READY, TERMINAL_OPENED, PREPARED, HOLD };
struct stage_message { u32 news, step; int error; };

void handle_signals(void (*handler)(int)); // of the signals that a guard ignores
// ends: the guard's and the stage's of the socket pair. A stage that prepares waits for the rest of its program.
_Noreturn void live_as_stage(struct start *start, int standard[3], int ends[2], bool prepares);
