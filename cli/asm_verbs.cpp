// The verbs of the assembler: asm and disasm.
#include <algorithm>
#include <array>
#include <cstdio>
#include <map>

#include <fmt/format.h>

#include "cli/output.hpp"
#include "cli/verbs.hpp"
#include "runner/format.hpp"
#include "sim/asm/assembler.hpp"
#include "sim/asm/disassembler.hpp"

namespace vtlsim::cli {
namespace {

constexpr std::size_t kMaxInput = std::size_t{16} << 20;

// "-" is standard input. A message and nothing if it cannot be read, or is too long.
std::optional<std::string> read_input(const std::string& path) {
    std::FILE* file = path == "-" ? stdin : std::fopen(path.c_str(), "rb");
    std::string text;
    if (file != nullptr) {
        std::array<char, 65536> buffer;
        while (text.size() <= kMaxInput) {
            const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), file);
            if (got == 0) break;
            text.append(buffer.data(), got);
        }
    }
    const bool bad = file == nullptr || std::ferror(file) != 0;
    if (file != nullptr && file != stdin) std::fclose(file);
    if (bad) write_error(fmt::format("{}:1:1: cannot be read\n", path));
    if (text.size() > kMaxInput) {
        write_error(fmt::format("{}:1:1: larger than the limit of {} bytes\n", path, kMaxInput));
        return std::nullopt;
    }
    return bad ? std::nullopt : std::optional(std::move(text));
}

sim::AsmMode mode_of(int bits) {
    return bits == 16   ? sim::AsmMode::bits16
           : bits == 32 ? sim::AsmMode::bits32
                        : sim::AsmMode::bits64;
}

std::string listing(const sim::AsmResult& result, std::string_view source) {
    std::vector<std::string_view> lines;
    for (std::string_view rest = source; !rest.empty();) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        lines.push_back(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    std::map<u32, std::vector<sim::AsmLine>> of_line;
    for (const sim::AsmLine& line : result.lines) of_line[line.line].push_back(line);
    std::string out;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        const auto it = of_line.find(static_cast<u32>(i + 1));
        std::string bytes, address;
        for (const sim::AsmLine& line :
             it == of_line.end() ? std::vector<sim::AsmLine>() : it->second) {
            if (address.empty()) address = fmt::format("{:08x}", line.address);
            const auto at =
                result.bytes.begin() + static_cast<std::ptrdiff_t>(line.address - result.origin);
            bytes += (bytes.empty() ? "" : " ") + runner::bytes_text({at, at + line.length});
        }
        std::string text = fmt::format("{:<8}  {:<30}  {}", address, bytes, lines[i]);
        text.erase(text.find_last_not_of(' ') + 1);
        out += text + '\n';
    }
    return out;
}

}  // namespace

int asm_verb(const AsmOptions& options) {
    const auto text = read_input(options.file);
    if (!text) return 2;
    sim::AsmOptions how;
    how.origin = options.origin;
    how.mode = mode_of(options.bits);
    how.max_bytes = kMaxInput;
    const sim::AsmResult result = sim::assemble(*text, how);
    std::string errors;
    for (const sim::AsmError& e : result.errors) {
        errors += fmt::format("{}:{}:{}: {}\n", options.file, e.line, e.column, e.message);
    }
    write_error(errors);
    if (!result.ok()) return 2;
    std::string out;
    if (options.format == "binary") {
        out.assign(result.bytes.begin(), result.bytes.end());
    } else if (options.format == "listing") {
        out = listing(result, *text);
    } else {
        out = runner::bytes_text(result.bytes) + '\n';
    }
    return write_output(options.output, out) ? 0 : 2;
}

int disasm_verb(const DisasmOptions& options) {
    std::vector<u8> code;
    if (options.binary) {
        const auto text = read_input(options.file);
        if (!text) return 2;
        code.assign(text->begin(), text->end());
    } else {
        const bool of_file = !options.file.empty();
        auto text = of_file ? read_input(options.file)
                            : std::optional(fmt::format("{}", fmt::join(options.bytes, " ")));
        if (!text) return 2;
        std::string digits;
        for (char c : *text) {
            if (c == ' ' || c == '\n' || c == '\t' || c == '\r') continue;
            const bool hex =
                (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
            if (!hex) {
                return usage_error(fmt::format("disasm: {} is no hexadecimal digit",
                                               runner::in_quotes(std::string(1, c))));
            }
            digits += c;
        }
        if (digits.size() % 2 != 0) return usage_error("disasm: half a byte at the end");
        for (std::size_t i = 0; i < digits.size(); i += 2) {
            code.push_back(static_cast<u8>(std::stoul(digits.substr(i, 2), nullptr, 16)));
        }
    }
    std::string out;
    for (std::size_t at = 0; at < code.size();) {
        const auto rest = std::span(code).subspan(at);
        const u64 address = options.origin + at;
        const std::size_t length =
            std::max<std::size_t>(sim::instruction_length(rest, mode_of(options.bits)), 1);
        out += fmt::format("{:08x}  {:<30}  {}\n", address, runner::bytes_text(rest.first(length)),
                           sim::disassemble(rest, address, mode_of(options.bits)));
        at += length;
    }
    return write_output(options.output, out) ? 0 : 2;
}

}  // namespace vtlsim::cli
