// IN OUT INS OUTS: every access that is allowed leaves the machine.
#include "sim/exec/breakpoints.hpp"
#include "sim/exec/segment.hpp"
#include "sim/insn/operands.hpp"
#include "sim/insn/rows.hpp"

namespace vtlsim::sim {
namespace {

constexpr u8 kRax = static_cast<u8>(index_of(Reg::rax));

// CPL <= IOPL (outside of virtual-8086 mode), or the bits of the TSS's I/O map are clear (SDM
// 1 19.5.2). False: `pending` is set.
bool io_allowed(Exec& x, u16 port, unsigned size) {
    if (!virtual_8086(x) && x.cpl() <= (x.s[Reg::rflags] >> 12 & 3)) return true;
    const u64 base = x.s[Reg::tr_base];
    const u64 limit = x.s[Reg::tr_limit];
    u16 map = 0;
    u16 bits = 0;
    constexpr u64 kMapBase = 0x66;
    if (limit < kMapBase + 1) {
        x.fault(Vector::gp, 0);
        return false;
    }
    if (!x.system_load(base + kMapBase, &map, 2)) return false;
    // Two bytes are always read; the second must lie within the limit too.
    const u64 at = u64{map} + port / 8;
    if (at + 1 > limit) {
        x.fault(Vector::gp, 0);
        return false;
    }
    if (!x.system_load(base + at, &bits, 2)) return false;
    if ((bits >> port % 8 & ((1u << size) - 1)) != 0) {
        x.fault(Vector::gp, 0);
        return false;
    }
    return true;
}

// What IN reads where nobody answers.
void set_accumulator(Exec& x, unsigned size) {
    if (size == 1) x.set_reg<u8>(kRax, 0xFF);
    if (size == 2) x.set_reg<u16>(kRax, 0xFFFF);
    if (size == 4) x.set_reg<u32>(kRax, 0xFFFFFFFF);
}

template <bool In, bool FromDx>
Flow port_access(Exec& x, const Op& op) {
    const u16 port =
        FromDx ? x.reg<u16>(static_cast<u8>(index_of(Reg::rdx))) : static_cast<u16>(op.imm);
    if (!io_allowed(x, port, op.size)) return Flow::stop;
    if (x.watching) x.breakpoints_hit |= port_breakpoints(x.s, port, op.size);
    if (!x.exits.ports) {
        if (In) set_accumulator(x, op.size);
        return Flow::next;
    }
    const u64 mask = In ? 0 : (u64{1} << op.size * 8) - 1;
    return x.exit(Exit{.kind = ExitKind::io,
                       .in = In,
                       .port = port,
                       .size = op.size,
                       .data = static_cast<u32>(x.s[Reg::rax] & mask)},
                  op);
}

u64 count_mask(const Op& op) {
    if (op.address_size == 8) return ~u64{0};
    return op.address_size == 4 ? 0xFFFFFFFF : 0xFFFF;
}

// A counter or pointer at the width of addresses.
void set_address_register(Exec& x, const Op& op, Reg reg, u64 value) {
    const u64 mask = op.address_size == 2 ? 0xFFFF : ~u64{0};
    x.s[reg] = (x.s[reg] & ~mask) | (value & count_mask(op));
}

template <bool In>
Flow string_access(Exec& x, const Op& op);

// Where nobody answers: INS stores ones, what OUTS reads is lost.
template <bool In>
Flow unanswered_string(Exec& x, const Op& op) {
    const bool down = (x.s[Reg::rflags] & flag::df) != 0;
    const bool stepping = (x.s[Reg::rflags] & flag::tf) != 0;
    const bool repeated = op.rep || op.repne;
    constexpr Reg kPointer = In ? Reg::rdi : Reg::rsi;
    const Reg base = base_of(op.segment);
    const bool flat = x.long_code && op.segment != Seg::fs && op.segment != Seg::gs;
    const bool stack = op.segment == Seg::ss;
    do {
        if (repeated && x.iterations_left == 0) {
            x.pending = OutOfWork{};
            return Flow::stop;
        }
        const u64 at = x.s[kPointer] & count_mask(op);
        const u64 linear = at + (flat ? 0 : x.s[base]);
        u32 datum = 0xFFFFFFFF;
        const Access access = In ? Access::write : Access::read;
        if (!check_access(x, op.segment, at, op.size, access)) return Flow::stop;
        const bool done = In ? x.store_slow(linear, &datum, op.size, stack)
                             : x.load_slow(linear, &datum, op.size, stack);
        if (!done) return Flow::stop;
        set_address_register(x, op, kPointer, down ? at - op.size : at + op.size);
        if (!repeated) return Flow::next;
        --x.iterations_left;
        set_address_register(x, op, Reg::rcx, x.s[Reg::rcx] - 1);
        if ((x.s[Reg::rcx] & count_mask(op)) == 0) return Flow::next;
    } while (!stepping && x.breakpoints_hit == 0 && op.handler == string_access<In>);
    return Flow::again;
}

template <bool In>
Flow string_access(Exec& x, const Op& op) {
    const u16 port = x.reg<u16>(static_cast<u8>(index_of(Reg::rdx)));
    if (!io_allowed(x, port, op.size)) return Flow::stop;
    // With a count of zero nothing is accessed.
    const bool repeated = op.rep || op.repne;
    if (repeated && (x.s[Reg::rcx] & count_mask(op)) == 0) return Flow::next;
    if (x.watching) x.breakpoints_hit |= port_breakpoints(x.s, port, op.size);
    if (!x.exits.ports) return unanswered_string<In>(x, op);
    return x.exit(Exit{.kind = ExitKind::io,
                       .in = In,
                       .string = true,
                       .rep = repeated,
                       .port = port,
                       .size = op.size,
                       .address_size = op.address_size,
                       .segment = op.segment},
                  op);
}

template <bool In>
bool translate_port(const Decoded& d, Op& op) {
    const unsigned port = In ? 1 : 0;
    op.size = static_cast<u8>(d[1 - port].size / 8);
    if (d.is_imm(port)) op.imm = d[port].imm.value.u & 0xFF;
    op.handler = d.is_imm(port) ? port_access<In, false> : port_access<In, true>;
    return true;
}

template <bool In, unsigned Size>
bool translate_string(const Decoded& d, Op& op) {
    op.size = Size;
    // INS always stores through ES; OUTS reads through DS or the override.
    const unsigned memory = In ? 0 : 1;
    op.segment = d.is_mem(memory) ? segment_of(d[memory].mem.segment) : Seg::ds;
    op.handler = string_access<In>;
    return true;
}

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_IN, translate_port<true>, "SDM 2A IN"},
    {ZYDIS_MNEMONIC_INSB, translate_string<true, 1>, "SDM 2A INS"},
    {ZYDIS_MNEMONIC_INSW, translate_string<true, 2>, "SDM 2A INS"},
    {ZYDIS_MNEMONIC_INSD, translate_string<true, 4>, "SDM 2A INS"},
    {ZYDIS_MNEMONIC_OUT, translate_port<false>, "SDM 2B OUT"},
    {ZYDIS_MNEMONIC_OUTSB, translate_string<false, 1>, "SDM 2B OUTS"},
    {ZYDIS_MNEMONIC_OUTSW, translate_string<false, 2>, "SDM 2B OUTS"},
    {ZYDIS_MNEMONIC_OUTSD, translate_string<false, 4>, "SDM 2B OUTS"},
};

}  // namespace

std::span<const InsnRow> io_rows() { return kRows; }

}  // namespace vtlsim::sim
