// A world around some assembled guest code, for the tests of the model.
#pragma once

#include <stdexcept>

#include "model/vtl2/layout.hpp"
#include "model/vtl2/vtl2_kernel.hpp"
#include "model/world.hpp"

namespace vtlsim::tests {

inline constexpr u64 kGuestCode = 0x1000;
inline constexpr u64 kGuestStack = 0x8000;
inline constexpr u16 kPort = 0x3FE;  // the modem status register of the second serial port

inline std::vector<u8> assembled(u64 address, std::string_view text) {
    sim::AsmOptions options;
    options.origin = address;
    const sim::AsmResult result = sim::assemble(text, options);
    if (!result.ok()) throw std::runtime_error(result.errors.front().message);
    return result.bytes;
}

class Run {
  public:
    using Registers = std::vector<std::pair<sim::Reg, u64>>;

    model::WorldConfig config;  // to be changed before the world is first asked for

    explicit Run(std::string_view guest, const Registers& registers = {}) {
        memory(kGuestCode, assembled(kGuestCode, guest));
        set(sim::Reg::rip, kGuestCode);
        set(sim::Reg::rsp, kGuestStack);
        for (const auto& [reg, value] : registers) set(reg, value);
    }

    void set(sim::Reg reg, u64 lo, u64 hi = 0) { config.vtl0_registers.push_back({reg, {lo, hi}}); }
    void memory(u64 address, std::vector<u8> bytes) {
        config.memory.push_back({.address = address, .bytes = std::move(bytes)});
    }
    void code(u64 address, std::string_view text) { memory(address, assembled(address, text)); }
    void port(u16 number, u8 size, std::vector<u32> reads) {
        config.ports.push_back({.port = number, .size = size, .reads = std::move(reads)});
    }
    // An interrupt for VTL2 before the instruction at `address`.
    void interrupt(u8 vtl, u64 address, bool transient, u64 nth = 1) {
        config.events.push_back(
            {.vtl = vtl, .address = address, .nth = nth, .transient = transient});
    }

    model::World& world() {
        if (!world_) world_ = std::make_unique<model::World>(config);
        return *world_;
    }
    model::EndReason finish() { return world().run(); }
    // A gate of the guest's IDT; the first one sets the tables up.
    void gate(u8 vector, u64 handler) {
        constexpr u64 kIdt = 0x4000;
        constexpr u64 kGdt = 0x5000;
        if (!has_tables_) {
            has_tables_ = true;
            code(kGdt, "dq 0, 0x00AF9B000000FFFF, 0x00CF93000000FFFF");
            set(sim::Reg::gdtr_base, kGdt);
            set(sim::Reg::gdtr_limit, 3 * 8 - 1);
            set(sim::Reg::idtr_base, kIdt);
            set(sim::Reg::idtr_limit, 256 * 16 - 1);
        }
        const u64 low = (handler & 0xFFFF) | 0x08 << 16 | u64{0x8E00} << 32;
        std::vector<u8> bytes(16);
        std::memcpy(bytes.data(), &low, sizeof(low));  // handlers lie below 64 KiB
        memory(kIdt + u64{vector} * 16, std::move(bytes));
    }

    // Runs until the log has `n` events of the kind.
    model::World& until_event(model::EventKind kind, std::size_t n = 1) {
        while (events(kind).size() < n) {
            if (!world().turn()) throw std::runtime_error("the run ended before the event");
        }
        return world();
    }

    std::vector<model::Event> events(model::EventKind kind) {
        std::vector<model::Event> found;
        for (const model::Event& e : world().log().events()) {
            if (e.kind == kind) found.push_back(e);
        }
        return found;
    }
    std::size_t count(model::EventKind kind) { return events(kind).size(); }
    // Instructions that the guest has started.
    std::size_t guest_instructions() {
        std::size_t n = 0;
        for (const model::Event& e : events(model::EventKind::insn)) n += e.vtl == 0;
        return n;
    }

    u64 value(std::string_view path) { return wide(path).lo; }
    Vec128 wide(std::string_view path) {
        const auto v = world().value(path);
        if (!v) throw std::runtime_error("no value: " + std::string(path));
        return *v;
    }
    u64 guest(sim::Reg reg) { return world().register_of(0, reg).lo; }
    u64 word(u64 address) {
        u64 v = 0;
        world().read_memory(address, {reinterpret_cast<u8*>(&v), sizeof(v)});
        return v;
    }
    // The text that the first event of a kind refers to by its first argument.
    std::string text(model::EventKind kind) {
        const auto found = events(kind);
        if (found.empty()) return {};
        return std::string(world().log().text(found.front().args[0]));
    }
    // The address of a label of the VTL2 kernel under the switches set so far.
    u64 kernel_label(std::string_view name) const {
        const sim::AsmResult kernel = model::assemble_vtl2_kernel(config.switches);
        const sim::AsmSymbol* symbol = kernel.find(name);
        if (symbol == nullptr) throw std::runtime_error("no label: " + std::string(name));
        return symbol->value;
    }

  private:
    std::unique_ptr<model::World> world_;
    bool has_tables_ = false;
};

}  // namespace vtlsim::tests
