#include "sim/asm/names.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace vtlsim::sim::assembly {
namespace {

using Alias = std::pair<std::string_view, std::string_view>;

// The spellings of a condition code Zydis does not use, each with the one it does.
constexpr std::array<Alias, 14> kConditionAliases{{{"c", "b"},
                                                   {"nae", "b"},
                                                   {"nc", "nb"},
                                                   {"ae", "nb"},
                                                   {"e", "z"},
                                                   {"ne", "nz"},
                                                   {"na", "be"},
                                                   {"a", "nbe"},
                                                   {"pe", "p"},
                                                   {"po", "np"},
                                                   {"nge", "l"},
                                                   {"ge", "nl"},
                                                   {"ng", "le"},
                                                   {"g", "nle"}}};

constexpr std::array<Alias, 17> kAliases{{{"sal", "shl"},
                                          {"xlatb", "xlat"},
                                          {"loopz", "loope"},
                                          {"loopnz", "loopne"},
                                          {"retn", "ret"},
                                          {"wait", "fwait"},
                                          {"icebp", "int1"},
                                          {"pushfw", "pushf"},
                                          {"popfw", "popf"},
                                          {"pushaw", "pusha"},
                                          {"popaw", "popa"},
                                          {"iretw", "iret"},
                                          {"int03", "int3"},
                                          {"int01", "int1"},
                                          {"fneni", "feni8087_nop"},
                                          {"fndisi", "fdisi8087_nop"},
                                          {"fsetpm", "fsetpm287_nop"}}};

// Names without operand size in the text: of 16, 32 and 64 bits, by a prefix or the mode
// (SDM vol. 2, IRET, PUSHF, POPF, PUSHA).
struct SizedByMode {
    std::string_view name;
    std::array<ZydisMnemonic, 3> by_width;
    unsigned default_in_64 = 64;
};
constexpr std::array<SizedByMode, 5> kSizedByMode{{
    {"iret", {ZYDIS_MNEMONIC_IRET, ZYDIS_MNEMONIC_IRETD, ZYDIS_MNEMONIC_IRETQ}, 32},
    {"pushf", {ZYDIS_MNEMONIC_PUSHF, ZYDIS_MNEMONIC_PUSHFD, ZYDIS_MNEMONIC_PUSHFQ}},
    {"popf", {ZYDIS_MNEMONIC_POPF, ZYDIS_MNEMONIC_POPFD, ZYDIS_MNEMONIC_POPFQ}},
    {"pusha", {ZYDIS_MNEMONIC_PUSHA, ZYDIS_MNEMONIC_PUSHAD, ZYDIS_MNEMONIC_PUSHAD}},
    {"popa", {ZYDIS_MNEMONIC_POPA, ZYDIS_MNEMONIC_POPAD, ZYDIS_MNEMONIC_POPAD}},
}};

// The x87 instructions that exist with and without a leading fwait.
constexpr std::array<std::string_view, 8> kWaitingForms{"clex",  "init", "save", "stcw",
                                                        "stenv", "stsw", "eni",  "disi"};

// SDM vol. 2, CMPSD table "Pseudo-Op and CMPSD Implementation".
constexpr std::array<std::string_view, 8> kPredicates{"eq",  "lt",  "le",  "unord",
                                                      "neq", "nlt", "nle", "ord"};

class MnemonicTable {
  public:
    MnemonicTable() {
        for (int id = ZYDIS_MNEMONIC_INVALID + 1; id <= ZYDIS_MNEMONIC_MAX_VALUE; ++id) {
            const auto mnemonic = static_cast<ZydisMnemonic>(id);
            if (const char* name = ZydisMnemonicGetString(mnemonic)) entries_[name] = {mnemonic};
        }
        add_conditions();
        for (const auto& [alias, name] : kAliases) add_alias(std::string(alias), name);
        add_variants();
        for (const auto& [name, entry] : entries_) names_.push_back(name);
    }

    const MnemonicName* find(std::string_view name) const {
        const auto found = entries_.find(name);
        return found == entries_.end() ? nullptr : &found->second;
    }
    std::span<const std::string_view> names() const { return names_; }

  private:
    void add_alias(const std::string& alias, std::string_view name) {
        const auto found = entries_.find(name);
        if (found == entries_.end()) return;
        const MnemonicName entry = found->second;
        entries_.emplace(alias, entry);
    }

    void add_conditions() {
        for (const std::string prefix : {"j", "set", "cmov"})
            for (const auto& [alias, name] : kConditionAliases)
                add_alias(prefix + std::string(alias), prefix + std::string(name));
    }

    void add_variants() {
        entries_["retf"] = {ZYDIS_MNEMONIC_RET, 0, true};
        entries_["retfw"] = {ZYDIS_MNEMONIC_RET, 16, true};
        entries_["retfd"] = {ZYDIS_MNEMONIC_RET, 32, true};
        entries_["retfq"] = {ZYDIS_MNEMONIC_RET, 64, true};
        entries_["sysretq"] = {ZYDIS_MNEMONIC_SYSRET, 64};
        entries_["sysexitq"] = {ZYDIS_MNEMONIC_SYSEXIT, 64};
        for (const std::string_view form : kWaitingForms) {
            const auto found = entries_.find("fn" + std::string(form));
            if (found == entries_.end()) continue;
            MnemonicName entry = found->second;
            entry.wait_first = true;
            entries_["f" + std::string(form)] = entry;
        }
        for (const std::string type : {"ps", "pd", "ss", "sd"}) {
            for (std::size_t i = 0; i < kPredicates.size(); ++i) {
                MnemonicName entry = entries_["cmp" + type];
                entry.predicate = static_cast<i8>(i);
                entries_["cmp" + std::string(kPredicates[i]) + type] = entry;
            }
        }
    }

