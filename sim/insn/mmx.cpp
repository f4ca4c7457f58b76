// The MMX instructions that have no SSE twin: moves, EMMS, and the masked stores of both files.
#include "sim/insn/mmx.hpp"

#include "sim/insn/rows.hpp"
#include "sim/insn/sse_operands.hpp"

namespace vtlsim::sim {
namespace {

// Memory, zero-extended, or another register.
template <class Memory>
Flow load_mmx(Exec& x, const Op& op) {
    if (!MmxFile::usable(x)) return Flow::stop;
    u64 value = 0;
    if (!load_source<MmxFile, Memory>(x, op, value)) return Flow::stop;
    MmxFile::set(x, op.dst, value);
    return Flow::next;
}
template <class T>
Flow store_mmx(Exec& x, const Op& op) {
    if (!MmxFile::usable(x)) return Flow::stop;
    if (!x.store_operand(op, static_cast<T>(MmxFile::get(x, op.src)))) return Flow::stop;
    MmxFile::read_done(x);
    return Flow::next;
}
template <class T>
Flow gpr_to_mmx(Exec& x, const Op& op) {
    if (!MmxFile::usable(x)) return Flow::stop;
    MmxFile::set(x, op.dst, x.reg<T>(op.src));
    return Flow::next;
}
template <class T>
Flow mmx_to_gpr(Exec& x, const Op& op) {
    if (!MmxFile::usable(x)) return Flow::stop;
    x.set_reg<T>(op.dst, static_cast<T>(MmxFile::get(x, op.src)));
    MmxFile::read_done(x);
    return Flow::next;
}

// Between the files both must be usable.
Flow movq2dq(Exec& x, const Op& op) {
    if (!sse_usable(x) || !MmxFile::usable(x)) return Flow::stop;
    xmm(x, op.dst) = {MmxFile::get(x, op.src), 0};
    MmxFile::read_done(x);
    return Flow::next;
}
Flow movdq2q(Exec& x, const Op& op) {
    if (!sse_usable(x) || !MmxFile::usable(x)) return Flow::stop;
    MmxFile::set(x, op.dst, xmm(x, op.src).lo);
    return Flow::next;
}
template <Flow (*Body)(Exec&, const Op&)>
bool translate_registers(const Decoded& d, Op& op) {
    set_vector_operands(d, op);
    op.handler = Body;
    return true;
}

Flow emms(Exec& x, const Op&) {
    if (!MmxFile::usable(x)) return Flow::stop;
    MmxFile::read_done(x);  // TOP; the manual names only the tags, silicon clears both
    x.s[Reg::ftw] = 0;
    return Flow::next;
}

// MASKMOVQ and MASKMOVDQU: the bytes whose mask byte has its top bit set, to [rDI]. The whole range
// is checked whatever the mask (SDM 2B: implementation-dependent), and a fault comes after MMX
// state has been entered: both as AMD Zen 5 does.
template <class File>
Flow masked_store(Exec& x, const Op& op) {
    if (!File::usable(x)) return Flow::stop;
    const auto bytes = lanes<u8>(File::get(x, op.dst));
    const auto mask = lanes<i8>(File::get(x, op.src));
    if (!x.check_alignment(x.linear(op), mask.size())) return Flow::stop;
    for (std::size_t i = 0; i < mask.size(); ++i) {
        const u64 address = x.linear(op, i);
        const bool entered = i == 0 || address % kPageSize == 0;
        if (entered && !x.probe(address, 1, Access::write, op.stack_segment)) {
            if (std::holds_alternative<Fault>(x.pending)) File::read_done(x);
            return Flow::stop;
        }
    }
    File::read_done(x);
    for (std::size_t i = 0; i < mask.size(); ++i) {
        if (mask[i] < 0 && !x.store(x.linear(op, i), bytes[i], op.stack_segment)) {
            return Flow::stop;
        }
    }
    return Flow::next;
}
template <class File>
bool translate_masked_store(const Decoded& d, Op& op) {
    op.dst = vector_slot(d[0]);
    op.src = vector_slot(d[1]);
    set_memory(d[2], op);
    op.handler = masked_store<File>;
    return true;
}

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_EMMS, translate_plain<emms>, "SDM 2A EMMS"},
    {ZYDIS_MNEMONIC_MASKMOVDQU, translate_masked_store<XmmFile>, "SDM 2B MASKMOVDQU"},
    {ZYDIS_MNEMONIC_MASKMOVQ, translate_masked_store<MmxFile>, "SDM 2B MASKMOVQ"},
    {ZYDIS_MNEMONIC_MOVDQ2Q, translate_registers<movdq2q>, "SDM 2B MOVDQ2Q"},
    {ZYDIS_MNEMONIC_MOVNTQ, translate_registers<store_mmx<u64>>, "SDM 2B MOVNTQ"},
    {ZYDIS_MNEMONIC_MOVQ2DQ, translate_registers<movq2dq>, "SDM 2B MOVQ2DQ"},
};

}  // namespace

bool translate_movd_movq_mmx(const Decoded& d, Op& op) {
    set_vector_operands(d, op);
    const bool to_mmx = is_mmx(d[0]);
    const ZydisDecodedOperand& other = to_mmx ? d[1] : d[0];
    const bool wide = other.size == 64;
    if (is_mmx(other)) {
        op.handler = load_mmx<Register>;
    } else if (other.type == ZYDIS_OPERAND_TYPE_MEMORY) {
        op.handler = to_mmx ? (wide ? load_mmx<u64> : load_mmx<u32>)
                            : (wide ? store_mmx<u64> : store_mmx<u32>);
    } else {
        op.handler = to_mmx ? (wide ? gpr_to_mmx<u64> : gpr_to_mmx<u32>)
                            : (wide ? mmx_to_gpr<u64> : mmx_to_gpr<u32>);
    }
    return true;
}

std::span<const InsnRow> mmx_rows() { return kRows; }

}  // namespace vtlsim::sim
