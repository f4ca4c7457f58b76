#include "sim/asm/assembler.hpp"

#include <algorithm>
#include <tuple>

#include "sim/asm/diagnostics.hpp"
#include "sim/asm/layout.hpp"
#include "sim/asm/statement.hpp"

namespace vtlsim::sim {
namespace {

std::vector<AsmError> merge(const assembly::Diagnostics& a, const assembly::Diagnostics& b) {
    std::vector<AsmError> errors = a.errors();
    errors.insert(errors.end(), b.errors().begin(), b.errors().end());
    std::stable_sort(errors.begin(), errors.end(), [](const AsmError& x, const AsmError& y) {
        return std::tie(x.line, x.column) < std::tie(y.line, y.column);
    });
    if (errors.size() > kMaxAsmErrors) errors.resize(kMaxAsmErrors);
    return errors;
}

}  // namespace

const AsmSymbol* AsmResult::find(std::string_view name) const {
    const auto found = std::lower_bound(
        symbols.begin(), symbols.end(), name,
        [](const AsmSymbol& symbol, std::string_view key) { return symbol.name < key; });
    return found != symbols.end() && found->name == name ? &*found : nullptr;
}

AsmResult assemble(std::string_view text, const AsmOptions& options) {
    assembly::Diagnostics parse_errors;
    const assembly::Program program = assembly::parse_program(text, options, parse_errors);
    assembly::Diagnostics layout_errors;
    assembly::LayoutResult layout = assembly::lay_out(program, options, layout_errors);

    AsmResult result;
    result.origin = layout.origin;
    result.errors = merge(parse_errors, layout_errors);
    if (result.ok()) {
        result.bytes = std::move(layout.bytes);
        result.lines = std::move(layout.lines);
    }
    for (std::size_t id = 0; id < program.symbols.size(); ++id) {
        const assembly::Symbol& symbol = program.symbols[id];
        if (symbol.statement == assembly::kNoSymbol) continue;
        result.symbols.push_back(
            {symbol.name, layout.symbol_values[id], symbol.line, symbol.is_label});
    }
    std::sort(result.symbols.begin(), result.symbols.end(),
              [](const AsmSymbol& a, const AsmSymbol& b) { return a.name < b.name; });
    return result;
}

}  // namespace vtlsim::sim
