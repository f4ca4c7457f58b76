// The executor beside Debian's Unicorn, interleaved in one run: figures are medians, and only the
// ratio means something on a shared machine.
#include <algorithm>
#include <chrono>
#include <functional>
#include <stdexcept>
#include <unicorn/unicorn.h>

#include <fmt/format.h>

#include "bench/guests.hpp"
#include "sim/asm/assembler.hpp"
#include "sim/exec/cpu.hpp"

namespace vtlsim::bench {
namespace {

using sim::Reg;

constexpr int kRounds = 11;

std::vector<u8> assemble(std::string_view text) {
    sim::AsmOptions options;
    options.origin = kCode;
    const sim::AsmResult result = sim::assemble(text, options);
    if (!result.ok()) throw std::logic_error(result.errors.front().message);
    return result.bytes;
}

std::vector<u8> data() {
    std::vector<u8> bytes(kDataSize);
    u64 x = 88172645463325252;  // xorshift64
    for (u8& b : bytes) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        b = static_cast<u8>(x);
    }
    return bytes;
}

double seconds(const std::function<void()>& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

struct Registers {
    u64 rax = 0, rbx = 0, rdx = 0, rsi = 0;
    bool operator==(const Registers&) const = default;
};

class Ours {
  public:
    explicit Ours(const std::vector<u8>& code) : cpu_(machine_.add_cpu()) {
        if (!machine_.write(kCode, code) || !machine_.write(kData, data())) {
            throw std::bad_alloc();
        }
    }
    void reset(u64 count) {
        sim::CpuState s = sim::long_mode_state();
        s[Reg::rip] = kCode;
        s[Reg::rsp] = kStack;
        s[Reg::rbp] = kData;
        s[Reg::rax] = 1;
        s[Reg::rbx] = 3;
        s[Reg::rdx] = 0x80;
        s[Reg::rcx] = count;
        cpu_.set_state(s);
    }
    // To the HLT; port reads give the low byte of a counter.
    u64 run(sim::Observer* observer = nullptr) {
        const u64 before = cpu_.steps();
        u32 counter = 0;
        for (;;) {
            const sim::Outcome outcome =
                cpu_.run({.steps = ~u64{0}, .iterations = ~u64{0}}, observer);
            const auto* exit = std::get_if<sim::Exit>(&outcome);
            if (exit == nullptr) {
                if (!std::holds_alternative<sim::Halted>(outcome)) {
                    throw std::logic_error("a guest that does not halt");
                }
                return cpu_.steps() - before;
            }
            if (exit->in)
                cpu_.set(Reg::rax, (cpu_.get(Reg::rax) & ~u64{0xFF}) | (++counter & 0xFF));
            cpu_.retire_exit(exit->length);
        }
    }
    Registers registers() const {
        return {cpu_.get(Reg::rax), cpu_.get(Reg::rbx), cpu_.get(Reg::rdx), cpu_.get(Reg::rsi)};
    }
    sim::Machine& machine() { return machine_; }
    sim::Cpu& cpu() { return cpu_; }

  private:
    sim::Machine machine_;
    sim::Cpu& cpu_;
};

class Unicorn {
  public:
    explicit Unicorn(const std::vector<u8>& code) {
        uc_open(UC_ARCH_X86, UC_MODE_64, &uc_);
        uc_mem_map(uc_, 0, 0x200000, UC_PROT_ALL);
        uc_mem_write(uc_, kCode, code.data(), code.size());
        const auto bytes = data();
        uc_mem_write(uc_, kData, bytes.data(), bytes.size());
    }
    ~Unicorn() { uc_close(uc_); }
    Unicorn(const Unicorn&) = delete;
    Unicorn& operator=(const Unicorn&) = delete;

    void set(int reg, u64 value) { uc_reg_write(uc_, reg, &value); }
    u64 get(int reg) const {
        u64 value = 0;
        uc_reg_read(uc_, reg, &value);
        return value;
    }
    void reset(u64 count) {
        for (int r : {UC_X86_REG_RSI, UC_X86_REG_RDI}) set(r, 0);
        set(UC_X86_REG_RSP, kStack);
        set(UC_X86_REG_RBP, kData);
        set(UC_X86_REG_RAX, 1);
        set(UC_X86_REG_RBX, 3);
        set(UC_X86_REG_RDX, 0x80);
        set(UC_X86_REG_RCX, count);
        set(UC_X86_REG_EFLAGS, 2);
    }
    // HLT ends it; the address is one that is never reached.
    void run() { uc_emu_start(uc_, kCode, ~u64{0}, 0, 0); }
    Registers registers() const {
        return {get(UC_X86_REG_RAX), get(UC_X86_REG_RBX), get(UC_X86_REG_RDX), get(UC_X86_REG_RSI)};
    }
    uc_engine* engine() { return uc_; }

  private:
    uc_engine* uc_ = nullptr;
};

struct Row {
    std::string name;
    std::string unit;
    double work = 0;  // per round
    std::function<void()> ours;
    std::function<void()> peer;
};

void print(const Row& row) {
    row.ours();
    row.peer();
    std::vector<double> ours, peer;
    for (int i = 0; i < kRounds; ++i) {
        ours.push_back(seconds(row.ours));
        peer.push_back(seconds(row.peer));
    }
    std::sort(ours.begin(), ours.end());
    std::sort(peer.begin(), peer.end());
    const double a = row.work / ours[kRounds / 2];
    const double b = row.work / peer[kRounds / 2];
    fmt::print("{:<26} {:>12.2f} {:>12.2f} {:>8.2f}   {}\n", row.name, a, b, a / b, row.unit);
}

void compare_loop(const char* name, std::string_view text, u64 count, double divisor,
                  const char* unit) {
    const auto code = assemble(text);
    Ours ours(code);
    Unicorn peer(code);
    ours.reset(count);
    const u64 steps = ours.run();
    peer.reset(count);
    peer.run();
    if (!(ours.registers() == peer.registers())) {
        fmt::print("{}: the engines end with different registers\n", name);
    }
    const double work =
        divisor == 0 ? static_cast<double>(steps) / 1e6 : static_cast<double>(count) / divisor;
    print({name, unit, work,
           [&] {
               ours.reset(count);
               ours.run();
           },
           [&] {
               peer.reset(count);
               peer.run();
           }});
}

class Counter : public sim::Observer {
  public:
    bool before_instruction(const sim::Cpu&, u64) override {
        ++count;
        return false;
    }
    u64 count = 0;
};

void count_hook(uc_engine*, uint64_t, uint32_t, void* user) { ++*static_cast<u64*>(user); }

void compare_hooked(const char* name, std::string_view text, u64 count) {
    const auto code = assemble(text);
    Ours ours(code);
    Unicorn peer(code);
    u64 hooked = 0;
    uc_hook hook{};
    uc_hook_add(peer.engine(), &hook, UC_HOOK_CODE, reinterpret_cast<void*>(&count_hook), &hooked,
                uint64_t{1}, uint64_t{0});
    Counter counter;
    ours.reset(count);
    const double work = static_cast<double>(ours.run()) / 1e6;
    print({name, "M insn/s", work,
           [&] {
               ours.reset(count);
               ours.run(&counter);
           },
           [&] {
               peer.reset(count);
               peer.run();
           }});
}

// The callback looks at 18 registers, as an intercept handler would.
constexpr int kSeen[] = {UC_X86_REG_RAX, UC_X86_REG_RCX,   UC_X86_REG_RDX, UC_X86_REG_RBX,
                         UC_X86_REG_RSP, UC_X86_REG_RBP,   UC_X86_REG_RSI, UC_X86_REG_RDI,
                         UC_X86_REG_R8,  UC_X86_REG_R9,    UC_X86_REG_R10, UC_X86_REG_R11,
                         UC_X86_REG_R12, UC_X86_REG_R13,   UC_X86_REG_R14, UC_X86_REG_R15,
                         UC_X86_REG_RIP, UC_X86_REG_EFLAGS};

u64 look(uc_engine* uc) {
    u64 sum = 0;
    for (int reg : kSeen) {
        u64 value = 0;
        uc_reg_read(uc, reg, &value);
        sum += value;
    }
    return sum;
}
uint32_t in_hook(uc_engine* uc, uint32_t, int, void* user) {
    *static_cast<u64*>(user) += look(uc);
    return 0;
}
void out_hook(uc_engine* uc, uint32_t, int, uint32_t, void* user) {
    *static_cast<u64*>(user) += look(uc);
}

void compare_ports(u64 count) {
    const auto code = assemble(kPio);
    Ours ours(code);
    Unicorn peer(code);
    u64 seen = 0;
    uc_hook in{}, out{};
    uc_hook_add(peer.engine(), &in, UC_HOOK_INSN, reinterpret_cast<void*>(&in_hook), &seen,
                uint64_t{1}, uint64_t{0}, UC_X86_INS_IN);
    uc_hook_add(peer.engine(), &out, UC_HOOK_INSN, reinterpret_cast<void*>(&out_hook), &seen,
                uint64_t{1}, uint64_t{0}, UC_X86_INS_OUT);
    // Our registers are visible at every exit without a call for each.
    print({"W6 ports, registers seen", "M ports/s", static_cast<double>(2 * count) / 1e6,
           [&] {
               ours.reset(count);
               ours.run();
           },
           [&] {
               peer.reset(count);
               peer.run();
           }});
}

void compare_short() {
    constexpr u64 kRuns = 500;
    const auto code = assemble(kShort);
    constexpr double kWork = kRuns;
    const auto peer_once = [](Unicorn& u) {
        u.reset(0);
        u.run();
        return look(u.engine());
    };
    u64 sum = 0;
    print({"W7 short run, fresh", "runs/s", kWork,
           [&] {
               for (u64 i = 0; i < kRuns; ++i) {
                   sim::Machine machine;
                   sim::Cpu& cpu = machine.add_cpu();
                   (void)machine.write(kCode, code);
                   sim::CpuState s = sim::long_mode_state();
                   s[Reg::rip] = kCode;
                   s[Reg::rbp] = kData;
                   cpu.set_state(s);
                   const auto exit = std::get<sim::Exit>(cpu.run({.steps = 1000}));
                   cpu.retire_exit(exit.length);
                   cpu.run({.steps = 1000});
                   sum += cpu.state()[Reg::rax];
               }
           },
           [&] {
               for (u64 i = 0; i < kRuns; ++i) {
                   uc_engine* uc = nullptr;
                   uc_open(UC_ARCH_X86, UC_MODE_64, &uc);
                   uc_mem_map(uc, 0, 0x2000, UC_PROT_ALL);
                   uc_mem_map(uc, kData, 0x2000, UC_PROT_ALL);
                   uc_mem_write(uc, kCode, code.data(), code.size());
                   const u64 rbp = kData;
                   uc_reg_write(uc, UC_X86_REG_RBP, &rbp);
                   uc_emu_start(uc, kCode, kCode + code.size() - 1, 0, 0);
                   sum += look(uc);
                   uc_close(uc);
               }
           }});
    Ours ours(code);
    Unicorn peer(code);
    print({"W7 short run, re-used", "runs/s", kWork,
           [&] {
               for (u64 i = 0; i < kRuns; ++i) {
                   ours.reset(0);
                   ours.run();
                   sum += ours.cpu().state()[Reg::rax];
               }
           },
           [&] {
               for (u64 i = 0; i < kRuns; ++i) sum += peer_once(peer);
           }});
}

// Save registers and 1 MiB of memory, write a few pages, restore.
void compare_snapshots() {
    constexpr u64 kRuns = 200;
    constexpr u64 kMiB = 1 << 20;
    Ours ours(assemble(kShort));
    Unicorn peer(assemble(kShort));
    std::vector<u8> image(kMiB, 0x5A);
    (void)ours.machine().write(0x100000, image);
    const u64 value = 1;
    print({"W9 snapshot, 4 dirty pages", "rounds/s", kRuns,
           [&] {
               for (u64 i = 0; i < kRuns; ++i) {
                   const sim::CpuState registers = ours.cpu().state();
                   const sim::Memory saved = ours.machine().snapshot_memory();
                   for (u64 page = 0; page < 4; ++page) {
                       (void)ours.machine().write(0x100000 + page * 0x1000,
                                                  {reinterpret_cast<const u8*>(&value), 8});
                   }
                   ours.machine().set_memory(saved);
                   ours.cpu().set_state(registers);
               }
           },
           [&] {
               uc_context* context = nullptr;
               uc_context_alloc(peer.engine(), &context);
               for (u64 i = 0; i < kRuns; ++i) {
                   uc_context_save(peer.engine(), context);
                   uc_mem_read(peer.engine(), 0x100000, image.data(), kMiB);
                   for (u64 page = 0; page < 4; ++page) {
                       uc_mem_write(peer.engine(), 0x100000 + page * 0x1000, &value, 8);
                   }
                   uc_mem_write(peer.engine(), 0x100000, image.data(), kMiB);
                   uc_context_restore(peer.engine(), context);
               }
               uc_context_free(context);
           }});
}

}  // namespace
}  // namespace vtlsim::bench

int main() {
    using namespace vtlsim::bench;
    fmt::print("{:<26} {:>12} {:>12} {:>8}\n", "work", "vtlsim", "unicorn", "ratio");
    compare_loop("W1 alu", kAlu, 500'000, 0, "M insn/s");
    compare_loop("W2 mem", kMem, 200'000, 0, "M insn/s");
    compare_loop("W3 branchy", kBranchy, 60'000, 0, "M insn/s");
    compare_loop("W4 sse", kSse, 100'000, 0, "M insn/s");
    compare_loop("W5 string", kString, 3'000, 1e3 / 3, "K bursts/s");
    compare_ports(200'000);
    compare_short();
    compare_hooked("W8 alu, hooked", kAlu, 200'000);
    compare_hooked("W8 mem, hooked", kMem, 100'000);
    compare_snapshots();
}
