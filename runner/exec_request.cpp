#include "runner/exec_request.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "runner/json/reader.hpp"
#include "sim/state/bits.hpp"

namespace vtlsim::runner {
namespace {

using sim::CpuState;
using sim::Reg;
using sim::Seg;

constexpr std::array<std::string_view, 5> kModes{"real16", "prot16", "prot32", "compat32",
                                                 "long64"};
constexpr std::array<std::string_view, 3> kUntil{"steps", "exit", "hlt"};

constexpr std::array<Seg, 6> kSegments{Seg::es, Seg::cs, Seg::ss, Seg::ds, Seg::fs, Seg::gs};

std::vector<ExecRegister> make_registers() {
    std::vector<ExecRegister> out;
    const auto range = [&](Reg first, Reg last) {
        for (std::size_t i = sim::index_of(first); i <= sim::index_of(last); ++i) {
            const Reg reg = static_cast<Reg>(i);
            out.push_back({sim::info(reg).name, reg});
        }
    };
    const auto each = [&](std::initializer_list<Reg> regs) {
        for (const Reg reg : regs) range(reg, reg);
    };
    range(Reg::rax, Reg::rflags);
    each({Reg::cs, Reg::ds, Reg::es, Reg::fs, Reg::gs, Reg::ss, Reg::fs_base, Reg::gs_base});
    each({Reg::cr0, Reg::cr2, Reg::cr3, Reg::cr4, Reg::cr8, Reg::efer});
    out.push_back({"gdtr", Reg::gdtr_base, ExecFormat::table});
    out.push_back({"idtr", Reg::idtr_base, ExecFormat::table});
    each({Reg::tr, Reg::ldtr});
    each({Reg::dr0, Reg::dr1, Reg::dr2, Reg::dr3, Reg::dr6, Reg::dr7});
    each({Reg::mxcsr, Reg::fcw, Reg::fsw});
    out.push_back({"ftw", Reg::ftw, ExecFormat::tags});
    constexpr std::array<std::string_view, 8> kStack{"st0", "st1", "st2", "st3",
                                                     "st4", "st5", "st6", "st7"};
    for (u8 i = 0; i < 8; ++i) out.push_back({kStack[i], Reg::fpr0, ExecFormat::stack, i});
    range(Reg::xmm0, Reg::xmm15);
    return out;
}

// The id as it is to be written back. Its depth is bounded by the reader.
std::string id_text(const JsonDocument& document, u32 index) {
    const JsonValue& value = document.values()[index];
    const auto quoted = [&](u32 text) { return nlohmann::json(document.string(text)).dump(); };
    switch (value.kind) {
        case JsonValue::Kind::kBoolean:
            return value.number != 0 ? "true" : "false";
        case JsonValue::Kind::kUnsigned:
            return fmt::format("{}", value.number);
        case JsonValue::Kind::kOther:
            return document.string(value.text);
        case JsonValue::Kind::kString:
            return quoted(value.text);
        case JsonValue::Kind::kArray:
        case JsonValue::Kind::kObject: {
            const bool object = value.kind == JsonValue::Kind::kObject;
            std::string out(1, object ? '{' : '[');
            for (u32 i = index + 1; i < value.end; i = document.values()[i].end) {
                if (out.size() > 1) out += ',';
                if (object) out += quoted(document.values()[i].key) + ':';
                out += id_text(document, i);
            }
            return out + (object ? '}' : ']');
        }
        default:
            return "null";
    }
}

std::string id_of(const JsonDocument& document) {
    const JsonValue& root = document.values().front();
    if (root.kind != JsonValue::Kind::kObject) return "null";
    for (u32 i = 1; i < root.end; i = document.values()[i].end) {
        if (document.string(document.values()[i].key) == "id") return id_text(document, i);
    }
    return "null";
}

// A number that fits in so many bits, written as the document's integers are or, when wide, as "0x"
// and hexadecimal digits.
Vec128 read_value(const Node& node, unsigned bits) {
    if (bits <= 64) {
        const u64 max = bits == 64 ? ~u64{0} : (u64{1} << bits) - 1;
        return {node.integer<u64>(0, max), 0};
    }
    const std::string& text = node.string();
    const std::size_t digits = text.starts_with("0x") ? text.size() - 2 : 0;
    return node.hex(static_cast<u32>(std::clamp<std::size_t>(digits, 1, bits / 4)));
}

void read_table(const Node& node, Reg base, CpuState& state) {
    const Fields f = node.object({"base", "limit"});
    state.set(base, {f.required("base").integer<u64>(), 0});
    state.set(sim::offset(base, 1), {f.required("limit").integer<u16>(), 0});
}

u64 abridged_tags(u64 word) {
    u64 abridged = 0;
    for (unsigned i = 0; i < 8; ++i) {
        if ((word >> 2 * i & 3) != 3) abridged |= u64{1} << i;
    }
    return abridged;
}

const ExecRegister* find_register(std::string_view name) {
    const auto rows = exec_registers();
    const auto it = std::find_if(rows.begin(), rows.end(),
                                 [&](const ExecRegister& row) { return row.name == name; });
    return it == rows.end() ? nullptr : &*it;
}

void complain_of_register(const Node& node) {
    if (node.key().starts_with("ymm")) {
        node.error_at_key("AVX is not modelled: there are no YMM registers");
        return;
    }
    std::vector<std::string_view> names;
    for (const ExecRegister& row : exec_registers()) names.push_back(row.name);
    node.error_at_key(fmt::format("unknown register {}{}", in_quotes(node.key()),
                                  did_you_mean(node.key(), names)));
}

struct Given {
    bool cr0 = false, cr3 = false, fs_base = false, gs_base = false;
};

// ST(i) depends on the top of stack in FSW, which may come later: `stack` keeps those for the end.
Given read_registers(const Node& node, CpuState& state) {
    Given given;
    std::vector<std::pair<u8, Vec128>> stack;
    for (const Node& member : node.members()) {
        const ExecRegister* row = find_register(member.key());
        if (row == nullptr) {
            complain_of_register(member);
            continue;
        }
        given.cr0 = given.cr0 || row->reg == Reg::cr0;
        given.cr3 = given.cr3 || row->reg == Reg::cr3;
        given.fs_base = given.fs_base || row->reg == Reg::fs_base;
        given.gs_base = given.gs_base || row->reg == Reg::gs_base;
        switch (row->format) {
            case ExecFormat::plain:
                state.set(row->reg, read_value(member, sim::info(row->reg).bits));
                break;
            case ExecFormat::table:
                read_table(member, row->reg, state);
                break;
            case ExecFormat::tags:
                state[Reg::ftw] = abridged_tags(member.integer<u16>());
                break;
            case ExecFormat::stack:
                stack.emplace_back(row->index, read_value(member, 80));
                break;
        }
    }
    for (const auto& [i, value] : stack) state.set(st_register(state, i), value);
    return given;
}

// What the state says must be the mode that was asked for.
void check_mode(const Node& node, ExecMode mode, const CpuState& state) {
    const bool protection = (state[Reg::cr0] & sim::cr0::pe) != 0;
    const bool long_mode = (state[Reg::efer] & sim::efer::lma) != 0;
    const std::string_view name = kModes[static_cast<std::size_t>(mode)];
    if (protection != (mode != ExecMode::real16)) {
        node.error(fmt::format("mode {} with CR0.PE = {}", name, protection ? 1 : 0));
    }
    if (long_mode != (mode == ExecMode::compat32 || mode == ExecMode::long64)) {
        node.error(fmt::format("mode {} with EFER.LMA = {}", name, long_mode ? 1 : 0));
    }
    if (mode != ExecMode::long64 && state[Reg::rip] > 0xFFFFFFFF) {
        node.error(fmt::format("mode {} with RIP above 32 bits", name));
    }
    if (state[Reg::mxcsr] > 0xFFFF) node.error("reserved bits of MXCSR are set");
}

void read_memory(const Node& node, sim::Memory& memory) {
    constexpr u64 kEnd = u64{1} << sim::kPhysicalBits;
    for (const Node& entry : node.array()) {
        const Fields f = entry.object({"addr", "bytes"});
        const u64 address = f.required("addr").integer<u64>(0, kEnd - 1);
        const std::vector<u8> bytes = f.required("bytes").bytes();
        if (bytes.size() > kEnd - address) {
            entry.error("reaches beyond the 52 bits of physical addresses");
        } else if (!memory.write(address, bytes)) {
            entry.error(fmt::format("more than {} pages of memory", kExecMaxPages));
            return;
        }
    }
}

ExecRequest read_request(const Node& root) {
    const Fields f =
        root.object({"id", "mode", "cpl", "regs", "mem", "max_steps", "until", "deliver"});
    ExecRequest out;
    const auto mode = static_cast<ExecMode>(f.required("mode").one_of("mode", kModes));
    unsigned cpl = 0;
    if (const auto node = f.optional("cpl")) {
        cpl = node->integer<u8>(0, mode == ExecMode::real16 ? 0 : 3);
    }
    out.state = exec_state(mode, cpl);
    Given given;
    if (const auto node = f.optional("regs")) given = read_registers(*node, out.state);
    CpuState& state = out.state;
    state[Reg::rflags] = (state[Reg::rflags] & sim::flag::kDefined) | sim::flag::kAlwaysSet;
    if (mode == ExecMode::real16) {
        for (const Seg seg : kSegments) {
            const bool keep =
                (seg == Seg::fs && given.fs_base) || (seg == Seg::gs && given.gs_base);
            if (!keep) state[sim::base_of(seg)] = state[sim::selector_of(seg)] << 4;
        }
    }
    if (given.cr3) {
        state[Reg::identity_map] = 0;
        // Page tables are given to be used.
        if (!given.cr0 && mode != ExecMode::real16) state[Reg::cr0] |= sim::cr0::pg;
    }
    check_mode(root, mode, state);
    out.memory = sim::Memory(kExecMaxPages);
    if (const auto node = f.optional("mem")) read_memory(*node, out.memory);
    if (const auto node = f.optional("max_steps")) out.max_steps = node->integer<u64>();
    if (const auto node = f.optional("until")) {
        out.until = static_cast<ExecUntil>(node->one_of("until", kUntil));
    }
    if (const auto node = f.optional("deliver")) out.deliver = node->boolean();
    return out;
}

}  // namespace

std::span<const std::string_view> exec_mode_names() { return kModes; }

std::span<const ExecRegister> exec_registers() {
    static const std::vector<ExecRegister> rows = make_registers();
    return rows;
}

CpuState exec_state(ExecMode mode, unsigned cpl) {
    const bool long_mode = mode == ExecMode::compat32 || mode == ExecMode::long64;
    CpuState s = sim::reset_state();
    s[Reg::identity_map] = 1;
    if (long_mode) {
        const CpuState usual = sim::long_mode_state();
        for (const Reg reg : {Reg::cr0, Reg::cr4, Reg::efer, Reg::fcw}) s[reg] = usual[reg];
    } else if (mode != ExecMode::real16) {
        s[Reg::cr0] |= sim::cr0::pe;
    }
    for (const Seg seg : kSegments) {
        u64& attr = s[sim::attr_of(seg)];
        if (mode == ExecMode::real16) {
            s[sim::base_of(seg)] = s[sim::selector_of(seg)] << 4;
            continue;
        }
        s[sim::base_of(seg)] = 0;
        s[sim::limit_of(seg)] = 0xFFFFFFFF;
        constexpr u64 kBig = 1u << 14;  // D or B: 32 bits
        attr = seg == Seg::cs ? sim::attr::kFlatCode64 : sim::attr::kFlatData;
        if (seg == Seg::cs && mode != ExecMode::long64) {
            attr = (attr & ~u64{1u << 13}) | kBig;
        }
        if (mode == ExecMode::prot16) attr &= ~kBig;
        attr |= u64{cpl} << 5;
        if (seg == Seg::cs || seg == Seg::ss) s[sim::selector_of(seg)] |= cpl;
    }
    return s;
}

ExecReading read_exec_request(std::string line) {
    ExecReading out;
    Diagnostics diagnostics;
    JsonLimits limits;
    limits.max_bytes = kExecMaxLine;
    const auto document = JsonDocument::parse(std::move(line), "", diagnostics, limits);
    if (document != nullptr) {
        out.id = id_of(*document);
        ExecRequest request = read_request(Node(*document, diagnostics));
        if (diagnostics.empty()) out.request = std::move(request);
    }
    if (!diagnostics.empty()) {
        const Diagnostic first = diagnostics.sorted().front();
        out.error = fmt::format("column {}: {}{}{}", first.column, first.path,
                                first.path.empty() ? "" : ": ", first.message);
    }
    return out;
}

}  // namespace vtlsim::runner
