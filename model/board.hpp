// What all actors of a world stand on: the machine, its VPs, the log, the step counter, the end.
#pragma once

#include <vector>

#include "model/config.hpp"
#include "model/log/event_log.hpp"
#include "model/sharing/objects.hpp"
#include "model/sharing/store_buffers.hpp"
#include "model/vtl/banks.hpp"
#include "model/vtl2/layout.hpp"
#include "sim/exec/cpu.hpp"

namespace vtlsim::model {

// A virtual processor: the CPU, and which VTL is on it.
struct Vp {
    u8 index = 0;
    sim::Cpu& cpu;
    u8 active_vtl = kVtl2;

    struct State {
        sim::CpuState cpu;
        u8 active_vtl;
    };
};

// Who wants to see the world itself at each event, where the log tells only what happened.
class Witness {
  public:
    virtual ~Witness() = default;
    // An atomic step is about to begin: what the one before did is done.
    virtual void before_step() = 0;
    // The event is in the log. The step is going on.
    virtual void logged(const Event& event) = 0;
};

struct Board {
    explicit Board(const WorldConfig& world_config)
        : config(world_config), machine(sim::Memory(world_config.limits.pages)), buffers(machine) {
        for (unsigned i = 0; i < world_config.vp_count(); ++i) {
            vps.push_back({static_cast<u8>(i), machine.add_cpu()});
        }
    }

    const WorldConfig& config;
    sim::Machine machine;
    StoreBuffers buffers;
    std::vector<Vp> vps;
    unsigned at = 0;               // the VP that is acting or acted for
    CpuId acting_cpu = 0;          // whose reads and writes these are
    std::vector<Access> accesses;  // to shared objects, of the step at hand
    EventLog log;
    u64 step = 0;
    EndReason end = EndReason::none;
    std::vector<u64> plugin_states;  // of config.plugins
    Witness* witness = nullptr;

    void next_step() {
        if (witness != nullptr) witness->before_step();
        ++step;
    }

    const Switches& switches() const { return config.switches; }
    Vp& vp() { return vps[at]; }
    const Vp& vp() const { return vps[at]; }
    sim::Cpu& cpu() const { return vps[at].cpu; }
    // The address in this VP's part of VTL2's memory, from VP 0's.
    u64 page(u64 of_vp0) const { return of_vp0 + at * layout::kVpStride; }

    void emit(EventKind kind, Lane lane, std::initializer_list<u64> args = {}) {
        emit_at(cpu().get(sim::Reg::rip), kind, lane, args);
    }
    // With the RIP given, for what happens in the middle of an instruction.
    void emit_at(u64 rip, EventKind kind, Lane lane, std::initializer_list<u64> args) {
        if (end != EndReason::none) return;  // the end is the last event
        Event e{.step = step,
                .kind = kind,
                .lane = lane,
                .vp = vp().index,
                .vtl = vp().active_vtl,
                .rip = rip};
        std::copy(args.begin(), args.end(), e.args.begin());
        log.add(e);
        if (witness != nullptr) witness->logged(e);
    }
    // The lane of the code that is running.
    Lane code_lane() const { return vp().active_vtl == kVtl0 ? Lane::guest : Lane::vtl2; }

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

    void touch(Object object, unsigned index, bool write) {
        accesses.push_back({object_id(object, index), write});
    }
    void touch_address(u64 address, bool write) {
        if (const auto object = object_at(address)) accesses.push_back({*object, write});
    }

    // --- memory as the acting CPU sees it ---
    template <class T>
    T read(u64 address) {
        touch_address(address, false);
        T value;
        buffers.read(acting_cpu, address, {reinterpret_cast<u8*>(&value), sizeof(T)});
        return value;
    }
    template <class T>
    void write(u64 address, const T& value) {
        const std::span bytes(reinterpret_cast<const u8*>(&value), sizeof(T));
        if (switches().memory_order == MemoryOrder::sc) {
            touch_address(address, true);
            store(address, value);
            return;
        }
        touch(Object::store_buffer, acting_cpu, true);
        const auto& entries = buffers.entries(acting_cpu);
        if (entries.size() >= StoreBuffers::kCapacity) touch_address(entries.front().address, true);
        if (!buffers.push(acting_cpu, address, bytes)) finish(EndReason::memory_limit);
    }
    void touch_buffered() {
        if (switches().memory_order == MemoryOrder::sc) return;
        touch(Object::store_buffer, acting_cpu, true);
        for (const BufferedStore& s : buffers.entries(acting_cpu)) touch_address(s.address, true);
    }
    // A full barrier: this CPU's stores are in memory.
    void fence() {
        touch_buffered();
        if (!buffers.drain(acting_cpu)) finish(EndReason::memory_limit);
    }
    // Locked: the value before; `desired` is stored if that was `expected`.
    template <class T>
    T compare_exchange(u64 address, T expected, T desired) {
        fence();
        touch_address(address, true);
        const T was = load<T>(address);
        if (was == expected) store(address, desired);
        return was;
    }
    template <class T>
    T exchange(u64 address, T desired) {
        fence();
        touch_address(address, true);
        const T was = load<T>(address);
        store(address, desired);
        return was;
    }

    // --- memory as it is: the hypervisor's way, and the tests' ---
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
