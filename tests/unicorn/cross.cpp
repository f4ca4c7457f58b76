#include "tests/unicorn/cross.hpp"

#include <algorithm>
#include <memory>

#include <fmt/format.h>

#include "runner/conform/undefined.hpp"
#include "sim/asm/disassembler.hpp"
#include "sim/insn/rows.hpp"

namespace vtlsim::tests {
namespace {

using namespace vtlsim::sim;

constexpr u64 kRam = 0x200000;  // what the peer has mapped
constexpr u64 kAfterReturn = at::kCode + 0x10;

constexpr u8 kTwoByteOpcodes[] = {0x00, 0x00, 0x00, 0x01, 0x01, 0x02, 0x02, 0x03, 0x03, 0x06, 0x08,
                                  0x09, 0x0B, 0x20, 0x21, 0x22, 0x23, 0x40, 0x4C, 0x84, 0x8F, 0x92,
                                  0x9D, 0xA0, 0xA1, 0xA3, 0xA4, 0xA5, 0xA8, 0xA9, 0xAB, 0xAC, 0xAD,
                                  0xAF, 0xB0, 0xB1, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xBA, 0xBB,
                                  0xBC, 0xBD, 0xBE, 0xBF, 0xC0, 0xC1, 0xC7, 0xC8, 0xCB};
constexpr u16 kSelectors[] = {0,
                              sel::kCode,
                              sel::kData,
                              sel::kUserCode,
                              sel::kUserData,
                              sel::kCode16,
                              sel::kData16,
                              sel::kConforming,
                              sel::kAbsent,
                              sel::kReadOnly,
                              sel::kTss,
                              sel::kLdt,
                              sel::kCallGate,
                              sel::kSpareTss,
                              sel::kCode32,
                              sel::kCode64,
                              sel::kTaskGate,
                              0x04,
                              0x0C,
                              sel::kCount};

// How the instructions are reached, and what they then are.
enum class Level : u8 { at_once, user, compat32, compat16 };

struct Plan {
    ExecMode world = ExecMode::long64;
    Level level = Level::at_once;
    bool paging = false;
};
constexpr Plan kPlans[] = {
    {ExecMode::real16, Level::at_once, false}, {ExecMode::prot16, Level::at_once, false},
    {ExecMode::prot16, Level::at_once, true},  {ExecMode::prot32, Level::at_once, false},
    {ExecMode::prot32, Level::at_once, true},  {ExecMode::prot32, Level::user, false},
    {ExecMode::prot32, Level::user, true},     {ExecMode::long64, Level::at_once, true},
    {ExecMode::long64, Level::user, true},     {ExecMode::long64, Level::compat32, true},
    {ExecMode::long64, Level::compat16, true},
};

// The first instruction is a far CALL or JMP through a call gate, a task gate or to a TSS. From
// level 3 of 32-bit code some of these make the peer abort, so these are left out.
constexpr Plan kGatePlans[] = {
    {ExecMode::prot16, Level::at_once, false}, {ExecMode::prot32, Level::at_once, false},
    {ExecMode::prot32, Level::at_once, true},  {ExecMode::long64, Level::at_once, true},
    {ExecMode::long64, Level::user, true},     {ExecMode::long64, Level::compat32, true},
};

AsmMode asm_mode(const CpuState& s) {
    if ((s[Reg::efer] & efer::lma) != 0 && attr::long_code(s[Reg::cs_attr])) return AsmMode::bits64;
    return (s[Reg::cs_attr] >> 14 & 1) != 0 ? AsmMode::bits32 : AsmMode::bits16;
}

bool decode(AsmMode mode, std::span<const u8> bytes, Decoded& d) {
    ZydisDecoder decoder;
    if (mode == AsmMode::bits64) {
        ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    } else if (mode == AsmMode::bits32) {
        ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    } else {
        ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
    }
    return ZYAN_SUCCESS(
        ZydisDecoderDecodeFull(&decoder, bytes.data(), bytes.size(), &d.insn, d.operands));
}

class CaseMaker {
  public:
    CaseMaker(Random& random, const Plan& plan, bool gates)
        : r_(random), plan_(plan), gates_(gates) {}

