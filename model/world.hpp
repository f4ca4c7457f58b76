// A world: VPs with their guest, hypervisor and VTL2 kernel, the driver and the VMM's threads on
// other CPUs, devices, and the rule for who acts next. Run = f(config): nothing else goes in.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "model/invariants/invariants.hpp"
#include "model/vmm/vmm.hpp"
#include "sim/asm/assembler.hpp"

namespace vtlsim::model {

// Who can act. An actor has at most one next step; ids are ranks: where nothing else decides, the
// lower goes first.
using ActorId = u16;
enum class ActorKind : u8 {
    drain,          // the oldest store of a CPU's buffer goes to memory (memory_order tso)
    vp,             // code of the VP, up to the next point where others matter
    request_ipi,    // the driver's IPI reaches the VP
    attention_ipi,  // the AP's IPI reaches the base CPU
    isr,            // the driver's interrupt handler
    poller,         // the VMM's task that polls and reads the driver's file
    vmm,            // the VMM's thread for a VP
    spawn,          // the VP's new thread on Linux is there: the sidecar run is cancelled
    event,          // a free event of the config
    plugin,         // an actor of config.plugins
};
struct Actor {
    ActorKind kind;
    unsigned index;  // of the VP, CPU or event
    std::string name;
};

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
    // One step of the actor that the schedule names, or else the default policy: the last one while
    // it can, then the lowest rank. Returns whether the world goes on.
    bool turn();

    // --- choices, one at a time ------------------------------------------------------------------
    const std::vector<Actor>& actors() const { return actors_; }
    // Ascending; empty once the world is over.
    std::vector<ActorId> enabled() const;
    bool can_act(ActorId actor) const;
    // Never chosen by default while others can act.
    bool optional(ActorId actor) const;
    // Its steps are nobody's turn (an interrupt lands, a store drains): who went before is still
    // the last one.
    bool passive(ActorId actor) const;
    ActorId default_choice(const std::vector<ActorId>& enabled) const;
    // What the actor's next step does ("status RUN"). The actor can act.
    std::string step_name(ActorId actor);
    void step(ActorId actor);
    // Says that nothing can act any more; the reason depends on who waits for what.
    void conclude();
    // To shared objects, by the last step: sorted, without doubles.
    const std::vector<Access>& accesses() const { return board_.accesses; }
    // Whether any later step of the actor may touch the object, or write it.
    bool may_touch(ActorId actor, u32 object, bool write) const;
    u64 turns() const { return turns_; }
    // Entries of the config's schedule that have come up.
    std::size_t schedule_done() const { return schedule_at_; }
    // Why the entry after those has not: empty if its place was not met either.
    const std::string& schedule_problem() const { return schedule_problem_; }

    const EventLog& log() const { return board_.log; }
    // Drops what has been logged, for those who read it turn by turn.
    void clear_log() { board_.log = EventLog(); }
    // Instructions are in the log (default), or only what they do.
    void log_instructions(bool on);
    EndReason end() const { return board_.end; }
    u64 steps() const { return board_.step; }
    // The log's hash as 16 hex digits.
    std::string hash() const;
    // Of the config's invariants, by the last step; and by all turn()s, the first of each.
    const std::vector<Violation>& violations() const { return invariants_.violations(); }
    const std::vector<Violation>& all_violations() const { return all_violations_; }

    // A register as a VTL (0 or 2) sees it, wherever its copy is.
    Vec128 register_of(u8 vtl, sim::Reg reg, unsigned vp = 0) const;
    void read_memory(u64 address, std::span<u8> out) const { board_.machine.read(address, out); }

    // --- where the values lie, for recordings

