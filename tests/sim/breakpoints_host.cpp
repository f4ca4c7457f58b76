// Data breakpoints beside those of the CPU that runs the tests: DR0-DR3 of a child process, by
// ptrace. Each program must trap as often, at the same places and with the same bits of DR6.
#include <csignal>
#include <cstddef>
#include <random>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/catch.hpp"
#include "tests/sim/rig.hpp"
#include "tests/sim/traced_child.hpp"

using namespace vtlsim;
using namespace vtlsim::sim;
using namespace vtlsim::tests;

namespace {

constexpr u64 kCodeAt = 0x20001000, kDataAt = 0x20010000;
// Operands lie from here on, breakpoints around it.
constexpr u64 kOperand = kDataAt + 0x100;

// RBX, RSI + 64, RDI and RBP point at the operand, RSP 8 bytes behind it; RCX is 5.
constexpr const char* kTexts[] = {
    "mov [rbx], al",
    "mov [rbx], ax",
    "mov [rbx], eax",
    "mov [rbx], rax",
    "mov al, [rbx]",
    "mov ax, [rbx]",
    "mov eax, [rbx]",
    "mov rax, [rbx]",
    "add [rbx], ecx",
    "add ecx, [rbx]",
    "cmp [rbx], dl",
    "test [rbx], edx",
    "xchg [rbx], rdx",
    "neg word [rbx]",
    "lock inc dword [rbx]",
    "xadd [rbx], edx",
    "cmpxchg [rbx], edx",
    "cmpxchg16b [rbx]",
    "bt [rbx], ecx",
    "bts dword [rbx], 5",
    "btr [rbx], ecx",
    "shl dword [rbx], 3",
    "shl dword [rbx], 0",
    "rcr word [rbx], cl",
    "shld [rbx], edx, 4",
    "mul dword [rbx]",
    "imul edx, [rbx], 3",
    "cmovz edx, [rbx]",
    "cmovnz edx, [rbx]",
    "setc [rbx]",
    "movzx edx, byte [rbx]",
    "movsxd rdx, dword [rbx]",
    "movbe [rbx], edx",
    "movnti [rbx], rdx",
    "crc32 edx, word [rbx]",
    "popcnt edx, [rbx]",
    "lea rdx, [rbx]",
    "nop dword [rbx]",
    "prefetcht0 [rbx]",
    "xlat",
    "push rax",
    "push qword [rbx]",
    "pop rdx",
    "pop qword [rbx]",
    "pushfq",
    "popfq",
    "enter 16, 0",
    "leave",
    "call next\nnext: nop",
    "movups [rbx], xmm0",
    "movups xmm0, [rbx]",
    "movsd [rbx], xmm0",
    "movhps [rbx], xmm0",
    "movss xmm1, [rbx]",
    "addsd xmm1, [rbx]",
    "movd [rbx], xmm0",
    "movq mm0, [rbx]",
    "movq [rbx], mm0",
    "pextrw [rbx], xmm0, 3",
    "pinsrb xmm0, [rbx], 3",
    "ldmxcsr [rbp + 0x40]",
    "stmxcsr [rbx]",
    "fld dword [rbx]",
    "fld qword [rbx]",
    "fld tword [rbx]",
    "fst dword [rbx]",
    "fstp tword [rbx]",
    "fild word [rbx]",
    "fnstcw [rbx]",
    "fnstenv [rbx]",
    "fxsave [rbp]",
    "movsb",
    "movsq",
    "stosw",
    "lodsd",
    "scasb",
    "cmpsw",
    "rep movsb",
    "rep movsd",
    "rep stosb",
    "rep stosw",
    "rep lodsb",
    "repne scasb",
    "repe cmpsb",
    "mov [rbx], al\nmov [rbx + 1], ax\nmov ecx, [rbx + 2]",
};

struct Breakpoint {
    u64 address, length;
    bool reads;  // too
};

struct Trap {
    u64 rip, hit, rcx, rsi, rdi;
    bool operator==(const Trap&) const = default;
};

struct Program {
    std::vector<u8> code;  // ends with INT3
    std::array<Breakpoint, 4> breakpoints{};
    u64 used = 0;

