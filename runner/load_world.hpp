// The parts of a scenario file that make its world.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "model/config.hpp"
#include "runner/json/reader.hpp"

namespace vtlsim::runner {

// A switch by the name of an object's member, and its value; both report what is unknown.
const model::SwitchRow* read_switch_name(const Node& member);
u8 read_switch_value(const Node& node, const model::SwitchRow& row);

// Names for addresses: the guest's labels, and the VTL2 kernel's as "vtl2:label".
class Labels {
  public:
    void add_guest(const std::string& name, u64 address) { guest_[name] = address; }
    // A label, or a number. Reports an unknown label with the nearest one. VTL2's labels depend on
    // the switches: here they are only checked to exist, as an address of 0.
    struct Place {
        u8 vtl = 0;
        u64 address = 0;
        std::string vtl2_label;
    };
    Place read(const Node& node) const;
    bool has_guest(const std::string& name) const { return guest_.count(name) != 0; }
    std::vector<std::pair<u64, std::string>> guest_by_address() const;

  private:
    std::map<std::string, u64> guest_;
};

class WorldReader {
  public:
    // Reads everything but expectations and variants of the scenario's root object.
    explicit WorldReader(const Fields& root);

    const model::WorldConfig& config() const { return config_; }
    const Labels& labels() const { return labels_; }
    const std::vector<bool>& event_optional() const { return event_optional_; }
    // Gives pinned events at labels of the VTL2 kernel their addresses under the config's switches.
    void resolve_events(model::WorldConfig& config) const;

  private:
    void read_switches(const Node& node);
    void read_guest(const Node& node);
    void read_vtl2(const Node& node);
    void read_registers(const Node& node, std::vector<model::RegisterValue>& out);
    void read_memory(const Node& node, bool guest);
    // Code or data at an address, from "asm" or "bytes".
    void read_image(const Fields& fields, bool guest);
    void read_devices(const Fields& root);
    void read_events(const Node& node);
    void read_limits(const Node& node);
    void add_image(const Node& node, u64 address, std::vector<u8> bytes);

    model::WorldConfig config_;
    Labels labels_;
    std::vector<bool> event_optional_;
    std::vector<std::string> event_vtl2_label_;  // of each event; empty for the guest's
};

}  // namespace vtlsim::runner
