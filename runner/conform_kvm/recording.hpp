// What a real KVM did with some guests and userspaces, as JSON: to be checked on machines without
// one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "runner/conform_kvm/detect.hpp"
#include "runner/diagnostic.hpp"

namespace vtlsim::runner::conform_kvm {

struct RecordedCase {
    std::string name;  // of the scenario and its variant
    model::kvm::Guest guest;
    model::kvm::Script script;
    model::kvm::Transcript transcript;
};

struct Recording {
    KvmFacts facts;
    std::vector<RecordedCase> cases;
};

std::string recording_text(const Recording& recording);
std::optional<Recording> parse_recording(const std::string& text, const std::string& file,
                                         Diagnostics& diagnostics);
std::optional<Recording> load_recording(const std::string& path, Diagnostics& diagnostics);

}  // namespace vtlsim::runner::conform_kvm
