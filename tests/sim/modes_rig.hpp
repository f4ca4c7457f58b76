// A machine in real or protected mode, with descriptor tables, for the tests of those modes.
#pragma once

#include "tests/sim/rig.hpp"

namespace vtlsim::tests {

// 8-byte descriptor; access: the byte with P, DPL, S and type; flags: G, B/D, L, AVL.
constexpr u64 descriptor(u32 base, u32 limit20, u64 access, u64 flags) {
    return (limit20 & 0xFFFFu) | u64{base & 0xFFFFFFu} << 16 | access << 40 |
           u64{limit20 >> 16 & 0xFu} << 48 | flags << 52 | u64{base >> 24} << 56;
}
constexpr u64 gate(u16 selector, u32 offset, u64 access, u64 parameters = 0) {
    return (offset & 0xFFFFu) | u64{selector} << 16 | parameters << 32 | access << 40 |
           u64{offset >> 16} << 48;
}

class ModeRig : public Rig {
  public:
    static constexpr u64 kGdt = 0x4000, kIdt = 0x5000, kTss = 0x6000;
    // What the GDT holds, all flat unless it says otherwise.
    static constexpr u16 kCode32 = 0x08, kData32 = 0x10, kUserCode = 0x18 | 3, kUserData = 0x20 | 3,
                         kCode16 = 0x28, kData16 = 0x30, kAbsent = 0x38, kCode64 = 0x40,
                         kFree = 0x48;  // for the test's own

    // Real mode: all bases 0, code at kCode, SP = 8000h, IVT at 0.
    static void real(Rig& rig) {
        sim::CpuState s = sim::reset_state();
        for (sim::Seg seg :
             {sim::Seg::es, sim::Seg::cs, sim::Seg::ss, sim::Seg::ds, sim::Seg::fs, sim::Seg::gs}) {
            s[sim::selector_of(seg)] = 0;
            s[sim::base_of(seg)] = 0;
        }
        s[sim::Reg::rip] = kCode;
        s[sim::Reg::rsp] = 0x8000;
        rig.cpu.set_state(s);
    }

    // 32-bit protected mode at CPL 0 without paging.
    explicit ModeRig(std::string_view text = "") {
        real(*this);
        put(kGdt + 0x08, descriptor(0, 0xFFFFF, 0x9B, 0xC));
        put(kGdt + 0x10, descriptor(0, 0xFFFFF, 0x93, 0xC));
        put(kGdt + 0x18, descriptor(0, 0xFFFFF, 0xFB, 0xC));
        put(kGdt + 0x20, descriptor(0, 0xFFFFF, 0xF3, 0xC));
        put(kGdt + 0x28, descriptor(0, 0xFFFF, 0x9B, 0));
        put(kGdt + 0x30, descriptor(0, 0xFFFF, 0x93, 0));
        put(kGdt + 0x38, descriptor(0, 0xFFFFF, 0x13, 0xC));
        put(kGdt + 0x40, descriptor(0, 0xFFFFF, 0x9B, 0xA));
        set(sim::Reg::gdtr_base, kGdt);
        set(sim::Reg::gdtr_limit, 0xFF);
        set(sim::Reg::idtr_base, kIdt);
        set(sim::Reg::idtr_limit, 0x7FF);
        set(sim::Reg::cr0, 0x31);
        set(sim::Reg::tr, 0x58);
        set(sim::Reg::tr_base, kTss);
        set(sim::Reg::tr_limit, 0x67);
        set(sim::Reg::tr_attr, 0x8B);
        put(kTss + 4, 0x9000 | u64{kData32} << 32);  // SS0:ESP0
        segments(kCode32, kData32, 0);
        if (!text.empty()) code32(kCode, text);
    }

    // Flat 32-bit segments of a level, with these selectors.
    void segments(u16 code_selector, u16 data_selector, u64 level) {
        for (sim::Seg seg :
             {sim::Seg::es, sim::Seg::cs, sim::Seg::ss, sim::Seg::ds, sim::Seg::fs, sim::Seg::gs}) {
            const bool is_code = seg == sim::Seg::cs;
            set(sim::selector_of(seg), is_code ? code_selector : data_selector);
            set(sim::base_of(seg), 0);
            set(sim::limit_of(seg), 0xFFFFFFFF);
            set(sim::attr_of(seg), (is_code ? 0xC09B : 0xC093) | level << 5);
        }
    }
    void user() { segments(kUserCode, kUserData, 3); }

    u64 code32(u64 address, std::string_view text) {
        return assemble_to(address, text, sim::AsmMode::bits32);
    }
    u64 code16(u64 address, std::string_view text) {
        return assemble_to(address, text, sim::AsmMode::bits16);
    }
    u32 dword(u64 physical) const { return static_cast<u32>(word(physical)); }
    u16 half(u64 physical) const { return static_cast<u16>(word(physical)); }

  private:
    u64 assemble_to(u64 address, std::string_view text, sim::AsmMode mode) {
        sim::AsmOptions options;
        options.origin = address;
        options.mode = mode;
        const sim::AsmResult result = sim::assemble(text, options);
        if (!result.ok()) throw std::runtime_error(result.errors.front().message);
        bytes(address, result.bytes);
        return result.bytes.size();
    }
};

}  // namespace vtlsim::tests