    // Told of steps and events from now on; null: nobody is. It must not change the world.
    void set_witness(Witness* witness) { board_.witness = witness; }
    const WorldConfig& config() const { return board_.config; }
    sim::CpuState cpu_state(unsigned vp) const { return board_.vps[vp].cpu.state(); }
    u8 active_vtl(unsigned vp) const { return board_.vps[vp].active_vtl; }
    const VtlBanks& banks(unsigned vp) const { return hypervisors_[vp]->banks(); }
    const sim::Memory& memory() const { return board_.machine.memory(); }
    // Where a linear address of the code that runs on the VP lies, by its page tables as they are
    // now, whatever they permit; nothing where nothing is mapped.
    std::optional<u64> physical_of(unsigned vp, u64 linear) const;
    // The actor that took the last turn.
    ActorId acted() const { return acted_; }

    // The value behind a name (see fields.hpp); nothing for names that have no value now, such as
    // message.rax while the message is of a type without RAX.
    std::optional<Vec128> value(std::string_view path) const;

    // Everything that changes, as a value: restoring it and going on equals going on. The log is
    // part of it; clear_log() first makes it small.
    struct Snapshot;
    std::shared_ptr<const Snapshot> snapshot();
    void restore(const Snapshot& snapshot);
    // What the next snapshot will hold that earlier ones do not, about: pages written since, and
    // the rest of the state.
    u64 snapshot_bytes() const;
    // 128 bits over all that decides what can happen next: not the log, step counts, or who went
    // last.
    std::array<u64, 2> fingerprint();

    // Pinned event i of the config: whether it has happened, and how often its instruction started.
    // Whether the actor is a free event that may still come.
    bool event_pending(ActorId actor) const {
        return actors_[actor].kind == ActorKind::event && !pins_[actors_[actor].index].fired;
    }
    bool event_happened(std::size_t i) const { return pins_[i].fired; }
    u64 times_started(std::size_t i) const { return pins_[i].started; }

    // The labels of the VTL2 kernel's text.
    const sim::AsmResult& vtl2_kernel(unsigned vp = 0) const { return kernels_[vp]; }

  private:
    class Watcher;
    friend struct StateHash;
    friend class ActorTurn;

    void make_actors();
    void run_vp();
    void after_run(sim::Outcome outcome, bool line);
    void fire_due_event();
    void fire_event(std::size_t index);
    void hypervisor_event(const PinnedEvent& event);
    const PinnedEvent* due_event(u64 rip) const;
    void land_request_ipi();
    void drain(CpuId cpu);
    void load_images();
    void init_registers(unsigned vp);
    bool vp_can_run(unsigned vp) const;
    bool lands_in_guest(unsigned vp) const;
    bool has_pinned_stop(unsigned vp) const;
    bool has_pinned_signal(unsigned vp) const;
    ActorId scheduled(const std::vector<ActorId>& enabled);
    bool places_left() const;
    std::optional<Vec128> vp_value(std::string_view path, unsigned vp) const;
    void at(unsigned vp) { board_.at = vp; }

    // For each pinned event: how often its instruction has started, and whether it has happened.
    struct Pin {
        u64 started = 0;
        bool fired = false;
    };

    Board board_;
    SidecarDriver driver_;
    Devices devices_;
    std::vector<std::unique_ptr<Hypervisor>> hypervisors_;  // one per VP
    std::vector<std::unique_ptr<Vmm>> vmms_;
    std::vector<sim::AsmResult> kernels_;
    std::unique_ptr<Watcher> watcher_;
    Invariants invariants_;
    std::vector<Actor> actors_;
    std::vector<Pin> pins_;
    ActorId acted_ = 0;
    int last_ = -1;  // the actor that went last, passive ones apart
    u64 turns_ = 0;
    std::size_t schedule_at_ = 0;
    std::string schedule_problem_;
    std::vector<Violation> all_violations_;
    using StepCounts = std::map<std::pair<ActorId, std::string>, u64>;
    StepCounts steps_made_;  // while there is a schedule

    // What fingerprint() knows of memory: the sum of its pages' hashes, at the time of the copy.
    sim::Memory saved_memory_;  // of the last snapshot
    sim::Memory hashed_memory_;
    std::array<u64, 2> memory_hash_{};
};

// What is wrong with a config, in words; empty if nothing is.
std::vector<std::string> check_config(const WorldConfig& config);

}  // namespace vtlsim::model