    std::map<std::string, MnemonicName, std::less<>> entries_;
    std::vector<std::string_view> names_;
};

const MnemonicTable& mnemonic_table() {
    static const MnemonicTable table;
    return table;
}

bool is_operand_register(ZydisRegister reg) {
    switch (ZydisRegisterGetClass(reg)) {
        case ZYDIS_REGCLASS_GPR8:
        case ZYDIS_REGCLASS_GPR16:
        case ZYDIS_REGCLASS_GPR32:
        case ZYDIS_REGCLASS_GPR64:
        case ZYDIS_REGCLASS_X87:
        case ZYDIS_REGCLASS_MMX:
        case ZYDIS_REGCLASS_XMM:
        case ZYDIS_REGCLASS_YMM:
        case ZYDIS_REGCLASS_ZMM:
        case ZYDIS_REGCLASS_TMM:
        case ZYDIS_REGCLASS_SEGMENT:
        case ZYDIS_REGCLASS_CONTROL:
        case ZYDIS_REGCLASS_DEBUG:
        case ZYDIS_REGCLASS_MASK:
        case ZYDIS_REGCLASS_BOUND:
            return true;
        default:
            return false;
    }
}

struct RegisterTable {
    std::map<std::string_view, ZydisRegister> by_name;
    std::vector<std::string_view> names;

    RegisterTable() {
        for (int id = ZYDIS_REGISTER_NONE + 1; id <= ZYDIS_REGISTER_MAX_VALUE; ++id) {
            const auto reg = static_cast<ZydisRegister>(id);
            if (is_operand_register(reg)) by_name.emplace(ZydisRegisterGetString(reg), reg);
        }
        for (const auto& [name, reg] : by_name) names.push_back(name);
    }
};

const RegisterTable& register_table() {
    static const RegisterTable table;
    return table;
}

struct Prefix {
    std::string_view name;
    ZydisInstructionAttributes attribute;
};
constexpr std::array<Prefix, 15> kPrefixes{{
    {"lock", ZYDIS_ATTRIB_HAS_LOCK},
    {"rep", ZYDIS_ATTRIB_HAS_REP},
    {"repe", ZYDIS_ATTRIB_HAS_REPE},
    {"repz", ZYDIS_ATTRIB_HAS_REPE},
    {"repne", ZYDIS_ATTRIB_HAS_REPNE},
    {"repnz", ZYDIS_ATTRIB_HAS_REPNE},
    {"bnd", ZYDIS_ATTRIB_HAS_BND},
    {"xacquire", ZYDIS_ATTRIB_HAS_XACQUIRE},
    {"xrelease", ZYDIS_ATTRIB_HAS_XRELEASE},
    {"cs", ZYDIS_ATTRIB_HAS_SEGMENT_CS},
    {"ss", ZYDIS_ATTRIB_HAS_SEGMENT_SS},
    {"ds", ZYDIS_ATTRIB_HAS_SEGMENT_DS},
    {"es", ZYDIS_ATTRIB_HAS_SEGMENT_ES},
    {"fs", ZYDIS_ATTRIB_HAS_SEGMENT_FS},
    {"gs", ZYDIS_ATTRIB_HAS_SEGMENT_GS},
}};

}  // namespace

std::optional<MnemonicName> find_mnemonic(std::string_view name, AsmMode mode,
                                          unsigned operand_bits) {
    const MnemonicName* found = mnemonic_table().find(name);
    if (found == nullptr) return std::nullopt;
    for (const SizedByMode& sized : kSizedByMode) {
        if (sized.name != name) continue;
        unsigned bits = 16U << static_cast<unsigned>(mode);
        if (bits == 64) bits = sized.default_in_64;
        if (operand_bits != 0) bits = operand_bits;
        MnemonicName entry{sized.by_width[bits / 32]};
        entry.has_width = true;
        return entry;
    }
    return *found;
}

std::span<const std::string_view> mnemonic_names() { return mnemonic_table().names(); }

std::optional<ZydisRegister> find_asm_register(std::string_view name) {
    const auto& by_name = register_table().by_name;
    const auto found = by_name.find(name);
    if (found == by_name.end()) return std::nullopt;
    return found->second;
}

std::span<const std::string_view> register_names() { return register_table().names; }

ZydisMnemonic without_operands(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_FADD:
            return ZYDIS_MNEMONIC_FADDP;
        case ZYDIS_MNEMONIC_FMUL:
            return ZYDIS_MNEMONIC_FMULP;
        case ZYDIS_MNEMONIC_FSUB:
            return ZYDIS_MNEMONIC_FSUBP;
        case ZYDIS_MNEMONIC_FSUBR:
            return ZYDIS_MNEMONIC_FSUBRP;
        case ZYDIS_MNEMONIC_FDIV:
            return ZYDIS_MNEMONIC_FDIVP;
        case ZYDIS_MNEMONIC_FDIVR:
            return ZYDIS_MNEMONIC_FDIVRP;
        default:
            return mnemonic;
    }
}

ZydisInstructionAttributes find_prefix(std::string_view name) {
    for (const Prefix& prefix : kPrefixes)
        if (prefix.name == name) return prefix.attribute;
    return 0;
}

ZydisInstructionAttributes segment_attribute(ZydisRegister segment) {
    return find_prefix(ZydisRegisterGetString(segment));
}

}  // namespace vtlsim::sim::assembly
