/* vtlsim as a library, in C: api/vtlsim.hpp with plain types.
 *
 * Texts that a function returns as char* belong to the caller: vtlsim_free_text(). Texts that it
 * returns as const char* live as long as the object they were asked of. No function throws. */
#ifndef VTLSIM_H
#define VTLSIM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vtlsim_simulation vtlsim_simulation;
typedef struct vtlsim_run vtlsim_run;
typedef struct vtlsim_intercept vtlsim_intercept;
typedef struct vtlsim_turn vtlsim_turn;

/* NULL if the scenario is wrong: *error (if error is not NULL) is then a text that says how. */
vtlsim_simulation* vtlsim_load(const char* path, char** error);
vtlsim_simulation* vtlsim_parse(const char* json, const char* name, char** error);
void vtlsim_free(vtlsim_simulation* simulation);
void vtlsim_free_text(char* text);

/* --- plug-ins. `state` is all that one may remember from call to call (model/plugins.hpp); `user`
 * is handed through, and must not change while the simulation is used. --- */

/* Not 0: the intercept is handled, the VMM's own handler is not asked. */
typedef int (*vtlsim_handler)(vtlsim_intercept* intercept, uint64_t* state, void* user);
void vtlsim_set_handler(vtlsim_simulation* simulation, vtlsim_handler handler, void* user);
/* "io_port_intercept", "cpuid_intercept", ... */
const char* vtlsim_intercept_type(const vtlsim_intercept* intercept);
/* 0, and *value as it was, for a name that has no value now ("message.port", "context.rax"). */
int vtlsim_intercept_value(const vtlsim_intercept* intercept, const char* name, uint64_t* value);
/* A 64-bit field of the VMM's picture of the guest ("rax"); 0 if there is none such. */
int vtlsim_intercept_set_context(vtlsim_intercept* intercept, const char* field, uint64_t value);
void vtlsim_intercept_set_next_rip(vtlsim_intercept* intercept, uint64_t rip);

/* `size` is 1, 2 or 4; 0 is returned for another one. Either function may be NULL. */
typedef uint32_t (*vtlsim_device_read)(uint64_t* state, void* user);
typedef void (*vtlsim_device_write)(uint32_t value, uint64_t* state, void* user);
int vtlsim_add_device(vtlsim_simulation* simulation, uint16_t port, uint8_t size,
                      vtlsim_device_read read, vtlsim_device_write write, void* user);

typedef int (*vtlsim_actor_ready)(uint64_t state, void* user);
typedef void (*vtlsim_actor_step)(vtlsim_turn* turn, uint64_t* state, void* user);
/* 0 if a function or the name is NULL. */
int vtlsim_add_actor(vtlsim_simulation* simulation, const char* name, vtlsim_actor_ready ready,
                     vtlsim_actor_step step, void* user);
void vtlsim_turn_read(const vtlsim_turn* turn, uint64_t address, void* bytes, size_t size);
int vtlsim_turn_write(vtlsim_turn* turn, uint64_t address, const void* bytes, size_t size);
int vtlsim_turn_interrupt(vtlsim_turn* turn, unsigned vp, uint8_t vtl, uint8_t vector);

/* --- runs. `variant` as --variant takes it; NULL or "" where there is nothing to choose. --- */

vtlsim_run* vtlsim_run_variant(const vtlsim_simulation* simulation, const char* variant,
                               char** error);
void vtlsim_free_run(vtlsim_run* run);
int vtlsim_run_passed(const vtlsim_run* run);
const char* vtlsim_run_end(const vtlsim_run* run);  /* "guest-halted" */
const char* vtlsim_run_hash(const vtlsim_run* run); /* 16 hexadecimal digits */
uint64_t vtlsim_run_steps(const vtlsim_run* run);
/* As docs/scenarios.md says of "state"; 0 for a name that has no value. */
int vtlsim_run_value(const vtlsim_run* run, const char* name, uint64_t* value);
void vtlsim_run_read_memory(const vtlsim_run* run, uint64_t address, void* bytes, size_t size);
char* vtlsim_run_trace(const vtlsim_run* run);
char* vtlsim_run_report(const vtlsim_run* run);

/* The report of all schedules, at most so many states, as JSON; NULL and *error after an error. */
char* vtlsim_explore(const vtlsim_simulation* simulation, const char* variant, uint64_t states,
                     char** error);

#ifdef __cplusplus
}
#endif

#endif
