#include <algorithm>

#include "sim/asm/encode.hpp"

namespace vtlsim::sim::assembly {
namespace {

// Every size a memory operand can have that the author may leave out.
constexpr std::array<u16, 16> kMemorySizes{1,  2,  4,  8,  16, 32,  64,  6,
                                           10, 14, 28, 48, 94, 108, 512, 576};

// The x87 environment and state, 16-bit and 32-bit format (SDM vol. 1, 8.1.10).
constexpr std::array<u16, 2> kX87Short{14, 94};
constexpr std::array<u16, 2> kX87Long{28, 108};

bool contains(const std::array<u16, 2>& sizes, u16 size) {
    return sizes[0] == size || sizes[1] == size;
}

bool is_immediate(const ZydisEncoderOperand& operand) {
    return operand.type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
}

// The width immediates of the instruction have, so that -1 and 0xffffffff are the same to a 32-bit
// operation; 64 when its operands do not say.
unsigned immediate_bits(const ZydisEncoderRequest& request) {
    const ZydisEncoderOperand& first = request.operands[0];
    unsigned bits = 64;
    if (request.mnemonic == ZYDIS_MNEMONIC_PUSH) {
        bits = 4U << request.operand_size_hint;
    } else if (first.type == ZYDIS_OPERAND_TYPE_REGISTER) {
        switch (ZydisRegisterGetClass(first.reg.value)) {
            case ZYDIS_REGCLASS_GPR8:
                bits = 8;
                break;
            case ZYDIS_REGCLASS_GPR16:
                bits = 16;
                break;
            case ZYDIS_REGCLASS_GPR32:
                bits = 32;
                break;
            default:
                break;
        }
    } else if (first.type == ZYDIS_OPERAND_TYPE_MEMORY && first.mem.size <= 8) {
        bits = first.mem.size * 8U;
    }
    return bits;
}

bool fits(u64 value, unsigned bits) {
    if (bits >= 64) return true;
    const u64 high = value >> (bits - 1);
    return high <= 1 || high == ~u64{0} >> (bits - 1);
}

u64 sign_extend(u64 value, unsigned bits) {
    const unsigned shift = 64 - bits;
    return static_cast<u64>(static_cast<i64>(value << shift) >> shift);
}

u64 zero_extend(u64 value, unsigned bits) {
    const unsigned shift = 64 - bits;
    return value << shift >> shift;
}

// Encodes with the target of a relative address turned into its distance from the end.
std::optional<InstructionBytes> encode_at(ZydisEncoderRequest& request, u64 address) {
    for (u8 i = 0; i < request.operand_count; ++i) {
        auto& mem = request.operands[i].mem;
        if (request.operands[i].type != ZYDIS_OPERAND_TYPE_MEMORY || mem.base != ZYDIS_REGISTER_RIP)
            continue;
        const auto target = static_cast<u64>(mem.displacement);
        mem.displacement = 0;  // the length does not depend on it: always four bytes
        const auto bytes = run_encoder(request);
        if (!bytes) return std::nullopt;
        mem.displacement = static_cast<i64>(target - address - bytes->length);
    }
    return run_encoder(request);
}

std::optional<InstructionBytes> encode_operands(ZydisEncoderRequest request,
                                                const EncoderOperands& operands, u64 address) {
    if (operands.size() > std::size(request.operands)) return std::nullopt;
    request.operand_count = static_cast<u8>(operands.size());
    std::copy(operands.begin(), operands.end(), request.operands);
    auto found = encode_request(request, address);
    // `rep` in front of cmps and scas is repe, which shares its byte.
    if (!found && (request.prefixes & ZYDIS_ATTRIB_HAS_REP) != 0) {
        request.prefixes ^= ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE;
        found = encode_request(request, address);
    }
    return found;
}

struct Candidate {
    u16 size;
    InstructionBytes bytes;
};

// Picks the memory size when the text does not say and several would do.
SearchResult pick_size(const std::vector<Candidate>& candidates, AsmMode mode) {
    if (candidates.empty()) return {SearchStatus::no_form, {}};
    if (candidates.size() == 1) return {SearchStatus::found, candidates[0].bytes};
    const auto& preferred = mode == AsmMode::bits16 ? kX87Short : kX87Long;
    const InstructionBytes* picked = nullptr;
    for (const Candidate& candidate : candidates) {
        if (!contains(kX87Short, candidate.size) && !contains(kX87Long, candidate.size))
            return {SearchStatus::size_unknown, {}};
        if (contains(preferred, candidate.size)) picked = &candidate.bytes;
    }
    if (picked == nullptr) return {SearchStatus::size_unknown, {}};
    return {SearchStatus::found, *picked};
}

SearchResult search_form(const ZydisEncoderRequest& request, EncoderOperands form, AsmMode mode,
                         u64 address) {
    const auto unsized = std::find_if(form.begin(), form.end(), [](const auto& operand) {
        return operand.type == ZYDIS_OPERAND_TYPE_MEMORY && operand.mem.size == 0;
    });
    if (unsized == form.end()) {
        const auto bytes = encode_operands(request, form, address);
        if (!bytes) return {SearchStatus::no_form, {}};
        return {SearchStatus::found, *bytes};
    }
    std::vector<Candidate> candidates;
    for (const u16 size : kMemorySizes) {
        unsized->mem.size = size;
        if (const auto bytes = encode_operands(request, form, address))
            candidates.push_back({size, *bytes});
    }
    return pick_size(candidates, mode);
}

}  // namespace

std::optional<InstructionBytes> encode_request(ZydisEncoderRequest request, u64 address) {
    const unsigned bits = immediate_bits(request);
    // The number as written, then as the encoder may want it: sign-extended or not.
    constexpr std::array<u64 (*)(u64, unsigned), 3> kSpellings{
        [](u64 value, unsigned) { return value; }, sign_extend, zero_extend};
    const ZydisEncoderRequest written = request;
    std::optional<InstructionBytes> best;
    for (const auto spelling : kSpellings) {
        bool changed = spelling == kSpellings[0];
        for (u8 i = 0; i < request.operand_count; ++i) {
            request.operands[i] = written.operands[i];
            if (!is_immediate(request.operands[i])) continue;
            auto& value = request.operands[i].imm.u;
            if (fits(value, bits)) value = spelling(value, bits);
            changed = changed || value != written.operands[i].imm.u;
        }
        if (!changed) continue;
        const auto bytes = encode_at(request, address);
        if (!bytes || (best && best->length <= bytes->length)) continue;
        if (decodes_to(request, bytes->span(), bits)) best = bytes;
    }
    return best;
}

SearchResult search_encoding(const ZydisEncoderRequest& request, const EncoderOperands& written,
                             AsmMode mode, u64 address) {
    SearchResult result;
    for (const EncoderOperands& form : operand_forms(request.mnemonic, mode, written)) {
        const SearchResult found = search_form(request, form, mode, address);
        if (found.status == SearchStatus::found) return found;
        if (found.status == SearchStatus::size_unknown) result = found;
    }
    return result;
}

}  // namespace vtlsim::sim::assembly
