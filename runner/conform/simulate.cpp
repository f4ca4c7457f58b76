#include "runner/conform/simulate.hpp"

#include <fmt/format.h>

#include "runner/conform/values.hpp"
#include "runner/exec_request.hpp"
#include "sim/state/bits.hpp"

namespace vtlsim::runner::conform {
namespace {

using sim::CpuState;
using sim::Reg;
using sim::Seg;

// What Linux gives a process (arch/x86: CR0_STATE).
constexpr u64 kLinuxCr0 = 0x80050033;

// The simulator's memory: page tables that map the two pages where the child has them, and the GDT
// in the upper half, where the child sees nothing either.
constexpr u64 kPml4 = 0x1000, kPdpt = 0x2000, kPd = 0x3000, kPt = 0x4000;
constexpr u64 kUpperPdpt = 0x5000, kUpperPd = 0x6000, kUpperPt = 0x7000, kGdtPage = 0x8000;
constexpr u64 kLowPt = 0x9000, kTss = 0xA000;
constexpr u64 kGdt = 0xFFFF800000000000;

struct Word {
    u64 address;
    u64 value;
};

constexpr u64 kPresent = 1, kWritable = 2, kUser = 4, kNx = u64{1} << 63;
constexpr u64 kSystem = kPresent | kWritable, kAll = kSystem | kUser;

constexpr u64 entry(u64 table, u64 linear, unsigned level) {
    return table + (linear >> (12 + 9 * level) & 0x1FF) * 8;
}

constexpr std::array kWords{
    Word{entry(kPml4, 0, 3), kPdpt | kAll},
    Word{entry(kPdpt, 0, 2), kPd | kAll},
    Word{entry(kPd, kCodePage, 1), kPt | kAll},
    Word{entry(kPt, kCodePage, 0), kCodePage | kAll},
    Word{entry(kPt, kScratchPage, 0), kScratchPage | kAll | kNx},
    Word{entry(kPml4, kGdt, 3), kUpperPdpt | kSystem},
    Word{entry(kUpperPdpt, kGdt, 2), kUpperPd | kSystem},
    Word{entry(kUpperPd, kGdt, 1), kUpperPt | kSystem},
    Word{entry(kUpperPt, kGdt, 0), kGdtPage | kSystem},
    // Linux' GDT (arch/x86/kernel/cpu/common.c, gdt_page), all accessed: kernel, user, TSS, LDT.
    Word{kGdtPage + 0x08, 0x00CF9B000000FFFF},
    Word{kGdtPage + 0x10, 0x00AF9B000000FFFF},
    Word{kGdtPage + 0x18, 0x00CF93000000FFFF},
    Word{kGdtPage + 0x20, 0x00CFFB000000FFFF},
    Word{kGdtPage + 0x28, 0x00CFF3000000FFFF},
    Word{kGdtPage + 0x30, 0x00AFFB000000FFFF},
    Word{kGdtPage + 0x40, 0x00008B0000004087},
    Word{kGdtPage + 0x50, 0x000082000000000F},
    Word{kGdtPage + 0x78, 0x0040F50000000000},
};
constexpr u16 kGdtLimit = 0x7F;
// For instructions that look at the TSS's I/O map, there is a TSS with none at 0. For others there
// is not, so that accesses there fault as the child's do.
constexpr Word kPortsOn{entry(kPd, 0, 1), kLowPt | kSystem};
constexpr Word kPortsOff{kPortsOn.address, 0};
constexpr std::array kTssWords{Word{entry(kLowPt, 0, 0), kTss | kSystem},
                               Word{kTss + 0x60, 0xFFFF000000000000}};

bool write_word(sim::Machine& machine, const Word& word) {
    return machine.write(word.address, std::span(reinterpret_cast<const u8*>(&word.value), 8));
}

CpuState usual_state(Mode mode) {
    CpuState s = exec_state(mode == Mode::long64 ? ExecMode::long64 : ExecMode::compat32, 3);
    s[Reg::identity_map] = 0;
    s[Reg::cr0] = kLinuxCr0;
    s[Reg::cr3] = kPml4;
    s[Reg::cr4] |= sim::cr4::fsgsbase;
    s[Reg::efer] |= sim::efer::sce;
    s[Reg::gdtr_base] = kGdt;
    s[Reg::gdtr_limit] = kGdtLimit;
    return s;
}

constexpr std::array<Seg, 6> kSegments{Seg::es, Seg::cs, Seg::ss, Seg::ds, Seg::fs, Seg::gs};

CpuState state_of(const Case& c) {
    static const std::array<CpuState, 2> usual{usual_state(Mode::long64),
                                               usual_state(Mode::compat32)};
    CpuState s = usual[static_cast<std::size_t>(c.mode)];
    const State& in = c.in;
    for (std::size_t i = 0; i < in.gpr.size(); ++i) s[sim::gpr(i)] = in.gpr[i];
    for (std::size_t i = 0; i < 6; ++i) s[sim::selector_of(kSegments[i])] = in.selectors[i];
    s[Reg::fs_base] = in.fs_base;
    s[Reg::gs_base] = in.gs_base;
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
    for (std::size_t i = 0; i < 6; ++i) {
        out.selectors[i] = static_cast<u16>(s[sim::selector_of(kSegments[i])]);
    }
    out.fs_base = s[Reg::fs_base];
    out.gs_base = s[Reg::gs_base];
    out.rflags = s[Reg::rflags];
    out.rip = s[Reg::rip];
    put(out.fx, kFcw, static_cast<u16>(s[Reg::fcw]));
    put(out.fx, kFsw, static_cast<u16>(s[Reg::fsw]));
    put(out.fx, kFtw, static_cast<u8>(s[Reg::ftw]));
    put(out.fx, kFop, static_cast<u16>(s[Reg::fop]));
    put(out.fx, kFip, s[Reg::fip]);
    put(out.fx, kFdp, s[Reg::fdp]);
    put(out.fx, kMxcsr, static_cast<u32>(s[Reg::mxcsr]));
    for (std::size_t i = 0; i < 8; ++i) put(out.fx, kSt + 16 * i, s.get(st_register(s, i)));
    for (std::size_t i = 0; i < 16; ++i) {
        put(out.fx, kXmm + 16 * i, s.vec(sim::offset(Reg::xmm0, i)));
    }
}

constexpr u8 kInt3 = 0xCC;
constexpr auto kInt3s = [] {
    std::array<u8, kPage> bytes{};
    bytes.fill(kInt3);
    return bytes;
}();

}  // namespace

const std::array<u8, kPage>& scratch_background(const Case& c) {
    static const std::array<u8, kPage> zeros{};
    static const std::array<u8, kPage> pattern = [] {
        std::array<u8, kPage> bytes{};
        Random r(1);
        for (std::size_t i = 0; i < kPage; i += 8) {
            const u64 value = r.edge();
            std::memcpy(&bytes[i], &value, 8);
        }
        return bytes;
    }();
    return c.blank ? zeros : pattern;
}

Simulated::Simulated() : machine_(sim::Memory(64)), cpu_(machine_.add_cpu()) {
    cpu_.set_deliver_faults(false);
    for (const Word& word : kWords) fits_ = write_word(machine_, word) && fits_;
    for (const Word& word : kTssWords) fits_ = write_word(machine_, word) && fits_;
}

void Simulated::run(const Case& c, Answer& answer) {
    std::array<u8, kPage> code = kInt3s;  // whatever an earlier case has written there
    std::copy_n(c.code.begin(), c.length, code.begin());
    const bool fits = fits_ && machine_.write(kScratchPage, scratch_background(c)) &&
                      machine_.write(kScratchPage + c.data_offset, c.data) &&
                      machine_.write(kCodePage, code) &&
                      (c.ports == ports_ || write_word(machine_, c.ports ? kPortsOn : kPortsOff));
    ports_ = c.ports;
    cpu_.set_state(state_of(c));
    const sim::Outcome outcome = cpu_.run({.steps = c.transfer ? 2u : 1u});
    State& out = answer.out;
    out = State{};
    store(cpu_.state(), out);
    answer.not_modelled = !fits;
    if (const auto* fault = std::get_if<sim::Fault>(&outcome)) {
        out.vector = static_cast<u32>(fault->vector);
        out.error_code = fault->error_code;
        out.cr2 = fault->cr2;
    } else if (!std::holds_alternative<sim::StepsDone>(outcome)) {
        answer.not_modelled = true;
    }
    machine_.read(kScratchPage, answer.scratch);
}

namespace {

class ExecLine {
  public:
    explicit ExecLine(const Case& c) : c_(c), s_(state_of(c)) {}

