#include <fmt/format.h>

#include "cli/output.hpp"
#include "cli/verbs.hpp"
#include "model/invariants/invariants.hpp"
#include "model/kvm/switches.hpp"
#include "model/log/event.hpp"
#include "model/switches.hpp"
#include "sim/insn/rows.hpp"
#include "sim/state/registers.hpp"

namespace vtlsim::cli {
namespace {

template <class Row>
std::string switches(std::span<const Row> rows) {
    std::string out;
    for (const Row& row : rows) {
        out += fmt::format("{}: {} [{}]\n", row.name, row.meaning, row.source);
        for (const model::SwitchValue& value : row.values) {
            out += fmt::format("  {}{}: {}\n", value.name,
                               &value == row.values.data() ? " (default)" : "", value.meaning);
        }
    }
    return out;
}

std::string events() {
    std::string out;
    for (const model::EventRow& row : model::event_rows()) {
        std::string args;
        for (const model::ArgRow& arg : row.args) {
            if (arg.format == model::Format::hidden) continue;
            args += fmt::format("{}{}", args.empty() ? " (" : ", ", arg.name);
        }
        out += fmt::format("{}{}: {}\n", row.name, args.empty() ? "" : args + ")", row.meaning);
    }
    return out;
}

std::string invariants() {
    std::string out;
    for (const model::InvariantRow& row : model::invariant_rows()) {
        out += fmt::format("{}: {}\n", row.name, row.meaning);
    }
    return out;
}

std::string registers() {
    std::string out;
    for (const sim::RegInfo& row : sim::registers()) {
        out += fmt::format("{} ({} bits) [{}]\n", row.name, row.bits, row.source);
    }
    return out;
}

std::string instructions() {
    std::string out;
    for (const sim::InsnRow& row : sim::all_rows()) {
        out += fmt::format("{} [{}]\n", ZydisMnemonicGetString(row.mnemonic), row.manual);
    }
    return out;
}

}  // namespace

int list_verb(const ListOptions& options) {
    const std::string text = options.what == "switches"       ? switches(model::switch_rows())
                             : options.what == "kvm-switches" ? switches(model::kvm::switch_rows())
                             : options.what == "invariants"   ? invariants()
                             : options.what == "events"       ? events()
                             : options.what == "registers"    ? registers()
                                                              : instructions();
    return write_output("", text) ? 0 : 2;
}

}  // namespace vtlsim::cli
