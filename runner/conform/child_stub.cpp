// How the child enters and leaves the instruction under test.
#include "runner/conform/child_stub.hpp"

#if defined(__x86_64__) && defined(__linux__)

#include <cstddef>

using vtlsim::runner::conform::State;

static_assert(offsetof(State, gpr) == 512 && offsetof(State, rflags) == 640);
static_assert(offsetof(State, fs_base) == 648 && offsetof(State, gs_base) == 656);
static_assert(offsetof(State, selectors) == 664);

extern "C" {
HIDDEN State vtlsim_conform_out;
HIDDEN vtlsim::u64 vtlsim_conform_host_rsp;
HIDDEN vtlsim::u64 vtlsim_conform_host_fs;
HIDDEN vtlsim::u64 vtlsim_conform_target;
HIDDEN vtlsim::u64 vtlsim_conform_go;
HIDDEN vtlsim::u32 vtlsim_conform_mxcsr = 0x1F80;
alignas(16) HIDDEN vtlsim::runner::conform::FarPointer vtlsim_conform_far{
    static_cast<vtlsim::u32>(vtlsim::runner::conform::kCodePage), vtlsim::runner::conform::kCs32};
}

// MOV, PUSH, POP and JMP leave the flags alone, so they are loaded early and stored late. All
// accesses are aligned, for EFLAGS.AC may be set.
asm(R"(
    .text
    .hidden vtlsim_conform_enter, vtlsim_conform_leave, vtlsim_conform_abort
    .hidden vtlsim_conform_signal, vtlsim_conform_go64, vtlsim_conform_go32
    .globl vtlsim_conform_enter
    .type vtlsim_conform_enter, @function
vtlsim_conform_enter:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, vtlsim_conform_host_rsp(%rip)
    fxrstor64 (%rdi)
    mov 664(%rdi), %es
    mov 670(%rdi), %ds
    mov 672(%rdi), %fs
    mov 674(%rdi), %gs
    pushq 640(%rdi)
    popfq
    mov 512(%rdi), %rax
    mov 520(%rdi), %rcx
    mov 528(%rdi), %rdx
    mov 536(%rdi), %rbx
    mov 544(%rdi), %rsp
    mov 552(%rdi), %rbp
    mov 560(%rdi), %rsi
    mov 576(%rdi), %r8
    mov 584(%rdi), %r9
    mov 592(%rdi), %r10
    mov 600(%rdi), %r11
    mov 608(%rdi), %r12
    mov 616(%rdi), %r13
    mov 624(%rdi), %r14
    mov 632(%rdi), %r15
    mov 568(%rdi), %rdi
    jmp *vtlsim_conform_go(%rip)

    .globl vtlsim_conform_go64
vtlsim_conform_go64:
    jmp *vtlsim_conform_target(%rip)
    .globl vtlsim_conform_go32
vtlsim_conform_go32:
    ljmpl *vtlsim_conform_far(%rip)

    .globl vtlsim_conform_leave
    .type vtlsim_conform_leave, @function
vtlsim_conform_leave:
    mov %rsp, vtlsim_conform_out+544(%rip)
    mov vtlsim_conform_host_rsp(%rip), %rsp
    mov %rax, vtlsim_conform_out+512(%rip)
    mov %rcx, vtlsim_conform_out+520(%rip)
    mov %rdx, vtlsim_conform_out+528(%rip)
    mov %rbx, vtlsim_conform_out+536(%rip)
    mov %rbp, vtlsim_conform_out+552(%rip)
    mov %rsi, vtlsim_conform_out+560(%rip)
    mov %rdi, vtlsim_conform_out+568(%rip)
    mov %r8, vtlsim_conform_out+576(%rip)
    mov %r9, vtlsim_conform_out+584(%rip)
    mov %r10, vtlsim_conform_out+592(%rip)
    mov %r11, vtlsim_conform_out+600(%rip)
    mov %r12, vtlsim_conform_out+608(%rip)
    mov %r13, vtlsim_conform_out+616(%rip)
    mov %r14, vtlsim_conform_out+624(%rip)
    mov %r15, vtlsim_conform_out+632(%rip)
    pushfq
    popq vtlsim_conform_out+640(%rip)
    fxsave64 vtlsim_conform_out(%rip)
    mov %ss, vtlsim_conform_out+668(%rip)
    call vtlsim_conform_segments
    .globl vtlsim_conform_abort
    .type vtlsim_conform_abort, @function
vtlsim_conform_abort:
    mov vtlsim_conform_host_rsp(%rip), %rsp
    pushq $0x202
    popfq
    mov vtlsim_conform_host_fs(%rip), %rax
    wrfsbase %rax
    fninit
    ldmxcsr vtlsim_conform_mxcsr(%rip)
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret

vtlsim_conform_segments:
    mov %es, vtlsim_conform_out+664(%rip)
    mov %ds, vtlsim_conform_out+670(%rip)
    mov %fs, vtlsim_conform_out+672(%rip)
    mov %gs, vtlsim_conform_out+674(%rip)
    rdfsbase %rax
    mov %rax, vtlsim_conform_out+648(%rip)
    rdgsbase %rax
    mov %rax, vtlsim_conform_out+656(%rip)
    ret

    .globl vtlsim_conform_signal
    .type vtlsim_conform_signal, @function
vtlsim_conform_signal:
    pushq $0x202
    popfq
    call vtlsim_conform_segments
    mov vtlsim_conform_host_fs(%rip), %rax
    wrfsbase %rax
    jmp vtlsim_conform_on_signal
)");

#endif
