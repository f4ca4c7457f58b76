// The bounded list of errors every stage of the assembler reports to.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/asm/assembler.hpp"

namespace vtlsim::sim::assembly {

class Diagnostics {
  public:
    void add(u32 line, u32 column, std::string message) {
        if (full()) return;
        errors_.push_back({line, column, std::move(message)});
    }
    bool full() const { return errors_.size() >= kMaxAsmErrors; }
    bool empty() const { return errors_.empty(); }
    void clear() { errors_.clear(); }
    const std::vector<AsmError>& errors() const { return errors_; }

  private:
    std::vector<AsmError> errors_;
};

// A name from the text in quotes, shortened so that a message stays one readable line.
inline std::string quoted(std::string_view name) {
    constexpr std::size_t kShown = 60;
    std::string text = "'";
    text += name.substr(0, kShown);
    if (name.size() > kShown) text += "...";
    text += "'";
    return text;
}

// 0x and lower-case digits, as every number in a message.
inline std::string hex(u64 value) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    do {
        text.insert(text.begin(), kDigits[value & 15]);
        value >>= 4;
    } while (value != 0);
    return "0x" + text;
}

}  // namespace vtlsim::sim::assembly
