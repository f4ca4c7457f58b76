#include "sim/decode/decoder.hpp"

#include "sim/exec/exec.hpp"
#include "sim/insn/decoded.hpp"
#include "sim/insn/rows.hpp"

namespace vtlsim::sim {
namespace {

Flow undefined(Exec& x, const Op&) { return x.fault(Vector::ud); }
Flow too_long(Exec& x, const Op&) { return x.fault(Vector::gp, 0); }

const ZydisDecoder& decoder64() {
    static const ZydisDecoder decoder = [] {
        ZydisDecoder d;
        ZydisDecoderInit(&d, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
        // Without CET and MPX their encodings are NOPs (SDM 2B NOP: 0F 19..1F).
        ZydisDecoderEnableMode(&d, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
        ZydisDecoderEnableMode(&d, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
        return d;
    }();
    return decoder;
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

struct DecodedOp {
    Op op;
    bool complete = true;  // false: the bytes end inside the instruction
    bool last = true;      // of its block
};

DecodedOp decode(std::span<const u8> bytes, u16 offset) {
    DecodedOp out;
    Op& op = out.op;
    op.offset = offset;
    Decoded d;
    const ZyanStatus status =
        ZydisDecoderDecodeFull(&decoder64(), bytes.data(), bytes.size(), &d.insn, d.operands);
    if (status == ZYDIS_STATUS_NO_MORE_DATA && bytes.size() < kMaxInsnLength) {
        out.complete = false;
        return out;
    }
    if (!ZYAN_SUCCESS(status)) {
        const bool length =
            status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG || status == ZYDIS_STATUS_NO_MORE_DATA;
        op.handler = length ? too_long : undefined;
        return out;
    }
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
    }
    return out;
}

}  // namespace

Block decode_block(std::span<const u8> bytes) {
    Block block;
    std::size_t at = 0;
    while (at < bytes.size() && block.ops.size() < Block::kMaxOps) {
        const DecodedOp decoded = decode(bytes.subspan(at), static_cast<u16>(at));
        if (!decoded.complete) break;
        block.ops.push_back(decoded.op);
        if (decoded.last) break;
        at += decoded.op.length;
    }
    return block;
}

Block decode_one(std::span<const u8, kMaxInsnLength> bytes) {
    return Block{.ops = {decode(bytes, 0).op}};
}

}  // namespace vtlsim::sim
