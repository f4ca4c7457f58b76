// What a user of the library puts into a world: an intercept handler of the VMM, devices, actors.
//
// All that a plug-in remembers is one number, which the world keeps for it and hands it each time:
// so snapshots, fingerprints and the explorer know of it, and a run stays a function of its
// configuration. A plug-in that keeps anything else makes both untrue.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/types.hpp"

namespace vtlsim::model {

class Vmm;
class World;

// An intercept that the VMM has read, in a handler's hands.
class Intercept {
  public:
    Intercept(Vmm& vmm, u32 type, unsigned vp) : vmm_(vmm), type_(type), vp_(vp) {}

    u32 type() const { return type_; }
    std::string_view type_name() const;  // "io_port_intercept"
    unsigned vp() const { return vp_; }
    // A value by its name (model/fields.hpp): "message.port", "context.rax". Nothing for a name
    // that there is not now.
    std::optional<u64> value(std::string_view path) const;
    // A 64-bit field of the VMM's picture of the guest ("rax"); false if there is none such.
    bool set_context(std::string_view field, u64 value);
    // Where the guest goes on: behind the instruction unless this is set.
    u64 next_rip() const;
    void set_next_rip(u64 rip);

  private:
    Vmm& vmm_;
    u32 type_;
    unsigned vp_;
};

// The world in the hands of an actor whose turn it is.
class ActorTurn {
  public:
    explicit ActorTurn(World& world) : world_(world) {}

    void read(u64 address, std::span<u8> out) const;
    // Guest RAM only, by physical address; false elsewhere.
    bool write(u64 address, std::span<const u8> bytes);
    // An interrupt becomes pending in the APIC of a VP's VTL (0 or 2); vectors from 16. False for
    // others.
    bool interrupt(unsigned vp, u8 vtl, u8 vector);

  private:
    World& world_;
};

struct Plugins {
    // Called for each intercept before the VMM's own handler. True: this was all; false: that one.
    std::function<bool(Intercept&, u64& state)> handler;

    // Before the scenario's own device of that port and size (1, 2 or 4 bytes).
    struct Device {
        u16 port = 0;
        u8 size = 1;
        std::function<u32(u64& state)> read;
        std::function<void(u32 value, u64& state)> write;
    };
    std::vector<Device> devices;

    // Goes by default when nobody else can, and elsewhere where a schedule or the explorer puts it.
    struct Actor {
        std::string name;  // unlike the world's own: "vp0", "isr", ...
        std::function<bool(u64 state)> ready;
        std::function<void(ActorTurn&, u64& state)> step;
    };
    std::vector<Actor> actors;

    // The numbers: the handler's, the devices', the actors'.
    std::size_t state_count() const { return 1 + devices.size() + actors.size(); }
    std::size_t state_of_device(std::size_t i) const { return 1 + i; }
    std::size_t state_of_actor(std::size_t i) const { return 1 + devices.size() + i; }
};

}  // namespace vtlsim::model
