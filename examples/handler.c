/* The same in C. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/vtlsim.h"

static int handle(vtlsim_intercept* intercept, uint64_t* state, void* user) {
    (void)user;
    if (strcmp(vtlsim_intercept_type(intercept), "cpuid_intercept") != 0) return 0;
    ++*state;
    vtlsim_intercept_set_context(intercept, "rbx", 0x12345678 + *state);
    return 1;
}

static uint32_t read_port(uint64_t* state, void* user) {
    (void)user;
    return (uint32_t)++*state;
}

static int ready(uint64_t state, void* user) {
    (void)user;
    return state == 0;
}

static void act(vtlsim_turn* turn, uint64_t* state, void* user) {
    const uint8_t bytes[] = {0xD0, 0x0D};
    (void)user;
    *state = vtlsim_turn_write(turn, 0x2000, bytes, sizeof(bytes)) ? 1 : 2;
}

int main(int argc, char** argv) {
    char* text = NULL;
    if (argc != 2) {
        fputs("usage: handler_c guest.json\n", stderr);
        return 2;
    }
    vtlsim_simulation* sim = vtlsim_load(argv[1], &text);
    if (sim == NULL) {
        fputs(text, stderr);
        vtlsim_free_text(text);
        return 2;
    }
    vtlsim_set_handler(sim, handle, NULL);
    vtlsim_add_device(sim, 0x3F8, 1, read_port, NULL, NULL);
    vtlsim_add_actor(sim, "dma", ready, act, NULL);

    vtlsim_run* run = vtlsim_run_variant(sim, NULL, NULL);
    uint64_t rsi = 0, rax = 0;
    uint8_t bytes[2];
    vtlsim_run_value(run, "vtl0.rsi", &rsi);
    vtlsim_run_value(run, "vtl0.rax", &rax);
    vtlsim_run_read_memory(run, 0x2000, bytes, sizeof(bytes));
    text = vtlsim_run_report(run);
    printf("%srsi=%" PRIx64 " rax=%" PRIx64 " dma=%x%x\n", text, rsi, rax, bytes[0], bytes[1]);
    vtlsim_free_text(text);
    const int status = vtlsim_run_passed(run) ? 0 : 1;
    vtlsim_free_run(run);
    vtlsim_free(sim);
    return status;
}