    World make() {
        const AsmMode mode = target_mode();
        std::vector<u8> code;
        if (plan_.level != Level::at_once) {
            if (plan_.world == ExecMode::long64) code.push_back(0x48);
            code.push_back(0xCF);  // IRET
            code.resize(kAfterReturn - at::kCode);
        }
        if (gates_) far_transfer(mode, code);
        for (u64 n = 2; n > 0; --n) instruction(mode, code);
        WorldOptions options;
        options.mode = plan_.world;
        options.paging = plan_.paging;
        options.odd = false;
        options.max_pages = 1024;
        World world = make_world(r_, options, code);
        adjust(world);
        return world;
    }

  private:
    AsmMode target_mode() const {
        switch (plan_.level) {
            case Level::compat32:
                return AsmMode::bits32;
            case Level::compat16:
                return AsmMode::bits16;
            default:
                return plan_.world == ExecMode::long64   ? AsmMode::bits64
                       : plan_.world == ExecMode::prot32 ? AsmMode::bits32
                                                         : AsmMode::bits16;
        }
    }
    u16 selector() {
        const u16 rpl = static_cast<u16>(r_.one_in(2) ? 0 : r_.below(4));
        constexpr u16 kGates[] = {sel::kCallGate, sel::kCallGate, sel::kTaskGate, sel::kSpareTss};
        if (gates_ && !r_.one_in(4)) return static_cast<u16>(kGates[r_.below(4)] | rpl);
        return static_cast<u16>(kSelectors[r_.below(std::size(kSelectors))] | rpl);
    }

    // By one of the far pointers of the data pages, at an absolute address.
    void far_transfer(AsmMode mode, std::vector<u8>& code) {
        const u64 pointer = at::kData + 64 * r_.below((at::kDataEnd - at::kData) / 64);
        if (mode == AsmMode::bits16) code.push_back(0x66);  // 16:32
        code.push_back(0xFF);
        const unsigned field = r_.one_in(3) ? 5 : 3;  // JMP, CALL
        const unsigned rm = mode == AsmMode::bits64 ? 4 : mode == AsmMode::bits32 ? 5 : 6;
        code.push_back(static_cast<u8>(field << 3 | rm));
        if (mode == AsmMode::bits64) code.push_back(0x25);  // SIB: no base, no index
        const unsigned size = mode == AsmMode::bits16 ? 2 : 4;
        for (unsigned i = 0; i < size; ++i) code.push_back(static_cast<u8>(pointer >> 8 * i));
    }

    void instruction(AsmMode mode, std::vector<u8>& code) {
        for (;;) {
            std::array<u8, 24> bytes{};
            std::size_t n = 0;
            if (r_.one_in(6)) bytes[n++] = 0x66;
            if (r_.one_in(12)) bytes[n++] = 0x67;
            if (r_.one_in(12)) bytes[n++] = r_.one_in(2) ? 0xF3 : 0xF2;
            if (r_.one_in(12)) bytes[n++] = r_.one_in(2) ? 0x64 : 0x2E;
            if (mode == AsmMode::bits64 && r_.one_in(2))
                bytes[n++] = static_cast<u8>(0x40 + r_.below(16));
            if (r_.one_in(2)) {
                bytes[n++] = 0x0F;
                bytes[n++] = kTwoByteOpcodes[r_.below(std::size(kTwoByteOpcodes))];
            } else {
                bytes[n++] = static_cast<u8>(r_.next());
            }
            bytes[n++] = static_cast<u8>(r_.next());
            for (std::size_t i = n; i < n + 3; ++i) {
                bytes[i] = static_cast<u8>(r_.one_in(2) ? r_.below(64) : r_.next());
            }
            Decoded d;
            if (!decode(mode, bytes, d) || find_row(d.insn.mnemonic) == nullptr ||
                !not_compared(d).empty()) {
                continue;
            }
            mend_far_pointer(d, bytes);
            code.insert(code.end(), bytes.begin(), bytes.begin() + d.insn.length);
            return;
        }
    }

