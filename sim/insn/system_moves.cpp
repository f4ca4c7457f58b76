#include "sim/insn/system_moves.hpp"

#include <utility>

#include "sim/exec/breakpoints.hpp"
#include "sim/exec/cpu.hpp"
#include "sim/insn/far.hpp"
#include "sim/insn/operands.hpp"
#include "sim/mmu/walk.hpp"

namespace vtlsim::sim {
namespace {

constexpr u64 kCr4Modelled = cr4::tsd | cr4::de | cr4::pse | cr4::pae | cr4::mce | cr4::pge |
                             cr4::pce | cr4::osfxsr | cr4::osxmmexcpt | cr4::umip | cr4::fsgsbase |
                             cr4::osxsave | cr4::smep | cr4::smap;
// Bits that some processor has; the others are reserved for good.
constexpr u64 kCr4Known = 0x03FF7FFF;

ZydisRegisterClass class_of(const ZydisDecodedOperand& operand) {
    return operand.type == ZYDIS_OPERAND_TYPE_REGISTER ? ZydisRegisterGetClass(operand.reg.value)
                                                       : ZYDIS_REGCLASS_INVALID;
}

Flow go_on(Exec& x, const Op& op) {
    x.s[Reg::rip] = x.next_rip(op);  // what was decoded after this may mean something else now
    return Flow::branch;
}

// What is moved: 32 bits outside of 64-bit mode.
u64 source(const Exec& x, const Op& op) {
    return x.s.scalar[op.src] & (x.long_code ? ~u64{0} : 0xFFFFFFFF);
}

// Sets a control register that paging depends on. False: #GP(0) is pending.
bool set_paging_register(Exec& x, Reg reg, u64 value) {
    const u64 old = std::exchange(x.s[reg], value);
    if (!pdptes_valid(*x.machine, x.address_space, x.s)) {
        x.s[reg] = old;
        x.fault(Vector::gp, 0);
        return false;
    }
    x.flush_tlb();
    return true;
}

// dst: general register, src: slot of the control register.
Flow read_control(Exec& x, const Op& op) {
    if (x.cpl() != 0) return x.fault(Vector::gp, 0);
    x.s.scalar[op.dst] = source(x, op);
    return Flow::next;
}

Flow write_cr0(Exec& x, const Op& op) {
    if (x.cpl() != 0) return x.fault(Vector::gp, 0);
    const u64 value = source(x, op);
    // SDM 2B MOV CR: upper half reserved; PG needs PE; NW needs CD; 64-bit code cannot turn
    // paging off. Other reserved bits are ignored, ET reads as 1.
    if (value >> 32 != 0 || ((value & cr0::pg) != 0 && (value & cr0::pe) == 0) ||
        ((value & cr0::nw) != 0 && (value & cr0::cd) == 0) ||
        (x.long_code && (value & cr0::pg) == 0)) {
        return x.fault(Vector::gp, 0);
    }
    // Long mode comes and goes with PG (SDM 3A 10.8.5): it needs PAE, a CS that is not 64-bit
    // and a TSS that is not 16-bit.
    const bool paging = (value & cr0::pg) != 0;
    if (paging != ((x.s[Reg::cr0] & cr0::pg) != 0) && (x.s[Reg::efer] & efer::lme) != 0) {
        const u64 tss = x.s[Reg::tr_attr] & 0xF;
        const bool tss16 = tss == 1 || tss == 3;
        if (paging &&
            ((x.s[Reg::cr4] & cr4::pae) == 0 || attr::long_code(x.s[Reg::cs_attr]) || tss16)) {
            return x.fault(Vector::gp, 0);
        }
        x.s[Reg::efer] ^= efer::lma;
    }
    // With LMA changed it is not PAE paging, and this cannot fail.
    if (!set_paging_register(x, Reg::cr0, (value & cr0::kDefined) | cr0::et)) return Flow::stop;
    x.update_context();
    return go_on(x, op);
}

Flow write_cr2(Exec& x, const Op& op) {
    if (x.cpl() != 0) return x.fault(Vector::gp, 0);
    x.s[Reg::cr2] = source(x, op);
    return Flow::next;
}

Flow write_cr3(Exec& x, const Op& op) {
    if (x.cpl() != 0) return x.fault(Vector::gp, 0);
    const u64 value = source(x, op);
    if (value >> kPhysicalBits != 0) return x.fault(Vector::gp, 0);
    if (!set_paging_register(x, Reg::cr3, value)) return Flow::stop;
    return go_on(x, op);
}

Flow write_cr4(Exec& x, const Op& op) {
    if (x.cpl() != 0) return x.fault(Vector::gp, 0);
    const u64 value = source(x, op);
    // PAE cannot be cleared and LA57 not changed in long mode.
    const bool long_mode = (x.s[Reg::efer] & efer::lma) != 0;
    if ((long_mode && (value & (cr4::pae | cr4::la57)) != cr4::pae) || (value & ~kCr4Known) != 0) {
        return x.fault(Vector::gp, 0);
    }
    if ((value & ~kCr4Modelled) != 0) return x.not_modelled("a bit of CR4 that is being set");
    if (!set_paging_register(x, Reg::cr4, value)) return Flow::stop;
    return go_on(x, op);
}

Flow write_cr8(Exec& x, const Op& op) {
    if (x.cpl() != 0) return x.fault(Vector::gp, 0);
    const u64 value = source(x, op);
    if (value > 15) return x.fault(Vector::gp, 0);
    x.s[Reg::cr8] = value;
    return go_on(x, op);  // the interrupt line may change with it
}

// DR4 and DR5 are DR6 and DR7 unless CR4.DE (SDM 3B 18.2.2): imm = 1 marks the alias.
bool debug_access(Exec& x, const Op& op) {
    if (op.imm != 0 && (x.s[Reg::cr4] & cr4::de) != 0) {
        x.fault(Vector::ud);
        return false;
    }
    if (x.cpl() != 0) {
        x.fault(Vector::gp, 0);
        return false;
    }
    if ((x.s[Reg::dr7] & dr7::kGeneralDetect) != 0) {
        x.s[Reg::dr6] |= dr6::kGeneralDetect;
        x.pending = Fault{.vector = Vector::db, .general_detect = true};
        return false;
    }
    return true;
}

Flow read_debug(Exec& x, const Op& op) {
    if (!debug_access(x, op)) return Flow::stop;
    x.s.scalar[op.dst] = source(x, op);
    return Flow::next;
}

Flow write_debug(Exec& x, const Op& op) {
    if (!debug_access(x, op)) return Flow::stop;
    const u64 value = source(x, op);
    const bool dr6 = op.dst == index_of(Reg::dr6);
    const bool dr7 = op.dst == index_of(Reg::dr7);
    if ((dr6 || dr7) && value >> 32 != 0) return x.fault(Vector::gp, 0);
    // The other bits of both read as after reset.
    if (dr6) {
        x.s[Reg::dr6] = (value & 0xE00F) | 0xFFFF0FF0;
    } else if (dr7) {
        x.s[Reg::dr7] = (value & 0xFFFF23FF) | 0x400;
    } else {
        x.s.scalar[op.dst] = value;
    }
    x.debug_registers_changed();
    return go_on(x, op);
}

template <class T>
Flow read_selector(Exec& x, const Op& op) {
    x.set_reg<T>(op.dst, static_cast<T>(x.s.scalar[op.src]));
    return Flow::next;
}
Flow store_selector(Exec& x, const Op& op) {
    return x.store_operand(op, x.reg<u16>(op.src)) ? Flow::next : Flow::stop;
}

bool translate_control(const Decoded& d, Op& op) {
    const bool write = class_of(d[0]) == ZYDIS_REGCLASS_CONTROL;
    const ZydisRegister name = d[write ? 0 : 1].reg.value;
    Reg reg{};
    Handler handler = nullptr;
    switch (name) {
        case ZYDIS_REGISTER_CR0:
            reg = Reg::cr0, handler = write_cr0;
            break;
        case ZYDIS_REGISTER_CR2:
            reg = Reg::cr2, handler = write_cr2;
            break;
        case ZYDIS_REGISTER_CR3:
            reg = Reg::cr3, handler = write_cr3;
            break;
        case ZYDIS_REGISTER_CR4:
            reg = Reg::cr4, handler = write_cr4;
            break;
        case ZYDIS_REGISTER_CR8:
            reg = Reg::cr8, handler = write_cr8;
            break;
        default:
            return false;
    }
    op.handler = write ? handler : read_control;
    op.dst = write ? 0 : gpr_slot(d[0].reg.value);
    op.src = write ? gpr_slot(d[1].reg.value) : static_cast<u8>(index_of(reg));
    return true;
}

bool translate_debug(const Decoded& d, Op& op) {
    const bool write = class_of(d[0]) == ZYDIS_REGCLASS_DEBUG;
    unsigned number = static_cast<unsigned>(d[write ? 0 : 1].reg.value - ZYDIS_REGISTER_DR0);
    if (number > 7) return false;
    op.imm = number == 4 || number == 5 ? 1 : 0;
    if (op.imm != 0) number += 2;
    const Reg reg = number < 4 ? offset(Reg::dr0, number) : number == 6 ? Reg::dr6 : Reg::dr7;
    const u8 slot = static_cast<u8>(index_of(reg));
    op.dst = write ? slot : gpr_slot(d[0].reg.value);
    op.src = write ? gpr_slot(d[1].reg.value) : slot;
    op.handler = write ? write_debug : read_debug;
    return true;
}

bool translate_segment(const Decoded& d, Op& op) {
    if (class_of(d[1]) != ZYDIS_REGCLASS_SEGMENT) return translate_mov_segment(d, op);
    op.src = static_cast<u8>(index_of(selector_of(segment_of(d[1].reg.value))));
    if (d.is_mem(0)) {
        set_memory(d[0], op);
        op.handler = store_selector;
        return true;
    }
    op.dst = gpr_slot(d[0].reg.value);
    op.handler = by_size(d[0].size / 8u, []<class T>() -> Handler { return read_selector<T>; });
    return op.handler != nullptr;
}

}  // namespace

bool is_system_move(const Decoded& d) {
    for (unsigned i = 0; i < 2; ++i) {
        const ZydisRegisterClass c = class_of(d[i]);
        if (c == ZYDIS_REGCLASS_CONTROL || c == ZYDIS_REGCLASS_DEBUG ||
            c == ZYDIS_REGCLASS_SEGMENT) {
            return true;
        }
    }
    return false;
}

bool translate_system_move(const Decoded& d, Op& op) {
    const ZydisRegisterClass a = class_of(d[0]);
    const ZydisRegisterClass b = class_of(d[1]);
    if (a == ZYDIS_REGCLASS_CONTROL || b == ZYDIS_REGCLASS_CONTROL) return translate_control(d, op);
    if (a == ZYDIS_REGCLASS_DEBUG || b == ZYDIS_REGCLASS_DEBUG) return translate_debug(d, op);
    return translate_segment(d, op);
}

}  // namespace vtlsim::sim
