#include <fmt/format.h>

#include "runner/kvm_actions.hpp"
#include "runner/load_kvm_parts.hpp"
#include "runner/trace/listing.hpp"
#include "sim/asm/assembler.hpp"

namespace vtlsim::runner {
namespace {

using model::kvm::Guest;
using model::kvm::Mode;

class GuestReader {
  public:
    GuestReader(const Node& node, Labels& labels, std::vector<SourceLine>& listing)
        : labels_(labels), listing_(listing) {
        const Fields f = node.object(
            {"mode", "ram", "more_ram", "code", "entry", "registers", "memory", "gates"});
        guest_.mode =
            static_cast<Mode>(f.required("mode").one_of("a mode", model::kvm::kModeNames));
        if (const auto ram = f.optional("ram")) {
            guest_.ram = ram->integer<u64>(model::kvm::place::kLast + 1, kMaxKvmRam);
            if (guest_.ram % sim::kPageSize != 0) ram->error("not a multiple of 4096");
        }
        if (const auto more = f.optional("more_ram")) read_more_ram(*more);
        u64 rip = 0;
        if (const Node code = f.required("code"); !code.is_missing()) rip = read_image(code);
        if (const auto memory = f.optional("memory")) {
            for (const Node& entry : memory->array()) read_image(entry);
        }
        if (const auto entry = f.optional("entry")) rip = labels_.read_address(*entry);
        guest_.registers.emplace_back(sim::Reg::rip, rip);
        if (const auto registers = f.optional("registers")) {
            for (const Node& member : registers->members()) {
                if (const sim::RegInfo* row = read_kvm_register(member)) {
                    guest_.registers.emplace_back(row->reg, read_kvm_value(member, labels_));
                }
            }
        }
        if (const auto gates = f.optional("gates")) read_gates(*gates);
    }

    Guest take() { return std::move(guest_); }

  private:
    void read_more_ram(const Node& node) {
        for (const Node& entry : node.array()) {
            const Fields f = entry.object({"at", "size"});
            const u64 at = f.required("at").integer<u64>(guest_.ram, 0xFFFFFFFF);
            const u64 size = f.required("size").integer<u64>(sim::kPageSize, kMaxKvmRam);
            if (at % sim::kPageSize != 0 || size % sim::kPageSize != 0) {
                entry.error("not a multiple of 4096");
                continue;
            }
            for (const sim::RamRange& other : guest_.more_ram) {
                if (at <= other.last && other.first <= at + size - 1) {
                    entry.error("this RAM overlaps another");
                }
            }
            guest_.more_ram.push_back({at, at + size - 1});
        }
    }

    u64 read_image(const Node& node) {
        const Fields f = node.object({"at", "asm", "bytes"});
        const u64 at = f.required("at").integer();
        const auto text = f.optional("asm");
        const auto bytes = f.optional("bytes");
        if (text.has_value() == bytes.has_value()) {
            node.error("exactly one of \"asm\" and \"bytes\" is needed");
            return at;
        }
        const std::size_t errors = node.diagnostics().count();
        std::vector<u8> content;
        if (bytes) {
            content = bytes->bytes();
        } else {
            content = assemble(*text, at);
        }
        if (node.diagnostics().count() == errors) add(node, at, std::move(content));
        return at;
    }

    std::vector<u8> assemble(const Node& node, u64 at) {
        const JsonText source = node.text();
        sim::AsmOptions options;
        options.origin = at;
        options.mode = guest_.mode == Mode::real16   ? sim::AsmMode::bits16
                       : guest_.mode == Mode::prot32 ? sim::AsmMode::bits32
                                                     : sim::AsmMode::bits64;
        const sim::AsmResult result = sim::assemble(source.text(), options);
        for (const sim::AsmError& e : result.errors) {
            node.error_at(source.position(e.line, e.column), e.message);
        }
        for (const sim::AsmSymbol& s : result.symbols) {
            if (s.is_label && !labels_.add_guest(s.name, s.value)) {
                node.error_at(source.position(s.line, 1),
                              fmt::format("label {} is defined in another part of the guest too",
                                          in_quotes(s.name)));
            }
        }
        if (result.origin != at) node.error("the code does not start at \"at\"");
        append_listing(listing_, source.text(), result, 0);
        return result.bytes;
    }

    void add(const Node& node, u64 at, std::vector<u8> bytes) {
        if (bytes.empty()) {
            node.error("nothing to put into memory");
            return;
        }
        const u64 last = at + bytes.size() - 1;
        bool inside = false;
        for (const sim::RamRange& r : ram_of(guest_)) {
            inside = inside || (at >= r.first && last <= r.last && at <= last);
        }
        if (!inside) node.error("these bytes do not lie in the guest's RAM");
        namespace place = model::kvm::place;
        if (guest_.mode != Mode::real16 && at <= place::kLast && last >= place::kFirst) {
            node.error("0x70000 to 0x7afff holds this mode's tables");
        }
        for (const model::MemoryImage& other : guest_.memory) {
            if (at <= other.address + other.bytes.size() - 1 && other.address <= last) {
                node.error(fmt::format("overlaps what is given at {:#x}", other.address));
            }
        }
        guest_.memory.push_back({at, std::move(bytes)});
    }

    void read_gates(const Node& node) {
        if (guest_.mode == Mode::long64_cpl3) node.error("a guest at CPL 3 can have no gates");
        for (const Node& entry : node.array()) {
            const Fields f = entry.object({"vector", "to"});
            model::kvm::Gate gate;
            gate.vector = f.required("vector").integer<u8>();
            gate.handler = labels_.read_address(f.required("to"));
            if (guest_.mode == Mode::real16 && gate.handler > 0xFFFF) {
                entry.error("a real-mode handler lies below 0x10000");
            }
            guest_.gates.push_back(gate);
        }
    }

    Labels& labels_;
    std::vector<SourceLine>& listing_;
    Guest guest_;
};

}  // namespace

const sim::RegInfo* read_kvm_register(const Node& member) {
    const sim::RegInfo* row = sim::find_register(member.key());
    if (row != nullptr && row->bits <= 64) return row;
    std::vector<std::string_view> names;
    for (const sim::RegInfo& r : sim::registers()) names.push_back(r.name);
    member.error_at_key(fmt::format("unknown register {}{}", in_quotes(member.key()),
                                    did_you_mean(member.key(), names)));
    return nullptr;
}

u64 read_kvm_value(const Node& node, const Labels& labels) {
    const bool number = !node.is_string() || (!node.string().empty() && node.string()[0] >= '0' &&
                                              node.string()[0] <= '9');
    return number ? node.integer() : labels.read_address(node);
}

Guest read_kvm_guest(const Node& node, Labels& labels, std::vector<SourceLine>& listing) {
    return GuestReader(node, labels, listing).take();
}

}  // namespace vtlsim::runner
