// A guest with a userspace as a KVM scenario (docs/kvm.md).
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "model/kvm/script.hpp"

namespace vtlsim::runner::conform_kvm {

struct CaseHead {
    std::string name, why, source;
};

// Loads as the same guest and the same script. Its `expect` is that the guest ends in some way.
nlohmann::ordered_json case_json(const CaseHead& head, const model::kvm::Guest& guest,
                                 const model::kvm::Script& script);

std::string hex_number(u64 value);                 // "0x1f"
std::string hex_bytes(std::span<const u8> bytes);  // "90 f4"

}  // namespace vtlsim::runner::conform_kvm
