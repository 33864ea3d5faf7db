// The calls that are not system calls, and the numbers of all calls.
#pragma once
#include "keeper.h"
#include "calls.h"
#include <sys/syscall.h>

#define NUMBER_ROW(name, ...) CALL_##name,
enum call_number { CALLS(NUMBER_ROW, NUMBER_ROW) CALL_COUNT };
#define NO_ROW(name, letters)
#define DECLARE_ROW(name, letters, place) long own_##name(struct call *call);
CALLS(NO_ROW, DECLARE_ROW)

#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif
