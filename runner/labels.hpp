// Names for addresses: the guest's labels, and the VTL2 kernel's as "vtl2:label".
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "runner/json/reader.hpp"

namespace vtlsim::runner {

class Labels {
  public:
    // False if the guest has this label already.
    bool add_guest(const std::string& name, u64 address) {
        return guest_.emplace(name, address).second;
    }

    struct Place {
        u8 vtl = 0;
        u64 address = 0;
        // Set for a label of the VTL2 kernel. Its address depends on the variant's switches, so
        // `address` is 0 then; all that is known is that some kernel has this label.
        std::string vtl2_label;
    };
    // A label, or an address as a number. Reports an unknown label with the nearest one.
    Place read(const Node& node) const;
    // The same where a label of the VTL2 kernel makes no sense.
    u64 read_address(const Node& node) const;

    // The labels of the VTL2 kernel that were read, and where: some kernel has them, perhaps not
    // that of the scenario's switches.
    struct Vtl2Use {
        Node node;
        std::string label;
    };
    const std::vector<Vtl2Use>& vtl2_uses() const { return vtl2_uses_; }

    // All of the guest's.
    std::vector<std::pair<u64, std::string>> by_address() const;

  private:
    std::map<std::string, u64> guest_;
    mutable std::vector<Vtl2Use> vtl2_uses_;  // notes of what const readers asked
};

}  // namespace vtlsim::runner
