#include "model/kvm/script.hpp"

#include <algorithm>

namespace vtlsim::model::kvm {
namespace {

using sim::CpuState;
using sim::Reg;
using sim::Seg;

constexpr u16 kCode = 8, kData = 0x10, kUserData = 0x28 | 3, kUserCode = 0x30 | 3, kTask = 0x38;
constexpr u64 kTssSize = 0x68 + 0x2000 + 1;

void set_segment(CpuState& s, Seg seg, u64 selector, u64 limit, u64 attr) {
    s[selector_of(seg)] = selector;
    s[base_of(seg)] = 0;
    s[limit_of(seg)] = limit;
    s[attr_of(seg)] = attr;
}

bool long_mode(Mode mode) { return mode == Mode::long64 || mode == Mode::long64_cpl3; }

void put(std::vector<u8>& bytes, std::size_t at, u64 value, unsigned size) {
    if (bytes.size() < at + size) bytes.resize(at + size);
    for (unsigned i = 0; i < size; ++i) bytes[at + i] = static_cast<u8>(value >> 8 * i);
}

std::vector<u8> words(std::initializer_list<u64> values) {
    std::vector<u8> bytes;
    for (u64 v : values) put(bytes, bytes.size(), v, 8);
    return bytes;
}

// SDM 3A 6.11, 6.14.1: interrupt gates, DPL 3.
void add_gates(const Guest& guest, std::vector<MemoryImage>& out) {
    for (const Gate& gate : guest.gates) {
        std::vector<u8> bytes;
        const u64 to = gate.handler;
        if (guest.mode == Mode::real16) {
            put(bytes, 0, to, 2);
            put(bytes, 2, 0, 2);
            out.push_back({u64{gate.vector} * 4, bytes});
            continue;
        }
        put(bytes, 0, to, 2);
        put(bytes, 2, kCode, 2);
        put(bytes, 4, 0xEE00, 2);
        put(bytes, 6, to >> 16, 2);
        if (long_mode(guest.mode)) put(bytes, 8, to >> 32, 8);
        out.push_back({place::kIdt + u64{gate.vector} * bytes.size(), bytes});
    }
}

void add_tables(std::vector<MemoryImage>& out) {
    constexpr u64 kUser = 7;  // present, writable, user
    out.push_back({place::kPml4, words({place::kPdpt | kUser})});
    out.push_back({place::kPdpt, words({place::kDirectory | kUser})});
    std::vector<u8> directory;
    for (u64 i = 0; i < 512; ++i) put(directory, i * 8, i << 21 | 0x80 | kUser, 8);
    out.push_back({place::kDirectory, directory});
}

}  // namespace

RegisterCall call_of(Reg reg) {
    if (reg <= Reg::r15 || reg == Reg::rip || reg == Reg::rflags) return RegisterCall::regs;
    const bool system = reg >= Reg::es && reg <= Reg::cr8;
    if (system || reg == Reg::efer || reg == Reg::apic_base) return RegisterCall::sregs;
    return reg >= Reg::dr0 && reg <= Reg::dr7 ? RegisterCall::debugregs : RegisterCall::none;
}

CpuState new_vcpu_state() {
    CpuState s = sim::reset_state();
    s[Reg::fcw] = 0x037F;
    return s;
}

CpuState initial_state(const Guest& guest) {
    CpuState s = new_vcpu_state();
    s[Reg::rdx] = 0;
    s[Reg::rsp] = place::kDefaultStack;
    s[Reg::gdtr_base] = place::kGdt;
    s[Reg::gdtr_limit] = 0x4F;
    const Seg data[] = {Seg::ds, Seg::es, Seg::fs, Seg::gs, Seg::ss};
    switch (guest.mode) {
        case Mode::real16:
            s[Reg::rsp] = 0x7000;
            s[Reg::gdtr_limit] = 0xFFFF;
            s[Reg::gdtr_base] = 0;
            s[Reg::idtr_limit] = 0x3FF;
            set_segment(s, Seg::cs, 0, 0xFFFF, 0x9B);
            for (Seg seg : data) set_segment(s, seg, 0, 0xFFFF, sim::attr::kRealData);
            break;
        case Mode::prot32:
            s[Reg::cr0] = 0x11;
            set_segment(s, Seg::cs, kCode, 0xFFFFFFFF, 0xC09B);
            for (Seg seg : data) set_segment(s, seg, kData, 0xFFFFFFFF, sim::attr::kFlatData);
            break;
        case Mode::long64:
        case Mode::long64_cpl3: {
            const bool user = guest.mode == Mode::long64_cpl3;
            const u64 dpl = user ? 0x60 : 0;
            s[Reg::cr0] = 0x80010033;
            s[Reg::cr3] = place::kPml4;
            s[Reg::cr4] = 0x620;   // PAE, OSFXSR, OSXMMEXCPT
            s[Reg::efer] = 0x500;  // LME, LMA
            set_segment(s, Seg::cs, user ? kUserCode : kCode, 0xFFFFFFFF,
                        sim::attr::kFlatCode64 | dpl);
            for (Seg seg : data) {
                set_segment(s, seg, user ? kUserData : kData, 0xFFFFFFFF,
                            sim::attr::kFlatData | dpl);
            }
            break;
        }
    }
    if (guest.mode != Mode::real16) {
        set_segment(s, Seg::tr, kTask, kTssSize - 1, sim::attr::kTss64Busy);
        s[Reg::tr_base] = place::kTss;
        set_segment(s, Seg::ldtr, 0, 0, sim::attr::kUnusable);
        s[Reg::idtr_base] = place::kIdt;
        s[Reg::idtr_limit] = guest.gates.empty() ? 0 : 0xFFF;
    }
    for (const auto& [reg, value] : guest.registers) s[reg] = value;
    return s;
}

std::vector<MemoryImage> initial_memory(const Guest& guest) {
    std::vector<MemoryImage> out = guest.memory;
    add_gates(guest, out);
    if (guest.mode == Mode::real16) return out;
    if (long_mode(guest.mode)) {
        add_tables(out);
        out.push_back({place::kGdt, words({0, 0x00AF9B000000FFFF, 0x00CF93000000FFFF, 0, 0,
                                           0x00CFF3000000FFFF, 0x00AFFB000000FFFF})});
    } else {
        out.push_back({place::kGdt, words({0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF})});
    }
    std::vector<u8> tss(kTssSize);
    if (guest.mode == Mode::long64_cpl3) put(tss, 4, place::kDefaultStack, 8);  // RSP0
    put(tss, 0x66, 0x68, 2);
    tss.back() = 0xFF;
    out.push_back({place::kTss, tss});
    return out;
}

std::vector<sim::RamRange> ram_of(const Guest& guest) {
    std::vector<sim::RamRange> ranges = guest.more_ram;
    ranges.push_back({0, guest.ram - 1});
    std::sort(ranges.begin(), ranges.end(),
              [](const sim::RamRange& a, const sim::RamRange& b) { return a.first < b.first; });
    return ranges;
}

}  // namespace vtlsim::model::kvm
