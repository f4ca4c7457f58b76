// The parts of a scenario file that make its world.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "model/config.hpp"
#include "model/invariants/invariants.hpp"
#include "runner/json/reader.hpp"
#include "runner/labels.hpp"
#include "runner/scenario.hpp"

namespace vtlsim::runner {

class WorldReader {
  public:
    // Reads everything but expectations and variants of the scenario's root object.
    explicit WorldReader(const Fields& root);

    const model::WorldConfig& config() const { return config_; }
    const Labels& labels() const { return labels_; }
    const std::vector<EventNote>& event_notes() const { return event_notes_; }
    const std::vector<SourceLine>& listing() const { return listing_; }

  private:
    void read_switches(const Node& node);
    void read_limits(const Node& node);
    void read_guest(const Node& node);
    void read_vtl2(const Node& node);
    // `node` says that the guest starts there.
    void check_start(const Node& node, u64 address);
    void read_registers(const Node& node, std::vector<model::RegisterValue>& out);
    void read_memory(const Node& node, u8 vtl);
    // Code or data from "asm" or "bytes", `at` an address. Returns where it starts.
    u64 read_image(const Fields& fields, u64 at, u8 vtl);
    void add_image(const Node& node, u64 address, std::vector<u8> bytes, u8 vtl);
    void read_devices(const Node& node);
    void read_answers(const Fields& root);
    void read_events(const Node& node);
    void check_can_happen(const Fields& fields, const model::PinnedEvent& event,
                          const Labels::Place& place);
    // `before` is an address of the guest.
    void check_not_inside(const Node& before, u64 address);
    // load_schedule.cpp
    void read_concurrency(const Fields& root);
    void read_vps(const Node& node);
    void read_invariants(const Node& node);
    void read_schedule(const Node& node);
    void read_intercept(const Fields& fields, model::PinnedEvent& event);
    void read_interrupt(const Fields& fields, model::PinnedEvent& event);

    struct Image {
        u64 last;
        Position position;
    };

    model::WorldConfig config_;
    Labels labels_;
    std::map<u64, Image> images_;  // by first address
    u64 image_bytes_ = 0;          // of all images met so far, right or wrong
    std::vector<EventNote> event_notes_;
    std::vector<SourceLine> listing_;
    std::map<u64, u8> asm_lines_;  // of the guest: address and length
};

}  // namespace vtlsim::runner
