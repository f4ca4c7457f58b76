// What KVM's emulator does otherwise than the manual says, and what kvm_pvm shows of native code
// (observed, and read in arch/x86/kvm/emulate.c; docs/conform-kvm.md).
#include <algorithm>
#include <utility>

#include "model/kvm/model_vm.hpp"
#include "model/kvm/watcher.hpp"
#include "sim/decode/decoder.hpp"

namespace vtlsim::model::kvm {

using sim::Reg;
using sim::Seg;

namespace {

constexpr u64 kCf = 1, kPf = 4, kAf = 0x10, kZf = 0x40, kSf = 0x80, kOf = 0x800;
constexpr u16 kMovToSegment = 0x8E, kAam = 0xD4, kAad = 0xD5, kInt3 = 0xCC, kGroup6 = 0x0F00,
              kSysret = 0x0F07, kSalc = 0xD6, kInt = 0xCD, kPrefetch = 0x0F0D, kRsm = 0x0FAA,
              kSti = 0xFB;

u8 field(const Opcode& op) { return op.modrm >> 3 & 7; }

bool is_ltr(const Opcode& op) { return op.value == kGroup6 && field(op) == 3; }

// No access, whatever the operand: LEA, prefetches and NOPs.
bool only_names_memory(const Opcode& op) {
    return op.value == 0x8D || op.value == 0x0F0D || (op.value >= 0x0F18 && op.value <= 0x0F1F);
}

bool near_branch(const Opcode& op) {
    switch (op.value) {
        case 0xC2:
        case 0xC3:
        case 0xE8:
        case 0xE9:
        case 0xEB:
            return true;
        case 0xFF:
            return field(op) == 2 || field(op) == 4;
        default:
            return (op.value >= 0x70 && op.value <= 0x7F) ||
                   (op.value >= 0xE0 && op.value <= 0xE3) ||
                   (op.value >= 0x0F80 && op.value <= 0x0F8F);
    }
}

bool canonical(u64 linear) {
    return static_cast<u64>(static_cast<i64>(linear << 16) >> 16) == linear;
}

}  // namespace

u8 ModelVm::operand_bytes(const Opcode& op) const {
    const u8 usual = code_mode() == 2 ? 2 : 4;
    if (op.wide) return 8;
    if (!op.operand_size) return usual;
    return usual == 4 ? 2 : 4;
}

sim::Block ModelVm::decoded(std::vector<u8> code) const {
    code.resize(sim::kMaxInsnLength);
    constexpr sim::CodeMode kModes[] = {sim::CodeMode::long64, sim::CodeMode::prot32,
                                        sim::CodeMode::prot16};
    return sim::decode_one(
        std::span<const u8, sim::kMaxInsnLength>(code.data(), sim::kMaxInsnLength),
        {kModes[code_mode()]});
}

u8 ModelVm::decoded_size() const {
    const sim::Block block = decoded(cpu_->peek_code(cpu_->linear_ip(), sim::kMaxInsnLength));
    return block.count == 0 ? u8{0} : block.ops[0].size;
}

std::optional<u64> ModelVm::operand_address(const std::vector<u8>& code) const {
    const sim::Block block = decoded(code);
    if (block.count == 0) return std::nullopt;
    const sim::Op& op = block.ops[0];
    const sim::CpuState s = cpu_->state();
    const auto slot = [&](u8 index) {
        return index == sim::kNoReg ? u64{0} : s[static_cast<Reg>(index)];
    };
    const u64 offset = (slot(op.base) + (slot(op.index) << op.scale) + op.disp) & op.address_mask;
    const u64 linear = offset + slot(op.segment_base);
    return code_mode() == 0 ? linear : linear & 0xFFFFFFFF;
}

// The segment that an override names, in 64-bit mode too.
Seg ModelVm::segment_of_operand(const std::vector<u8>& code) const {
    const sim::Block block = decoded(code);
    const bool stack = block.count != 0 && block.ops[0].stack_segment;
    return opcode_of(code, true).segment_or(stack ? Seg::ss : Seg::ds);
}

// All that is mapped can be written, by everybody (initial_memory).
sim::Fault ModelVm::not_present(u64 linear, bool write) const {
    const bool user = sim::cpl(cpu_->state()) == 3;
    return {.vector = sim::Vector::pf,
            .has_error_code = true,
            .error_code = (write ? 2u : 0u) | (user ? 4u : 0u),
            .cr2 = linear};
}

// CMPS whose destination faults: the executor looks at that first.
OwnWay ModelVm::reads_source_first(const Opcode& op) {
    const u64 mask = op.address_size ? 0xFFFF : 0xFFFFFFFF;
    if (op.rep != 0 && (cpu_->get(Reg::rcx) & mask) == 0) return {};
    const u64 base = cpu_->get(base_of(op.segment_or(Seg::ds)));
    const u64 at = (base + (cpu_->get(Reg::rsi) & mask)) & 0xFFFFFFFF;
    if (machine_.is_ram(0, at, 1)) return {};
    begun_ = {cpu_->get(Reg::rip), cpu_->get(Reg::rcx), cpu_->get(Reg::rflags)};
    return {.kind = OwnWay::reads_first,
            .at = at,
            .size = op.value == 0xA6 ? u8{1} : operand_bytes(op)};
}

OwnWay ModelVm::own_way() {
    if (switches_.kvm != Version::slow) return {};
    if (cpu_->get(Reg::nmi_pending) != 0 && cpu_->get(Reg::nmi_blocked) == 0) return {};
    std::vector<u8> code = cpu_->peek_code(cpu_->linear_ip(), sim::kMaxInsnLength);
    const bool long_code = code_mode() == 0;
    const Opcode op = opcode_of(code, long_code);
    const auto reads_first = [&](u8 size) -> OwnWay {
        const auto linear = operand_address(code);
        if (!linear || (long_code && !canonical(*linear))) return {};
        const auto at = physical_of(*linear);
        if (!at) return {.kind = OwnWay::faults, .fault = not_present(*linear)};
        if (machine_.is_ram(0, *at, 1)) return {};
        return {.kind = OwnWay::reads_first, .at = *at, .size = size};
    };
    const auto not_canonical = [&]() -> OwnWay {
        const auto linear = operand_address(code);
        if (!linear || canonical(*linear)) return {};
        const bool stack = segment_of_operand(code) == Seg::ss;
        return {
            .kind = OwnWay::faults,
            .fault = {.vector = stack ? sim::Vector::ss : sim::Vector::gp, .has_error_code = true}};
    };

    const bool unloadable = field(op) == 1 || field(op) > 5;  // CS, and no segment
    if (op.value == kMovToSegment && !op.register_operand() && unloadable && !op.lock) {
        // MOV to a register has the operand of one to a segment, and can be decoded.
        constexpr u8 kMovToRegister = 0x8B;
        *std::find(code.begin(), code.end(), u8{kMovToSegment}) = kMovToRegister;
        const OwnWay bad = long_code ? not_canonical() : OwnWay{};
        return bad.kind != OwnWay::none ? bad : reads_first(2);
    }
    if (op.rep != 0 && overwrites_itself(op)) {
        return {.kind = OwnWay::missing, .what = "a REP that writes over its own code"};
    }
    if (by_hardware() || !can_emulate()) return {};
    constexpr u64 kIf = 0x200, kPresent = 0x80;
    if (op.value == kSti && (cpu_->get(Reg::rflags) & kIf) != 0) return {.kind = OwnWay::result};
    const bool cmps = (op.value | 1) == 0xA7;
    if (cmps && code_mode() == 1 && (cpu_->get(Reg::es_attr) & kPresent) == 0) {
        return reads_source_first(op);
    }
    if (op.value == kSalc && !long_code && !op.lock) return {.kind = OwnWay::salc};
    if (op.value == kPrefetch && !op.lock) return {.kind = OwnWay::nop};
    if (op.value == kRsm) return {.kind = OwnWay::faults, .fault = {.vector = sim::Vector::ud}};
    const bool real = (cpu_->get(Reg::cr0) & 1) == 0;
    if (op.value == kInt && real && op.modrm >= 0x80 && !op.lock) {
        constexpr u64 kNegative = 0x200;
        if (cpu_->get(Reg::idtr_base) < kNegative) return {.kind = OwnWay::undeliverable};
        return {.kind = OwnWay::missing, .what = "INT 80h to FFh of real mode with another IVT"};
    }
    if (op.value == kAam || op.value == kAad || is_ltr(op)) return {.kind = OwnWay::result};
    if (op.pushes_segment() && operand_bytes(op) == 4) return {.kind = OwnWay::result};
    const bool nop = op.value == 0x0F19 || op.value == 0x0F1C || op.value == 0x0F1D;
    if (nop && code_mode() == 2 && !op.lock) {
        return {.kind = OwnWay::missing, .what = "a NOP that KVM skips as if it were 32-bit code"};
    }
    if (op.value == kSysret) return {.kind = OwnWay::missing, .what = "SYSRET of KVM's emulator"};
    // The second check of a read-modify-write is for writing.
    const bool modifies = op.reads_destination() && !op.register_operand();
    if (modifies && op.segment == 0x2E && code_mode() == 1) {
        return reads_first((op.value & 1) == 0 && op.value < 0x100 ? 1 : operand_bytes(op));
    }
    if (long_code && op.segment != 0 && !only_names_memory(op)) return not_canonical();
    return {};
}

// STOS and MOVS.
bool ModelVm::overwrites_itself(const Opcode& op) const {
    if ((op.value < 0xAA || op.value > 0xAB) && op.value != 0xA4 && op.value != 0xA5) return false;
    const u8 usual = code_mode() == 0 ? 8 : code_mode() == 1 ? 4 : 2;
    const u8 size = !op.address_size ? usual : usual == 4 ? u8{2} : u8{4};
    const u64 mask = size == 8 ? ~u64{0} : (u64{1} << 8 * size) - 1;
    const u64 width = (op.value & 1) == 0 ? 1 : operand_bytes(op);
    const u64 count = cpu_->get(Reg::rcx) & mask;
    const u64 at = (code_mode() == 0 ? 0 : cpu_->get(Reg::es_base)) + (cpu_->get(Reg::rdi) & mask);
    const u64 code = cpu_->linear_ip();
    constexpr u64 kDf = 0x400, kMost = u64{1} << 40;
    const u64 bytes = std::min(count, kMost / width) * width;
    const bool down = (cpu_->get(Reg::rflags) & kDf) != 0;
    // In elements downwards from `at`, or upwards; a wrap is left out.
    const u64 first = !down ? at : at + width > bytes ? at + width - bytes : 0;
    const u64 end = !down ? at + bytes : at + width;
    return count != 0 && first < code + length_at_rip().value_or(0) && code < end;
}

ModelVm::Next ModelVm::emulation_fails() {
    stop(ExitReason::internal_error);
    run_.suberror = 1;  // KVM_INTERNAL_ERROR_EMULATION
    return Next::userspace;
}

ModelVm::Next ModelVm::emulate_own_way(const OwnWay& way) {
    switch (way.kind) {
        case OwnWay::missing:
            return not_modelled(way.what);
        case OwnWay::faults:
            queue_fault(way.fault);
            return halt_is_due() ? stop(ExitReason::hlt) : Next::guest;
        case OwnWay::reads_first: {
            sim::Exit exit;
            exit.kind = sim::ExitKind::memory;
            exit.access = sim::Access::read;
            exit.gpa = way.at;
            exit.size = way.size;
            return handle(sim::Outcome{exit});
        }
        case OwnWay::salc: {
            const u64 rax = cpu_->get(Reg::rax) & ~u64{0xFF};
            cpu_->set(Reg::rax, rax | ((get_rflags() & kCf) != 0 ? 0xFF : 0));
            [[fallthrough]];
        }
        case OwnWay::nop: {
            decode_here();
            const Next next = emulator_done(false, true);
            return next == Next::guest && halt_is_due() ? stop(ExitReason::hlt) : next;
        }
        case OwnWay::undeliverable:
            return push_interrupt();
        default:
            return emulate_one();
    }
}

void ModelVm::decode_here() {
    sim::Exit exit;
    exit.length = length_at_rip().value_or(0);
    decode(exit);
}

// INT 80h to FFh of real mode: the emulator takes the number for a signed one and looks for the
// vector below the IVT, where nothing is. It has pushed the frame then, and changes nothing else:
// the INT is executed again and again.
ModelVm::Next ModelVm::push_interrupt() {
    const Opcode op = opcode_of(cpu_->peek_code(cpu_->linear_ip(), sim::kMaxInsnLength), false);
    const u64 size = operand_bytes(op);
    decode_here();
    mmio_ = {};
    u64 sp = cpu_->get(Reg::rsp);
    for (u64 value : {em_.rflags, cpu_->get(Reg::cs), em_.next_rip}) {
        sp = (sp - size) & 0xFFFF;
        std::vector<u8> data(size);
        for (u64 i = 0; i < size; ++i) data[i] = static_cast<u8>(value >> 8 * i);
        const u64 at = cpu_->get(Reg::ss_base) + sp;
        if (!machine_.is_ram(0, at, size)) {
            mmio_.writes.clear();
            add_write_pieces(at, data);
        } else if (!machine_.write(at, data)) {
            return not_modelled("out of memory");
        }
    }
    constexpr u64 kTf = 0x100, kIf = 0x200, kRf = 0x10000, kAc = 0x40000;
    const bool to_userspace = !mmio_.writes.empty();
    const Next next = !to_userspace && (em_.tf || stepping()) ? do_singlestep() : Next::guest;
    set_rflags(em_.rflags & ~(kTf | kIf | kRf | kAc));
    return to_userspace ? mmio_write_piece() : next;
}

// em_aam and em_aad take the flags from an OR of the whole destination with 0.
u64 ModelVm::own_flags(const Opcode& op, u64 rflags) const {
    if ((op.value != kAam && op.value != kAad) || by_hardware()) return rflags;
    const unsigned bits = 8 * operand_bytes(op);
    const u64 value = cpu_->get(Reg::rax) & ((u64{1} << bits) - 1);
    u64 flags = rflags & ~(kCf | kPf | kAf | kZf | kSf | kOf);
    if (value == 0) flags |= kZf;
    if ((value >> (bits - 1) & 1) != 0) flags |= kSf;
    if (__builtin_parityll(value & 0xFF) == 0) flags |= kPf;
    return flags;
}

sim::Fault ModelVm::own_fault(const Opcode& op, sim::Fault fault) {
    constexpr u32 kLocal = 4;
    if (is_ltr(op) && fault.vector == sim::Vector::gp && (fault.error_code & kLocal) != 0) {
        fault.error_code = 0;
    }
    return fault;
}

// STI sets its shadow with IF = 1, too; behind another STI it ends it.
void ModelVm::own_shadow(const Opcode& op, u64 before) {
    constexpr u64 kBySti = 1;
    if (op.value != kSti || by_hardware()) return;
    cpu_->set(Reg::shadow, (before & kBySti) != 0 ? 0 : kBySti);
}

// PUSH of a segment register moves ESP by 4 and writes the 2 bytes of the selector: what it keeps.
std::optional<ModelVm::Kept> ModelVm::keep_of_push(const Opcode& op) const {
    if (!op.pushes_segment() || operand_bytes(op) != 4 || by_hardware()) return std::nullopt;
    constexpr u64 kBig = 1 << 14;
    const u64 mask = (cpu_->get(Reg::ss_attr) & kBig) != 0 ? 0xFFFFFFFF : 0xFFFF;
    Kept kept;
    const u64 linear = cpu_->get(Reg::ss_base) + ((cpu_->get(Reg::rsp) - kept.bytes.size()) & mask);
    const auto at = cpu_->peek_physical(linear & 0xFFFFFFFF);
    if (!at) return std::nullopt;
    kept.at = *at;
    machine_.read(kept.at, kept.bytes);
    return kept;
}

void ModelVm::put_back(const Kept& kept) {
    if (!machine_.write(kept.at, kept.bytes)) not_modelled("out of memory");
}

// What kvm_pvm shows of native code is not the guest's own for these.
void ModelVm::note_artefacts() {
    if (switches_.kvm != Version::slow) return;
    const Opcode op = opcode_of(cpu_->peek_code(cpu_->linear_ip(), sim::kMaxInsnLength), true);
    if (op.operand_size && near_branch(op)) {
        undetermined_ = "66h in front of a near branch of 64-bit code is up to the vendor";
        return;
    }
    switch (op.value) {
        case 0x8C:
        case 0x0FA0:
        case 0x0FA8:
            undetermined_ = "native code stores a selector: kvm_pvm has its own";
            return;
        case 0x9C:
        case 0x9D:
            undetermined_ = "PUSHF or POPF in native code: kvm_pvm has its own IF, IOPL and NT";
            return;
        case 0x0F05:
            undetermined_ = "SYSCALL in native code: kvm_pvm does not look at EFER.SCE";
            return;
        case 0x0F31:
            undetermined_ = "RDTSC: the host's clock";
            return;
        default:
            return;
    }
}

// True: it was due.
bool ModelVm::clear_ac() {
    constexpr u64 kAc = 0x40000;
    if (!std::exchange(watcher_->clears_ac, false)) return false;
    cpu_->set(Reg::rflags, cpu_->get(Reg::rflags) & ~kAc);
    return true;
}

// A native INT3 whose delivery ends in a triple fault has been a trap: RIP is behind it.
void ModelVm::pass_int3() {
    if (switches_.kvm != Version::slow || !by_hardware()) return;
    const Opcode op = opcode_of(cpu_->peek_code(linear_rip(), sim::kMaxInsnLength), true);
    const bool trap = watcher_->first && watcher_->first->software;
    if (op.value == kInt3 && trap)
        cpu_->set(Reg::rip, cpu_->get(Reg::rip) + length_at_rip().value_or(0));
}

}  // namespace vtlsim::model::kvm
