// Values and events as text, the same in traces and in messages.
#pragma once

#include <span>
#include <string>

#include "model/log/event.hpp"

namespace vtlsim::model {
class EventLog;
}

namespace vtlsim::runner {

// "0x1f"; 32 digits where the upper half is not zero.
std::string hex_text(const Vec128& value);
// "90 f4"
std::string bytes_text(std::span<const u8> bytes);

// The value of an argument that is no text and no code: "0x3fe", "in", "rax", "context.rax".
std::string value_text(model::Format format, u64 value);
// One argument of an event, texts and disassembled instructions too.
std::string argument_text(const model::EventLog& log, const model::Event& event, std::size_t index);
// All of them: "port=0x3fe size=1 in data=0xb0".
std::string detail_text(const model::EventLog& log, const model::Event& event);
// Kind and arguments.
std::string event_text(const model::EventLog& log, const model::Event& event);

}  // namespace vtlsim::runner