    u64 dr7() const {
        u64 bits = 0;
        for (u64 i = 0; i < used; ++i) {
            const Breakpoint& b = breakpoints[i];
            const u64 len = b.length == 8 ? 2 : b.length - 1;
            bits |= u64{1} << 2 * i | (b.reads ? 3ULL : 1ULL) << (16 + 4 * i) | len << (18 + 4 * i);
        }
        return bits;
    }
};

// What programs start with.
struct Start {
    Reg reg;
    unsigned long long user_regs_struct::*native;
    u64 value;
};
using Native = user_regs_struct;
constexpr Start kStart[] = {{Reg::rax, &Native::rax, 0},
                            {Reg::rbx, &Native::rbx, kOperand},
                            {Reg::rcx, &Native::rcx, 5},
                            {Reg::rdx, &Native::rdx, 0},
                            {Reg::rsi, &Native::rsi, kOperand - 64},
                            {Reg::rdi, &Native::rdi, kOperand},
                            {Reg::rsp, &Native::rsp, kOperand + 8},
                            {Reg::rbp, &Native::rbp, kOperand}};
constexpr std::size_t kMostTraps = 40;
constexpr u64 kHits = 0xF;

std::vector<Trap> simulated(const Program& program) {
    Rig rig;
    rig.bytes(kCodeAt, program.code);
    rig.jump(kCodeAt);
    for (const Start& start : kStart) rig.set(start.reg, start.value);
    for (u64 i = 0; i < program.used; ++i) {
        rig.set(offset(Reg::dr0, static_cast<unsigned>(i)), program.breakpoints[i].address);
    }
    rig.set(Reg::dr7, program.dr7());
    std::vector<Trap> traps;
    while (traps.size() < kMostTraps) {
        const Fault fault = expect<Fault>(rig.finish());
        if (fault.vector != Vector::db) return traps;
        traps.push_back({rig.get(Reg::rip), rig.get(Reg::dr6) & kHits, rig.get(Reg::rcx),
                         rig.get(Reg::rsi), rig.get(Reg::rdi)});
    }
    return traps;
}

bool able(const TracedChild& child) {
    return child.stopped() && child.set_debug_register(0, kDataAt) &&
           child.set_debug_register(7, 1 | 1 << 16);
}

std::vector<Trap> native(TracedChild& child, const Program& program) {
    REQUIRE(child.set_debug_register(7, 0));
    for (u64 i = 0; i < program.used; ++i) {
        REQUIRE(child.set_debug_register(i, program.breakpoints[i].address));
    }
    REQUIRE(child.set_debug_register(7, program.dr7()));
    REQUIRE(child.write(kCodeAt, program.code));
    REQUIRE(child.write(kDataAt, std::vector<u8>(kPageSize)));
    user_regs_struct regs{};
    REQUIRE(child.get(regs));
    for (const Start& start : kStart) regs.*start.native = start.value;
    regs.rip = kCodeAt;
    regs.eflags = 0x202;
    REQUIRE(child.set(regs));
    REQUIRE(child.reset_fpu());
    std::vector<Trap> traps;
    while (traps.size() < kMostTraps) {
        REQUIRE(child.set_debug_register(6, 0));
        REQUIRE(child.go());
        const u64 hit = child.debug_register(6) & kHits;
        if (hit == 0) break;  // INT3
        REQUIRE(child.get(regs));
        traps.push_back({regs.rip, hit, regs.rcx, regs.rsi, regs.rdi});
    }
    return traps;
}

Program program_of(const char* text, std::mt19937_64& random) {
    AsmOptions options;
    options.origin = kCodeAt;
    const AsmResult code = assemble(text, options);
    REQUIRE(code.ok());
    Program program{.code = code.bytes};
    program.code.push_back(0xCC);
    program.used = 1 + random() % 4;
    for (u64 i = 0; i < program.used; ++i) {
        const u64 length = u64{1} << random() % 4;
        // Linux takes aligned ones only.
        const u64 address = (kOperand - 16 + random() % 40) / length * length;
        program.breakpoints[i] = {address, length, random() % 2 == 0};
    }
    return program;
}

std::string describe(const std::vector<Trap>& traps) {
    std::string text;
    for (const Trap& t : traps) {
        text += "rip +" + std::to_string(t.rip - kCodeAt) + " hit " + std::to_string(t.hit) +
                " rcx " + std::to_string(t.rcx) + "; ";
    }
    return text;
}

}  // namespace

TEST_CASE("breakpoints: on data, as the host has them", "[debug][host]") {
    if (!host_is_amd()) VTLSIM_SKIP("compared with AMD's processors only");
    TracedChild child({{kCodeAt, kPageSize}, {kDataAt, kPageSize}}, [] { return true; });
    if (!able(child)) VTLSIM_SKIP("ptrace does not set debug registers here");
    std::mt19937_64 random(1);
    u64 hits = 0;
    for (const char* text : kTexts) {
        for (int round = 0; round < 30; ++round) {
            const Program program = program_of(text, random);
            const std::vector<Trap> ours = simulated(program);
            const std::vector<Trap> theirs = native(child, program);
            hits += theirs.size();
            std::string where;
            for (u64 i = 0; i < program.used; ++i) {
                const Breakpoint& b = program.breakpoints[i];
                where += (b.reads ? "rw " : "w ") + std::to_string(b.length) + " at " +
                         std::to_string(static_cast<i64>(b.address - kOperand)) + "; ";
            }
            INFO(text << " with " << where << "\nours:   " << describe(ours)
                      << "\ntheirs: " << describe(theirs));
            CHECK(ours == theirs);
        }
    }
    CHECK(hits > 500);
}
