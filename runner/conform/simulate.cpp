#include "runner/conform/simulate.hpp"

#include <cstring>

#include <fmt/format.h>

#include "runner/conform/generate.hpp"
#include "runner/exec_request.hpp"
#include "sim/state/bits.hpp"

namespace vtlsim::runner::conform {
namespace {

using sim::CpuState;
using sim::Reg;

// What Linux gives a process (arch/x86: __USER_CS, __USER_DS, CR0_STATE).
constexpr u64 kUserCs = 0x33, kUserSs = 0x2B, kLinuxCr0 = 0x80050033;

template <class T>
T get(const std::array<u8, 512>& fx, std::size_t at) {
    T value;
    std::memcpy(&value, &fx[at], sizeof(value));
    return value;
}
template <class T>
void put(std::array<u8, 512>& fx, std::size_t at, T value) {
    std::memcpy(&fx[at], &value, sizeof(value));
}

CpuState state_of(const State& in) {
    static const CpuState initial = [] {
        CpuState s = exec_state(ExecMode::long64, 3);
        s[Reg::cr0] = kLinuxCr0;
        for (const sim::Seg seg : {sim::Seg::es, sim::Seg::ds, sim::Seg::fs, sim::Seg::gs}) {
            s[sim::selector_of(seg)] = 0;
        }
        s[Reg::cs] = kUserCs;
        s[Reg::ss] = kUserSs;
        return s;
    }();
    CpuState s = initial;
    for (std::size_t i = 0; i < in.gpr.size(); ++i) s[sim::gpr(i)] = in.gpr[i];
    s[Reg::rflags] = in.rflags;
    s[Reg::rip] = kCodePage;
    s[Reg::fcw] = get<u16>(in.fx, kFcw);
    s[Reg::fsw] = get<u16>(in.fx, kFsw);
    s[Reg::ftw] = get<u8>(in.fx, kFtw);
    s[Reg::mxcsr] = get<u32>(in.fx, kMxcsr);
    for (std::size_t i = 0; i < 8; ++i) {
        s.set(st_register(s, i), get<Vec128>(in.fx, kSt + 16 * i));
    }
    for (std::size_t i = 0; i < 16; ++i) {
        s.vec(sim::offset(Reg::xmm0, i)) = get<Vec128>(in.fx, kXmm + 16 * i);
    }
    return s;
}

void store(const CpuState& s, State& out) {
    for (std::size_t i = 0; i < out.gpr.size(); ++i) out.gpr[i] = s[sim::gpr(i)];
    out.rflags = s[Reg::rflags];
    out.rip = s[Reg::rip];
    put(out.fx, kFcw, static_cast<u16>(s[Reg::fcw]));
    put(out.fx, kFsw, static_cast<u16>(s[Reg::fsw]));
    put(out.fx, kFtw, static_cast<u8>(s[Reg::ftw]));
    put(out.fx, kMxcsr, static_cast<u32>(s[Reg::mxcsr]));
    for (std::size_t i = 0; i < 8; ++i) put(out.fx, kSt + 16 * i, s.get(st_register(s, i)));
    for (std::size_t i = 0; i < 16; ++i) {
        put(out.fx, kXmm + 16 * i, s.vec(sim::offset(Reg::xmm0, i)));
    }
}

}  // namespace

Simulated::Simulated() : machine_(sim::Memory(64)), cpu_(machine_.add_cpu()) {
    cpu_.set_deliver_faults(false);
    // Other pages are not mapped: an access there is an exit, which stands for a page fault.
    machine_.set_ram(
        0, {{kCodePage, kCodePage + kPage - 1}, {kScratchPage, kScratchPage + kPage - 1}});
}

void Simulated::run(const Case& c, Answer& answer) {
    const bool fits = machine_.write(kScratchPage, scratch_pattern()) &&
                      machine_.write(kScratchPage + c.data_offset, c.data) &&
                      machine_.write(kCodePage, std::span(c.code).first(c.length));
    cpu_.set_state(state_of(c.in));
    const sim::Outcome outcome = cpu_.run({.steps = 1});
    State& out = answer.out;
    out = State{};
    store(cpu_.state(), out);
    answer.not_modelled = !fits;
    if (const auto* fault = std::get_if<sim::Fault>(&outcome)) {
        out.vector = static_cast<u32>(fault->vector);
        out.error_code = fault->error_code;
        out.cr2 = fault->cr2;
    } else if (const auto* exit = std::get_if<sim::Exit>(&outcome);
               exit != nullptr && exit->kind == sim::ExitKind::memory) {
        constexpr u32 kUser = 4, kWrite = 2;
        out.vector = static_cast<u32>(sim::Vector::pf);
        out.error_code = kUser | (exit->access == sim::Access::write ? kWrite : 0);
        out.cr2 = exit->gva;
    } else if (!std::holds_alternative<sim::StepsDone>(outcome)) {
        answer.not_modelled = true;
    }
    machine_.read(kScratchPage, answer.scratch);
}

std::string exec_line(const Case& c, bool with_memory) {
    const CpuState s = state_of(c.in);
    std::string out = R"({"mode":"long64","cpl":3,"regs":{)";
    const char* separator = "";
    const auto add = [&](std::string_view name, const std::string& value) {
        out += fmt::format("{}\"{}\":\"0x{}\"", separator, name, value);
        separator = ",";
    };
    for (std::size_t i = 0; i < 16; ++i) {
        if (c.in.gpr[i] != 0) add(sim::info(sim::gpr(i)).name, fmt::format("{:x}", c.in.gpr[i]));
    }
    for (const Reg reg :
         {Reg::rip, Reg::rflags, Reg::cs, Reg::ss, Reg::cr0, Reg::fcw, Reg::fsw, Reg::mxcsr}) {
        add(sim::info(reg).name, fmt::format("{:x}", s[reg]));
    }
    u32 tags = 0;
    for (unsigned i = 0; i < 8; ++i) tags |= (s[Reg::ftw] >> i & 1) != 0 ? 0 : 3u << 2 * i;
    add("ftw", fmt::format("{:x}", tags));
    for (std::size_t i = 0; i < 24; ++i) {
        const bool st = i < 8;
        const Vec128 v = st ? s.get(st_register(s, i)) : s.vec(sim::offset(Reg::xmm0, i - 8));
        if (v == Vec128{}) continue;
        add(st ? fmt::format("st{}", i) : fmt::format("xmm{}", i - 8),
            st ? fmt::format("{:04x}{:016x}", v.hi, v.lo)
               : fmt::format("{:016x}{:016x}", v.hi, v.lo));
    }
    out += fmt::format(R"(}},"mem":[{{"addr":"{:#x}","bytes":"{:02x}"}})", kCodePage,
                       fmt::join(std::span(c.code).first(c.length), ""));
    if (with_memory) {
        std::array<u8, kPage> page = scratch_pattern();
        std::memcpy(&page[c.data_offset], c.data.data(), c.data.size());
        out += fmt::format(R"(,{{"addr":"{:#x}","bytes":"{:02x}"}})", kScratchPage,
                           fmt::join(page, ""));
    }
    return out + "]}";
}

}  // namespace vtlsim::runner::conform
