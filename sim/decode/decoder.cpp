#include "sim/decode/decoder.hpp"

#include "sim/decode/segment_check.hpp"
#include "sim/exec/chain.hpp"
#include "sim/insn/decoded.hpp"
#include "sim/insn/rows.hpp"

namespace vtlsim::sim {
namespace {

Flow undefined(Exec& x, const Op&) { return x.fault(Vector::ud); }
Flow general_protection(Exec& x, const Op&) { return x.fault(Vector::gp, 0); }

ZydisDecoder make_decoder(ZydisMachineMode mode, ZydisStackWidth stack) {
    ZydisDecoder d;
    ZydisDecoderInit(&d, mode, stack);
    // Without CET and MPX their encodings are NOPs (SDM 2B NOP: 0F 19..1F).
    ZydisDecoderEnableMode(&d, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
    ZydisDecoderEnableMode(&d, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
    return d;
}

// The stack width only decides what Zydis reports of implied operands, which nothing here uses.
// Real mode with a 32-bit code segment (big real mode) reads as protected 32-bit code does.
const ZydisDecoder& decoder_of(CodeMode mode) {
    static const std::array<ZydisDecoder, 8> decoders = {
        make_decoder(ZYDIS_MACHINE_MODE_REAL_16, ZYDIS_STACK_WIDTH_16),
        make_decoder(ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32),
        make_decoder(ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16),
        make_decoder(ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32),
        make_decoder(ZYDIS_MACHINE_MODE_LONG_COMPAT_16, ZYDIS_STACK_WIDTH_16),
        make_decoder(ZYDIS_MACHINE_MODE_LONG_COMPAT_32, ZYDIS_STACK_WIDTH_32),
        make_decoder(ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64),
        make_decoder(ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16),
    };
    return decoders[static_cast<std::size_t>(mode)];
}

bool leaves_block(const ZydisDecodedInstruction& insn) {
    switch (insn.meta.category) {
        case ZYDIS_CATEGORY_COND_BR:
        case ZYDIS_CATEGORY_UNCOND_BR:
        case ZYDIS_CATEGORY_CALL:
        case ZYDIS_CATEGORY_RET:
        case ZYDIS_CATEGORY_INTERRUPT:
        case ZYDIS_CATEGORY_SYSCALL:
        case ZYDIS_CATEGORY_SYSRET:
            return true;
        default:
            return false;
    }
}

// Unlike all else that real mode lacks, SYSENTER and SYSEXIT are not undefined there (SDM 2B);
// Zydis says they are.
bool needs_protection(std::span<const u8> bytes, CodeMode mode) {
    Decoded d;
    return mode == CodeMode::real16 &&
           ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder_of(CodeMode::prot16), bytes.data(),
                                               bytes.size(), &d.insn, d.operands)) &&
           (d.insn.mnemonic == ZYDIS_MNEMONIC_SYSENTER ||
            d.insn.mnemonic == ZYDIS_MNEMONIC_SYSEXIT);
}

// How many bytes tell that the instruction is none: so many must lie within the code segment's
// limit for #UD to come before #GP.
u16 bytes_that_tell(std::span<const u8> bytes, CodeMode mode) {
    Decoded d;
    u16 count = 1;
    while (count < bytes.size() && count < kMaxInsnLength &&
           ZydisDecoderDecodeFull(&decoder_of(mode), bytes.data(), count, &d.insn, d.operands) ==
               ZYDIS_STATUS_NO_MORE_DATA) {
        ++count;
    }
    return count;
}

struct DecodedOp {
    Op op;
    bool complete = true;  // false: the bytes end inside the instruction
    bool last = true;      // of its block
};

DecodedOp decode(std::span<const u8> bytes, u16 offset, u64 position, CodeMode mode) {
    DecodedOp out;
    Op& op = out.op;
    op.offset = offset;
    Decoded d;
    d.position = position;
    const ZyanStatus status =
        ZydisDecoderDecodeFull(&decoder_of(mode), bytes.data(), bytes.size(), &d.insn, d.operands);
    if (status == ZYDIS_STATUS_NO_MORE_DATA && bytes.size() < kMaxInsnLength) {
        out.complete = false;
        return out;
    }
    if (!ZYAN_SUCCESS(status)) {
        const bool length =
            status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG || status == ZYDIS_STATUS_NO_MORE_DATA;
        op.handler = length || needs_protection(bytes, mode) ? general_protection : undefined;
        op.next = static_cast<u16>(offset + bytes_that_tell(bytes, mode));
        return out;
    }
    // VEX needs protected mode (SDM 2A 2.3.1); for real16 Zydis knows that. It also knows the VEX
    // forms that Knights Corner gave to TZCNT, LZCNT and POPCNT.
    const bool vex = d.insn.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;
    if (d.insn.meta.isa_ext == ZYDIS_ISA_EXT_KNC ||
        (vex && (mode == CodeMode::virtual16 || mode == CodeMode::real32))) {
        op.handler = undefined;
        op.next = static_cast<u16>(offset + d.insn.length);
        return out;
    }
    d.mend_base();
    op.length = d.insn.length;
    op.next = static_cast<u16>(offset + op.length);
    op.mnemonic = static_cast<u16>(d.insn.mnemonic);
    op.size = static_cast<u8>(d.insn.operand_width / 8);
    op.address_size = static_cast<u8>(d.insn.address_width / 8);
    op.rep = (d.insn.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE)) != 0;
    op.repne = (d.insn.attributes & ZYDIS_ATTRIB_HAS_REPNE) != 0;
    out.last = leaves_block(d.insn);
    const InsnRow* row = find_row(d.insn.mnemonic);
    if (row == nullptr || !row->translate(d, op)) {
        op.handler = not_modelled;
        out.last = true;
    } else if (mode != CodeMode::long64) {
        add_segment_check(d, op);
        if (out.last) {  // back to the loop, which looks at the segment's limit
            op.chain = chain_any;
            op.is_jcc = false;
        }
    }
    return out;
}

// A pair that is executed as one; the second one's handler stays, for runs that end in between.
void join_last_two(Block& block) {
    if (block.ops.size() < 2) return;
    Op& first = block.ops.end()[-2];
    const Op& second = block.ops.back();
    if (first.with_jcc != nullptr && second.is_jcc) first.chain = first.with_jcc[second.src];
}

// To be called when all instructions are there.
Block finished(Block block, bool observed) {
    block.count = block.ops.size();
    if (block.count == 0) return block;
    for (Op& op : block.ops) {
        if (op.chain == nullptr) op.chain = chain_any;
        if (observed) op.observed = std::exchange(op.chain, chain_asking);
    }
    if (!observed) join_last_two(block);
    Op end;
    end.offset = block.ops.back().next;
    end.chain = fall_through;
    block.ops.push_back(end);
    return block;
}

}  // namespace

Block decode_block(std::span<const u8> bytes, CodeKind kind) {
    Block block;
    std::size_t at = 0;
    while (at < bytes.size() && block.ops.size() < Block::kMaxOps) {
        const DecodedOp decoded =
            decode(bytes.subspan(at), static_cast<u16>(at), block.ops.size(), kind.mode);
        if (!decoded.complete) break;
        block.ops.push_back(decoded.op);
        if (decoded.last) break;
        at += decoded.op.length;
    }
    return finished(std::move(block), kind.observed);
}

Block decode_one(std::span<const u8, kMaxInsnLength> bytes, CodeKind kind) {
    Block block;
    block.ops.push_back(decode(bytes, 0, 0, kind.mode).op);
    return finished(std::move(block), kind.observed);
}

}  // namespace vtlsim::sim
