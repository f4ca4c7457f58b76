// Watches a world for broken invariants: fed by the World with what happens, never asked by it.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/board.hpp"

namespace vtlsim::model {

struct InvariantRow {
    Invariant id;
    std::string_view name;
    std::string_view meaning;
};
std::span<const InvariantRow> invariant_rows();
const InvariantRow* find_invariant(std::string_view name);

struct Violation {
    Invariant id;
    unsigned vp = 0;
    std::string what;  // the two events that conflict
};

class Invariants {
  public:
    explicit Invariants(Board& board) : board_(board) {}

    // --- what the World tells ---
    void begin_step() { violations_.clear(); }
    // The events of this step, from the log's index on.
    void events(std::size_t first);
    // The guest's processor as an intercept leaves it.
    void intercepted(const sim::CpuState& guest);
    void ap_touched(u64 address, bool write);  // before the AP's instruction
    void handler_starts();                     // of the VP at hand, as its next step
    void end();                                // the run is over

    const std::vector<Violation>& violations() const { return violations_; }

    struct PerVp {
        sim::CpuState guest;     // at the last intercept
        bool fresh = false;      // the last message handed over has not been handled
        i32 exits_ahead = 0;     // handled less written
        i32 accesses_ahead = 0;  // of devices, less the guest's port instructions
        u8 bounces = 0;          // in a row
        bool string_io = false;  // the exit being handled
        u64 message_step = 0;    // when it was written; for texts only
        u64 handled_step = 0;
        u64 status_step = 0;
    };
    using State = std::array<PerVp, layout::kMaxVps>;
    const State& state() const { return vps_; }
    void set_state(const State& state) { vps_ = state; }

  private:
    bool on(Invariant id) const;
    void broken(Invariant id, unsigned vp, std::string what);
    void compare_context(unsigned vp);
    CpuStatus status(unsigned vp) const;

    Board& board_;
    State vps_;
    std::vector<Violation> violations_;
};

}  // namespace vtlsim::model