    std::string operator()(bool with_memory) && {
        const bool wide = c_.mode == Mode::long64;
        out_ = fmt::format(R"({{"mode":"{}","cpl":3,"max_steps":{},"regs":{{)",
                           wide ? "long64" : "compat32", c_.transfer ? 2 : 1);
        registers();
        out_ += R"(},"mem":[)";
        separator_ = "";
        if (c_.transfer) landing();
        bytes(kCodePage, std::span(c_.code).first(c_.length));
        if (with_memory) scratch();
        for (const Word& word : kWords) this->word(word);
        if (c_.ports) {
            word(kPortsOn);
            for (const Word& word : kTssWords) this->word(word);
        }
        return out_ + "]}";
    }

  private:
    void add(std::string_view name, const std::string& value) {
        out_ += fmt::format("{}\"{}\":{}", separator_, name, value);
        separator_ = ",";
    }
    void add(std::string_view name, u64 value) { add(name, fmt::format("\"{:#x}\"", value)); }
    void add(Reg reg) { add(sim::info(reg).name, s_[reg]); }

    void registers() {
        for (std::size_t i = 0; i < 16; ++i) {
            if (c_.in.gpr[i] != 0) add(sim::gpr(i));
        }
        for (const Reg reg : {Reg::rip, Reg::rflags, Reg::es, Reg::cs, Reg::ss, Reg::ds, Reg::fs,
                              Reg::gs, Reg::fs_base, Reg::gs_base, Reg::cr0, Reg::cr3, Reg::cr4,
                              Reg::efer, Reg::fcw, Reg::fsw, Reg::mxcsr}) {
            add(reg);
        }
        add("gdtr", fmt::format(R"({{"base":"{:#x}","limit":"{:#x}"}})", s_[Reg::gdtr_base],
                                s_[Reg::gdtr_limit]));
        u32 tags = 0;
        for (unsigned i = 0; i < 8; ++i) tags |= (s_[Reg::ftw] >> i & 1) != 0 ? 0 : 3u << 2 * i;
        add("ftw", tags);
        for (std::size_t i = 0; i < 24; ++i) {
            const bool st = i < 8;
            const Vec128 v =
                st ? s_.get(st_register(s_, i)) : s_.vec(sim::offset(Reg::xmm0, i - 8));
            if (v == Vec128{}) continue;
            add(st ? fmt::format("st{}", i) : fmt::format("xmm{}", i - 8),
                st ? fmt::format("\"0x{:04x}{:016x}\"", v.hi, v.lo)
                   : fmt::format("\"0x{:016x}{:016x}\"", v.hi, v.lo));
        }
    }
    void bytes(u64 address, std::span<const u8> what) {
        out_ += fmt::format(R"({}{{"addr":"{:#x}","bytes":"{:02x}"}})", separator_, address,
                            fmt::join(what, ""));
        separator_ = ",";
    }
    void word(const Word& word) {
        std::array<u8, 8> raw;
        std::memcpy(raw.data(), &word.value, raw.size());
        bytes(word.address, raw);
    }
    // The INT3 that the branch comes to, or the one behind it.
    void landing() {
        Answer answer;
        Simulated().run(c_, answer);
        constexpr u32 kBreakpoint = 3;
        if (answer.out.vector == kBreakpoint) bytes(answer.out.rip - 1, std::array{kInt3});
    }
    // Memory left out reads as zero.
    void scratch() {
        if (!c_.blank) bytes(kScratchPage, scratch_background(c_));
        std::size_t size = c_.data.size();
        while (c_.blank && size > 0 && c_.data[size - 1] == 0) --size;
        if (size > 0) bytes(kScratchPage + c_.data_offset, std::span(c_.data).first(size));
    }

    const Case& c_;
    CpuState s_;
    std::string out_;
    const char* separator_ = "";
};

}  // namespace

std::string exec_line(const Case& c, bool with_memory) { return ExecLine(c)(with_memory); }

}  // namespace vtlsim::runner::conform
