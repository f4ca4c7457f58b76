// One line of input of `vtlsim exec`: a machine state and how to run it. docs/exec.md has the
// protocol.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "sim/memory/memory.hpp"
#include "sim/state/cpu_state.hpp"

namespace vtlsim::runner {

enum class ExecMode : u8 { real16, prot16, prot32, compat32, long64 };
std::span<const std::string_view> exec_mode_names();  // in the order of ExecMode

enum class ExecUntil : u8 { steps, exit, hlt };

struct ExecRequest {
    sim::CpuState state;
    sim::Memory memory;
    u64 max_steps = 1;
    ExecUntil until = ExecUntil::steps;
    bool deliver = false;
};

// How a register of the list looks in the protocol.
enum class ExecFormat : u8 {
    plain,  // "0x" and the digits of its width
    table,  // GDTR and IDTR: {"base":...,"limit":...}
    tags,   // FTW: the 16-bit tag word, made from the abridged one and the registers
    stack,  // ST(i), counted from the top
};

struct ExecRegister {
    std::string_view name;
    sim::Reg reg;  // the base of a table; R0 of the stack
    ExecFormat format = ExecFormat::plain;
    u8 index = 0;  // of ST(i)
};

// The registers of the protocol in the order of the answers.
std::span<const ExecRegister> exec_registers();

// The physical x87 register that is ST(i).
inline sim::Reg st_register(const sim::CpuState& state, std::size_t i) {
    return sim::offset(sim::Reg::fpr0, ((state[sim::Reg::fsw] >> 11) + i) % 8);
}

// Segments flat for the mode and the control registers that make it, at that CPL (0 to 3, 0 in
// real16); all else as after RESET#.
sim::CpuState exec_state(ExecMode mode, unsigned cpl);

// Pages that one request may have, given or written.
inline constexpr u64 kExecMaxPages = u64{1} << 14;  // 64 MiB
// Bytes of a line.
inline constexpr std::size_t kExecMaxLine = std::size_t{16} << 20;

struct ExecReading {
    std::string id = "null";  // JSON, as it is to be in the answer
    std::optional<ExecRequest> request;
    std::string error;  // where there is no request
};

// Takes any bytes.
ExecReading read_exec_request(std::string line);

}  // namespace vtlsim::runner
