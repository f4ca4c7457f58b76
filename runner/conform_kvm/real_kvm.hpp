// The KVM of this machine, driven by the userspace actor that drives the model
// (model/kvm/userspace.hpp).
#pragma once

#include <memory>
#include <string>

#include "model/kvm/observation.hpp"

namespace vtlsim::runner::conform_kvm {

struct RealOptions {
    bool fresh = false;   // a virtual machine that nothing has run in, else one may be used again
    bool events = false;  // Observation::events, too; asking for them can change what comes next
    u32 time_limit_ms = 2000;  // wall clock; it ends a guest that never exits (ScriptEnd::steps)
};

class RealKvm {
  public:
    // Null without a usable /dev/kvm; `why` then says why, in words for the user.
    static std::unique_ptr<RealKvm> open(std::string& why);
    virtual ~RealKvm() = default;

    // Transcript::problem says which ioctl this KVM refused, if one did. At most one RealKvm of a
    // process runs at a time: it owns SIGALRM and the real-time timer while it does.
    virtual model::kvm::Transcript run(const model::kvm::Guest& guest,
                                       const model::kvm::Script& script,
                                       const RealOptions& options) = 0;
    // KVM_CHECK_EXTENSION; by name, for reports.
    virtual std::vector<std::pair<std::string, int>> capabilities() const = 0;
};

}  // namespace vtlsim::runner::conform_kvm