    // A direct far target that is somewhere.
    void mend_far_pointer(const Decoded& d, std::array<u8, 24>& bytes) {
        if (d[0].type != ZYDIS_OPERAND_TYPE_POINTER) return;
        const u16 s =
            plan_.world == ExecMode::real16 ? static_cast<u16>(r_.below(0x1000)) : selector();
        bytes[d.insn.length - 2u] = static_cast<u8>(s);
        bytes[d.insn.length - 1u] = static_cast<u8>(s >> 8);
        const u64 target =
            plan_.world == ExecMode::real16 ? r_.below(0x100) : at::kCode + r_.below(64);
        const std::size_t size = d.insn.operand_width == 16 ? 2 : 4;
        for (std::size_t i = 0; i < size; ++i) {
            bytes[d.insn.length - 2u - size + i] = static_cast<u8>(target >> 8 * i);
        }
    }

    void adjust(World& world) {
        CpuState& s = world.state;
        for (const std::size_t i : {0u, 1u, 2u, 3u, 6u, 7u}) {
            if (r_.one_in(4)) s[gpr(i)] = selector();
        }
        // Where RETF and IRET find something, and far pointers.
        const bool real = plan_.world == ExecMode::real16;
        s[Reg::efer] &= ~efer::nxe;  // the peer does not take it from outside
        for (u64 address = at::kData; address < at::kDataEnd; address += 64) {
            put_word(world.memory, address, real ? r_.below(256) : at::kCode + r_.below(64), 4);
            put_word(world.memory, address + 4, real ? r_.below(0x1000) : selector(), 2);
        }
        const u64 word = plan_.world == ExecMode::long64 ? 8 : real ? 2 : 4;
        s[Reg::rsp] = at::kStacks + 0x1000 + 64 * r_.below(16);
        const auto frame = [&](u64 index, u64 value) {
            put_word(world.memory, s[Reg::rsp] + index * word, value, word);
        };
        u16 cs = plan_.world == ExecMode::long64   ? sel::kCode64
                 : plan_.world == ExecMode::prot32 ? sel::kCode32
                                                   : sel::kCode16;
        u16 ss = sel::kData;
        if (plan_.level == Level::user) {
            cs = sel::kUserCode | 3;
            ss = sel::kUserData | 3;
        }
        if (plan_.level == Level::compat32) cs = sel::kCode32;
        if (plan_.level == Level::compat16) cs = sel::kCode16;
        const bool returns = plan_.level != Level::at_once;
        if (!returns && r_.one_in(2)) cs = selector();
        if (!returns && r_.one_in(2)) ss = selector();
        frame(0, returns ? kAfterReturn : real ? r_.below(256) : at::kCode + r_.below(64));
        frame(1, real ? r_.below(0x1000) : cs);
        frame(2, (r_.next() & (flag::kStatus | flag::if_ | flag::iopl | flag::df)) | 2);
        frame(3, at::kStacks + 0x800 + 64 * r_.below(8));
        frame(4, ss);
        s[Reg::rflags] &= ~(flag::nt | flag::rf | flag::tf);
        // IRET to level 3 leaves segments of level 0 null; half of the cases keep theirs.
        if (plan_.level == Level::user && plan_.world == ExecMode::prot32 && r_.one_in(2)) {
            for (const Seg seg : {Seg::es, Seg::ds, Seg::fs, Seg::gs}) {
                s[selector_of(seg)] = sel::kUserData | 3;
                s[attr_of(seg)] |= 0x60;
            }
        }
        // The peer's segments have been loaded, which marks them and the tables' pages accessed.
        for (const u16 entry : {sel::kCode16, sel::kCode32, sel::kCode64, sel::kData16}) {
            u8 access = 0;
            world.memory.read(at::kGdt + entry + 5u, {&access, 1});
            put_word(world.memory, at::kGdt + entry + 5u, access | 1u, 1);
        }
        if (plan_.paging) mark_pages(world);
        // Tables that hold for the whole run: the code and the stacks are everybody's.
        if (plan_.paging && plan_.level == Level::user) open_pages(world);
    }

