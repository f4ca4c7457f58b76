// KVM scenarios: a guest and what userspace does at its exits, for the model (model/kvm) and for a
// real /dev/kvm. The format is described in docs/kvm.md.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "model/kvm/script.hpp"
#include "model/kvm/switches.hpp"
#include "runner/diagnostic.hpp"
#include "runner/json/document.hpp"
#include "runner/scenario.hpp"

namespace vtlsim::runner {

// What is expected of a finished run: values by name (kvm_value, run_kvm.hpp) as texts, memory, and
// the log.
struct KvmExpectations {
    std::optional<model::EndReason> end;
    std::vector<std::pair<std::string, std::string>> state;
    std::vector<MemoryClaim> memory;
    std::vector<LogClaim> log;

    bool empty() const { return !end && state.empty() && memory.empty() && log.empty(); }
};

// One guest with one userspace, ready to run.
struct KvmCase {
    model::kvm::Guest guest;
    model::kvm::Script script;                        // without what the switch `act` adds
    std::vector<std::pair<u64, std::string>> labels;  // of the guest, by address
    std::vector<SourceLine> listing;                  // of the guest's assembly
};

struct KvmVariant {
    // What tells it from the others: switches, "guest" and "userspace".
    std::vector<std::pair<std::string, std::string>> choice;
    model::kvm::Switches switches;
    std::size_t guest = 0;
    std::size_t userspace = 0;
    std::vector<std::size_t> expect;  // indices into KvmScenario::expectations

    std::string label() const;  // "kvm=v2,act=p4", as --variant takes it
};

struct KvmScenario : ScenarioHead {
    std::string evidence;  // observed, read or derived
    std::string teaches;
    std::vector<std::string> guests,
        userspaces;  // their names; one without a name if there is no choice
    std::vector<std::vector<KvmCase>> cases;  // [guest][userspace]
    std::vector<KvmExpectations> expectations;
    std::vector<KvmVariant> variants;  // at least one

    // The guest and script of a variant, with what its switch `act` adds.
    KvmCase case_of(const KvmVariant& variant) const;
};

bool is_kvm_scenario(const JsonDocument& document);
// Nothing if the file is wrong in any way. load_scenario() and parse_scenario() (load.hpp) call
// this; the KvmScenario is in the result's `kvm`.
std::optional<Scenario> read_kvm_scenario(const JsonDocument& document, const std::string& file,
                                          Diagnostics& diagnostics);

}  // namespace vtlsim::runner
