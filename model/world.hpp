// A world: one VP with its guest, hypervisor, VTL2 kernel, VMM and devices, and the rule for who
// acts next. Run = f(config): nothing else goes in.
#pragma once

#include <memory>
#include <string>

#include "model/vmm/vmm.hpp"
#include "sim/asm/assembler.hpp"

namespace vtlsim::model {

class World {
  public:
    // The config must outlive the world. Throws std::invalid_argument when check_config() is not
    // empty.
    explicit World(const WorldConfig& config);
    explicit World(WorldConfig&&) = delete;
    ~World();
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    // Runs to the end, which always comes: limits count everything that any actor does.
    EndReason run();
    // One turn: the VP until something other than an instruction happens, or one step of another
    // actor. Returns whether the world goes on.
    bool turn();

    const EventLog& log() const { return board_.log; }
    EndReason end() const { return board_.end; }
    u64 steps() const { return board_.step; }
    // The log's hash as 16 hex digits.
    std::string hash() const;

    // A register as a VTL (0 or 2) sees it, wherever its copy is.
    Vec128 register_of(u8 vtl, sim::Reg reg) const;
    void read_memory(u64 address, std::span<u8> out) const { board_.machine.read(address, out); }

    // The value behind a name (see fields.hpp); nothing for names that have no value now, such as
    // message.rax while the message is of a type without RAX.
    std::optional<Vec128> value(std::string_view path) const;

    // Everything that changes, as a value: restoring it and going on equals going on.
    struct Snapshot;
    std::shared_ptr<const Snapshot> snapshot();
    void restore(const Snapshot& snapshot);

    // Pinned event i of the config: whether it has happened, and how often its instruction started.
    bool event_happened(std::size_t i) const { return pins_[i].fired; }
    u64 times_started(std::size_t i) const { return pins_[i].started; }

    // The labels of the VTL2 kernel's text.
    const sim::AsmResult& vtl2_kernel() const { return kernel_; }

  private:
    class Watcher;

    void run_vp();
    void fire_due_event();
    const PinnedEvent* due_event(u64 rip) const;
    void load_images();
    void init_registers();

    // For each pinned event: how often its instruction has started, and whether it has happened.
    struct Pin {
        u64 started = 0;
        bool fired = false;
    };

    Board board_;
    Hypervisor hypervisor_;
    Devices devices_;
    Vmm vmm_;
    sim::AsmResult kernel_;
    std::unique_ptr<Watcher> watcher_;
    std::vector<Pin> pins_;
};

// What is wrong with a config, in words; empty if nothing is.
std::vector<std::string> check_config(const WorldConfig& config);

}  // namespace vtlsim::model
