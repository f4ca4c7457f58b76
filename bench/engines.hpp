// The two engines behind one face: a flat 64-bit machine with the guest's code and data in it.
#pragma once

#include <stdexcept>
#include <unicorn/unicorn.h>

#include "bench/guests.hpp"
#include "sim/asm/assembler.hpp"
#include "sim/exec/cpu.hpp"

namespace vtlsim::bench {

inline std::vector<u8> assemble(std::string_view text) {
    sim::AsmOptions options;
    options.origin = kCode;
    const sim::AsmResult result = sim::assemble(text, options);
    if (!result.ok()) throw std::logic_error(result.errors.front().message);
    return result.bytes;
}

// kDataSize bytes by xorshift64.
inline std::vector<u8> data() {
    std::vector<u8> bytes(kDataSize);
    u64 x = 88172645463325252;
    for (u8& b : bytes) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        b = static_cast<u8>(x);
    }
    return bytes;
}

// The general registers in the encoding's order, RIP and RFLAGS: what an intercept handler looks
// at.
constexpr std::size_t kSeen = 18;
using Registers = std::array<u64, kSeen>;

inline Registers start_registers(u64 count) {
    Registers r{};
    r[0] = 1;       // rax
    r[1] = count;   // rcx
    r[2] = 0x80;    // rdx
    r[3] = 3;       // rbx
    r[4] = kStack;  // rsp
    r[5] = kData;   // rbp
    r[16] = kCode;  // rip
    r[17] = 2;      // rflags
    return r;
}
// Lanes that are neither trivial nor ever too large: 1.5 and 1 + 2^-23.
constexpr Vec128 kXmm4{0x3FC000003FC00000, 0x3FC000003FC00000};
constexpr Vec128 kXmm5{0x3F8000013F800001, 0x3F8000013F800001};

class Ours {
  public:
    explicit Ours(const std::vector<u8>& code) : cpu_(machine_.add_cpu()) { load(code, data()); }
    // Memory is what the guest touches alone.
    Ours(const std::vector<u8>& code, std::nullptr_t) : cpu_(machine_.add_cpu()) { load(code, {}); }

    void reset(const Registers& registers) {
        sim::CpuState s = sim::long_mode_state();
        std::copy(registers.begin(), registers.end(), s.scalar.begin());
        s.vec(sim::Reg::xmm4) = kXmm4;
        s.vec(sim::Reg::xmm5) = kXmm5;
        cpu_.set_state(s);
    }
    // To the HLT. at_port(Ours&) sees each port access; IN reads what it answers. Answers how many
    // instructions.
    template <class AtPort>
    u64 run_with_ports(AtPort at_port, sim::Observer* observer = nullptr) {
        const u64 before = cpu_.steps();
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
            const u64 datum = at_port(*this);
            if (exit->in) {
                cpu_.set(sim::Reg::rax, (cpu_.get(sim::Reg::rax) & ~u64{0xFF}) | (datum & 0xFF));
            }
            cpu_.retire_exit(*exit);
        }
    }
    u64 run(sim::Observer* observer = nullptr) {
        return run_with_ports([](Ours&) { return u64{0}; }, observer);
    }
    Registers registers() const {
        static_assert(sim::index_of(sim::Reg::rflags) == kSeen - 1);
        Registers seen{};
        for (std::size_t i = 0; i < kSeen; ++i) seen[i] = cpu_.get(static_cast<sim::Reg>(i));
        return seen;
    }
    Vec128 xmm(unsigned number) const {
        return cpu_.state().vec(sim::offset(sim::Reg::xmm0, number));
    }
    sim::Machine& machine() { return machine_; }
    sim::Cpu& cpu() { return cpu_; }

  private:
    void load(const std::vector<u8>& code, const std::vector<u8>& bytes) {
        if (!machine_.write(kCode, code) || !machine_.write(kData, bytes)) throw std::bad_alloc();
    }

    sim::Machine machine_;
    sim::Cpu& cpu_;
};

class Unicorn {
  public:
    explicit Unicorn(const std::vector<u8>& code) : Unicorn(code, nullptr) {
        const auto bytes = data();
        check(uc_mem_write(uc_, kData, bytes.data(), bytes.size()));
    }
    Unicorn(const std::vector<u8>& code, std::nullptr_t) {
        check(uc_open(UC_ARCH_X86, UC_MODE_64, &uc_));
        check(uc_mem_map(uc_, 0, 0x200000, UC_PROT_ALL));
        check(uc_mem_write(uc_, kCode, code.data(), code.size()));
    }
    ~Unicorn() { uc_close(uc_); }
    Unicorn(const Unicorn&) = delete;
    Unicorn& operator=(const Unicorn&) = delete;

    static void check(uc_err error) {
        if (error != UC_ERR_OK) throw std::logic_error(uc_strerror(error));
    }
    void reset(const Registers& registers) {
        for (std::size_t i = 0; i < kSeen; ++i) {
            uc_reg_write(uc_, kSeenIds[i], &registers[i]);
        }
        uc_reg_write(uc_, UC_X86_REG_XMM4, &kXmm4);
        uc_reg_write(uc_, UC_X86_REG_XMM5, &kXmm5);
    }
    // HLT ends it, or the address.
    static constexpr u64 kNever = ~u64{0};
    void run(u64 until = kNever) { check(uc_emu_start(uc_, kCode, until, 0, 0)); }
    static Registers registers(uc_engine* uc) {
        Registers seen{};
        for (std::size_t i = 0; i < kSeen; ++i) uc_reg_read(uc, kSeenIds[i], &seen[i]);
        return seen;
    }
    Registers registers() const { return registers(uc_); }
    Vec128 xmm(int number) const {
        Vec128 value{};
        uc_reg_read(uc_, UC_X86_REG_XMM0 + number, &value);
        return value;
    }
    void hook(uc_hook_type type, void* callback, void* user, int instruction = 0) {
        uc_hook handle{};
        check(uc_hook_add(uc_, &handle, type, callback, user, u64{1}, u64{0}, instruction));
    }
    uc_engine* engine() { return uc_; }

  private:
    static constexpr int kSeenIds[kSeen] = {
        UC_X86_REG_RAX, UC_X86_REG_RCX, UC_X86_REG_RDX,   UC_X86_REG_RBX, UC_X86_REG_RSP,
        UC_X86_REG_RBP, UC_X86_REG_RSI, UC_X86_REG_RDI,   UC_X86_REG_R8,  UC_X86_REG_R9,
        UC_X86_REG_R10, UC_X86_REG_R11, UC_X86_REG_R12,   UC_X86_REG_R13, UC_X86_REG_R14,
        UC_X86_REG_R15, UC_X86_REG_RIP, UC_X86_REG_EFLAGS};

    uc_engine* uc_ = nullptr;
};

inline void count_instruction(uc_engine*, uint64_t, uint32_t, void* user) {
    ++*static_cast<u64*>(user);
}

}  // namespace vtlsim::bench
