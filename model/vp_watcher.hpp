// Turns what the executor reports into events and decides where a VP's code stops for others: after
// each access to an object that several write, and in the guest where something may land.
#pragma once

#include "model/world.hpp"
#include "sim/decode/memory_operands.hpp"

namespace vtlsim::model {

class World::Watcher : public sim::Observer {
  public:
    explicit Watcher(World& world);

    bool before_instruction(const sim::Cpu& cpu, u64 rip) override;
    void stored(const sim::Cpu&, u64 physical, std::span<const u8> before,
                std::span<const u8> after) override;
    void delivering(const sim::Cpu&, const sim::Fault& fault) override;

    // Before each run of a processor.
    void begin(bool line);
    // The store buffer's entries lie over memory, and stay there.
    void drain_all();

    // What the step that is going on has done, in words.
    void did(std::string what) { did_ = std::move(what); }
    void did_exit(const sim::Exit& exit);
    const std::string& did() const { return did_; }
    // Whether an interrupt could have been taken at some boundary of the run.
    bool window() const { return window_; }

    bool log_instructions = true;

  private:
    void look_at_memory(const sim::Cpu& cpu, std::span<const u8> code);
    void name_access(const Access& access);

    World& world_;
    sim::InsnMemoryDecoder decoder_;
    bool line_ = false;
    bool started_ = false;  // an instruction has, since the run began or the last fault
    bool window_ = false;
    bool stop_after_ = false;           // the instruction that is executing
    bool direct_ = false;               // it is locked: its stores pass the buffer by
    u64 rip_ = 0;                       // of the instruction that is executing
    std::optional<u32> stored_object_;  // that it writes: named once the value is known
    std::string did_;
};

}  // namespace vtlsim::model
