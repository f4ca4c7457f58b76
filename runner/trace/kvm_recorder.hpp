// Makes a recording of a KVM scenario's run: its log, and what userspace sees at each return of
// KVM_RUN.
#pragma once

#include "runner/run_kvm.hpp"
#include "runner/trace/recording.hpp"

namespace vtlsim::runner::trace {

// `variant` is an index.
Recording record_kvm(const KvmScenario& scenario, std::size_t variant);

}  // namespace vtlsim::runner::trace
