#include "model/vmm/x86emu.hpp"

#include <algorithm>
#include <bit>
#include <iterator>

#include "sim/exec/cpu.hpp"
#include "sim/state/bits.hpp"

namespace vtlsim::model::x86emu {

using sim::Reg;
namespace flag = sim::flag;

namespace {

constexpr u64 kArithmetic = flag::kStatus;
constexpr u64 kAllButCf = flag::kStatus & ~flag::cf;
constexpr u64 kLogic = flag::kStatus & ~flag::af;
constexpr u64 kShift = flag::sf | flag::zf | flag::pf | flag::cf | flag::of;
constexpr u64 kRotate = flag::cf | flag::of;
constexpr u64 kProduct = flag::cf | flag::of;

struct Known {
    std::string_view mnemonic;
    u64 flags;
};
// The cases of Emulator::emulate, but string instructions, SETcc and CMOVcc; MOVDIRI and MOVDIR64B
// no guest here has.
constexpr Known kKnown[] = {
    {"adc", kArithmetic},
    {"add", kArithmetic},
    {"and", kLogic},
    {"bt", flag::cf},
    {"btc", flag::cf},
    {"btr", flag::cf},
    {"bts", flag::cf},
    {"cmp", kArithmetic},
    {"cmpxchg", kArithmetic},
    {"cmpxchg16b", flag::zf},
    {"cmpxchg8b", flag::zf},
    {"dec", kAllButCf},
    {"div", 0},
    {"idiv", 0},
    {"imul", kProduct},
    {"inc", kAllButCf},
    {"mov", 0},
    {"movapd", 0},
    {"movaps", 0},
    {"movdqa", 0},
    {"movdqu", 0},
    {"movntdq", 0},
    {"movnti", 0},
    {"movntpd", 0},
    {"movntps", 0},
    {"movsx", 0},
    {"movsxd", 0},
    {"movupd", 0},
    {"movups", 0},
    {"movzx", 0},
    {"mul", kProduct},
    {"neg", kArithmetic},
    {"not", 0},
    {"or", kLogic},
    {"rcl", kRotate},
    {"rcr", kRotate},
    {"rol", kRotate},
    {"ror", kRotate},
    {"sar", kShift},
    {"sbb", kArithmetic},
    {"shl", kShift},
    {"shld", kShift},
    {"shr", kShift},
    {"shrd", kShift},
    {"sub", kArithmetic},
    {"test", kLogic},
    {"xadd", kArithmetic},
    {"xchg", 0},
    {"xor", kLogic},
};

const Known* find(std::string_view mnemonic) {
    const auto* row = std::find_if(std::begin(kKnown), std::end(kKnown),
                                   [&](const Known& k) { return k.mnemonic == mnemonic; });
    return row == std::end(kKnown) ? nullptr : row;
}

bool conditional_move(const sim::InsnView& insn) { return insn.mnemonic.starts_with("cmov"); }

// By the ending that Zydis gives it.
bool holds(std::string_view condition, u64 rflags) {
    const bool negated = condition.starts_with('n');
    const std::string_view name = negated ? condition.substr(1) : condition;
    const bool c = (rflags & flag::cf) != 0;
    const bool z = (rflags & flag::zf) != 0;
    const bool less = ((rflags & flag::sf) != 0) != ((rflags & flag::of) != 0);
    bool value = false;
    if (name == "o") value = (rflags & flag::of) != 0;
    if (name == "b") value = c;
    if (name == "z") value = z;
    if (name == "be") value = c || z;
    if (name == "s") value = (rflags & flag::sf) != 0;
    if (name == "p") value = (rflags & flag::pf) != 0;
    if (name == "l") value = less;
    if (name == "le") value = z || less;
    return value != negated;
}

bool rotates(const sim::InsnView& insn) {
    return insn.mnemonic == "rol" || insn.mnemonic == "ror" || insn.mnemonic == "rcl" ||
           insn.mnemonic == "rcr";
}
bool shifts(const sim::InsnView& insn) {
    return insn.mnemonic.starts_with("sh") || insn.mnemonic == "sar";
}

unsigned masked_count(const sim::InsnView& insn) {
    return insn.count & (insn.memory->size == 8 ? 0x3F : 0x1F);
}
// Rotates go round: by the operand's bits, through CF by one more (of 8 and 16 bits).
unsigned effective_count(const sim::InsnView& insn) {
    const unsigned count = masked_count(insn);
    const unsigned bits = insn.memory->size * 8u;
    if (!rotates(insn)) return count;
    const bool through_carry = insn.mnemonic.starts_with("rc");
    if (!through_carry) return count % bits;
    return bits <= 16 ? count % (bits + 1) : count;
}

}  // namespace

Verdict verdict(const sim::InsnView& insn) {
    if (insn.string) return Verdict::emulates;
    if (insn.mnemonic == "xlat") return Verdict::unsupported;  // iced's has an operand
    if (!insn.memory) return Verdict::not_for_it;
    const bool known = insn.legacy && !insn.moves_segment &&
                       (find(insn.mnemonic) != nullptr || conditional_move(insn) ||
                        insn.mnemonic.starts_with("set"));
    return known ? Verdict::emulates : Verdict::unsupported;
}

u64 flags_written(const sim::InsnView& insn) {
    const Known* row = find(insn.mnemonic);
    u64 flags = row != nullptr ? row->flags : 0;
    if (rotates(insn) || shifts(insn)) {
        if (effective_count(insn) == 0) {
            // ROL and ROR by all of the bits still tell the last one.
            flags = masked_count(insn) != 0 && insn.mnemonic.starts_with("ro") ? flag::cf : 0;
        }
        if (masked_count(insn) != 1) flags &= ~flag::of;
    }
    return flags;
}

bool reads(const sim::InsnView& insn, u64 rflags) {
    if (conditional_move(insn)) return holds(insn.mnemonic.substr(4), rflags);
    return insn.memory->read;
}
bool writes(const sim::InsnView& insn) {
    if (rotates(insn) || shifts(insn)) return effective_count(insn) != 0;
    return insn.memory->write;
}
bool writes_if_equal(const sim::InsnView& insn) { return insn.mnemonic.starts_with("cmpxchg"); }

std::variant<Executed, sim::Fault, std::monostate> execute(const sim::CpuState& state,
                                                           std::span<const u8> bytes, u64 gva,
                                                           u8 size, Vec128 operand) {
    // A processor of its own without tables: what it calls physical is the linear address, as far
    // as physical addresses go.
    constexpr u64 kPhysical = (u64{1} << sim::kPhysicalBits) - 1;
    sim::Machine machine;
    sim::Cpu& cpu = machine.add_cpu();
    sim::CpuState s = state;
    s[Reg::activity] = s[Reg::shadow] = 0;
    s[Reg::identity_map] = 1;
    s[Reg::dr7] = 0;
    s[Reg::rflags] &= ~(flag::tf | flag::rf);
    cpu.set_state(s);
    cpu.set_deliver_faults(false);
    const std::span data(reinterpret_cast<u8*>(&operand), size);
    const u64 code = cpu.linear_ip() & kPhysical;
    const u64 at = gva & kPhysical;
    const bool overlap = at < code + bytes.size() && code < at + size;
    if (overlap || !machine.write(at, data) || !machine.write(code, bytes)) return std::monostate{};
    const sim::Outcome outcome = cpu.run({.steps = 1});
    if (const auto* fault = std::get_if<sim::Fault>(&outcome)) return *fault;
    if (!std::holds_alternative<sim::StepsDone>(outcome)) return std::monostate{};
    Executed out{.state = cpu.state()};
    machine.read(at, {reinterpret_cast<u8*>(&out.operand), size});
    return out;
}

u64 compare_flags(u64 left, u64 right, u8 size) {
    const unsigned unused = 64 - size * 8u;
    const u64 l = left << unused;
    const u64 r = right << unused;
    const u64 difference = l - r;
    constexpr u64 kTop = u64{1} << 63;
    u64 flags = 0;
    if (l < r) flags |= flag::cf;
    if (difference == 0) flags |= flag::zf;
    if ((difference & kTop) != 0) flags |= flag::sf;
    if (((l ^ r) & (l ^ difference) & kTop) != 0) flags |= flag::of;
    if (((left ^ right ^ (left - right)) & 0x10) != 0) flags |= flag::af;
    if (std::popcount((left - right) & 0xFF) % 2 == 0) flags |= flag::pf;
    return flags;
}

}  // namespace vtlsim::model::x86emu
