// Bytes for one instruction: operands with values in, Zydis' encoder out.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <Zydis/Zydis.h>

#include "sim/asm/statement.hpp"
#include "sim/types.hpp"

namespace vtlsim::sim::assembly {

// An operand whose expressions have values.
struct ResolvedOperand {
    OperandKind kind = OperandKind::immediate;
    u32 column = 0;
    u16 size = 0;  // bytes as written; 0 when not
    BranchDistance distance = BranchDistance::unspecified;
    ZydisRegister reg = ZYDIS_REGISTER_NONE;
    u64 value = 0;     // immediate, displacement, target of a relative address, far offset
    u64 selector = 0;  // far pointer

    // memory
    ZydisRegister segment = ZYDIS_REGISTER_NONE;
    ZydisRegister base = ZYDIS_REGISTER_NONE;
    ZydisRegister index = ZYDIS_REGISTER_NONE;
    u8 scale = 0;
    u8 address_bits = 0;    // 0 when relative
    bool relative = false;  // relative to the instruction pointer
};

// Evaluates the expressions of `operand`; sets `moves` when its value may still change.
std::optional<ResolvedOperand> resolve_operand(const Operand& operand, AsmMode mode,
                                               EvaluationScope& scope, bool& moves);

struct Encoded {
    std::array<u8, ZYDIS_MAX_INSTRUCTION_LENGTH + 1> bytes{};
    u8 length = 0;          // 0 when it failed
    u8 wait_length = 0;     // of a leading fwait, which is an instruction of its own
    bool relative = false;  // a relative jump: the bytes depend on where it is
    u32 error_column = 0;
    std::string error;
};

// Encodes `instruction` at `address`. A relative jump is short while its target is in reach and
// `long_jump` is false; when it is not, `long_jump` becomes true and stays so in later passes.
Encoded encode_instruction(const Instruction& instruction, u32 column, AsmMode mode, u64 address,
                           std::span<const ResolvedOperand> operands, bool& long_jump);

// --- the steps of encode_instruction, each in its own file ---

struct EncodeContext {
    const Instruction& instruction;
    u32 column = 0;
    AsmMode mode = AsmMode::bits64;
    u64 address = 0;
    std::span<const ResolvedOperand> operands;
};

using EncoderOperands = std::vector<ZydisEncoderOperand>;

unsigned bits_of(AsmMode mode);

// Everything of the request but its operands.
ZydisEncoderRequest make_request(const EncodeContext& context);

// The operands as written. Memory of unstated size has size 0; the displacement of a relative
// address is its target.
EncoderOperands make_operands(const EncodeContext& context);

// The operand lists to try for an instruction as written, in this order: as they are, then with
// what nasm lets the author leave out or swap and Zydis does not.
std::vector<EncoderOperands> operand_forms(ZydisMnemonic mnemonic, AsmMode mode,
                                           const EncoderOperands& written);

struct InstructionBytes {
    std::array<u8, ZYDIS_MAX_INSTRUCTION_LENGTH> data{};
    u8 length = 0;

    std::span<const u8> span() const { return {data.data(), length}; }
};

enum class SearchStatus : u8 { found, no_form, size_unknown };
struct SearchResult {
    SearchStatus status = SearchStatus::no_form;
    InstructionBytes bytes;
};

// The shortest encoding of the first form that has one.
SearchResult search_encoding(const ZydisEncoderRequest& request, const EncoderOperands& written,
                             AsmMode mode, u64 address);

// One request with its operands set, encoded and checked.
std::optional<InstructionBytes> encode_request(ZydisEncoderRequest request, u64 address);

// The encoder's bytes for exactly this request, not yet checked.
std::optional<InstructionBytes> run_encoder(ZydisEncoderRequest request);

// Why there is no encoding: the column and the message.
std::pair<u32, std::string> explain_failure(const EncodeContext& context,
                                            const ZydisEncoderRequest& request,
                                            SearchStatus status);

// Whether `bytes` decode to what `request` says. `immediate_bits` is the width immediates are
// compared in. This guards against a form the encoder gets wrong: such text is an error, never
// another instruction.
bool decodes_to(const ZydisEncoderRequest& request, std::span<const u8> bytes,
                unsigned immediate_bits);

}  // namespace vtlsim::sim::assembly
