// What all actors of a world stand on: the machine, the log, the step counter, the end.
#pragma once

#include "model/config.hpp"
#include "model/log/event_log.hpp"
#include "model/vtl/banks.hpp"
#include "sim/exec/cpu.hpp"

namespace vtlsim::model {

struct Board {
    explicit Board(const WorldConfig& world_config)
        : config(world_config),
          machine(sim::Memory(world_config.limits.pages)),
          cpu(machine.add_cpu()) {}

    const WorldConfig& config;
    sim::Machine machine;
    sim::Cpu& cpu;
    EventLog log;
    u64 step = 0;
    u8 active_vtl = kVtl2;
    EndReason end = EndReason::none;

    const Switches& switches() const { return config.switches; }

    void emit(EventKind kind, Lane lane, std::initializer_list<u64> args = {}) {
        emit_at(cpu.get(sim::Reg::rip), kind, lane, args);
    }
    // With the RIP given, for what happens in the middle of an instruction.
    void emit_at(u64 rip, EventKind kind, Lane lane, std::initializer_list<u64> args) {
        if (end != EndReason::none) return;  // the end is the last event
        Event e{.step = step, .kind = kind, .lane = lane, .vtl = active_vtl, .rip = rip};
        std::copy(args.begin(), args.end(), e.args.begin());
        log.add(e);
    }
    // The lane of the code that is running.
    Lane code_lane() const { return active_vtl == kVtl0 ? Lane::guest : Lane::vtl2; }

    void finish(EndReason reason) {
        if (end != EndReason::none) return;
        emit(EventKind::end, Lane::hypervisor, {static_cast<u64>(reason)});
        end = reason;
    }
    void not_modelled(std::string what) {
        const u64 text = log.add_text(std::move(what));
        emit(EventKind::not_modelled, Lane::hypervisor, {text});
        finish(EndReason::not_modelled);
    }

    template <class T>
    T load(u64 gpa) const {
        T value;
        machine.read(gpa, {reinterpret_cast<u8*>(&value), sizeof(T)});
        return value;
    }
    template <class T>
    void store(u64 gpa, const T& value) {
        if (!machine.write(gpa, {reinterpret_cast<const u8*>(&value), sizeof(T)})) {
            finish(EndReason::memory_limit);
        }
    }
};

}  // namespace vtlsim::model
