// A machine with one processor and some assembled code, for the tests of the executor.
#pragma once

#include <stdexcept>
#include <string_view>

#include "sim/asm/assembler.hpp"
#include "sim/exec/cpu.hpp"

namespace vtlsim::tests {

class Rig {
  public:
    static constexpr u64 kCode = 0x1000;

    sim::Machine machine;
    sim::Cpu& cpu;

    // Code at kCode, RIP on it, a stack below 0x8000; faults end the run.
    explicit Rig(std::string_view text = "", u64 max_pages = 1 << 20)
        : machine(sim::Memory(max_pages)), cpu(machine.add_cpu()) {
        cpu.set_deliver_faults(false);
        cpu.set(sim::Reg::rip, kCode);
        cpu.set(sim::Reg::rsp, 0x8000);
        if (!text.empty()) code(kCode, text);
    }

    // Assembles to the address; answers the number of bytes.
    u64 code(u64 address, std::string_view text) {
        sim::AsmOptions options;
        options.origin = address;
        const sim::AsmResult result = sim::assemble(text, options);
        if (!result.ok()) throw std::runtime_error(result.errors.front().message);
        bytes(address, result.bytes);
        return result.bytes.size();
    }
    void bytes(u64 physical, const std::vector<u8>& values) {
        if (!machine.write(physical, values)) throw std::runtime_error("out of pages");
    }
    void put(u64 physical, u64 value) {
        if (!machine.write(physical, {reinterpret_cast<const u8*>(&value), 8})) {
            throw std::runtime_error("out of pages");
        }
    }
    u64 word(u64 physical) const {
        u64 value = 0;
        machine.read(physical, {reinterpret_cast<u8*>(&value), 8});
        return value;
    }
    u8 byte(u64 physical) const { return static_cast<u8>(word(physical)); }

    u64 get(sim::Reg reg) const { return cpu.get(reg); }
    void set(sim::Reg reg, u64 value) { cpu.set(reg, value); }
    // Makes the next instruction the one at `rip`, also after HLT.
    void jump(u64 rip = kCode) {
        set(sim::Reg::rip, rip);
        set(sim::Reg::activity, 0);
    }
    void set_cpl(unsigned cpl) {
        set(sim::Reg::cs_attr, sim::attr::kFlatCode64 | u64{cpl} << 5);
        set(sim::Reg::ss_attr, sim::attr::kFlatData | u64{cpl} << 5);
        set(sim::Reg::cs, 0x08 | cpl);
        set(sim::Reg::ss, 0x10 | cpl);
    }

    sim::Outcome run(u64 steps = 1, sim::Observer* observer = nullptr) {
        return cpu.run({.steps = steps}, observer);
    }
    // Runs until something other than the step limit; throws at 10000 steps.
    sim::Outcome finish(sim::Observer* observer = nullptr) {
        sim::Outcome outcome = run(10000, observer);
        if (std::holds_alternative<sim::StepsDone>(outcome)) throw std::runtime_error("no end");
        return outcome;
    }
};

// The outcome's value if it is a T, else throws: for REQUIRE-like use in expressions.
template <class T>
T expect(const sim::Outcome& outcome) {
    const T* value = std::get_if<T>(&outcome);
    if (value == nullptr) {
        throw std::runtime_error("unexpected outcome, alternative " +
                                 std::to_string(outcome.index()));
    }
    return *value;
}

template <class T>
bool is(const sim::Outcome& outcome) {
    return std::holds_alternative<T>(outcome);
}

// 4-level page tables in the rig's memory from 0x100000 on.
class PageTables {
  public:
    static constexpr u64 kRoot = 0x100000;
    static constexpr u64 p = 1, w = 2, u = 4, a = 0x20, d = 0x40, ps = 0x80, nx = u64{1} << 63;

    explicit PageTables(Rig& rig) : rig_(rig) {}

    // Where the entry of that level (4 = PML4) for the address is; upper levels allow everything.
    u64 entry_at(u64 linear, unsigned level = 1) {
        u64 table = kRoot;
        for (unsigned at = 4; at > level; --at) {
            const u64 slot = table + (linear >> (12 + 9 * (at - 1)) & 511) * 8;
            if (rig_.word(slot) == 0) {
                next_ += sim::kPageSize;
                rig_.put(slot, next_ | p | w | u);
            }
            table = rig_.word(slot) & 0x000FFFFFFFFFF000;
        }
        return table + (linear >> (12 + 9 * (level - 1)) & 511) * 8;
    }
    // Level 2 and 3 make large pages.
    void map(u64 linear, u64 physical, u64 bits, unsigned level = 1) {
        rig_.put(entry_at(linear, level), physical | bits | (level > 1 ? ps : 0));
    }
    // Uses the tables, and not the identity map.
    void activate() {
        rig_.set(sim::Reg::cr3, kRoot);
        rig_.set(sim::Reg::identity_map, 0);
    }

  private:
    Rig& rig_;
    u64 next_ = kRoot;
};

}  // namespace vtlsim::tests
