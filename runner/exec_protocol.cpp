#include "runner/exec_protocol.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "runner/exec_request.hpp"

namespace vtlsim::runner {
namespace {

using sim::CpuState;
using sim::Reg;

template <class... Args>
void append(std::string& out, fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
}

void append_digits(std::string& out, u64 value, unsigned digits) {
    for (unsigned i = digits; i-- > 0;) out += "0123456789abcdef"[value >> 4 * i & 15];
}

// A quoted number with the digits of its width.
void append_hex(std::string& out, const Vec128& value, unsigned bits) {
    out += "\"0x";
    if (bits > 64) append_digits(out, value.hi, (bits - 64) / 4);
    append_digits(out, value.lo, std::min(bits, 64u) / 4);
    out += '"';
}

// Any bytes as a JSON string; what is not UTF-8 becomes U+FFFD.
std::string json_string(std::string_view text) {
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// The tag of a register in use (SDM 1 8.1.7): 0 valid, 1 zero, 2 special (NaN, infinity,
// denormal, and what the x87 does not support).
u64 full_tag(const Vec128& value) {
    const u64 exponent = value.hi & 0x7FFF;
    const bool integer_bit = value.lo >> 63 != 0;
    if (exponent == 0 && value.lo == 0) return 1;
    return exponent != 0 && exponent != 0x7FFF && integer_bit ? 0 : 2;
}

u64 tag_word(const CpuState& s) {
    u64 word = 0;
    for (unsigned i = 0; i < 8; ++i) {
        const bool used = (s[Reg::ftw] >> i & 1) != 0;
        word |= (used ? full_tag(s.vec(sim::offset(Reg::fpr0, i))) : 3) << 2 * i;
    }
    return word;
}

void append_registers(std::string& out, const CpuState& s) {
    bool first = true;
    for (const ExecRegister& row : exec_registers()) {
        out += first ? "\"" : ",\"";
        first = false;
        out += row.name;
        out += "\":";
        switch (row.format) {
            case ExecFormat::plain:
                append_hex(out, s.get(row.reg), sim::info(row.reg).bits);
                break;
            case ExecFormat::table:
                out += "{\"base\":";
                append_hex(out, s.get(row.reg), 64);
                out += ",\"limit\":";
                append_hex(out, s.get(sim::offset(row.reg, 1)), 16);
                out += '}';
                break;
            case ExecFormat::tags:
                append_hex(out, {tag_word(s), 0}, 16);
                break;
            case ExecFormat::stack:
                append_hex(out, s.get(st_register(s, row.index)), 80);
                break;
        }
    }
}

// Entries of neighbouring bytes that differ, in ascending order.
void append_memory(std::string& out, const sim::Memory& before, const sim::Memory& after) {
    u64 next = ~u64{0};  // address after the last byte written out
    after.for_each_difference(before, [&](u64 page, const u8* old_bytes, const u8* new_bytes) {
        for (u64 i = 0; i < sim::kPageSize; ++i) {
            if (old_bytes[i] == new_bytes[i]) continue;
            const u64 address = (page << sim::kPageShift) + i;
            if (address != next) {
                if (next != ~u64{0}) out += "\"},";
                append(out, "{{\"addr\":\"{:#x}\",\"bytes\":\"", address);
            }
            append_digits(out, new_bytes[i], 2);
            next = address + 1;
        }
    });
    if (next != ~u64{0}) out += "\"}";
}

// How many elements a string access is about: CX, ECX or RCX where it repeats.
u64 access_count(const sim::Exit& exit, const CpuState& s) {
    if (!exit.rep) return 1;
    const unsigned unused = 64 - 8u * exit.address_size;
    return s[Reg::rcx] << unused >> unused;
}

}  // namespace

struct ExecSession::End {
    u64 steps = 0;
    sim::Outcome outcome;
    bool limited = false;  // `steps` means the limit of the run, not what was asked for
};

ExecSession::ExecSession()
    : machine_(std::make_unique<sim::Machine>()), cpu_(&machine_->add_cpu()) {}
ExecSession::~ExecSession() = default;

ExecSession::End ExecSession::run(const ExecRequest& request) {
    machine_->set_memory(request.memory);
    cpu_->set_state(request.state);
    cpu_->set_deliver_faults(request.deliver);
    cpu_->set_exits({.ports = request.until != ExecUntil::hlt});
    const u64 start = cpu_->steps();
    End end;
    end.limited = request.max_steps > kExecMaxSteps || request.until != ExecUntil::steps;
    end.outcome = cpu_->run(
        {.steps = std::min(request.max_steps, kExecMaxSteps), .iterations = kExecMaxIterations});
    end.steps = cpu_->steps() - start;
    return end;
}

void ExecSession::describe(const End& end, std::string& out) const {
    const auto kind = [&](std::string_view name) { append(out, "{{\"kind\":\"{}\"", name); };
    if (std::holds_alternative<sim::StepsDone>(end.outcome)) {
        kind(end.limited ? "limit" : "steps");
    } else if (std::holds_alternative<sim::OutOfWork>(end.outcome) ||
               std::holds_alternative<sim::OutOfMemory>(end.outcome)) {
        kind("limit");
    } else if (std::holds_alternative<sim::Halted>(end.outcome)) {
        kind("hlt");
    } else if (std::holds_alternative<sim::Shutdown>(end.outcome)) {
        kind("shutdown");
    } else if (const auto* fault = std::get_if<sim::Fault>(&end.outcome)) {
        kind("fault");
        append(out, ",\"vector\":{}", static_cast<unsigned>(fault->vector));
        if (fault->has_error_code) append(out, ",\"error_code\":{}", fault->error_code);
        if (fault->vector == sim::Vector::pf && !fault->software) {
            out += ",\"cr2\":";
            append_hex(out, {fault->cr2, 0}, 64);
        }
    } else if (const auto* exit = std::get_if<sim::Exit>(&end.outcome);
               exit != nullptr && exit->kind == sim::ExitKind::io) {
        kind("io");
        append(out, R"(,"dir":"{}","port":{},"size":{},"count":{},"data":{})",
               exit->in ? "in" : "out", exit->port, exit->size, access_count(*exit, cpu_->state()),
               exit->data);
    } else if (exit != nullptr && exit->kind == sim::ExitKind::hypercall) {
        kind("hypercall");
        append(out, ",\"instruction\":\"{}\"", exit->vmmcall ? "vmmcall" : "vmcall");
    } else {
        kind("not-modelled");
        const auto* gap = std::get_if<sim::NotModelled>(&end.outcome);
        append(out, ",\"instruction\":{}",
               json_string(gap == nullptr ? "an exit of a machine with surroundings" : gap->what));
    }
    out += '}';
}

void ExecSession::answer(std::string line, std::string& out) {
    const ExecReading reading = read_exec_request(std::move(line));
    append(out, "{{\"id\":{},", reading.id);
    if (!reading.request) {
        append(out, "\"error\":{}}}\n", json_string(reading.error));
        return;
    }
    const End end = run(*reading.request);
    append(out, "\"steps\":{},\"outcome\":", end.steps);
    describe(end, out);
    out += ",\"regs\":{";
    append_registers(out, cpu_->state());
    out += "},\"mem\":[";
    append_memory(out, reading.request->memory, machine_->memory());
    out += "]}\n";
}

bool serve_exec(int input, std::FILE* output) {
    ExecSession session;
    std::string line;
    std::string out;
    bool too_long = false;
    const auto serve = [&] {
        out.clear();
        if (too_long) {
            append(out, "{{\"id\":null,\"error\":\"the line is longer than {} bytes\"}}\n",
                   kExecMaxLine);
        } else {
            session.answer(std::move(line), out);
        }
        line.clear();
        too_long = false;
        return std::fwrite(out.data(), 1, out.size(), output) == out.size();
    };
    std::array<char, 65536> buffer;
    for (;;) {
        const ssize_t got = ::read(input, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return false;
        if (got == 0) break;
        std::string_view rest(buffer.data(), static_cast<std::size_t>(got));
        while (!rest.empty()) {
            const std::size_t end = rest.find('\n');
            const std::string_view piece = rest.substr(0, end);
            too_long = too_long || piece.size() > kExecMaxLine - line.size();
            if (too_long) {
                line.clear();
            } else {
                line += piece;
            }
            if (end == std::string_view::npos) break;
            if (!serve()) return false;
            rest.remove_prefix(end + 1);
        }
        if (std::fflush(output) != 0) return false;
    }
    if ((!line.empty() || too_long) && !serve()) return false;
    return std::fflush(output) == 0;
}

}  // namespace vtlsim::runner
