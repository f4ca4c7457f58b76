#include <utility>

#include "sim/asm/encode.hpp"

namespace vtlsim::sim::assembly {
namespace {

using Message = std::pair<u32, std::string>;

std::string describe(const ResolvedOperand& operand) {
    switch (operand.kind) {
        case OperandKind::reg:
            return ZydisRegisterGetString(operand.reg);
        case OperandKind::immediate:
            return "a number";
        case OperandKind::far_pointer:
            return "a far address";
        default:
            break;
    }
    switch (operand.size) {
        case 0:
            return "memory";
        case 1:
            return "byte memory";
        case 2:
            return "word memory";
        case 4:
            return "dword memory";
        case 8:
            return "qword memory";
        default:
            return std::to_string(operand.size) + "-byte memory";
    }
}

// Finds what is wrong by changing one thing at a time until there is an encoding.
class Explanation {
  public:
    Explanation(const EncodeContext& context, const ZydisEncoderRequest& request)
        : context_(context), request_(request), written_(make_operands(context)) {}

    Message run(SearchStatus status) const {
        const std::string& name = context_.instruction.text;
        if (status == SearchStatus::size_unknown)
            return {memory_column(),
                    "operation size not specified: write byte, word, dword or qword before [ ]"};
        if (request_.prefixes != 0 && works_without_prefix())
            return {context_.column,
                    name + " cannot have this prefix or segment; write it with db if meant"};
        if (works_without_sizes())
            return {context_.column, name + " cannot be given this operand or address size"};
        for (std::size_t i = 0; i < context_.operands.size(); ++i) {
            if (auto message = explain_value(i)) return std::move(*message);
        }
        for (std::size_t i = 0; i < context_.operands.size(); ++i) {
            if (auto message = explain_size(i)) return std::move(*message);
        }
        for (const AsmMode mode : {AsmMode::bits16, AsmMode::bits32, AsmMode::bits64}) {
            if (works_in(mode)) return {context_.column, wrong_mode()};
        }
        return {context_.column, no_form()};
    }

  private:
    bool works(const ZydisEncoderRequest& request, const EncoderOperands& operands) const {
        return search_encoding(request, operands, context_.mode, context_.address).status !=
               SearchStatus::no_form;
    }

    bool works_without_prefix() const {
        ZydisEncoderRequest request = request_;
        request.prefixes = 0;
        return works(request, written_);
    }

    bool works_without_sizes() const {
        if (context_.instruction.operand_bits == 0 && context_.instruction.address_bits == 0)
            return false;
        Instruction plain = context_.instruction;
        plain.operand_bits = 0;
        plain.address_bits = 0;
        const EncodeContext other{plain, context_.column, context_.mode, context_.address,
                                  context_.operands};
        return works(make_request(other), written_);
    }

    bool works_in(AsmMode mode) const {
        if (mode == context_.mode) return false;
        EncodeContext other = context_;
        other.mode = mode;
        return search_encoding(make_request(other), make_operands(other), mode, other.address)
                   .status != SearchStatus::no_form;
    }

    std::optional<Message> explain_value(std::size_t i) const {
        const ResolvedOperand& operand = context_.operands[i];
        EncoderOperands changed = written_;
        switch (operand.kind) {
            case OperandKind::immediate:
                changed[i].imm.u = 0;
                if (works(request_, changed))
                    return Message{operand.column,
                                   "number " + hex(operand.value) + " does not fit in " +
                                       context_.instruction.text + " with these operands"};
                break;
            case OperandKind::memory:
                if (request_.address_size_hint != ZYDIS_ADDRESS_SIZE_HINT_NONE &&
                    context_.instruction.address_bits == 0)
                    return Message{operand.column, "an address of this size needs a register in " +
                                                       std::to_string(bits_of(context_.mode)) +
                                                       "-bit mode"};
                changed[i].mem.displacement = 0;
                if (operand.value != 0 && !operand.relative && works(request_, changed))
                    return Message{operand.column,
                                   "address " + hex(operand.value) +
                                       " does not fit in a signed 32-bit displacement"};
                break;
            default:
                break;
        }
        return std::nullopt;
    }

    std::optional<Message> explain_size(std::size_t i) const {
        const ResolvedOperand& operand = context_.operands[i];
        if (operand.kind != OperandKind::memory || operand.size == 0) return std::nullopt;
        EncoderOperands changed = written_;
        changed[i].mem.size = 0;
        if (!works(request_, changed)) return std::nullopt;
        return Message{operand.column,
                       context_.instruction.text + " cannot have " + describe(operand) + " here"};
    }

    std::string wrong_mode() const {
        return context_.instruction.text +
               (context_.operands.empty() ? "" : " with these operands") + " does not exist in " +
               std::to_string(bits_of(context_.mode)) + "-bit mode";
    }

    u32 memory_column() const {
        for (const ResolvedOperand& operand : context_.operands)
            if (operand.kind == OperandKind::memory) return operand.column;
        return context_.column;
    }

    std::string no_form() const {
        if (context_.operands.empty()) return context_.instruction.text + " needs operands";
        std::string text = "no form of " + context_.instruction.text + " takes ";
        for (std::size_t i = 0; i < context_.operands.size(); ++i)
            text += (i == 0 ? "" : ", ") + describe(context_.operands[i]);
        return text;
    }

    const EncodeContext& context_;
    const ZydisEncoderRequest& request_;
    EncoderOperands written_;
};

}  // namespace

std::pair<u32, std::string> explain_failure(const EncodeContext& context,
                                            const ZydisEncoderRequest& request,
                                            SearchStatus status) {
    return Explanation(context, request).run(status);
}

}  // namespace vtlsim::sim::assembly