    void mark_pages(World& world) {
        const u64 entry = world.paging == Paging::bits32 ? 4 : 8;
        for (u64 at = at::kTables; at < at::kTables + 0x4000; at += entry) {
            u8 low = 0;
            world.memory.read(at, {&low, 1});
            if (entry == 8) {
                u8 high = 0;
                world.memory.read(at + 7, {&high, 1});
                put_word(world.memory, at + 7, high & 0x7Fu, 1);
            }
            const bool pdpte = world.paging == Paging::pae && at < at::kTables + 0x1000;
            if ((low & 1) != 0 && !pdpte) put_word(world.memory, at, low | 0x20u, 1);
        }
    }

    void open_pages(World& world) {
        const u64 entry = world.paging == Paging::bits32 ? 4 : 8;
        const u64 levels = world.paging == Paging::bits32 ? 2 : world.paging == Paging::pae ? 3 : 4;
        const u64 table = at::kTables + (levels - 1) * 0x1000;
        for (u64 page = 0; page < 512; ++page) {
            if (page >= at::kData >> 12 && page < at::kStacks >> 12) continue;
            put_word(world.memory, table + page * entry, page << 12 | 0x27, entry);
        }
    }

    Random& r_;
    const Plan& plan_;
    bool gates_;
};

class Comparison {
  public:
    Comparison(const World& world, CrossReport& report)
        : mode_(world.mode),
          machine_(world.memory),
          cpu_(machine_.add_cpu()),
          peer_(world),
          report_(report) {
        cpu_.set_state(world.state);
        cpu_.set_deliver_faults(false);
        cpu_.set_exits({.ports = false});
        machine_.set_ram(0, {{0, kRam - 1}});
    }

    // The text of a disagreement, or nothing.
    std::string run(unsigned steps) {
        while (steps-- > 0) {
            Step step;
            step.mode = mode_;
            step.before = cpu_.state();
            const AsmMode mode = asm_mode(step.before);
            const std::vector<u8> code = cpu_.peek_code(cpu_.linear_ip(), 15);
            if (!decode(mode, code, step.insn)) return "";  // jumped somewhere
            if (!not_compared(step.insn).empty() || find_row(step.insn.insn.mnemonic) == nullptr) {
                return "";
            }
            step.text = disassemble(code, step.before[Reg::rip], mode);
            if (!one(step)) return step.difference;
        }
        return "";
    }

  private:
    // False: the case ends here, with a disagreement if step.difference says so.
    bool one(Step& step) {
        const Outcome outcome = cpu_.run({.steps = 1});
        step.ours = cpu_.state();
        if (std::holds_alternative<NotModelled>(outcome)) return false;
        if (const auto* fault = std::get_if<Fault>(&outcome)) {
            step.our_end = End::fault;
            step.our_vector = static_cast<unsigned>(fault->vector);
            if (fault->vector == Vector::pf) step.ours[Reg::cr2] = fault->cr2;
            if (fault->software) step.ours[Reg::rip] = step.before[Reg::rip];
        } else if (std::holds_alternative<Exit>(outcome)) {
            step.our_end = End::beyond;
        }
        step.theirs = peer_.step(step.before);
        if (step.our_end == End::fault && step.theirs.end == End::fault) {
            step.theirs.state[Reg::rip] = step.before[Reg::rip];  // the peer's is beyond INT n
        }
        ++report_.instructions[ZydisMnemonicGetString(step.insn.insn.mnemonic)];
        compare(step);
        if (step.difference.empty()) {
            if (step.our_end == End::retired) ++report_.retired;
            peer_.take_over(step.ours);
            if (step.our_end == End::fault) ++report_.faults[step.our_vector];
            return step.our_end == End::retired && !std::holds_alternative<Halted>(outcome);
        }
        for (const Accepted& accepted : accepted_disagreements()) {
            if (!accepted.fits(step)) continue;
            ++report_.accepted[std::string(accepted.name)];
            step.difference.clear();
            return false;  // the two go on from different states
        }
        step.difference =
            fmt::format("{:x}: {}\n{}", step.before[Reg::rip], step.text, step.difference);
        return false;
    }

