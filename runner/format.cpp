#include "runner/format.hpp"

#include <cstring>

#include <fmt/format.h>

#include "model/fields.hpp"
#include "model/log/event_log.hpp"
#include "model/wire/message.hpp"
#include "sim/asm/disassembler.hpp"
#include "sim/state/registers.hpp"

namespace vtlsim::runner {

using model::Event;
using model::Format;

std::string hex_text(const Vec128& value) {
    return value.hi == 0 ? fmt::format("{:#x}", value.lo)
                         : fmt::format("0x{:016x}{:016x}", value.hi, value.lo);
}

std::string bytes_text(std::span<const u8> bytes) {
    std::string out;
    for (u8 b : bytes) out += fmt::format("{}{:02x}", out.empty() ? "" : " ", b);
    return out;
}

std::string value_text(Format format, u64 value) {
    const auto words = model::format_words(format);
    if (!words.empty()) {
        return value < words.size() ? std::string(words[value]) : fmt::format("{:#x}", value);
    }
    switch (format) {
        case Format::dec:
            return fmt::format("{}", value);
        case Format::flag:
            return value != 0 ? "yes" : "no";
        case Format::optional:
            return value == model::kNone ? "none" : fmt::format("{:#x}", value);
        case Format::reg:
            return std::string(sim::registers()[value].name);
        case Format::gpa:
            return model::name_of_address(value);
        case Format::message_type:
            return std::string(model::message_type_name(static_cast<u32>(value)));
        default:
            return fmt::format("{:#x}", value);
    }
}

std::string argument_text(const model::EventLog& log, const Event& event, std::size_t index) {
    const Format format = event_row(event.kind).args[index].format;
    if (format == Format::text) return std::string(log.text(event.args[index]));
    if (format == Format::code_lo) {
        std::array<u8, 16> bytes{};
        std::memcpy(bytes.data(), event.args.data(), bytes.size());
        const std::size_t length = std::min<std::size_t>(event.args[2], bytes.size());
        constexpr sim::AsmMode kModes[] = {sim::AsmMode::bits64, sim::AsmMode::bits32,
                                           sim::AsmMode::bits16};
        const sim::AsmMode mode = kModes[event.args[3]];
        return sim::disassemble(std::span(bytes).first(length), event.rip, mode);
    }
    return value_text(format, event.args[index]);
}

std::string detail_text(const model::EventLog& log, const Event& event) {
    const auto args = event_row(event.kind).args;
    std::string out;
    for (std::size_t i = 0; i < args.size(); ++i) {
        const Format format = args[i].format;
        if (format == Format::hidden || format == Format::code_hi) continue;
        // Flags that are off and values of stores wider than a word say nothing.
        if (format == Format::flag && event.args[i] == 0) continue;
        if (args[i].name == "value" && i > 0 && args[i - 1].name == "size" &&
            event.args[i - 1] > 8) {
            continue;
        }
        if (!out.empty()) out += ' ';
        if (format == Format::flag) {
            out += args[i].name;
        } else if (format == Format::text || format == Format::code_lo || format == Format::gpa) {
            out += argument_text(log, event, i);
        } else {
            out += fmt::format("{}={}", args[i].name, argument_text(log, event, i));
        }
    }
    return out;
}

std::string event_text(const model::EventLog& log, const Event& event) {
    const std::string detail = detail_text(log, event);
    return fmt::format("{}{}{}", event_row(event.kind).name, detail.empty() ? "" : " ", detail);
}

}  // namespace vtlsim::runner
