// The userspace actor: runs a script over a Vm.
#pragma once

#include <functional>

#include "model/kvm/vm.hpp"

namespace vtlsim::model::kvm {

// What the actor does, for a log: each call comes right after the deed.
class UserspaceListener {
  public:
    virtual ~UserspaceListener() = default;
    virtual void exited(const Observation&, u32 /*number*/) {}
    virtual void acted(const Action&) {}
    virtual void device_read(const Device*, const RunExit&, std::span<const u8> /*data*/) {}
    virtual void device_written(const DeviceWrite&) {}
};

Transcript run_script(Vm& vm, const Guest& guest, const Script& script,
                      UserspaceListener* listener = nullptr);

}  // namespace vtlsim::model::kvm