    void compare(Step& step) {
        std::string& out = step.difference;
        const CpuState& theirs = step.theirs.state;
        if (step.our_end != step.theirs.end || step.our_vector != step.theirs.vector) {
            out +=
                fmt::format("end {} vector {} / end {} vector {}\n", static_cast<int>(step.our_end),
                            step.our_vector, static_cast<int>(step.theirs.end), step.theirs.vector);
        }
        const auto undefined = undefined_of(step);
        const bool wide = (step.before[Reg::efer] & efer::lma) != 0;
        for (const RegInfo& row : registers()) {
            if (!compared(row.reg, step)) continue;
            u64 a = step.ours[row.reg];
            u64 b = theirs[row.reg];
            if (row.group == RegGroup::gpr && !wide) {
                if (row.reg >= Reg::r8) continue;
                a &= 0xFFFFFFFF;
                b &= 0xFFFFFFFF;
            }
            if (row.reg == Reg::cr0) {
                a &= cr0::kDefined;
                b &= cr0::kDefined;
            }
            if (row.reg == Reg::rflags) {
                const u64 ignored = undefined.flags | flag::rf | flag::kAlwaysSet;
                a &= ~ignored;
                b &= ~ignored;
            }
            if (row.group == RegGroup::gpr && undefined.destination) continue;
            if (a != b) out += fmt::format("{} {:x} / {:x}\n", row.name, a, b);
        }
        compare_memory(out);
    }

    static runner::conform::Undefined undefined_of(const Step& step) {
        runner::conform::State before;
        runner::conform::State after;
        for (std::size_t i = 0; i < 16; ++i) before.gpr[i] = step.before[gpr(i)];
        if (step.our_end == End::fault) after.vector = step.our_vector;
        return runner::conform::undefined_after(step.insn, before, after, after);
    }

    // Nothing of the peer's hidden parts can be read.
    static bool compared(Reg reg, const Step& step) {
        if (reg == Reg::cr2) return step.our_end == End::fault && step.our_vector == 14;
        switch (info(reg).group) {
            case RegGroup::gpr:
            case RegGroup::instruction:
            case RegGroup::table:
                return true;
            case RegGroup::segment:
                return info(reg).bits == 16;
            case RegGroup::control:
                return reg == Reg::cr0 || reg == Reg::cr3 || reg == Reg::cr4;
            default:
                return false;
        }
    }

    void compare_memory(std::string& out) {
        peer_.read_memory(theirs_);
        machine_.read(0, ours_);
        unsigned listed = 0;
        for (u64 page = 0; page < ours_.size(); page += kPageSize) {
            if (std::equal(ours_.begin() + static_cast<long>(page),
                           ours_.begin() + static_cast<long>(page + kPageSize),
                           theirs_.begin() + static_cast<long>(page))) {
                continue;
            }
            for (u64 i = page; i < page + kPageSize && listed < 8; ++i) {
                if (ours_[i] == theirs_[i]) continue;
                ++listed;
                out += fmt::format("[{:x}] {:02x} / {:02x}\n", i, ours_[i], theirs_[i]);
            }
        }
    }

    ExecMode mode_;
    Machine machine_;
    Cpu& cpu_;
    Peer peer_;
    CrossReport& report_;
    std::vector<u8> ours_ = std::vector<u8>(kRam / 2);
    std::vector<u8> theirs_ = std::vector<u8>(kRam / 2);
};

}  // namespace

CrossReport cross_check(u64 seed, u64 first, u64 count, bool gates) {
    const std::span<const Plan> plans = gates ? std::span<const Plan>(kGatePlans) : kPlans;
    CrossReport report;
    for (u64 i = first; i < first + count; ++i) {
        Random random(seed * 0x9E3779B97F4A7C15 + i);
        const Plan& plan = plans[i % plans.size()];
        const World world = CaseMaker(random, plan, gates).make();
        ++report.cases;
        const std::string what = Comparison(world, report).run(2);
        if (what.empty()) continue;
        report.disagreements.push_back(fmt::format(
            "case {} (mode {}, level {}, paging {}) at {}", i, static_cast<int>(plan.world),
            static_cast<int>(plan.level), plan.paging, what));
    }
    return report;
}

}  // namespace vtlsim::tests
