// The two vector register files, lanes, and the operand forms that SSE and MMX families share.
#pragma once

#include <limits>

#include "sim/insn/operands.hpp"
#include "sim/insn/sse.hpp"
#include "sim/insn/x87.hpp"

namespace vtlsim::sim {

inline Vec128& xmm(Exec& x, unsigned number) { return x.s.vec(offset(Reg::xmm0, number)); }
inline const Vec128& xmm(const Exec& x, unsigned number) {
    return x.s.vec(offset(Reg::xmm0, number));
}

// A register file: how its registers are read and written, and when it may be used at all.
struct XmmFile {
    using Value = Vec128;
    static bool usable(Exec& x) { return sse_usable(x); }
    static Value get(const Exec& x, unsigned number) { return xmm(x, number); }
    static void set(Exec& x, unsigned number, const Value& value) { xmm(x, number) = value; }
    static void read_done(Exec&) {}
};

// MMX registers are the low 64 bits of the physical x87 registers. Every MMX instruction but EMMS
// makes all tags valid and TOP 0, also one that only reads; a write sets the rest to ones (SDM 1
// 9.2.2, 9.5.1).
struct MmxFile {
    using Value = u64;
    static bool usable(Exec& x);
    static Value get(const Exec& x, unsigned number) {
        return x.s.vec(offset(Reg::fpr0, number)).lo;
    }
    static void set(Exec& x, unsigned number, Value value) {
        x.s.vec(offset(Reg::fpr0, number)) = {value, 0xFFFF};
        read_done(x);
    }
    static void read_done(Exec& x) {
        x.s[Reg::fsw] &= ~(u64{7} << 11);
        x.s[Reg::ftw] = 0xFF;
    }
};

// SDM 3A tables 23-4 to 23-8: #UD, then #NM, then a pending x87 exception.
inline bool MmxFile::usable(Exec& x) {
    if ((x.s[Reg::cr0] & cr0::em) != 0) return x.fault(Vector::ud), false;
    return x87::ready(x);
}

// --- lanes -------------------------------------------------------------------------------------
// V is Vec128 or, for MMX, u64.
template <class T, class V>
constexpr std::size_t kLanes = sizeof(V) / sizeof(T);
template <class T, class V>
using LanesOf = std::array<T, kLanes<T, V>>;

template <class T, class V>
LanesOf<T, V> lanes(const V& value) {
    return std::bit_cast<LanesOf<T, V>>(value);
}
template <class V, class T, std::size_t N>
V from_lanes(const std::array<T, N>& values) {
    return std::bit_cast<V>(values);
}

template <class T>
T saturate(i64 value) {
    if (value < std::numeric_limits<T>::min()) return std::numeric_limits<T>::min();
    if (value > std::numeric_limits<T>::max()) return std::numeric_limits<T>::max();
    return static_cast<T>(value);
}

// --- operands ----------------------------------------------------------------------------------
inline bool is_class(const ZydisDecodedOperand& operand, ZydisRegisterClass wanted) {
    return operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
           ZydisRegisterGetClass(operand.reg.value) == wanted;
}
inline bool is_xmm(const ZydisDecodedOperand& o) { return is_class(o, ZYDIS_REGCLASS_XMM); }
inline bool is_mmx(const ZydisDecodedOperand& o) { return is_class(o, ZYDIS_REGCLASS_MMX); }

// The number of an XMM, MMX or general register.
inline u8 vector_slot(const ZydisDecodedOperand& operand) {
    if (is_xmm(operand)) return static_cast<u8>(operand.reg.value - ZYDIS_REGISTER_XMM0);
    if (is_mmx(operand)) return static_cast<u8>(operand.reg.value - ZYDIS_REGISTER_MM0);
    return gpr_slot(operand.reg.value);
}

// Registers, immediate (the last operand) and address of an instruction of two or three operands.
inline void set_vector_operands(const Decoded& d, Op& op) {
    if (d.is_reg(0)) op.dst = vector_slot(d[0]);
    if (d.is_mem(0)) set_memory(d[0], op);
    if (d.is_reg(1)) op.src = vector_slot(d[1]);
    if (d.is_mem(1)) set_memory(d[1], op);
    for (unsigned i = 1; i < d.visible(); ++i) {
        if (d.is_imm(i)) op.imm = d[i].imm.value.u & 0xFF;
    }
}

// 16 bytes that must be aligned, as all memory operands of legacy SSE but those of the MOVUs,
// LDDQU and PCMPxSTRx (SDM 1 11.4.1).
inline bool load_aligned(Exec& x, const Op& op, Vec128& out) {
    const u64 address = x.linear(op);
    if (address % 16 != 0) return x.fault(Vector::gp, 0), false;
    return x.load(address, out, op.stack_segment);
}

struct Register {};  // where others name the type of a memory operand

// The second operand: a register, or a memory operand of the type Memory, zero-extended.
template <class File, class Memory>
bool load_source(Exec& x, const Op& op, typename File::Value& out) {
    if constexpr (std::is_same_v<Memory, Register>) {
        out = File::get(x, op.src);
        return true;
    } else if constexpr (std::is_same_v<Memory, Vec128>) {
        return load_aligned(x, op, out);
    } else {
        Memory value{};
        if (!x.load_operand(op, value)) return false;
        out = {value};
        return true;
    }
}

// dst = Operation::apply(dst, src, immediate), whole registers.
template <class Operation, class File, class Memory>
Flow packed(Exec& x, const Op& op) {
    if (!File::usable(x)) return Flow::stop;
    typename File::Value b{};
    if (!load_source<File, Memory>(x, op, b)) return Flow::stop;
    File::set(x, op.dst, Operation::apply(File::get(x, op.dst), b, static_cast<u8>(op.imm)));
    return Flow::next;
}

// The immediate as second operand (shifts).
template <class Operation, class File>
Flow packed_immediate(Exec& x, const Op& op) {
    if (!File::usable(x)) return Flow::stop;
    const typename File::Value b{op.imm};
    File::set(x, op.dst, Operation::apply(File::get(x, op.dst), b, 0));
    return Flow::next;
}

template <class Operation, class File, class Memory>
Handlers packed_handlers(const Decoded& d) {
    if (d.is_mem(1)) return threaded<packed<Operation, File, Memory>>();
    if (d.is_imm(1)) return threaded<packed_immediate<Operation, File>>();
    return threaded<packed<Operation, File, Register>>();
}

// XMM only; Memory is the type of the memory operand.
template <class Operation, class Memory = Vec128>
bool translate_xmm(const Decoded& d, Op& op) {
    if (!is_xmm(d[0])) return false;
    set_vector_operands(d, op);
    return set_handlers(op, packed_handlers<Operation, XmmFile, Memory>(d));
}
// MMX only.
template <class Operation, class Memory = u64>
bool translate_mmx(const Decoded& d, Op& op) {
    if (!is_mmx(d[0])) return false;
    set_vector_operands(d, op);
    return set_handlers(op, packed_handlers<Operation, MmxFile, Memory>(d));
}
// One mnemonic for both files.
template <class Operation, class MmxMemory = u64>
bool translate_packed(const Decoded& d, Op& op) {
    return is_mmx(d[0]) ? translate_mmx<Operation, MmxMemory>(d, op)
                        : translate_xmm<Operation>(d, op);
}

}  // namespace vtlsim::sim
