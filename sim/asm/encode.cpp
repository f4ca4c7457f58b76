#include "sim/asm/encode.hpp"

#include <algorithm>
#include <string_view>

namespace vtlsim::sim::assembly {
namespace {

i64 sign_extend(u64 value, unsigned bits) {
    const unsigned shift = 64 - bits;
    return static_cast<i64>(value << shift) >> shift;
}

struct BranchKind {
    bool can_be_short = false;
    bool can_be_near = false;
};

// Which relative forms a mnemonic has, from its family; neither for anything else.
BranchKind branch_kind(std::string_view name) {
    const bool counts =
        name.substr(0, 4) == "loop" || name == "jcxz" || name == "jecxz" || name == "jrcxz";
    if (counts) return {true, false};
    if (name == "call" || name == "xbegin") return {false, true};
    return {name.front() == 'j', name.front() == 'j'};
}

class RelativeBranch {
  public:
    RelativeBranch(const EncodeContext& context, BranchKind kind, bool& long_jump)
        : context_(context), target_(context.operands[0]), kind_(kind), long_jump_(long_jump) {}

    std::optional<InstructionBytes> encode() {
        const bool force_short = target_.distance == BranchDistance::short_;
        const bool force_near = target_.distance == BranchDistance::near_ || target_.size != 0;
        const bool try_short = kind_.can_be_short && !force_near && (force_short || !long_jump_);
        if (try_short) {
            if (auto bytes = encode_width(8)) return bytes;
        }
        if (kind_.can_be_near && !force_short) {
            if (try_short && out_of_reach_) long_jump_ = true;
            return encode_width(near_bits());
        }
        return std::nullopt;
    }

    bool out_of_reach() const { return out_of_reach_; }
    std::string reach() const {
        const bool only_short = !kind_.can_be_near || target_.distance == BranchDistance::short_;
        return only_short ? "-128 to 127 bytes" : "2 GiB";
    }

  private:
    unsigned near_bits() const {
        if (target_.size != 0) return target_.size * 8U;
        return context_.mode == AsmMode::bits16 ? 16 : 32;
    }

    std::optional<InstructionBytes> encode_width(unsigned bits) {
        ZydisEncoderRequest request = make_request(context_);
        if (request.mnemonic != ZYDIS_MNEMONIC_XBEGIN) {  // no branch to Zydis
            request.branch_type = bits == 8 ? ZYDIS_BRANCH_TYPE_SHORT : ZYDIS_BRANCH_TYPE_NEAR;
            request.branch_width = bits == 8    ? ZYDIS_BRANCH_WIDTH_8
                                   : bits == 16 ? ZYDIS_BRANCH_WIDTH_16
                                                : ZYDIS_BRANCH_WIDTH_32;
        }
        request.operand_count = 1;
        request.operands[0].type = ZYDIS_OPERAND_TYPE_IMMEDIATE;
        const auto sized = encode_request(request, context_.address);
        if (!sized) return std::nullopt;
        // The instruction pointer wraps at the operand size: 64 bits, or that of the code.
        const unsigned wrap = std::max(bits, bits_of(context_.mode));
        const i64 distance = sign_extend(target_.value - context_.address - sized->length, wrap);
        if (sign_extend(static_cast<u64>(distance), bits) != distance) {
            out_of_reach_ = true;
            return std::nullopt;
        }
        request.operands[0].imm.s = distance;
        return encode_request(request, context_.address);
    }

    const EncodeContext& context_;
    const ResolvedOperand& target_;
    BranchKind kind_;
    bool& long_jump_;
    bool out_of_reach_ = false;
};

void append(const InstructionBytes& bytes, Encoded& to) {
    std::copy_n(bytes.data.begin(), bytes.length, to.bytes.begin() + to.length);
    to.length = static_cast<u8>(to.length + bytes.length);
}

// fstcw is fwait and fnstcw: two instructions under one name.
void append_wait(const EncodeContext& context, Encoded& to) {
    ZydisEncoderRequest request{};
    request.machine_mode = make_request(context).machine_mode;
    request.mnemonic = ZYDIS_MNEMONIC_FWAIT;
    const auto bytes = encode_request(request, context.address);
    if (!bytes) return;
    append(*bytes, to);
    to.wait_length = bytes->length;
}

Encoded failed(u32 column, std::string message) {
    Encoded result;
    result.error_column = column;
    result.error = std::move(message);
    return result;
}

bool is_relative_branch(const EncodeContext& context, BranchKind kind) {
    return (kind.can_be_short || kind.can_be_near) && context.operands.size() == 1 &&
           context.operands[0].kind == OperandKind::immediate;
}

}  // namespace

Encoded encode_instruction(const Instruction& instruction, u32 column, AsmMode mode, u64 address,
                           std::span<const ResolvedOperand> operands, bool& long_jump) {
    EncodeContext context{instruction, column, mode, address, operands};
    Encoded result;
    const BranchKind kind = branch_kind(ZydisMnemonicGetString(instruction.name.mnemonic));
    if (is_relative_branch(context, kind)) {
        if (operands[0].distance == BranchDistance::far_)
            return failed(operands[0].column, "a far target is written segment:offset");
        RelativeBranch branch(context, kind, long_jump);
        if (const auto bytes = branch.encode()) {
            append(*bytes, result);
            result.relative = true;
            return result;
        }
        if (branch.out_of_reach())
            return failed(operands[0].column,
                          "the target of " + instruction.text + " is not within " + branch.reach());
        const auto [where, message] =
            explain_failure(context, make_request(context), SearchStatus::no_form);
        return failed(where, message);
    }
    if (instruction.name.wait_first) {
        append_wait(context, result);
        context.address += result.length;
    }
    const ZydisEncoderRequest request = make_request(context);
    const SearchResult found =
        search_encoding(request, make_operands(context), mode, context.address);
    if (found.status == SearchStatus::found) {
        append(found.bytes, result);
        return result;
    }
    const auto [where, message] = explain_failure(context, request, found.status);
    return failed(where, message);
}

}  // namespace vtlsim::sim::assembly
