// One guest with one userspace on both: the real KVM and the model.
#pragma once

#include <optional>
#include <string>

#include "runner/conform_kvm/recording.hpp"

namespace vtlsim::runner::conform_kvm {

struct Both {
    model::kvm::Transcript real, model;
    // In words; nothing: the same. "real: ..., the other has ..." names the real one first.
    std::optional<std::string> difference;
    bool gap = false;  // the model lacks something, or this KVM refused an ioctl: no verdict
};

model::kvm::Transcript run_model(const model::kvm::Guest& guest, const model::kvm::Script& script,
                                 model::kvm::Version version,
                                 model::kvm::Vendor vendor = model::kvm::Vendor::vmx);

// A real transcript against one of the model. `native`: the guest's code ran on the CPU.
std::optional<std::string> difference(const model::kvm::Transcript& real,
                                      const model::kvm::Transcript& model, bool native,
                                      bool events);

Both run_both(RealKvm& kvm, const KvmFacts& facts, const model::kvm::Guest& guest,
              const model::kvm::Script& script, const RealOptions& options);

// The model against what was recorded; nothing: the same.
std::optional<std::string> check_recorded(const KvmFacts& facts, const RecordedCase& recorded);

// Both as they went, exit by exit, up to the third one that differs.
std::string transcripts_text(const Both& both);

}  // namespace vtlsim::runner::conform_kvm
